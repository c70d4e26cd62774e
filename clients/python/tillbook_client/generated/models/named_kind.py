from enum import StrEnum


class NamedKind(StrEnum):
    AGREEMENT = "agreement"
    FACT = "fact"
    GIFT = "gift"
    HOLD = "hold"
    MESSAGE = "message"
    ORDER = "order"
    PAYMENT = "payment"
    PURCHASE = "purchase"
    RECEIPT = "receipt"
    REFUND = "refund"
    TRANSFER = "transfer"
    USER = "user"

    def __str__(self) -> str:
        return str(self.value)
