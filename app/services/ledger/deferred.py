"""Deferred revenue: what the unspent part of paid coins was paid for, by product and month of the payment."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, tzinfo

from sqlalchemy import and_, case, select

from app.domain.lots import unspent_value
from app.models.ledger import ACCOUNTS, LOTS
from app.models.slot_guard import sweep
from app.services.base.transaction import Connected

A, L = ACCOUNTS.c, LOTS.c
AT_ONCE = 1000

_REMAINING = case((and_(A.open_lot == L.version), A.open_left), else_=L.remaining)
_PAID_LOTS = (
    select(
        L.product,
        L.currency,
        A.asset,
        A.environment,
        L.value_minor,
        L.granted,
        L.created_at,
        _REMAINING.label("left"),
    )
    .prefix_with(sweep("report"))
    .join(ACCOUNTS, and_(A.slot == L.slot, A.id == L.account_id))
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
    """Coins that are not spent yet, and the money they were bought with (minor units, rounded half up by lot)."""

    coins: int
    value_minor: int


def deferred_revenue(session: Connected, *, zone: tzinfo = UTC) -> dict[Deferral, Deferred]:
    """Over all slots, in order. Reads lots one by one, so its memory does not grow with their number."""
    coins: Counter[Deferral] = Counter()
    value: Counter[Deferral] = Counter()
    rows = session.connection().execute(_PAID_LOTS, execution_options={"yield_per": AT_ONCE})
    for row in rows:
        if row.left == 0:
            continue
        month = row.created_at.astimezone(zone).strftime("%Y-%m")
        key = Deferral(row.environment, row.product, row.currency, row.asset, month)
        coins[key] += row.left
        value[key] += unspent_value(row.value_minor, row.granted, row.left)
    return {key: Deferred(coins[key], value[key]) for key in sorted(coins)}
