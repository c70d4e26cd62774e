"""Adds up the lines of a day's bills.

Which bills count: those of the side FUNDS where one covers the whole day, else those of the side TRADES. What the
merchant gave away himself never reaches his balance, so bills of the side TRADES alone tell of it, and count for that
on every day. A row counts once (`counted_lines`), however many bills tell of it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import date, datetime, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, and_, case, exists, func, select

from app.domain.accounting_time import TICK, end_of_day
from app.domain.bill_figures import DISCOUNT, BillDay, BillFigures, LineOwner, LineSums, figures_of
from app.domain.bill_lines import BillSide, LineKind
from app.models.base import AnyRow
from app.models.bills import BILL_LINES, BILL_READINGS
from app.services.base.transaction import Transaction
from app.services.bills.counted_lines import THAT_COUNTS, LinesOf, counted_lines
from app.services.bills.line_owners import lines_with_owners

UTC_ZONE = ZoneInfo("UTC")
MOST_DAYS_COVERED = 366
"""A bill of more days is booked by the days of its lines."""
_L, _R = BILL_LINES.c, BILL_READINGS.c


def figures(tx: Transaction, day: BillDay) -> BillFigures:
    """What the day's bills say that must be in the books."""
    of_trades = figures_of(_sums(tx, day, BillSide.TRADES))
    if not _is_covered(tx, day):
        return of_trades
    discounts = {key: minor for key, minor in of_trades.items() if key[0] == DISCOUNT}
    return {**figures_of(_sums(tx, day, BillSide.FUNDS)), **discounts}


def _sums(tx: Transaction, day: BillDay, side: BillSide) -> list[LineSums]:
    """The lines, added up by kind, currency and owner."""
    minors = defaultdict[tuple[LineKind, str, LineOwner], list[int]](lambda: [0, 0, 0])
    in_day = (_L.at >= day.start, _L.at < day.end)
    told = counted_lines(tx, LinesOf(day.provider_account, side), *in_day, once=True)
    for row, owner in lines_with_owners(tx, day.provider_account, day.whose, told):
        total = minors[LineKind(row.kind), row.currency, owner]
        for number, minor in enumerate((row.amount_minor, row.fee_minor, row.discount_minor)):
            total[number] += minor
    return [LineSums(*of_them, *total) for of_them, total in minors.items()]


def version_of(tx: Transaction, account: str) -> tuple[Any, ...]:
    """Changes whenever other readings of that account count."""
    wanted = select(func.count(), func.max(_R.id), func.sum(case((_R.status == THAT_COUNTS, 1), else_=0)))
    return tuple(tx.execute(wanted.where(_R.provider_account == account)).one())


def days_of_document(tx: Transaction, reading: AnyRow) -> list[date]:
    """The days (in the reading's zone) that the document covers, and those of its lines and of the lines of its earlier
    versions. What an earlier reading told of a day may be gone."""
    zone = zone_of_bill(reading)
    first = reading.since.astimezone(zone).date()
    covered = min(((reading.until - TICK).astimezone(zone).date() - first).days, MOST_DAYS_COVERED)
    days = {first + timedelta(days=number) for number in range(covered + 1)}
    return sorted(days.union(_days_of_its_lines(tx, reading, zone)))


def _days_of_its_lines(tx: Transaction, reading: AnyRow, zone: tzinfo) -> Iterator[date]:
    named = and_(_R.provider_account == reading.provider_account, _R.feed == reading.feed, _R.name == reading.name)
    ids = select(_R.id).where(named)
    in_them = and_(_L.provider_account == reading.provider_account, _L.reading_id.in_(ids))
    yield from _days(tx, in_them, zone)


def days_of_account(tx: Transaction, account: str, zone: tzinfo) -> Iterator[date]:
    """All days of which there are lines."""
    yield from _days(tx, _L.provider_account == account, zone)


def zone_of_bill(reading: AnyRow) -> ZoneInfo:
    return ZoneInfo(reading.zone)


def _days(tx: Transaction, lines: ColumnElement[bool], zone: tzinfo) -> Iterator[date]:
    at: datetime | None = tx.scalar(select(func.min(_L.at)).where(lines))
    while at is not None:
        day = at.astimezone(zone).date()
        yield day
        at = tx.scalar(select(func.min(_L.at)).where(lines, _L.at >= end_of_day(day, zone)))


def _is_covered(tx: Transaction, day: BillDay) -> bool:
    """Whether a FUNDS bill covers the whole day."""
    covering = exists().where(
        _R.provider_account == day.provider_account,
        _R.side == BillSide.FUNDS,
        _R.status == THAT_COUNTS,
        _R.since <= day.start,
        _R.until >= day.end,
    )
    return bool(tx.scalar(select(covering)))
