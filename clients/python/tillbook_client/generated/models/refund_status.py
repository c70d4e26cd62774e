from enum import StrEnum


class RefundStatus(StrEnum):
    CREATED = "created"
    DECLINED = "declined"
    DONE = "done"
    PENDING = "pending"
    UNDONE = "undone"
    UNKNOWN = "unknown"

    def __str__(self) -> str:
        return str(self.value)
