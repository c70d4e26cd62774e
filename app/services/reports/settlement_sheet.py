"""The daily settlement sheet: for each provider account and day, what the books have, what the bills have, and what
lies between."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import date, datetime, tzinfo
from typing import NamedTuple

from sqlalchemy import select

from app.domain.accounting_time import TICK, end_of_day, start_of_day
from app.domain.bill_figures import LineOwner
from app.domain.bill_lines import BillSide, LineKind
from app.domain.refunding import REFUND, REFUND_UNDONE
from app.domain.report_tables import Amount, Cell, ReportTable
from app.models.base import AnyRow
from app.models.bills import BILL_LINES, BILL_READINGS
from app.models.differences import DifferenceRow
from app.services.base.context import Tx
from app.services.bills.counted_lines import THAT_COUNTS, LinesOf, counted_lines, side_of_books
from app.services.bills.line_owners import lines_with_owners
from app.services.differences.difference_rows import difference_of
from app.services.differences.told_lines import Coverage, readings_about
from app.services.reports.bill_days import environment_of_bills, rule_of_bills
from app.services.reports.movements import AT_ONCE, Period, money_moved

SETTLEMENT_COLUMNS = (
    *("day", "provider_account", "environment", "currency"),
    *("our_payments", "our_refunds", "bill_payments", "bill_refunds", "bill_fees", "others"),
    *("differences", "difference_amount", "day_boundary"),
)
CLEARING = "clearing:"
PAYMENT_KINDS = frozenset({"payment", "surplus", "suspense"})
"""The kinds of transfer that bring a payment's money to the account of the provider."""
_l, _r, _d = BILL_LINES.c, BILL_READINGS.c, DifferenceRow.__table__.c
_SHOWN = (LineKind.PAYMENT, LineKind.REFUND, LineKind.FEE, LineKind.FEE_RETURN)


class _Sheet(NamedTuple):
    day: date
    provider_account: str
    environment: str
    currency: str


class _Sums:
    def __init__(self) -> None:
        self.ours, self.ours_back = Counter[_Sheet](), Counter[_Sheet]()
        self.theirs, self.theirs_back = Counter[_Sheet](), Counter[_Sheet]()
        self.fees, self.others = Counter[_Sheet](), Counter[_Sheet]()
        self.count, self.between = Counter[_Sheet](), Counter[_Sheet]()


def settlement_sheets(tx: Tx, period: Period) -> ReportTable:
    """By day, account and currency. Our payments less our refunds, and the amount of the differences, and what the two
    clocks put into neighbouring days (`day_boundary`), come to what the bills say. `day_boundary` sums to nothing over
    some days. Days without a bill have empty columns of the bill; of a bill without rows these are zero."""
    sums = _Sums()
    _add_ours(tx, period, sums)
    told = _add_theirs(tx, period, sums)
    _add_differences(tx, period, sums)
    return ReportTable("settlement", "Settlement", SETTLEMENT_COLUMNS, _lines(sums, told))


def _add_ours(tx: Tx, period: Period, sums: _Sums) -> None:
    for moment, row in money_moved(tx, period):
        code = row.debit if row.debit.startswith(CLEARING) else row.credit
        if not code.startswith(CLEARING):
            continue
        sheet = _Sheet(_day(moment, period.zone), code.removeprefix(CLEARING), row.environment, row.currency)
        if row.kind in PAYMENT_KINDS:
            sums.ours[sheet] += row.amount
        elif row.kind in (REFUND, REFUND_UNDONE):
            sums.ours_back[sheet] += row.amount if row.kind == REFUND else -row.amount


class _Told(NamedTuple):
    """Of which days there is a bill, whether it has a row or none."""

    days: set[tuple[str, date]]
    """By account: those with a row."""
    covered: dict[str, Coverage]
    """By account: the time that its bills cover."""
    zone: tzinfo

    def has_bill(self, account: str, day: date) -> bool:
        covered, whole = self.covered.get(account), (start_of_day(day, self.zone), end_of_day(day, self.zone) - TICK)
        return (account, day) in self.days or (covered is not None and all(map(covered.covers, whole)))


