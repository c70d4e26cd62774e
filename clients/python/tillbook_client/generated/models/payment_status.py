from enum import StrEnum


class PaymentStatus(StrEnum):
    AUTHORIZED = "authorized"
    CLOSED = "closed"
    CREATED = "created"
    FAILED = "failed"
    HELD = "held"
    PAID = "paid"
    PENDING = "pending"
    UNKNOWN = "unknown"

    def __str__(self) -> str:
        return str(self.value)
