"""Movements between the house's money accounts that count in a span of time: what every report of money is made of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo

from sqlalchemy import ColumnElement, and_, literal_column, or_, select

from app.domain.accounting_time import Basis, ClosedMonth, Span, accounting_at
from app.models.base import AnyRow
from app.models.ledger import ACCOUNTS, TRANSFERS
from app.models.slot_guard import sweep
from app.services.base.transaction import Transaction
from app.services.finance.accounting_periods import closed_months

AT_ONCE = 1000
"""Rows that are in memory at one time."""
T = TRANSFERS.c
_DEBIT, _CREDIT = ACCOUNTS.alias("debit_account"), ACCOUNTS.alias("credit_account")
_OF_HOUSE: ColumnElement[str] = literal_column("''")
_MOVED = (
    select(
        *(T.slot, T.id, T.kind, T.amount, T.reference, T.note, T.created_at, T.effective_at),
        _DEBIT.c.code.label("debit"),
        _CREDIT.c.code.label("credit"),
        _DEBIT.c.asset.label("currency"),
        _DEBIT.c.environment,
    )
    .prefix_with(sweep("report"))
    .join(_DEBIT, and_(_DEBIT.c.slot == T.slot, _DEBIT.c.id == T.debit_id))
    .join(_CREDIT, and_(_CREDIT.c.slot == T.slot, _CREDIT.c.id == T.credit_id))
    .where(_DEBIT.c.user_id == _OF_HOUSE, _CREDIT.c.user_id == _OF_HOUSE)
)


@dataclass(frozen=True, slots=True)
class Period:
    """What a report is of: a span of time, by which time its transfers count, and the zone of its days."""

    span: Span
    basis: Basis
    zone: tzinfo
    closed: Sequence[ClosedMonth] = ()
    """The closed months, in the order of time."""

    def counted_at(self, created_at: datetime, effective_at: datetime | None) -> datetime | None:
        """When the transfer counts; None if that is outside of the span."""
        moment = created_at
        if self.basis is Basis.EFFECTIVE:
            moment = accounting_at(created_at, effective_at, self.closed)
        return moment if self.span.since <= moment < self.span.until else None


def period_of(tx: Transaction, span: Span, basis: Basis, zone: tzinfo) -> Period:
    """With the months that are closed now."""
    return Period(span, basis, zone, closed_months(tx) if basis is Basis.EFFECTIVE else ())


def may_count(period: Period) -> ColumnElement[bool]:
    """Which transfers have to be looked at. Nothing is effective after it was booked, so a transfer that counts before
    its booking was effective in the span."""
    span = period.span
    booked = and_(T.created_at >= span.since, T.created_at < span.until)
    if period.basis is Basis.BOOKING:
        return booked
    return or_(booked, and_(T.effective_at >= span.since, T.effective_at < span.until))


def money_moved(tx: Transaction, period: Period) -> Iterator[tuple[datetime, AnyRow]]:
    """Each transfer between two accounts of the house that counts in the period, and when it counts. In no order."""
    rows = tx.connection().execute(_MOVED.where(may_count(period)), execution_options={"yield_per": AT_ONCE})
    for row in rows:
        moment = period.counted_at(row.created_at, row.effective_at)
        if moment is not None:
            yield moment, row
