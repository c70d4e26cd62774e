from enum import StrEnum


class ClosingStatus(StrEnum):
    CLOSED = "closed"
    PROPOSED = "proposed"

    def __str__(self) -> str:
        return str(self.value)
