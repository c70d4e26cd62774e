from enum import StrEnum


class GiftStatus(StrEnum):
    RECEIVED = "received"
    RETURNED = "returned"
    SENT = "sent"

    def __str__(self) -> str:
        return str(self.value)
