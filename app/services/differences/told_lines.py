"""The lines of bills that count, as they are compared with the books, and the time that bills cover."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import datetime

from sqlalchemy import ColumnElement, Select, Subquery, func, select

from app.domain.bill_figures import TOLD_BY_FACTS
from app.domain.bill_lines import BillSide
from app.domain.bill_sides import OF_BOTH_SIDES
from app.domain.differences import BookedEntry, Told
from app.domain.settling import Moved
from app.models.base import AnyRow, OneOrder
from app.models.bills import BILL_LINES, BILL_READINGS
from app.services.base.context import Tx
from app.services.bills.counted_lines import THAT_COUNTS, LinesOf, counted_lines, payment_number

TOLD_AT_ONCE = 5_000
"""So many lines are read, and in memory, at a time."""
_l, _r = BILL_LINES.c, BILL_READINGS.c


class Coverage:
    """Which time the bills of one side cover."""

    def __init__(self, readings: Sequence[AnyRow]) -> None:
        self._spans = sorted((reading.since, reading.until) for reading in readings)
        self.zone: str = readings[-1].zone if readings else "UTC"

    def covers(self, moment: datetime) -> bool:
        return any(since <= moment < until for since, until in self._spans)

    def gaps(self, since: datetime, until: datetime) -> list[tuple[datetime, datetime]]:
        """The parts of that time that no bill covers."""
        found, at = [], since
        for begin, end in self._spans:
            if begin > at:
                found.append((at, min(begin, until)))
            at = max(at, end)
            if at >= until:
                break
        if at < until:
            found.append((at, until))
        return [(begin, end) for begin, end in found if begin < end]


def readings_about(tx: Tx, account: str, since: datetime, until: datetime) -> list[AnyRow]:
    """The readings that count whose time reaches into that span."""
    of_account = (_r.provider_account == account, _r.status == THAT_COUNTS, _r.until > since, _r.since < until)
    return list(tx.execute(select(*_r).where(*of_account).order_by(_r.since, _r.id)))


def lines_between(tx: Tx, account: str, side: BillSide, since: datetime, until: datetime) -> Iterator[Told]:
    """Payments and refunds with a time of that span, in the order of the provider's numbers by code points."""
    told = counted_lines(tx, LinesOf(account, side, TOLD_BY_FACTS), _l.at >= since, _l.at < until)
    for row in tx.execute(_in_order(tx, _told(told), told).execution_options(yield_per=TOLD_AT_ONCE)):
        yield Told._make(row)


def lines_named(tx: Tx, account: str, side: BillSide, entries: Sequence[BookedEntry]) -> list[Told]:
    """Lines of any time that bear the provider's number of one of these entries."""
    theirs = sorted({entry.theirs for entry in entries if entry.theirs})
    told = counted_lines(tx, LinesOf(account, side, TOLD_BY_FACTS), _l.theirs.in_(theirs))
    return [Told._make(row) for row in tx.execute(_told(told))]


def sides_between(tx: Tx, account: str, side: BillSide, since: datetime, until: datetime) -> Iterator[Told]:
    """What trade bills and account bills both tell of, fees in rows of their own among it: net of what the merchant
    gave away, with our number of the payment, in the order of the provider's numbers."""
    told = counted_lines(tx, LinesOf(account, side, OF_BOTH_SIDES), _l.at >= since, _l.at < until)
    for row in tx.execute(_in_order(tx, _net(told), told).execution_options(yield_per=TOLD_AT_ONCE)):
        yield Told._make(row)


def sides_named(tx: Tx, account: str, side: BillSide, things: Sequence[Told] | Sequence[BookedEntry]) -> list[Told]:
    """Of any time, those that bear the provider's number of one of these; otherwise as `sides_between`."""
    theirs = sorted({thing.theirs for thing in things if thing.theirs})
    told = counted_lines(tx, LinesOf(account, side, OF_BOTH_SIDES), _l.theirs.in_(theirs))
    return [Told._make(row) for row in tx.execute(_in_order(tx, _net(told), told))]


def balances_of(tx: Tx, account: str, reading_id: int) -> Iterator[Moved]:
    """Of each row of a bill: its currency, the balance after it, and what it moved. May be left before the end."""
    moved = _l.amount_minor + _l.fee_minor + _l.discount_minor
    of_reading = (_l.provider_account == account, _l.reading_id == reading_id)
    wanted = select(_l.currency, _l.balance_minor, moved).where(*of_reading).order_by(_l.position)
    with closing(tx.execute(wanted.execution_options(yield_per=TOLD_AT_ONCE))) as rows:
        for row in rows:
            yield Moved._make(row)


def _in_order(tx: Tx, wanted: Select[tuple[object, ...]], told: Subquery) -> Select[tuple[object, ...]]:
    theirs = func.coalesce(told.c.theirs, "")
    return wanted.order_by(OneOrder(theirs))


def _told(told: Subquery) -> Select[tuple[object, ...]]:
    return _columns(told, told.c.ours, told.c.amount_minor)


def _net(told: Subquery) -> Select[tuple[object, ...]]:
    return _columns(told, payment_number(told), told.c.amount_minor + told.c.discount_minor)


def _columns(
    told: Subquery, ours: ColumnElement[str | None], amount_minor: ColumnElement[int]
) -> Select[tuple[object, ...]]:
    """The fields of `Told`, in their order."""
    row = told.c
    numbers = (func.coalesce(row.theirs, ""), row.kind, row.key, ours, row.refund)
    return select(*numbers, amount_minor, row.currency, row.at, row.fee_minor, row.undecided, row.reading_id)
