from enum import StrEnum


class DifferenceType(StrEnum):
    AMOUNT = "amount"
    BALANCE = "balance"
    CURRENCY = "currency"
    DUPLICATE = "duplicate"
    FEE = "fee"
    LATE = "late"
    NOT_OURS = "not_ours"
    OURS_NOT_THEIRS = "ours_not_theirs"
    PAYOUT_MISSING = "payout_missing"
    REFUND_EXTRA = "refund_extra"
    REFUND_MISSING = "refund_missing"
    STATUS = "status"
    THEIRS_NOT_OURS = "theirs_not_ours"

    def __str__(self) -> str:
        return str(self.value)
