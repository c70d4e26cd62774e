"""Deferred revenue: what the unspent part of paid coins was paid for, by product and month of the payment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo

from sqlalchemy import select, union

from app.domain.accounting_time import ClosedMonth, accounting_date
from app.domain.recognition import RecognitionRules
from app.models.base import OneOrder
from app.models.ledger import LOTS
from app.models.slot_guard import sweep
from app.services.base.transaction import Transaction
from app.services.ledger.purchase_rows import WITH_COINS, LotName, PurchasePlace, groups_of
from app.services.ledger.purchases import (
    PURCHASES_AT_ONCE,
    PurchaseHistory,
    Reading,
    lots_at,
    purchases_at,
    whole_purchases,
)

_L = LOTS.c
DEFERRED_AT_ONCE = 1000
_FOUND = union(*WITH_COINS).subquery("found")
_PLACES = select(*_FOUND.c).prefix_with(sweep("report")).order_by(OneOrder(_FOUND.c.payment), _FOUND.c.slot)
_ALONE = (
    select(_L.slot, _L.account_id, _L.version)
    .prefix_with(sweep("report"))
    .where(_L.remaining > 0, _L.payment == "", _L.value_minor > 0)
)


@dataclass(frozen=True, slots=True, order=True)
class Deferral:
    """Which purchases a figure is about. `month` is the month in whose reports the payment counts, `2026-01`, in the
    report's zone."""

    environment: str
    product: str
    currency: str
    asset: str
    month: str


@dataclass(frozen=True, slots=True)
class Deferred:
    """Coins that are not spent yet, and the money they were bought with, in minor units.

    Rounded by purchase: half up, but down where a part of the payment was refunded.
    """

    coins: int
    value_minor: int


def deferred_revenue(
    tx: Transaction,
    *,
    zone: tzinfo = UTC,
    rules: RecognitionRules | None = None,
    closed: Sequence[ClosedMonth] = (),
) -> dict[Deferral, Deferred]:
    """Over all slots, in order. Reads purchases some at a time, so its memory does not grow with their number."""
    coins: Counter[Deferral] = Counter()
    value: Counter[Deferral] = Counter()
    for history in unspent_purchases(tx, zone=zone, rules=rules, closed=closed):
        for pool in history.standing.pools.values():
            if pool.unspent and pool.price_minor:
                key = Deferral(history.environment, history.product, history.currency, pool.asset, history.sale_month)
                coins[key] += pool.unspent if pool.asset else 0
                value[key] += pool.value_minor
    return {key: Deferred(coins[key], value[key]) for key in sorted(coins)}


def unspent_purchases(
    tx: Transaction,
    *,
    zone: tzinfo = UTC,
    rules: RecognitionRules | None = None,
    closed: Sequence[ClosedMonth] = (),
) -> Iterator[PurchaseHistory]:
    """Every purchase of which coins are left, as it stands at present. `closed`: the months that are closed, in the
    order of time; a purchase that was told after its month was closed is one of the month of its booking, as in the
    roll-forward."""
    reading = Reading(
        rules or RecognitionRules(), lambda booked, happened: accounting_date(booked, happened, closed, zone)
    )
    return _purchases(Transaction(tx.connection()), reading)


def _purchases(tx: Transaction, reading: Reading) -> Iterator[PurchaseHistory]:
    options = {"yield_per": DEFERRED_AT_ONCE}
    places = (
        PurchasePlace(row.slot, row.payment) for row in tx.connection().execute(_PLACES, execution_options=options)
    )
    for part in whole_purchases(places):
        yield from purchases_at(tx, part, reading)
    alone = (LotName(*row) for row in tx.connection().execute(_ALONE, execution_options=options))
    for names in groups_of(alone, PURCHASES_AT_ONCE):
        yield from lots_at(tx, names, reading)
