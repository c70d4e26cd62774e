"""Deferred revenue: what the unspent part of paid coins was paid for, by product and month of the payment."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, tzinfo

from sqlalchemy import and_, case, func, select

from app.domain.lots import unspent_value, value_after_refunds
from app.domain.refunding import MONEY_KINDS, REFUND
from app.models.base import AnyRow
from app.models.gifts import GIFT_PARTS
from app.models.ledger import ACCOUNTS, LOTS, TRANSFERS
from app.models.slot_guard import sweep
from app.services.base.transaction import Connected

A, L = ACCOUNTS.c, LOTS.c
DEFERRED_AT_ONCE = 1000
SALE = "payment"
"""The kind of the transfer that booked a payment to sales; its reference is the number of the payment."""

_PAID, _BACK, _FIRST = TRANSFERS.alias("paid"), TRANSFERS.alias("back"), LOTS.alias("first")
_GIVEN = GIFT_PARTS.alias("given")
_AMOUNT_BACK = case((_BACK.c.kind == REFUND, _BACK.c.amount), else_=-_BACK.c.amount)
_REFUNDED = (
    select(
        _PAID.c.slot,
        _PAID.c.reference,
        func.max(_PAID.c.amount).label("paid_minor"),
        func.sum(_AMOUNT_BACK).label("refunded_minor"),
    )
    .join(_BACK, and_(_BACK.c.slot == _PAID.c.slot, _BACK.c.cause_id == _PAID.c.id))
    .where(_PAID.c.kind == SALE, _BACK.c.kind.in_(MONEY_KINDS))
    .group_by(_PAID.c.slot, _PAID.c.reference)
    .subquery("refunded")
)
"""How much of each payment went back; only payments of which something did."""
_BOUGHT = (
    select(_FIRST.c.granted)
    .where(
        _FIRST.c.slot == L.slot,
        _FIRST.c.account_id == L.account_id,
        _FIRST.c.payment == L.payment,
        _FIRST.c.value_minor > 0,
    )
    .order_by(_FIRST.c.version)
    .limit(1)
    .scalar_subquery()
)
_ORIGIN = ACCOUNTS.alias("origin")
_GIVEN_OF_REFUNDED = (
    select(
        _REFUNDED.c.reference,
        _ORIGIN.c.asset,
        _REFUNDED.c.paid_minor,
        _REFUNDED.c.refunded_minor,
        func.max(_FIRST.c.granted).label("bought"),
    )
    .prefix_with(sweep("report"))
    .join(_FIRST, and_(_FIRST.c.slot == _REFUNDED.c.slot, _FIRST.c.payment == _REFUNDED.c.reference))
    .join(_ORIGIN, and_(_ORIGIN.c.slot == _FIRST.c.slot, _ORIGIN.c.id == _FIRST.c.account_id))
    .where(
        _FIRST.c.value_minor > 0,
        select(_GIVEN.c.gift_id)
        .where(_GIVEN.c.slot == _REFUNDED.c.slot, _GIVEN.c.payment == _REFUNDED.c.reference)
        .exists(),
    )
    .group_by(_REFUNDED.c.reference, _ORIGIN.c.asset, _REFUNDED.c.paid_minor, _REFUNDED.c.refunded_minor)
)
"""Payments of which something went back, and of which coins were given away: their lots lie in several slots. What was
bought is the largest of the lots in the buyer's slot: gifts are pieces of it."""
_REMAINING = case((A.open_lot == L.version, A.open_left), else_=L.remaining)
_PAID_LOTS = (
    select(
        L.payment,
        L.product,
        L.currency,
        A.asset,
        A.environment,
        L.value_minor,
        L.granted,
        L.created_at,
        _REMAINING.label("left"),
        func.coalesce(_REFUNDED.c.paid_minor, 0).label("paid_minor"),
        func.coalesce(_REFUNDED.c.refunded_minor, 0).label("refunded_minor"),
        case((_REFUNDED.c.paid_minor.is_not(None), _BOUGHT), else_=L.granted).label("bought"),
    )
    .prefix_with(sweep("report"))
    .join(ACCOUNTS, and_(A.slot == L.slot, A.id == L.account_id))
    .outerjoin(_REFUNDED, and_(_REFUNDED.c.slot == L.slot, _REFUNDED.c.reference == L.payment))
    .where(L.remaining > 0, L.value_minor > 0)
)


@dataclass(frozen=True, slots=True, order=True)
class Deferral:
    """Which lots a figure is about. `month` is the month of the credit, `2026-01`, in the report's zone."""

    environment: str
    product: str
    currency: str
    asset: str
    month: str


@dataclass(frozen=True, slots=True)
class Deferred:
    """Coins that are not spent yet, and the money they were bought with, in minor units.

    Rounded by lot: half up, but down where a part of the payment was refunded.
    """

    coins: int
    value_minor: int


def deferred_revenue(session: Connected, *, zone: tzinfo = UTC) -> dict[Deferral, Deferred]:
    """Over all slots, in order. Reads lots one by one, so its memory does not grow with their number, but with that of
    refunded payments whose coins were given away."""
    given = {(row.reference, row.asset): row for row in session.connection().execute(_GIVEN_OF_REFUNDED)}
    coins: Counter[Deferral] = Counter()
    value: Counter[Deferral] = Counter()
    rows = session.connection().execute(_PAID_LOTS, execution_options={"yield_per": DEFERRED_AT_ONCE})
    for row in rows:
        if row.left == 0:
            continue
        month = row.created_at.astimezone(zone).strftime("%Y-%m")
        key = Deferral(row.environment, row.product, row.currency, row.asset, month)
        coins[key] += row.left
        value[key] += _value(row, given.get((row.payment, row.asset), row))
    return {key: Deferred(coins[key], value[key]) for key in sorted(coins)}


def _value(row: AnyRow, payment: AnyRow) -> int:
    """Value follows the money: what was refunded is no value any more, even where too little for a whole coin.

    `payment` says what was paid and refunded; the lot itself does, where all of the purchase lies in one wallet."""
    if not payment.paid_minor:
        return unspent_value(row.value_minor, row.granted, row.left)
    return value_after_refunds(
        row.value_minor,
        row.granted,
        row.left,
        bought=payment.bought,
        paid_minor=int(payment.paid_minor),
        refunded_minor=int(payment.refunded_minor),
    )