def _add_theirs(tx: Tx, period: Period, sums: _Sums) -> _Told:
    """What a bill tells twice is in its sums, and a difference."""
    told = _Told(set(), {}, period.zone)
    in_span = (_l.at >= period.span.since, _l.at < period.span.until)
    for account in _accounts_with_bills(tx):
        environment, whose = environment_of_bills(tx, account), rule_of_bills(tx, account).whose
        side = side_of_books(tx, account)
        readings = readings_about(tx, account, period.span.since, period.span.until)
        told.covered[account] = Coverage([row for row in readings if row.side == side])
        lines = counted_lines(tx, LinesOf(account, side), *in_span)
        for row, owner in lines_with_owners(tx, account, whose, lines):
            day = _day(row.at, period.zone)
            told.days.add((account, day))
            _add_line(sums, _Sheet(day, account, environment, row.currency), row, owner)
    return told


def _add_line(sums: _Sums, sheet: _Sheet, row: AnyRow, owner: LineOwner) -> None:
    """As bills are booked: what another system sold, with its fee, is the money of others."""
    kind, amount = row.kind, row.amount_minor
    if kind not in _SHOWN:
        return
    if owner is LineOwner.ALIEN:
        sums.others[sheet] += amount + row.fee_minor + row.discount_minor
        return
    sums.fees[sheet] += row.fee_minor
    if kind == LineKind.PAYMENT:
        sums.theirs[sheet] += amount
    elif kind == LineKind.REFUND:
        sums.theirs_back[sheet] -= amount
    else:
        sums.fees[sheet] += amount


def _add_differences(tx: Tx, period: Period, sums: _Sums) -> None:
    span = period.span
    wanted = select(*_d).where(_d.at >= span.since, _d.at < span.until, _d.state != "gone")
    for row in tx.connection().execute(wanted, execution_options={"yield_per": AT_ONCE}):
        environment = environment_of_bills(tx, row.provider_account)
        found = difference_of(row)
        # What lies between two bills is no part of what lies between one of them and the books.
        between = {} if found.is_between_bills else found.moved_minor()
        moved = between or {row.theirs_currency or row.ours_currency or "": 0}
        for currency, minor in moved.items():
            sheet = _Sheet(_day(row.at, period.zone), row.provider_account, environment, currency)
            sums.count[sheet] += 1
            sums.between[sheet] += minor


def _lines(sums: _Sums, told: _Told) -> Iterator[Sequence[Cell]]:
    counters = (sums.ours, sums.ours_back, sums.theirs, sums.theirs_back, sums.fees, sums.others, sums.count)
    for sheet in sorted(set().union(*counters)):
        between = sums.between[sheet]
        rest = (sums.theirs[sheet] - sums.theirs_back[sheet]) - (sums.ours[sheet] - sums.ours_back[sheet]) - between
        bill = (sums.theirs[sheet], sums.theirs_back[sheet], sums.fees[sheet], sums.others[sheet])
        has_bill = told.has_bill(sheet.provider_account, sheet.day)
        yield (
            *sheet,
            *(Amount(minor, sheet.currency) for minor in (sums.ours[sheet], sums.ours_back[sheet])),
            *(Amount(minor, sheet.currency) if has_bill else None for minor in bill),
            sums.count[sheet],
            Amount(between, sheet.currency),
            Amount(rest, sheet.currency) if has_bill else None,
        )


def _accounts_with_bills(tx: Tx) -> list[str]:
    sides = (BillSide.TRADES, BillSide.FUNDS)
    wanted = select(_r.provider_account).distinct().where(_r.status == THAT_COUNTS, _r.side.in_(sides))
    return sorted(tx.scalars(wanted))


def _day(moment: datetime, zone: tzinfo) -> date:
    return moment.astimezone(zone).date()
