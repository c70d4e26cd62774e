"""Trial balances by accounting time: which months are closed, and what counts at a moment."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from sqlalchemy import and_, false, or_, select

from app.domain.accounting_time import TICK, Basis, ClosedMonth, Span
from app.domain.trial_balance import TrialBalance, movement
from app.models.base import AnyRow
from app.models.finance import CLOSINGS
from app.models.ledger import ACCOUNTS, TRANSFERS
from app.models.slot_guard import sweep
from app.services.base.transaction import Transaction
from app.services.ledger.trial_balance import trial_balance

_C, _T = CLOSINGS.c, TRANSFERS.c
CLOSED = "closed"
ADJUSTMENTS_AT_ONCE = 1000
"""The database sends this many rows at a time."""


def closed_months(tx: Transaction) -> list[ClosedMonth]:
    """Those that are closed, in the order of time."""
    wanted = select(_C.until, _C.booked_until).where(_C.status == CLOSED).order_by(_C.until)
    return [ClosedMonth(row.until, row.booked_until) for row in tx.execute(wanted)]


def prior_period_adjustments(tx: Transaction, span: Span) -> Iterator[AnyRow]:
    """What was booked in that span for a month that was closed already, in the order of booking: it counts when it was
    booked, and its effective time says where it would have counted."""
    debit, credit = ACCOUNTS.alias("debited"), ACCOUNTS.alias("credited")
    late = [and_(_T.effective_at < month.until, _T.created_at >= month.booked_until) for month in closed_months(tx)]
    wanted = (
        select(
            *(_T.created_at, _T.effective_at, _T.id, _T.kind, _T.amount, _T.reference),
            *(debit.c.asset, debit.c.environment, debit.c.code.label("debit"), credit.c.code.label("credit")),
        )
        .prefix_with(sweep("report"))
        .join(debit, and_(debit.c.slot == _T.slot, debit.c.id == _T.debit_id))
        .join(credit, and_(credit.c.slot == _T.slot, credit.c.id == _T.credit_id))
        .where(_T.created_at >= span.since, _T.created_at < span.until, or_(false(), *late))
        .order_by(_T.created_at, _T.id)
    )
    yield from tx.connection().execute(wanted, execution_options={"yield_per": ADJUSTMENTS_AT_ONCE})


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
