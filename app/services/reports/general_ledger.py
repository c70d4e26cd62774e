"""The journal for the company's general ledger: what moved between the accounts of the chart, as debit and credit. And
what was booked late, for months that were closed already."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import date
from typing import NamedTuple

from app.domain.accounting_time import Span
from app.domain.chart import FinanceRules, chart_account, own_account
from app.domain.report_tables import Amount, Cell, ReportTable
from app.services.base.transaction import Transaction
from app.services.finance.accounting_periods import prior_period_adjustments
from app.services.reports.movements import Period, money_moved

JOURNAL_COLUMNS = (
    *("date", "document", "environment", "account", "account_number", "account_name"),
    *("debit", "credit", "currency", "text", "transfers"),
)
_ADJUSTED = (
    *("created_at", "effective_at", "id", "kind", "debit", "credit"),
    *("amount", "asset", "environment", "reference"),
)
ADJUSTMENT_COLUMNS = ("booked_at", *_ADJUSTED[1:])


class _Heading(NamedTuple):
    """What is added up: all transfers of one day, kind and pair of accounts."""

    day: date
    environment: str
    currency: str
    kind: str
    debit: str
    credit: str


def general_journal(tx: Transaction, period: Period, rules: FinanceRules) -> ReportTable:
    """By day: what moved between two accounts, added up, as one line for the debit and one for the credit. Both have
    one document, which names day, currency, kind and accounts. Memory grows with the days, not with the transfers."""
    sums, counts = Counter[_Heading](), Counter[_Heading]()
    for moment, row in money_moved(tx, period):
        if chart_account(row.debit) is None or chart_account(row.credit) is None:
            continue
        day = moment.astimezone(period.zone).date()
        heading = _Heading(day, row.environment, row.currency, row.kind, row.debit, row.credit)
        sums[heading] += row.amount
        counts[heading] += 1
    return ReportTable("journal", "Journal", JOURNAL_COLUMNS, _lines(rules, sums, counts))


def _lines(rules: FinanceRules, sums: Counter[_Heading], counts: Counter[_Heading]) -> Iterator[Sequence[Cell]]:
    for number, heading in enumerate(sorted(sums), start=1):
        document = f"{heading.day:%Y%m%d}-{number:04d}"
        amount = Amount(sums[heading], heading.currency)
        for code, debit, credit in ((heading.debit, amount, None), (heading.credit, None, amount)):
            own, of_chart = own_account(rules, code), chart_account(code)
            yield (
                *(heading.day, document, heading.environment, code, own.number),
                own.name or (of_chart.title if of_chart else ""),
                *(debit, credit, heading.currency, heading.kind, counts[heading]),
            )


def adjustments_table(tx: Transaction, span: Span) -> ReportTable:
    """What was booked in that span for months that were closed already; coins as whole numbers."""
    return ReportTable("adjustments", "Prior-period adjustments", ADJUSTMENT_COLUMNS, _adjustments(tx, span))


def _adjustments(tx: Transaction, span: Span) -> Iterator[Sequence[Cell]]:
    for row in prior_period_adjustments(tx, span):
        is_money = chart_account(row.debit) is not None and chart_account(row.credit) is not None
        shown = {"id": str(row.id), "amount": Amount(row.amount, row.asset) if is_money else row.amount}
        yield [shown.get(name, getattr(row, name)) for name in _ADJUSTED]
