from enum import StrEnum


class ListTransfersKind(StrEnum):
    BONUS = "bonus"
    CAPTURE = "capture"
    CLAWBACK = "clawback"
    CLAWBACK_RECALLED = "clawback_recalled"
    CLAWBACK_RETURNED = "clawback_returned"
    CLAWBACK_UNRECALLED = "clawback_unrecalled"
    DEBIT = "debit"
    DEBT = "debt"
    DEBT_CANCELLED = "debt_cancelled"
    DEBT_REPAID = "debt_repaid"
    DEBT_REPAYMENT = "debt_repayment"
    EXPIRY = "expiry"
    FORGIVEN = "forgiven"
    GIFT = "gift"
    GIFT_EXPIRED_RECALLED = "gift_expired_recalled"
    GIFT_RECALLED = "gift_recalled"
    GIFT_RECEIVED = "gift_received"
    GRANT = "grant"
    OPENING = "opening"
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
