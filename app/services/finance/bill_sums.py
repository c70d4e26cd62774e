"""Adds up the lines of a day's bills.

Which bills count: those of the side FUNDS always. Where none of the balance into which payers pay covers the whole
day, those of the side TRADES, too, but for what a bill of the side FUNDS tells, of whichever day: a provider may make
no account bill of a day on which nothing moved, and settle payments on the next day, or after a week (seen 2026-11-28).
And a provider may keep other balances, whose bills tell of no payment. What the merchant gave away himself never
reaches his balance, so bills of the side TRADES alone tell of it, and count for that on every day. A row counts once
(`counted_lines`), however many bills tell of it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta, tzinfo
from itertools import chain
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, and_, case, exists, func, or_, select

from app.domain.accounting_time import TICK, Span, end_of_day
from app.domain.bill_figures import DISCOUNT, BillDay, BillFigures, LineOwner, LineSums, figures_of
from app.domain.bill_lines import BillSide, LineKind
from app.models.base import AnyRow
from app.models.bills import BILL_LINES, BILL_READINGS
from app.services.base.transaction import Transaction
from app.services.bills.counted_lines import THAT_COUNTS, LinesOf, counted_lines
from app.services.bills.done_refunds import refunds_done
from app.services.bills.line_owners import lines_with_owners

UTC_ZONE = ZoneInfo("UTC")
BOOKED_BY_DAY = (BillSide.FUNDS, BillSide.TRADES)
SETTLED_WITHIN_DAYS = 8
"""So many days after a trade a bill of the side FUNDS tells of it at the latest: cycles of a week are the longest."""
LOOKED_BACK_DAYS = 3
"""So many days before a bill's time a refund may have been done and be told only now."""
MOST_DAYS_COVERED = 366
"""A bill of more days is booked by the days of its lines."""
_L, _R = BILL_LINES.c, BILL_READINGS.c


def figures(tx: Transaction, day: BillDay) -> BillFigures:
    """What the day's bills say that must be in the books."""
    of_trades = figures_of(_sums(tx, day, _ALL_TRADES))
    counted = _lines_that_count(tx, day)
    if counted == [_ALL_TRADES]:
        return of_trades
    of_funds, *untold = (_sums(tx, day, lines) for lines in counted)
    without_discounts = (replace(one, discount=0) for one in chain.from_iterable(untold))
    discounts = {key: minor for key, minor in of_trades.items() if key[0] == DISCOUNT}
    return figures_of([*of_funds, *without_discounts]) | discounts


def lines_of_day(tx: Transaction, day: BillDay, *also: str) -> Iterator[tuple[AnyRow, LineOwner]]:
    """The lines from which `figures` are added up, but for discounts; with these columns of `counted_lines`, too."""
    for lines in _lines_that_count(tx, day):
        yield from _with_owners(tx, day, lines, *also)


class _Lines(NamedTuple):
    """Lines of the bills of one side."""

    side: BillSide
    where: tuple[ColumnElement[bool], ...] = ()


_ALL_TRADES = _Lines(BillSide.TRADES)


def _lines_that_count(tx: Transaction, day: BillDay) -> list[_Lines]:
    """All of the side FUNDS; and of the side TRADES, if no bill of the payers' balance covers the day, what no bill of
    the side FUNDS tells."""
    if not _has_funds(tx, day.provider_account):
        return [_ALL_TRADES]
    of_funds = _Lines(BillSide.FUNDS)
    return [of_funds] if is_covered(tx, day) else [of_funds, _Lines(BillSide.TRADES, (~_told_by_funds(day),))]


def _sums(tx: Transaction, day: BillDay, lines: _Lines) -> list[LineSums]:
    """The lines, added up by kind, currency and owner."""
    minors = defaultdict[tuple[LineKind, str, LineOwner], list[int]](lambda: [0, 0, 0])
    for row, owner in _with_owners(tx, day, lines):
        total = minors[LineKind(row.kind), row.currency, owner]
        for number, minor in enumerate((row.amount_minor, row.fee_minor, row.discount_minor)):
            total[number] += minor
    return [LineSums(*of_them, *total) for of_them, total in minors.items()]


def _with_owners(tx: Transaction, day: BillDay, lines: _Lines, *also: str) -> Iterator[tuple[AnyRow, LineOwner]]:
    in_day = (_L.at >= day.start, _L.at < day.end)
    told = counted_lines(tx, LinesOf(day.provider_account, lines.side), *in_day, *lines.where, once=True)
    return lines_with_owners(tx, day.provider_account, day.rule.whose, told, *also)


def version_of(tx: Transaction, account: str) -> tuple[Any, ...]:
    """Changes whenever other readings of that account count."""
    wanted = select(func.count(), func.max(_R.id), func.sum(case((_R.status == THAT_COUNTS, 1), else_=0)))
    return tuple(tx.execute(wanted.where(_R.provider_account == account)).one())


def days_of_document(tx: Transaction, reading: AnyRow) -> list[date]:
    """The days (in the reading's zone) that the document covers, and those of its lines and of the lines of its earlier
    versions: what an earlier reading told of a day may be gone. Of a bill of the side FUNDS also the days before it, of
    whose trades it may tell. And the days of refunds that were in progress in their bill, and are done since."""
    zone = zone_of_bill(reading)
    first = reading.since.astimezone(zone).date()
    covered = min(((reading.until - TICK).astimezone(zone).date() - first).days, MOST_DAYS_COVERED)
    traded = _first_trade_before(tx, reading) if reading.side == BillSide.FUNDS else None
    before = 0 if traded is None else (first - traded.astimezone(zone).date()).days
    days = {first + timedelta(days=number) for number in range(-before, covered + 1)}
    done_since = reading.since - timedelta(days=LOOKED_BACK_DAYS)
    slow = days_of_slow_refunds(tx, reading.provider_account, zone, done_since, reading.read_at)
    return sorted(days.union(_days_of_its_lines(tx, reading, zone), slow))


