from enum import StrEnum


class PeriodStatus(StrEnum):
    DUE = "due"
    FREE = "free"
    PAID = "paid"
    REFUNDED = "refunded"
    UNPAID = "unpaid"

    def __str__(self) -> str:
        return str(self.value)
