"""What the app's backend is told of: the types of events, and when each is told.

An event is a change of one thing, with the thing as the API shows it at that moment.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class EventType(StrEnum):
    ORDER_PAID = "order.paid"
    ORDER_EXPIRED = "order.expired"
    PAYMENT_HELD = "payment.held"
    PAYMENT_SURPLUS = "payment.surplus"
    PAYMENT_PARKED = "payment.parked"
    COINS_CREDITED = "coins.credited"
    COINS_SPENT = "coins.spent"
    COINS_EXPIRED = "coins.expired"
    COINS_CLAWED_BACK = "coins.clawed_back"
    COINS_RETURNED = "coins.returned"
    DEBT_OPENED = "debt.opened"
    DEBT_REPAID = "debt.repaid"
    HOLD_MADE = "hold.made"
    HOLD_CAPTURED = "hold.captured"
    HOLD_RELEASED = "hold.released"
    HOLD_EXPIRED = "hold.expired"
    REFUND_REQUESTED = "refund.requested"
    REFUND_PENDING = "refund.pending"
    REFUND_DONE = "refund.done"
    REFUND_DECLINED = "refund.declined"
    REFUND_UNDONE = "refund.undone"
    WALLET_FROZEN = "wallet.frozen"
    WALLET_UNFROZEN = "wallet.unfrozen"
    FULFILMENT_ORDERED = "fulfilment.ordered"
    FULFILMENT_TAKE_BACK = "fulfilment.take_back"
    FULFILMENT_DELIVERED = "fulfilment.delivered"
    FULFILMENT_REFUSED = "fulfilment.refused"
    FULFILMENT_TAKEN_BACK = "fulfilment.taken_back"
    GIFT_SENT = "gift.sent"
    GIFT_RECEIVED = "gift.received"
    GIFT_RETURNED = "gift.returned"
    AGREEMENT_SIGNED = "agreement.signed"
    AGREEMENT_RENEWED = "agreement.renewed"
    AGREEMENT_PAST_DUE = "agreement.past_due"
    AGREEMENT_ENDED = "agreement.ended"
    AGREEMENT_PLAN_CHANGED = "agreement.plan_changed"
    AGREEMENT_PRICE_INCREASE = "agreement.price_increase"
    AGREEMENT_REFUNDED = "agreement.refunded"


@dataclass(frozen=True, slots=True)
class EventMeaning:
    """When an event of a type is told, and which things its `data` shows, by the names of its members."""

    when: str
    shows: tuple[str, ...]


ALL_TYPES = frozenset(EventType)
TYPE_NAMES = tuple(sorted(kind.value for kind in EventType))
"""For those who type one in."""
_ORDER, _PAYMENT = ("order",), ("payment", "order")
_LINE, _HOLD, _GIFT, _FULFILMENT = ("wallet", "line"), ("wallet", "hold"), ("gift",), ("fulfilment",)
_AGREEMENT, _PERIOD = ("agreement",), ("agreement", "period")
MEANINGS: dict[EventType, EventMeaning] = {
    EventType.ORDER_PAID: EventMeaning("The money for the order came in. Its coins are credited with it.", _ORDER),
    EventType.ORDER_EXPIRED: EventMeaning(
        "The time of the order is over and nobody paid. Money that comes later can still pay it.", _ORDER
    ),
    EventType.PAYMENT_HELD: EventMeaning(
        "Money came in that is not what the payment asked for (another amount, product or owner): a person decides."
        " Or an unknown part of it went back: it is credited when it is known how much.",
        _PAYMENT,
    ),
    EventType.PAYMENT_SURPLUS: EventMeaning(
        "Money came in for an order that is paid already, or too late by the policy. It waits or goes back.", _PAYMENT
    ),
    EventType.PAYMENT_PARKED: EventMeaning(
        "A provider confirmed money that matches no order here. It waits for its order, or for a person.", ("fact",)
    ),
    EventType.COINS_CREDITED: EventMeaning("Coins came into a wallet: bought, as a bonus, granted, or given.", _LINE),
    EventType.COINS_SPENT: EventMeaning("Coins left a wallet: spent, captured from a hold, debited, or given.", _LINE),
    EventType.COINS_EXPIRED: EventMeaning("Coins left a wallet because their time was over.", _LINE),
    EventType.COINS_CLAWED_BACK: EventMeaning(
        "Coins left a wallet because money went back (also that of who had given them), a credit was reversed, or to"
        " repay a debt.",
        _LINE,
    ),
    EventType.COINS_RETURNED: EventMeaning(
        "Coins came back into a wallet: a spend was reversed, a refund was undone, or a gift came back.", _LINE
    ),
    EventType.DEBT_OPENED: EventMeaning(
        "Refunded coins were spent already: the user owes them. The line is one of the debt.", _LINE
    ),
    EventType.DEBT_REPAID: EventMeaning("A debt became smaller: repaid by coins that came in, or cancelled.", _LINE),
    EventType.HOLD_MADE: EventMeaning("Coins were reserved.", _HOLD),
    EventType.HOLD_CAPTURED: EventMeaning("Reserved coins were spent, all or a part of them.", _HOLD),
    EventType.HOLD_RELEASED: EventMeaning("What was still reserved was given back by the caller.", _HOLD),
    EventType.HOLD_EXPIRED: EventMeaning("What was still reserved was given back because its time was over.", _HOLD),
    EventType.REFUND_REQUESTED: EventMeaning("A refund was written down, by request or by a policy.", ("refund",)),
    EventType.REFUND_PENDING: EventMeaning(
        "The provider works on the refund, or the answer to our request is unknown (`status`).", ("refund",)
    ),
    EventType.REFUND_DONE: EventMeaning("The money went back to the payer.", ("refund",)),
    EventType.REFUND_DECLINED: EventMeaning("The refund did not happen. Reserved coins are free again.", ("refund",)),
    EventType.REFUND_UNDONE: EventMeaning("Money of a refund that was done came back to the merchant.", ("refund",)),
    EventType.WALLET_FROZEN: EventMeaning("A wallet refuses spends and holds from now on.", ("freeze",)),
    EventType.WALLET_UNFROZEN: EventMeaning("A wallet allows spends and holds again.", ("freeze",)),
    EventType.FULFILMENT_ORDERED: EventMeaning(
        "An order is to be delivered whose coins are not in Tillbook: the user is to have `due` of each unit. Told"
        " again until it is answered.",
        _FULFILMENT,
    ),
    EventType.FULFILMENT_TAKE_BACK: EventMeaning(
        "Money of such an order went back: the user is to keep only `due` of each unit. Told again until it is"
        " answered.",
        _FULFILMENT,
    ),
    EventType.FULFILMENT_DELIVERED: EventMeaning("The backend said that it has delivered.", _FULFILMENT),
    EventType.FULFILMENT_REFUSED: EventMeaning(
        "The backend refused to deliver (`reason`). The money goes back, or waits for a person, by the settings.",
        _FULFILMENT,
    ),
    EventType.FULFILMENT_TAKEN_BACK: EventMeaning("The backend said that it has taken back.", _FULFILMENT),
    EventType.GIFT_SENT: EventMeaning("Coins left the giver's wallet and are on their way. Told to the giver.", _GIFT),
    EventType.GIFT_RECEIVED: EventMeaning("Given coins came into the receiver's wallet. Told to the receiver.", _GIFT),
    EventType.GIFT_RETURNED: EventMeaning(
        "The receiver could not take the gift (`reason`): the coins came back. Told to the giver.", _GIFT
    ),
    EventType.AGREEMENT_SIGNED: EventMeaning(
        "An agreement came into force: the payer may be charged period after period, by us or by a store. A store's"
        " subscription is an agreement like others, and has no events of its own.",
        _AGREEMENT,
    ),
    EventType.AGREEMENT_RENEWED: EventMeaning(
        "A period was paid, the first one too. `order.paid` is told of its order besides.", _PERIOD
    ),
    EventType.AGREEMENT_PAST_DUE: EventMeaning(
        "A charge was refused (`refusal`), or a store could not collect. Told at each refusal; `next_try_at` says when"
        " it is tried again.",
        _PERIOD,
    ),
    EventType.AGREEMENT_ENDED: EventMeaning(
        "An agreement is over (`ended_by`), or was never signed. What is paid stays active until `paid_until`.",
        _AGREEMENT,
    ),
    EventType.AGREEMENT_PLAN_CHANGED: EventMeaning(
        "From the period on that is due now the agreement is about another product.", _AGREEMENT
    ),
    EventType.AGREEMENT_PRICE_INCREASE: EventMeaning(
        "A store asks a higher price from the next period on: `price_increase` says whether the payer has said yes."
        " Without that the subscription ends with its period.",
        _AGREEMENT,
    ),
    EventType.AGREEMENT_REFUNDED: EventMeaning(
        "All money of a period that an earlier system sold went back: the period is `refunded`, and makes nothing"
        " active any more. Or the refund was undone: the period is `free` again.",
        _PERIOD,
    ),
}
