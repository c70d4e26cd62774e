from enum import StrEnum


class RefundOfImportState(StrEnum):
    ENDED = "ended"
    OPEN = "open"
    PROPOSED = "proposed"

    def __str__(self) -> str:
        return str(self.value)
