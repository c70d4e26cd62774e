from enum import StrEnum


class HoldRecordState(StrEnum):
    CAPTURED = "captured"
    EXPIRED = "expired"
    OPEN = "open"
    RELEASED = "released"

    def __str__(self) -> str:
        return str(self.value)