def days_of_slow_refunds(
    tx: Transaction, account: str, zone: tzinfo, since: datetime, until: datetime | None = None
) -> Iterator[date]:
    """The days of lines that tell of refunds in progress with a discount or a fee, where the refund was done in that
    time. Only then the books follow the line."""
    for refunds in refunds_done(tx, account, since, until):
        numbers = {(one.theirs, one.number) for one in refunds}
        in_progress = (_L.undecided, or_(_L.discount_minor != 0, _L.fee_minor != 0))
        of_them = (_L.provider_account == account, _L.theirs.in_(sorted({theirs for theirs, _ in numbers})))
        for row in tx.execute(select(_L.theirs, _L.refund, _L.at).where(*of_them, *in_progress)):
            if (row.theirs, row.refund) in numbers:
                yield row.at.astimezone(zone).date()


def _first_trade_before(tx: Transaction, reading: AnyRow) -> datetime | None:
    """The earliest time, before those that the document covers, of a trade that it tells of."""
    traded, trades = BILL_LINES.alias("traded"), BILL_READINGS.alias("trades")
    same = and_(traded.c.provider_account == _L.provider_account, traded.c.theirs == _L.theirs)
    counts = and_(trades.c.provider_account == traded.c.provider_account, trades.c.id == traded.c.reading_id)
    since = reading.since - timedelta(days=SETTLED_WITHIN_DAYS)
    wanted = (
        select(func.min(traded.c.at))
        .select_from(BILL_LINES)
        .join(traded, same)
        .join(trades, and_(counts, trades.c.side == BillSide.TRADES, trades.c.status == THAT_COUNTS))
        .where(_lines_of_document(reading), traded.c.at >= since, traded.c.at < reading.since)
    )
    found: datetime | None = tx.scalar(wanted)
    return found


def _days_of_its_lines(tx: Transaction, reading: AnyRow, zone: tzinfo) -> Iterator[date]:
    yield from _days(tx, _lines_of_document(reading), zone)


def _lines_of_document(reading: AnyRow) -> ColumnElement[bool]:
    """Those of all its versions."""
    named = and_(_R.provider_account == reading.provider_account, _R.feed == reading.feed, _R.name == reading.name)
    ids = select(_R.id).where(named)
    return and_(_L.provider_account == reading.provider_account, _L.reading_id.in_(ids))


def days_of_account(tx: Transaction, account: str, zone: tzinfo, span: Span | None = None) -> Iterator[date]:
    """All days of which there are lines, or those with lines of that span."""
    in_span = () if span is None else (_L.at >= span.since, _L.at < span.until)
    yield from _days(tx, and_(_L.provider_account == account, *in_span), zone)


def zones_of_bills(tx: Transaction) -> dict[str, ZoneInfo]:
    """In which zone the days of an account's bills are, by provider account: of those whose lines are booked by the
    day."""
    zones = select(_R.provider_account, func.max(_R.zone).label("zone")).where(_R.side.in_(BOOKED_BY_DAY))
    rows = tx.execute(zones.group_by(_R.provider_account).order_by(_R.provider_account))
    return {row.provider_account: zone_of_bill(row) for row in rows}


def zone_of_bill(reading: AnyRow) -> ZoneInfo:
    return ZoneInfo(reading.zone)


def _days(tx: Transaction, lines: ColumnElement[bool], zone: tzinfo) -> Iterator[date]:
    at: datetime | None = tx.scalar(select(func.min(_L.at)).where(lines))
    while at is not None:
        day = at.astimezone(zone).date()
        yield day
        at = tx.scalar(select(func.min(_L.at)).where(lines, _L.at >= end_of_day(day, zone)))


def is_covered(tx: Transaction, day: BillDay) -> bool:
    """Whether a bill of the balance into which payers pay covers the whole day. One of another balance says nothing
    about the fees of payments."""
    main = day.rule.main_feed
    covering = exists().where(
        _R.provider_account == day.provider_account,
        _R.side == BillSide.FUNDS,
        _R.status == THAT_COUNTS,
        _R.since <= day.start,
        _R.until >= day.end,
        *(() if main is None else (_R.feed == main,)),
    )
    return bool(tx.scalar(select(covering)))


def _has_funds(tx: Transaction, account: str) -> bool:
    wanted = select(_R.id).where(_R.provider_account == account, _R.side == BillSide.FUNDS, _R.status == THAT_COUNTS)
    return tx.scalar(wanted.limit(1)) is not None


def _told_by_funds(day: BillDay) -> ColumnElement[bool]:
    """Whether a bill of the side FUNDS has the payment, or the refund, of the line: its fee stands there, too."""
    moved, reading = BILL_LINES.alias("moved"), BILL_READINGS.alias("funds")
    same = and_(
        moved.c.provider_account == _L.provider_account,
        moved.c.theirs == _L.theirs,
        moved.c.kind == _L.kind,
        or_(moved.c.refund.is_(None), _L.refund.is_(None), moved.c.refund == _L.refund),
        moved.c.at >= day.start,
        moved.c.at < day.end + timedelta(days=SETTLED_WITHIN_DAYS),
    )
    counts = and_(
        reading.c.provider_account == moved.c.provider_account,
        reading.c.id == moved.c.reading_id,
        reading.c.side == BillSide.FUNDS,
        reading.c.status == THAT_COUNTS,
    )
    return exists(select(moved.c.position).join(reading, counts).where(same))
