"""Adds up the lines of a day's bills.

Which bills count: those of the side FUNDS where one covers the whole day, else those of the side TRADES, but for what a
bill of the side FUNDS tells of another day: a provider may make no account bill of a day on which nothing moved, and
settle payments on the next day, or after a week (seen 2026-11-28). What the merchant gave away himself never reaches
his balance, so bills of the side TRADES alone tell of it, and count for that on every day. Of a line that several bills
tell (its key is the same) the newest reading counts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Select, and_, case, exists, func, or_, select

from app.domain.accounting_time import TICK, end_of_day
from app.domain.bill_figures import (
    DISCOUNT,
    TOLD_BY_FACTS,
    BillDay,
    BillFigures,
    LineOwner,
    LineSums,
    figures_of,
    line_owner,
)
from app.domain.bill_lines import BillSide, LineKind
from app.domain.deciding import Booking
from app.domain.status import Outcome
from app.models.base import AnyRow
from app.models.bills import BILL_LINES, BILL_READINGS
from app.models.orders import FACTS, Payment
from app.models.slot_guard import sweep
from app.services.base.transaction import Transaction

UTC_ZONE = ZoneInfo("UTC")
THAT_COUNTS = "read"
"""The status of readings that count."""
SETTLED_WITHIN_DAYS = 8
"""So many days after a trade a bill of the side FUNDS tells of it at the latest: cycles of a week are the longest."""
MOST_DAYS_COVERED = 366
"""A bill of more days is booked by the days of its lines."""
LINES_AT_ONCE = 1000
"""So many lines are read at once; those of other systems among them are looked for by one statement."""
_L, _R, _F, _P = BILL_LINES.c, BILL_READINGS.c, FACTS.c, Payment.__table__.c


def figures(tx: Transaction, day: BillDay) -> BillFigures:
    """What the day's bills say that must be in the books."""
    of_trades = figures_of(_sums(tx, day, _lines(day, BillSide.TRADES)))
    if not _is_covered(tx, day):
        if not _has_funds(tx, day.provider_account):
            return of_trades
        untold = figures_of(_sums(tx, day, _lines(day, BillSide.TRADES, ~_told_by_funds(day))))
        discounts = {key: minor for key, minor in of_trades.items() if key[0] == DISCOUNT}
        return {key: minor for key, minor in untold.items() if key[0] != DISCOUNT} | discounts
    discounts = {key: minor for key, minor in of_trades.items() if key[0] == DISCOUNT}
    return {**figures_of(_sums(tx, day, _lines(day, BillSide.FUNDS))), **discounts}


def _sums(tx: Transaction, day: BillDay, lines: Select[Any]) -> list[LineSums]:
    """The lines, added up by kind, currency and owner. What seems to be another system's is ours all the same if our
    books have its money by a fact: of a payment that a person assigned, or money in suspense."""
    minors = defaultdict[tuple[LineKind, str, LineOwner], list[int]](lambda: [0, 0, 0])
    suspended: set[str] | None = None
    for rows in tx.execute(lines.execution_options(yield_per=LINES_AT_ONCE)).partitions():
        owners = [line_owner(LineKind(row.kind), row.ours, row.refund, day.whose) for row in rows]
        strange = [row.theirs for row, owner in zip(rows, owners, strict=True) if _may_be_known(row, owner)]
        known = set[str]()
        if strange:
            suspended = _suspended(tx, day.provider_account) if suspended is None else suspended
            known = suspended | _of_payments(tx, day.provider_account, strange)
        for row, owner in zip(rows, owners, strict=True):
            whose = LineOwner.HOUSE if _may_be_known(row, owner) and row.theirs in known else owner
            total = minors[LineKind(row.kind), row.currency, whose]
            for number, minor in enumerate((row.amount_minor, row.fee_minor, row.discount_minor)):
                total[number] += minor
    return [LineSums(*of_them, *total) for of_them, total in minors.items()]


def _may_be_known(row: AnyRow, owner: LineOwner) -> bool:
    return owner is LineOwner.ALIEN and row.kind in TOLD_BY_FACTS and row.theirs is not None


def version_of(tx: Transaction, account: str) -> tuple[Any, ...]:
    """Changes whenever other readings of that account count."""
    wanted = select(func.count(), func.max(_R.id), func.sum(case((_R.status == THAT_COUNTS, 1), else_=0)))
    return tuple(tx.execute(wanted.where(_R.provider_account == account)).one())


def days_of_document(tx: Transaction, reading: AnyRow) -> list[date]:
    """The days (in the reading's zone) that the document covers, and those of its lines and of the lines of its earlier
    versions: what an earlier reading told of a day may be gone. Of a bill of the side FUNDS also the days before it, of
    whose trades it may tell."""
    zone = zone_of_bill(reading)
    first = reading.since.astimezone(zone).date()
    covered = min(((reading.until - TICK).astimezone(zone).date() - first).days, MOST_DAYS_COVERED)
    traded = _first_trade_before(tx, reading) if reading.side == BillSide.FUNDS else None
    before = 0 if traded is None else (first - traded.astimezone(zone).date()).days
    days = {first + timedelta(days=number) for number in range(-before, covered + 1)}
    return sorted(days.union(_days_of_its_lines(tx, reading, zone)))


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


def _lines(day: BillDay, side: BillSide, *more: ColumnElement[bool]) -> Select[Any]:
    """The lines of the day that are decided, in the newest telling of each."""
    newest = func.row_number().over(partition_by=_L.key, order_by=(_L.reading_id.desc(), _L.position))
    minors = (_L.amount_minor, _L.fee_minor, _L.discount_minor)
    told = (
        select(_L.kind, _L.currency, *minors, _L.ours, _L.theirs, _L.refund, newest.label("rank"))
        .join(BILL_READINGS, and_(_R.provider_account == _L.provider_account, _R.id == _L.reading_id))
        .where(_L.provider_account == day.provider_account, _L.at >= day.start, _L.at < day.end)
        .where(_R.status == THAT_COUNTS, _R.side == side, ~_L.undecided, *more)
        .subquery("told")
    )
    return select(told).where(told.c.rank == 1)


def _of_payments(tx: Transaction, account: str, numbers: Sequence[str]) -> set[str]:
    wanted = select(_P.theirs).prefix_with(sweep("named_by_provider"))
    return set(tx.scalars(wanted.where(_P.theirs.in_(numbers), _P.provider_account == account)))


def _suspended(tx: Transaction, account: str) -> set[str]:
    """The provider's numbers of verified money that waits here for a payment."""
    wanted = (
        select(_F.content)
        .prefix_with(sweep("report"))
        .where(
            _F.outcome.in_((Outcome.PARKED, Outcome.SURPLUS)),
            _F.provider_account == account,
            _F.booking != Booking.NOTHING,
        )
    )
    return {str(content["theirs"]) for content in tx.scalars(wanted)}
