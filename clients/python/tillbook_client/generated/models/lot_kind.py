from enum import StrEnum


class LotKind(StrEnum):
    BONUS = "bonus"
    PAID = "paid"

    def __str__(self) -> str:
        return str(self.value)
