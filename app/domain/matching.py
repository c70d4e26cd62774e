"""Is this payment fact about the payment we think it is? Pure comparison, told and expected side by side."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from app.domain.facts import Fact
from app.domain.money import Money


class Mismatch(StrEnum):
    """Why a verified fact is parked rather than applied. Stable words: they are stored and shown."""

    UNKNOWN_NUMBER = "unknown_number"
    OTHER_PROVIDER_ACCOUNT = "other_provider_account"
    OTHER_ACCOUNT = "other_account"
    OTHER_ENVIRONMENT = "other_environment"
    NO_PROVIDER_NUMBER = "no_provider_number"
    NO_AMOUNT = "no_amount"
    OTHER_CURRENCY = "other_currency"
    OTHER_AMOUNT = "other_amount"
    OTHER_PRODUCT = "other_product"
    OTHER_QUANTITY = "other_quantity"
    OTHER_OWNER = "other_owner"
    UNKNOWN_PRODUCT = "unknown_product"
    LATE = "late"
    NOT_HANDLED = "not_handled"
    """A kind of fact that this version does nothing about."""
    UNUSABLE = "unusable"
    """A name or number in it is beyond what can be kept: nothing is done on its word."""
    BEFORE_PAYMENT = "before_payment"
    """A refund of a payment that we have not heard of yet: it waits, and is applied with it."""
    ASSIGNED = "assigned"
    """A person said to which order its money belongs: it is told again with a payment of that."""
    BEFORE_IMPORT = "before_import"
    """A period of an imported agreement that the earlier system has credited."""
    REFUND_BEFORE_IMPORT = "refund_before_import"
    """Money of such a period went back: its sale and its coins are the earlier system's, so a person corrects both."""
    REFUNDS_UNKNOWN = "refunds_unknown"
    """Paid as asked, and something of it went back, nobody says how much: held until a refund of it is told."""


WORTH_ANOTHER_LOOK = frozenset({Mismatch.UNKNOWN_NUMBER, Mismatch.UNKNOWN_PRODUCT, Mismatch.NO_AMOUNT})
"""What may have come before its cause, or by a road that does not say enough: told again, it is looked at again."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What we asked to be paid."""

    account: str
    live: bool
    money: Money | None
    """None where the store sets the price."""
    product: str
    quantity: int
    owner: str


def mismatch(fact: Fact, expected: Expected) -> Mismatch | None:
    """The first thing in which a paid fact differs from the payment; None if it is the one we wait for.

    Whose money and which environment come first: with those wrong the rest means nothing. A merchant account that the
    road does not name is no mismatch: a query is answered to our own credentials.
    """
    strange = foreign(fact.account, fact.live, expected.account, expected.live)
    if strange is not None:
        return strange
    paid, price = fact.money, expected.money
    differences = (
        (Mismatch.NO_PROVIDER_NUMBER, not fact.ref.theirs),
        (Mismatch.NO_AMOUNT, price is not None and paid is None),
        (Mismatch.OTHER_CURRENCY, price is not None and paid is not None and paid.currency != price.currency),
        (Mismatch.OTHER_AMOUNT, price is not None and paid is not None and paid.minor != price.minor),
        (Mismatch.OTHER_PRODUCT, fact.product not in (None, expected.product)),
        (Mismatch.OTHER_QUANTITY, fact.quantity not in (None, expected.quantity)),
        (Mismatch.OTHER_OWNER, fact.owner is not None and fact.owner.lower() != expected.owner.lower()),
    )
    for why, differs in differences:
        if differs:
            return why
    return None


def foreign(told_account: str | None, told_live: bool, account: str, live: bool) -> Mismatch | None:
    """Whether a fact is another merchant's, or of the other environment: then it may not even close our payment."""
    if told_account is not None and told_account != account:
        return Mismatch.OTHER_ACCOUNT
    return Mismatch.OTHER_ENVIRONMENT if told_live is not live else None
