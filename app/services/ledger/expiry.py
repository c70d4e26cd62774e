"""What time does to the ledger: holds that run out are released, lots that run out are moved to `expired`.

The worker asks for candidates over all slots, without locks, and handles each in a transaction of its own. Two workers
with the same candidate do no harm: the second finds nothing left to do.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from sqlalchemy import and_, bindparam, func, or_, select

from app.domain.ledger import AccountName
from app.models.ledger import ACCOUNTS, HOLDS, LOTS
from app.models.slot_guard import sweep
from app.services.base.context import Place, Tx
from app.services.base.transaction import Transaction
from app.services.ledger import hold_rows, holds
from app.services.ledger.ledger_transaction import LedgerTransaction

A, H, L = ACCOUNTS.c, HOLDS.c, LOTS.c
EXPIRY_BATCH = 200

_HELD_TOO_LONG = (
    select(H.slot, H.id)
    .prefix_with(sweep("due_ledger"))
    .where(H.state == hold_rows.OPEN, H.expires_at <= bindparam("now"))
)
# Coins that a hold keeps past their expiry are not due: they would be found again and again.
_EXPIRED = (
    select(A.slot, A.user_id, A.code, A.asset, A.environment)
    .prefix_with(sweep("due_ledger"))
    .join(LOTS, and_(L.slot == A.slot, L.account_id == A.id))
    .where(L.remaining > 0, L.expires_at <= bindparam("now"))
    .group_by(A.slot, A.id, A.user_id, A.code, A.asset, A.environment, A.held)
    .having(func.sum(L.remaining) > A.held)
)
_HOLDS = _HELD_TOO_LONG.order_by(H.expires_at).limit(bindparam("most"))
_LOTS = _EXPIRED.limit(bindparam("most"))

ANY_EXPIRY_DUE = or_(_HELD_TOO_LONG.exists(), _EXPIRED.exists())
"""Whether there is any candidate at the moment `now`."""


@dataclass(frozen=True, slots=True)
class DueHold:
    slot: int
    hold_id: uuid.UUID


@dataclass(frozen=True, slots=True)
class DueLots:
    slot: int
    account: AccountName


def due(tx: Transaction, *, at: datetime, limit: int = EXPIRY_BATCH) -> list[DueHold | DueLots]:
    """Candidates over all slots: holds first, since what they let go of may then expire."""
    values = {"now": at, "most": limit}
    holds = [DueHold(row.slot, row.id) for row in tx.connection().execute(_HOLDS, values)]
    rows = tx.connection().execute(_LOTS, {**values, "most": max(1, limit - len(holds))})
    return [*holds, *(DueLots(row[0], AccountName(*row[1:])) for row in rows)]


def settle_due(tx: Tx, item: DueHold | DueLots) -> None:
    """Do what is due with one candidate, if it still is."""
    if isinstance(item, DueHold):
        holds.expire(tx, item.slot, item.hold_id)
        return
    with LedgerTransaction(tx, [(item.slot, item.account)], with_lots=True) as books:
        books.expire(item.slot, item.account)


def expire_due(place: Place, *, limit: int = EXPIRY_BATCH) -> int:
    """One bounded batch, each candidate in a transaction of its own; how many there were. 0: nothing was due."""
    items = place.read(lambda tx: due(tx, at=tx.now, limit=limit))
    for item in items:
        place.transact(partial(settle_due, item=item))
    return len(items)
