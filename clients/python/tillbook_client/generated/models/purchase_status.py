from enum import StrEnum


class PurchaseStatus(StrEnum):
    CREDITED = "credited"
    ENDED = "ended"
    ENTITLED = "entitled"
    HELD = "held"
    NOT_YOURS = "not_yours"
    PENDING = "pending"
    REFUNDED = "refunded"
    UNKNOWN = "unknown"

    def __str__(self) -> str:
        return str(self.value)
