from enum import StrEnum


class OrderStatus(StrEnum):
    EXPIRED = "expired"
    OPEN = "open"
    PAID = "paid"

    def __str__(self) -> str:
        return str(self.value)
