from enum import StrEnum


class EventType(StrEnum):
    COINS_CLAWED_BACK = "coins.clawed_back"
    COINS_CREDITED = "coins.credited"
    COINS_EXPIRED = "coins.expired"
    COINS_RETURNED = "coins.returned"
    COINS_SPENT = "coins.spent"
    DEBT_OPENED = "debt.opened"
    DEBT_REPAID = "debt.repaid"
    FULFILMENT_DELIVERED = "fulfilment.delivered"
    FULFILMENT_ORDERED = "fulfilment.ordered"
    FULFILMENT_REFUSED = "fulfilment.refused"
    FULFILMENT_TAKEN_BACK = "fulfilment.taken_back"
    FULFILMENT_TAKE_BACK = "fulfilment.take_back"
    GIFT_RECEIVED = "gift.received"
    GIFT_RETURNED = "gift.returned"
    GIFT_SENT = "gift.sent"
    HOLD_CAPTURED = "hold.captured"
    HOLD_EXPIRED = "hold.expired"
    HOLD_MADE = "hold.made"
    HOLD_RELEASED = "hold.released"
    ORDER_EXPIRED = "order.expired"
    ORDER_PAID = "order.paid"
    PAYMENT_HELD = "payment.held"
    PAYMENT_PARKED = "payment.parked"
    PAYMENT_SURPLUS = "payment.surplus"
    REFUND_DECLINED = "refund.declined"
    REFUND_DONE = "refund.done"
    REFUND_PENDING = "refund.pending"
    REFUND_REQUESTED = "refund.requested"
    REFUND_UNDONE = "refund.undone"
    WALLET_FROZEN = "wallet.frozen"
    WALLET_UNFROZEN = "wallet.unfrozen"

    def __str__(self) -> str:
        return str(self.value)
