"""Trial balances by accounting time: which months are closed, and what counts at a moment."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select

from app.domain.accounting_time import TICK, Basis, ClosedMonth
from app.domain.trial_balance import TrialBalance, movement
from app.models.finance import CLOSINGS
from app.services.base.transaction import Transaction
from app.services.ledger.trial_balance import trial_balance

_C = CLOSINGS.c
CLOSED = "closed"


def closed_months(tx: Transaction) -> list[ClosedMonth]:
    """Those that are closed, in the order of time."""
    wanted = select(_C.until, _C.booked_until).where(_C.status == CLOSED).order_by(_C.until)
    return [ClosedMonth(row.until, row.booked_until) for row in tx.execute(wanted)]


def balance_by(
    tx: Transaction, basis: Basis, *, now: datetime, at: datetime | None = None, most_days: int | None = None
) -> TrialBalance:
    """What was booked, or counts, up to and including that moment; at present, if that is None."""
    closed = closed_months(tx) if basis is Basis.EFFECTIVE and at is not None else None
    return trial_balance(tx, now=now, at=at, most_days=most_days, closed=closed)


def moved_by(
    tx: Transaction,
    basis: Basis,
    *,
    now: datetime,
    since: datetime,
    until: datetime | None = None,
    most_days: int | None = None,
) -> TrialBalance:
    """What moved from `since` on, up to and including `until`: the difference of two trial balances. Both are exact,
    so their difference is."""
    before = balance_by(tx, basis, now=now, at=since - TICK, most_days=most_days)
    return movement(before, balance_by(tx, basis, now=now, at=until, most_days=most_days))
