"""The reports that can be drawn for a period, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from app.domain.accounting_time import Basis, Span
from app.domain.report_tables import ReportTable
from app.services.base.context import Tx
from app.services.reports.general_ledger import general_journal
from app.services.reports.movements import Period, period_of
from app.services.reports.sales import refunds_of_money, sales


@dataclass(frozen=True, slots=True)
class ReportKind:
    """A report, what it says in a sentence, and what draws it."""

    about: str
    draw: Callable[[Tx, Period], ReportTable]


REPORTS = {
    "sales": ReportKind("What was sold by product and provider account, what went back, and what has no price.", sales),
    "refunds": ReportKind("Each movement of money back to a payer.", refunds_of_money),
    "journal": ReportKind(
        "For the general ledger: what moved by day, kind and pair of accounts, as debit and credit.",
        lambda tx, period: general_journal(tx, period, tx.core.rules.finance),
    ),
}


def draw_report(tx: Tx, name: str, span: Span, basis: Basis) -> ReportTable:
    """The report of that name (a key of REPORTS). Its rows are read while they are taken: take them inside of `tx`,
    which should be a snapshot."""
    return REPORTS[name].draw(tx, period_of(tx, span, basis, tx.core.rules.ledger.zone))
