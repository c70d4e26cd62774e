"""Adds up the lines of a day's bills, in the database.

Which bills count: those of the side FUNDS where one covers the whole day, else those of the side TRADES. Of a line that
several bills tell (its key is the same) the newest reading counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Subquery, and_, case, exists, func, literal, or_, select

from app.domain.accounting_time import TICK, end_of_day
from app.domain.bill_figures import BillDay, BillFigures, LineOwner, LineSums, figures_of
from app.domain.bill_lines import BillSide, LineKind
from app.domain.deciding import Booking
from app.domain.numbers import MAX_NUMBER
from app.domain.status import Outcome
from app.models.base import AnyRow
from app.models.bills import BILL_LINES, BILL_READINGS
from app.models.orders import FACTS, Payment
from app.models.slot_guard import sweep
from app.services.base.transaction import Transaction

UTC_ZONE = ZoneInfo("UTC")
THAT_COUNTS = "read"
"""The status of readings that count."""
MOST_DAYS_COVERED = 366
"""A bill of more days is booked by the days of its lines."""
LINES_AT_ONCE = 1000
"""So many lines of other systems are looked for among our payments by one statement."""
_L, _R, _F, _P = BILL_LINES.c, BILL_READINGS.c, FACTS.c, Payment.__table__.c
_MONEY = (LineKind.PAYMENT, LineKind.REFUND)
_OWN_DIGITS = str(MAX_NUMBER)


def figures(tx: Transaction, day: BillDay) -> BillFigures:
    """What the day's bills say that must be in the books."""
    side = BillSide.FUNDS if _is_covered(tx, day) else BillSide.TRADES
    lines = _lines(day, side)
    columns = (lines.c.kind, lines.c.currency, lines.c.whose)
    totals = [func.sum(lines.c[name]).label(name) for name in ("amount_minor", "fee_minor", "discount_minor")]
    wanted = select(*columns, *totals).where(lines.c.rank == 1).group_by(*columns)
    sums = list[LineSums]()
    for row in tx.execute(wanted):
        told = (int(row.amount_minor), int(row.fee_minor), int(row.discount_minor))
        sums.append(LineSums(LineKind(row.kind), row.currency, LineOwner(row.whose), *told))
    if any(one.whose is LineOwner.ALIEN and one.kind in _MONEY for one in sums):
        sums += _known_all_the_same(tx, day.provider_account, lines)
    return figures_of(sums)


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


def _lines(day: BillDay, side: BillSide) -> Subquery:
    """The lines of the day that are decided; `rank` 1 is the newest telling of each."""
    newest = func.row_number().over(partition_by=_L.key, order_by=(_L.reading_id.desc(), _L.position))
    columns = (_L.kind, _L.currency, _L.amount_minor, _L.fee_minor, _L.discount_minor, _L.theirs)
    return (
        select(*columns, _whose().label("whose"), newest.label("rank"))
        .join(BILL_READINGS, and_(_R.provider_account == _L.provider_account, _R.id == _L.reading_id))
        .where(_L.provider_account == day.provider_account, _L.at >= day.start, _L.at < day.end)
        .where(_R.status == THAT_COUNTS, _R.side == side, ~_L.undecided)
        .subquery("counted")
    )


def _whose() -> ColumnElement[str]:
    """By our number in the line: 63-bit decimals without a leading zero are ours (`numbers.parse_number`)."""
    digits = and_(func.trim(_L.ours, "0123456789") == "", _L.ours != "", ~_L.ours.startswith("0"))
    length = func.length(_L.ours)
    small = or_(length < len(_OWN_DIGITS), and_(length == len(_OWN_DIGITS), _L.ours <= _OWN_DIGITS))
    is_ours = and_(digits, small)
    came_back = and_(_L.kind == LineKind.ADJUSTMENT, _L.refund.is_not(None), is_ours)
    return case(
        (_L.ours.is_(None), literal(LineOwner.HOUSE.value)),
        (came_back, literal(LineOwner.FACTS.value)),
        (is_ours, literal(LineOwner.HOUSE.value)),
        else_=literal(LineOwner.ALIEN.value),
    )


def _known_all_the_same(tx: Transaction, account: str, lines: Subquery) -> list[LineSums]:
    """Corrections for payments and refunds whose number is not of our shape, and whose money our books have by a fact
    all the same: of a payment that a person assigned, or money in suspense."""
    corrections = list[LineSums]()
    wanted = select(lines).where(
        lines.c.rank == 1, lines.c.whose == LineOwner.ALIEN, lines.c.kind.in_(_MONEY), lines.c.theirs.is_not(None)
    )
    suspended = _suspended(tx, account)
    for rows in tx.execute(wanted).partitions(LINES_AT_ONCE):
        known = suspended | _of_payments(tx, account, [row.theirs for row in rows])
        for row in rows:
            if row.theirs in known:
                told = (row.amount_minor, row.fee_minor, row.discount_minor)
                corrections.append(LineSums(LineKind(row.kind), row.currency, LineOwner.HOUSE, *told))
                taken_back = [-minor for minor in told]
                corrections.append(LineSums(LineKind(row.kind), row.currency, LineOwner.ALIEN, *taken_back))
    return corrections


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
