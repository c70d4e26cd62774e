from enum import StrEnum


class ReceiptStatus(StrEnum):
    GIVEN_UP = "given_up"
    PENDING = "pending"
    SETTLED = "settled"

    def __str__(self) -> str:
        return str(self.value)
