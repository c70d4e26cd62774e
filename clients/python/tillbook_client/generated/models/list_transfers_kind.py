from enum import StrEnum


class ListTransfersKind(StrEnum):
    BONUS = "bonus"
    CAPTURE = "capture"
    CLAWBACK = "clawback"
    CLAWBACK_RETURNED = "clawback_returned"
    DEBIT = "debit"
    DEBT = "debt"
    DEBT_CANCELLED = "debt_cancelled"
    DEBT_REPAID = "debt_repaid"
    DEBT_REPAYMENT = "debt_repayment"
    EXPIRY = "expiry"
    FORGIVEN = "forgiven"
    GRANT = "grant"
    PAYMENT = "payment"
    PURCHASE = "purchase"
    REFUND = "refund"
    REFUND_UNDONE = "refund_undone"
    REVERSAL = "reversal"
    SPEND = "spend"
    SURPLUS = "surplus"
    SUSPENSE = "suspense"
    UNFORGIVEN = "unforgiven"

    def __str__(self) -> str:
        return str(self.value)
