"""Is this payment fact about the payment we think it is? Pure comparison, told and expected side by side."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

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


WORTH_ANOTHER_LOOK = frozenset({Mismatch.UNKNOWN_NUMBER, Mismatch.UNKNOWN_PRODUCT, Mismatch.NO_AMOUNT})
"""What may have come before its cause, or by a road that does not say enough: told again, it is looked at again."""


@dataclass(frozen=True, slots=True)
class Told:
    """What the provider says was paid. None: it does not say."""

    account: str | None
    live: bool
    theirs: str | None
    money: Money | None
    product: str | None
    quantity: int | None
    owner: str | None


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


def mismatch(told: Told, expected: Expected) -> Mismatch | None:
    """The first thing in which a paid fact differs from the payment; None if it is the one we wait for.

    Whose money and which environment come first: with those wrong the rest means nothing. A merchant account that the
    road does not name is no mismatch: a query is answered to our own credentials.
    """
    strange = foreign(told, account=expected.account, live=expected.live)
    if strange is not None:
        return strange
    if not told.theirs:
        return Mismatch.NO_PROVIDER_NUMBER
    return difference(told, expected)


def difference(told: Told, expected: Expected) -> Mismatch | None:
    """The first thing in which money or goods are not those that we asked for."""
    return _other_money(told.money, expected.money) or _other_goods(told, expected)


def foreign(told: Told, *, account: str, live: bool) -> Mismatch | None:
    """Whether the fact is another merchant's, or of the other environment: then it may not even close our payment."""
    if told.account is not None and told.account != account:
        return Mismatch.OTHER_ACCOUNT
    return Mismatch.OTHER_ENVIRONMENT if told.live is not live else None


def _other_money(told: Money | None, expected: Money | None) -> Mismatch | None:
    if expected is None:
        return None
    if told is None:
        return Mismatch.NO_AMOUNT
    if told.currency != expected.currency:
        return Mismatch.OTHER_CURRENCY
    return Mismatch.OTHER_AMOUNT if told.minor != expected.minor else None


def _other_goods(told: Told, expected: Expected) -> Mismatch | None:
    if told.product is not None and told.product != expected.product:
        return Mismatch.OTHER_PRODUCT
    if told.quantity is not None and told.quantity != expected.quantity:
        return Mismatch.OTHER_QUANTITY
    if told.owner is not None and told.owner.lower() != expected.owner.lower():
        return Mismatch.OTHER_OWNER
    return None
