from enum import StrEnum


class PeriodStatus(StrEnum):
    DUE = "due"
    FREE = "free"
    PAID = "paid"
    UNPAID = "unpaid"

    def __str__(self) -> str:
        return str(self.value)
