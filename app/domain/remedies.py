"""What a person can do about a fact that was not simply applied: one sentence for each reason."""

from __future__ import annotations

from collections.abc import Mapping

from app.domain.deciding import AFTER_THE_END, ORDER_ALREADY_PAID, SECOND_TRADE
from app.domain.matching import Mismatch

_GIVE_BACK = "give it back on the provider's site, or grant the user what was bought"
REMEDIES: Mapping[str, str] = {
    Mismatch.UNKNOWN_NUMBER: (
        "looked at again for 30 days; restore the order, or find out whose it is and `tillbook facts assign` it"
    ),
    Mismatch.OTHER_PROVIDER_ACCOUNT: "it came by another provider account than its payment's: put the settings right",
    Mismatch.OTHER_ACCOUNT: "it names another merchant: put the settings right and reexamine it, or leave it",
    Mismatch.OTHER_ENVIRONMENT: "a test payment in a live account, or the reverse: put the settings right, or leave it",
    Mismatch.NO_PROVIDER_NUMBER: "the provider's plugin is at fault: repair it, then reexamine",
    Mismatch.NO_AMOUNT: "no size was told: wait for the provider's bill, or look the payment up on its site",
    Mismatch.OTHER_CURRENCY: f"paid in another currency than asked: {_GIVE_BACK}",
    Mismatch.OTHER_AMOUNT: f"another amount was paid than asked: {_GIVE_BACK}",
    Mismatch.OTHER_PRODUCT: f"another product was paid than ordered: {_GIVE_BACK}",
    Mismatch.OTHER_QUANTITY: f"another quantity was paid than ordered: {_GIVE_BACK}",
    Mismatch.OTHER_OWNER: f"somebody else paid than the one who ordered: find out who, then {_GIVE_BACK}",
    Mismatch.UNKNOWN_PRODUCT: "import the product with this store's id: the worker then credits it",
    Mismatch.LATE: f"paid after the order's end, and `late_payment` is `park`: {_GIVE_BACK}",
    Mismatch.NOT_HANDLED: "this version does nothing about it: upgrade, then reexamine",
    Mismatch.UNUSABLE: "a name in it cannot be kept: repair the plugin, then replay its message",
    Mismatch.BEFORE_PAYMENT: "a refund whose payment was not heard of yet: it waits and needs nobody",
    Mismatch.BEFORE_IMPORT: "the earlier system has credited it: nothing is to be done",
    Mismatch.REFUND_BEFORE_IMPORT: (
        "the sale and its coins are the earlier system's: take the coins back by a debit, and book the money with"
        " `tillbook facts end`, which shows its journal entry first (docs/finance.md)"
    ),
    Mismatch.ASSIGNED: "assigning it was stopped in the middle: run `tillbook facts assign` with its order again",
    Mismatch.REFUNDS_UNKNOWN: (
        "a part went back and nobody says how much: credited when a refund of it is told, perhaps by the next bill;"
        " if nothing went back, `tillbook refunds end PAYMENT` credits it whole"
    ),
    SECOND_TRADE: f"one payment was paid twice: {_GIVE_BACK}",
    ORDER_ALREADY_PAID: f"another payment has bought the order already: {_GIVE_BACK}",
    AFTER_THE_END: "told after the payment had ended otherwise: nothing is to be done",
}


def remedy(reason: str) -> str:
    """The sentence for that reason; empty for a fact without one."""
    return REMEDIES.get(reason, "")
