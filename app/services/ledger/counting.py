"""Adds up the legs of transfers by time, over all slots, exactly.

A sum of amounts can pass 2^63: SQLite refuses that, and other engines may round. So the upper and the lower 32 bits of
the amounts are added up apart and put together here.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, Select, and_, bindparam, func, literal_column, select, union_all
from sqlalchemy.sql import ColumnElement

from app.domain.trial_balance import Heading, Sums, Totals, added
from app.models.base import AnyRow, Moment
from app.models.ledger import ACCOUNTS, TRANSFERS
from app.models.slot_guard import sweep
from app.services.base.transaction import Transaction

A, T = ACCOUNTS.c, TRANSFERS.c
HOUR = timedelta(hours=1)
SLICE = timedelta(minutes=15)
"""As much as one statement adds up: a statement must end within seconds, in the busiest hour too."""
WIDER = 8
"""After a stretch without transfers, look this many times as far at once."""
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
    return (
        select(T.slot, account_id.label("account_id"), *columns, func.count().label("legs"))
        .where(_SPAN)
        .group_by(T.slot, account_id)
    )


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
# MATERIALIZED makes PostgreSQL plan for the whole span, so by the index, and still stop at the first row it finds. For
# a plain LIMIT 1 it may read the table from its start, where the wanted rows are not.
_BOOKED = select(T.slot).where(_SPAN).cte("booked").prefix_with("MATERIALIZED", dialect="postgresql")
_ANY = select(_BOOKED.c.slot).prefix_with(sweep("checkpoint")).limit(literal_column("1"))
_MANY = select(func.count()).prefix_with(sweep("checkpoint")).select_from(TRANSFERS).where(_SPAN)
_KEPT = (
    select(*_NAME, _high(A.balance).label("high"), _low(A.balance).label("low"))
    .prefix_with(sweep("report"))
    .where(_OF_USERS)
    .group_by(*_NAME)
)


def busy_hours(session: Transaction, start: datetime, end: datetime) -> Iterator[tuple[datetime, datetime]]:
    """The hours from `start` on in which something was booked before `end`: the beginning and the end of each.

    `start` is a full hour; the last hour ends at `end`. Long stretches without transfers cost a few statements, not one
    for each hour.
    """
    while (hour := _next_busy(session, start, end)) is not None:
        start = hour + HOUR
        yield hour, min(start, end)


def transfers_between(session: Transaction, start: datetime, end: datetime) -> int:
    """How many there are: far cheaper than their sums."""
    number: int = session.connection().execute(_MANY, {"p_start": start, "p_end": end}).scalar_one()
    return number


def count(session: Transaction, start: datetime, end: datetime) -> Totals:
    """The legs booked from `start` until just before `end`."""
    totals: Totals = {}
    while start < end:
        until = min(start + SLICE, end)
        rows = session.connection().execute(_SUMS, {"p_start": start, "p_end": until})
        totals = added(totals, {_heading(row): _sums(row) for row in rows})
        start = until
    return totals


def kept_by_users(session: Transaction) -> dict[Heading, int]:
    """The balances that users' accounts keep, added up. They come from the accounts, not from transfers."""
    rows = session.connection().execute(_KEPT)
    return {_heading(row): _whole(row.high, row.low) for row in rows}


def _next_busy(session: Transaction, start: datetime, end: datetime) -> datetime | None:
    """The beginning of the next hour in which something was booked."""
    step = HOUR
    while start < end:
        until = start + min(step, end - start)
        if _anything(session, start, until):
            return _first_hour(session, start, until)
        start, step = until, step * WIDER
    return None


def _first_hour(session: Transaction, start: datetime, end: datetime) -> datetime:
    """Something was booked in between; in which hour first? Halves until it is known."""
    while end - start > HOUR:
        hours = -((start - end) // HOUR)
        middle = start + hours // 2 * HOUR
        start, end = (start, middle) if _anything(session, start, middle) else (middle, end)
    return start


def _anything(session: Transaction, start: datetime, end: datetime) -> bool:
    return session.connection().execute(_ANY, {"p_start": start, "p_end": end}).first() is not None


def _heading(row: AnyRow) -> Heading:
    return Heading(row.asset, row.environment, bool(row.of_users), row.code)


def _sums(row: AnyRow) -> Sums:
    return Sums(_whole(row.debit_high, row.debit_low), _whole(row.credit_high, row.credit_low), int(row.legs))


def _whole(high: Any, low: Any) -> int:
    return (int(high) << HALF) + int(low)
