from enum import StrEnum


class EntryKind(StrEnum):
    AGREEMENT_ENDED = "agreement_ended"
    AGREEMENT_MADE = "agreement_made"
    CALL = "call"
    CALL_UNFINISHED = "call_unfinished"
    DELIVERY = "delivery"
    EVENT = "event"
    FACT = "fact"
    FREEZE = "freeze"
    INTERVENTION = "intervention"
    MESSAGE = "message"
    MESSAGE_SETTLED = "message_settled"
    ORDER_EXPIRED = "order_expired"
    ORDER_MADE = "order_made"
    PAYMENT_MADE = "payment_made"
    PERIOD = "period"
    RECEIPT = "receipt"
    REFUND_DONE = "refund_done"
    REFUND_MADE = "refund_made"
    TOLD_AGAIN = "told_again"
    TRANSFER = "transfer"
    UNFREEZE = "unfreeze"

    def __str__(self) -> str:
        return str(self.value)
