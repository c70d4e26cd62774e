"""The reports that can be drawn for a period, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

from app.domain.accounting_time import TICK, Basis, Span
from app.domain.report_tables import ReportTable
from app.services.base.context import Tx
from app.services.base.errors import DomainError
from app.services.finance import recognition
from app.services.finance.liability_reports import contract_liability_table, revenue_table
from app.services.reports.general_ledger import general_journal
from app.services.reports.movements import Period, period_of
from app.services.reports.sales import refunds_of_money, sales
from app.services.reports.settlement_sheet import settlement_sheets
from app.services.reports.store_sheet import store_sheet


class DaysNotWorkedOut(DomainError):
    """The worker has not worked out the unspent coins of all these days yet. The detail says how far it is."""

    code = "days_not_worked_out"


@dataclass(frozen=True, slots=True)
class ReportKind:
    """A report, what it says in a sentence, and what draws it."""

    about: str
    draw: Callable[[Tx, Period], ReportTable]
    of_unspent_coins: bool = False
    """Whether the worker has to have worked out the days."""


def _of_days(make: Callable[[Tx, date, date], ReportTable]) -> Callable[[Tx, Period], ReportTable]:
    """A report of whole days."""
    return lambda tx, period: make(tx, *_days(period))


def _days(period: Period) -> tuple[date, date]:
    """The first and the last day, in the zone of the period."""
    since, until = period.span.since, period.span.until - TICK
    return since.astimezone(period.zone).date(), until.astimezone(period.zone).date()


REPORTS = {
    "sales": ReportKind("What was sold by product and provider account, what went back, and what has no price.", sales),
    "refunds": ReportKind("Each movement of money back to a payer.", refunds_of_money),
    "journal": ReportKind(
        "For the general ledger: what moved by day, kind and pair of accounts, as debit and credit.",
        lambda tx, period: general_journal(tx, period, tx.core.rules.finance),
    ),
    "settlement": ReportKind(
        "By day and provider account: our total, the bill's, the differences, and what falls on a day's boundary.",
        settlement_sheets,
    ),
    "store-sales": ReportKind(
        "Of stores, by period, product and territory: units, gross, proceeds and the store's share, or its estimate.",
        store_sheet,
    ),
    "contract-liability": ReportKind(
        "Unspent coins and their money, by product and month of sale: opening, what moved, closing.",
        _of_days(contract_liability_table),
        of_unspent_coins=True,
    ),
    "revenue": ReportKind(
        "Revenue by day, product and month of sale: of coins that were used, and of those that expired.",
        _of_days(revenue_table),
        of_unspent_coins=True,
    ),
}


def draw_report(tx: Tx, name: str, span: Span, basis: Basis) -> ReportTable:
    """The report of that name (a key of REPORTS). Its rows are read while they are taken: take them inside of `tx`,
    which should be a snapshot. Raises DaysNotWorkedOut."""
    kind, period = REPORTS[name], period_of(tx, span, basis, tx.core.rules.ledger.zone)
    if kind.of_unspent_coins:
        _check_worked_out(tx, period)
    return kind.draw(tx, period)


def _check_worked_out(tx: Tx, period: Period) -> None:
    done = recognition.progress(tx)
    known = None if done is None else (done.booked_until - TICK).astimezone(period.zone).date()
    if known is None or known < _days(period)[1]:
        reached = "no day" if known is None else f"the days until {known}"
        raise DaysNotWorkedOut(f"the worker has worked out {reached} so far: each a day after its end")
