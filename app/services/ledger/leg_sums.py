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
_ZERO = literal_column("0", BigInteger)
HALF = 32
_BITS, _MASK = (literal_column(str(number), BigInteger) for number in (HALF, 2**HALF - 1))


def _high(number: ColumnElement[int]) -> ColumnElement[int]:
    return func.sum(number.op(">>")(_BITS))


def _low(number: ColumnElement[int]) -> ColumnElement[int]:
    return func.sum(number.op("&")(_MASK))


def _side(account_id: ColumnElement[int], *, debit: bool) -> Select[Any]:
    """One leg of each transfer, added up by account: few accounts have to be looked up for many legs."""
    halves = (_high(T.amount), _low(T.amount))
    debits, credits_ = (halves, (_ZERO, _ZERO)) if debit else ((_ZERO, _ZERO), halves)
    named = zip((*debits, *credits_), ("debit_high", "debit_low", "credit_high", "credit_low"), strict=True)
    columns = [column.label(name) for column, name in named]
    return select(T.slot, account_id.label("account_id"), *columns).where(_SPAN).group_by(T.slot, account_id)


_LEGS = union_all(_side(T.debit_id, debit=True), _side(T.credit_id, debit=False)).subquery("sides")
_SUMMED = [func.sum(column).label(column.name) for column in list(_LEGS.c)[2:]]
_OF_USERS = (A.user_id != literal_column("''")).label("of_users")
_NAME = (A.asset, A.environment, _OF_USERS, A.code)
_SUMS = (
    select(*_NAME, *_SUMMED)
    .prefix_with(sweep("checkpoint"))
    .join_from(_LEGS, ACCOUNTS, and_(A.slot == _LEGS.c.slot, A.id == _LEGS.c.account_id))
    .group_by(*_NAME)
)
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


def busy_days(session: Transaction, start: datetime, end: datetime) -> Iterator[tuple[datetime, datetime]]:
    """Each day from `start`, a midnight, in which something was booked before `end`: its beginning and its end.

    The last day may end at `end`, in its middle. Long stretches without transfers cost a few statements, not one a day:
    the look ahead grows while it finds nothing, and shrinks to one day where it finds something.
    """
    width = DAY
    while start < end:
        until = start + min(width, end - start)
        if not _anything(session, start, until):
            start, width = until, width * WIDER
        elif width > DAY:
            width //= WIDER
        else:
            yield start, until
            start = until


def sums_between(
    session: Transaction, start: datetime, end: datetime, *, clock: Callable[[], float] = time.monotonic
) -> Totals:
    """The legs booked from `start` until just before `end`."""
    totals: Totals = {}
    width = SLICE
    while start < end:
        until, began = min(start + width, end), clock()
        rows = session.connection().execute(_SUMS, {"p_start": start, "p_end": until})
        totals = added(totals, {_heading(row): _sums(row) for row in rows})
        if clock() - began < QUICK_SECONDS:
            width *= 2
        start = until
    return totals


def balances_of_users(session: Transaction) -> dict[BalanceHeading, int]:
    """The balances that users' accounts keep, added up. They come from the accounts, not from transfers."""
    rows = session.connection().execute(_KEPT)
    return {_heading(row): _whole(row.high, row.low) for row in rows}


def _anything(session: Transaction, start: datetime, end: datetime) -> bool:
    return session.connection().execute(_ANY, {"p_start": start, "p_end": end}).first() is not None


def _heading(row: AnyRow) -> BalanceHeading:
    return BalanceHeading(row.asset, row.environment, bool(row.of_users), row.code)


def _sums(row: AnyRow) -> Sums:
    return Sums(_whole(row.debit_high, row.debit_low), _whole(row.credit_high, row.credit_low))


def _whole(high: Any, low: Any) -> int:
    return (int(high) << HALF) + int(low)
