"""Adds up the legs of transfers by time, over all slots, exactly.

A sum of amounts can pass 2^63: SQLite refuses such a sum, and other engines may round it. So the upper and the lower
32 bits of the amounts are added up apart and put together here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, Select, and_, bindparam, func, literal_column, select, union_all
from sqlalchemy.sql import ColumnElement

from app.domain.accounting_time import Span
from app.domain.trial_balance import BalanceHeading, Sums, Totals, added
from app.models.base import AnyRow, Moment
from app.models.ledger import ACCOUNTS, TRANSFERS
from app.models.slot_guard import sweep
from app.services.base.transaction import Transaction

A, T = ACCOUNTS.c, TRANSFERS.c
DAY = timedelta(days=1)
SLICE = timedelta(hours=4)
"""The first statement adds up this much of a day: a statement must end within seconds (POSTGRES_STATEMENT_MS)."""
QUICK_SECONDS = 1.0
"""After a statement that took no longer, the next one adds up twice as much: each looks the accounts up again."""
WIDER = 8
"""After a stretch without transfers, the next look goes this many times as far."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
"""Nothing is booked before: times are kept in microseconds since then."""
FOREVER = datetime.max.replace(tzinfo=UTC)

_SPAN = and_(T.created_at >= bindparam("p_start", type_=Moment), T.created_at < bindparam("p_end", type_=Moment))
_TOLD_BEFORE = and_(
    T.effective_at >= bindparam("p_since", type_=Moment), T.effective_at < bindparam("p_until", type_=Moment)
)
_ZERO = literal_column("0", BigInteger)
HALF = 32
_BITS, _MASK = (literal_column(str(number), BigInteger) for number in (HALF, 2**HALF - 1))


def _high(number: ColumnElement[int]) -> ColumnElement[int]:
    return func.sum(number.op(">>")(_BITS))


def _low(number: ColumnElement[int]) -> ColumnElement[int]:
    return func.sum(number.op("&")(_MASK))


def _side(account_id: ColumnElement[int], *conditions: ColumnElement[bool], debit: bool) -> Select[Any]:
    """One leg of each transfer, added up by account: few accounts have to be looked up for many legs."""
    halves = (_high(T.amount), _low(T.amount))
    debits, credits_ = (halves, (_ZERO, _ZERO)) if debit else ((_ZERO, _ZERO), halves)
    named = zip((*debits, *credits_), ("debit_high", "debit_low", "credit_high", "credit_low"), strict=True)
    columns = [column.label(name) for column, name in named]
    wanted = select(T.slot, account_id.label("account_id"), *columns).where(_SPAN, *conditions)
    return wanted.group_by(T.slot, account_id)


_OF_USERS = (A.user_id != literal_column("''")).label("of_users")
_NAME = (A.asset, A.environment, _OF_USERS, A.code)


def _summed(*conditions: ColumnElement[bool]) -> Select[Any]:
    """The legs of both sides of a span, added up by the names of their accounts."""
    sides = (_side(T.debit_id, *conditions, debit=True), _side(T.credit_id, *conditions, debit=False))
    legs = union_all(*sides).subquery("sides")
    return (
        select(*_NAME, *(func.sum(column).label(column.name) for column in list(legs.c)[2:]))
        .prefix_with(sweep("checkpoint"))
        .join_from(legs, ACCOUNTS, and_(A.slot == legs.c.slot, A.id == legs.c.account_id))
        .group_by(*_NAME)
    )


_SUMS, _LATE_SUMS = _summed(), _summed(_TOLD_BEFORE)
# For a plain LIMIT 1 PostgreSQL may read the table from its start, where the wanted rows are not. A MATERIALIZED
# subquery is planned for the whole span, so by the index on created_at, and still stops at the first row.
_BOOKED = select(T.slot).where(_SPAN).cte("booked").prefix_with("MATERIALIZED", dialect="postgresql")
_ANY = select(_BOOKED.c.slot).prefix_with(sweep("checkpoint")).limit(literal_column("1"))
_KEPT = (
    select(*_NAME, _high(A.balance).label("high"), _low(A.balance).label("low"))
    .prefix_with(sweep("report"))
    .where(_OF_USERS)
    .group_by(*_NAME)
)


def midnight(moment: datetime) -> datetime:
    """The beginning of the day (UTC) of that moment."""
    return datetime.combine(moment.date(), datetime.min.time(), UTC)


def busy_days(tx: Transaction, start: datetime, end: datetime) -> Iterator[tuple[datetime, datetime]]:
    """Each day from `start`, a midnight, in which something was booked before `end`: its beginning and its end.

    The last day may end at `end`, in its middle. Long stretches without transfers cost a few statements, not one a day:
    the look ahead grows while it finds nothing, and shrinks to one day where it finds something.
    """
    width = DAY
    while start < end:
        until = start + min(width, end - start)
        if not _anything(tx, start, until):
            start, width = until, width * WIDER
        elif width > DAY:
            width //= WIDER
        else:
            yield start, until
            start = until


def sums_between(
    tx: Transaction,
    start: datetime,
    end: datetime,
    *,
    effective: Span | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Totals:
    """The legs booked from `start` until just before `end`; those alone that are effective in that span, if one is
    given."""
    totals: Totals = {}
    told = {} if effective is None else {"p_since": effective.since, "p_until": effective.until}
    sums = _SUMS if effective is None else _LATE_SUMS
    width = SLICE
    while start < end:
        until, began = min(start + width, end), clock()
        rows = tx.connection().execute(sums, {"p_start": start, "p_end": until, **told})
        totals = added(totals, {_heading(row): _sums(row) for row in rows})
        if clock() - began < QUICK_SECONDS:
            width *= 2
        start = until
    return totals


def balances_of_users(tx: Transaction) -> dict[BalanceHeading, int]:
    """The balances that users' accounts keep, added up. They come from the accounts, not from transfers."""
    rows = tx.connection().execute(_KEPT)
    return {_heading(row): _whole(row.high, row.low) for row in rows}


def _anything(tx: Transaction, start: datetime, end: datetime) -> bool:
    return tx.connection().execute(_ANY, {"p_start": start, "p_end": end}).first() is not None


def _heading(row: AnyRow) -> BalanceHeading:
    return BalanceHeading(row.asset, row.environment, bool(row.of_users), row.code)


def _sums(row: AnyRow) -> Sums:
    return Sums(_whole(row.debit_high, row.debit_low), _whole(row.credit_high, row.credit_low))


def _whole(high: Any, low: Any) -> int:
    return (int(high) << HALF) + int(low)
