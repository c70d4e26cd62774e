"""What the contract liability comes to at a moment: from the purchases themselves, and from the figures."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

from sqlalchemy import func, select

from app.domain.recognition import Movement
from app.models.recognition import FIGURES
from app.services.base.transaction import Transaction
from app.services.finance.touched_purchases import lots_alive, places_alive
from app.services.ledger.leg_sums import FOREVER
from app.services.ledger.purchase_rows import groups_of
from app.services.ledger.purchases import (
    PURCHASES_AT_ONCE,
    PurchaseHistory,
    Reading,
    lots_at,
    purchases_at,
    whole_purchases,
)


class LiabilityKey(NamedTuple):
    """Purchases that the roll-forward shows in one line."""

    environment: str
    currency: str
    """Empty: nobody told their price."""
    asset: str
    product: str
    sale_month: str


Closings = dict[LiabilityKey, tuple[int, int]]
"""Unspent coins, and what they are worth."""
_F = FIGURES.c
_KEY = (_F.environment, _F.currency, _F.asset, _F.product, _F.sale_month)


def kept_closings(tx: Transaction) -> Closings:
    """What the figures come to. What other kinds of transfer booked to the account is about no purchase."""
    sums = (func.sum(_F.coins).label("coins_left"), func.sum(_F.value_minor).label("value_left"))
    rows = tx.execute(select(*_KEY, *sums).where(_F.movement != Movement.ADJUSTED).group_by(*_KEY))
    found = Closings()
    for row in rows:
        if row.coins_left or row.value_left:
            key = LiabilityKey(row.environment, row.currency, row.asset, row.product, row.sale_month)
            found[key] = (int(row.coins_left), int(row.value_left))
    return found


def closings_at(tx: Transaction, reading: Reading) -> Closings:
    """What the purchases come to at the moment `reading.since`. Reads them some at a time."""
    coins, value = defaultdict[LiabilityKey, int](int), defaultdict[LiabilityKey, int](int)
    for history in _alive(tx, reading):
        standing = history.standing
        for change in history.changes:
            if reading.since is None or change.booked_at >= reading.since:
                break
            for _ in standing.follow([change]):
                pass
        for pool in standing.pools.values():
            key = LiabilityKey(history.environment, history.currency, pool.asset, history.product, history.sale_month)
            coins[key] += pool.unspent if pool.asset else 0
            value[key] += pool.value_minor if history.currency else 0
    return {key: (coins[key], value[key]) for key in sorted(coins) if coins[key] or value[key]}


def _alive(tx: Transaction, reading: Reading) -> Iterator[PurchaseHistory]:
    since = FOREVER if reading.since is None else reading.since
    for places in whole_purchases(places_alive(tx, since)):
        yield from purchases_at(tx, places, reading)
    for names in groups_of(lots_alive(tx, since), PURCHASES_AT_ONCE):
        yield from lots_at(tx, names, reading)
