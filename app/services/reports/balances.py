"""The trial balance and the chart of accounts as tables, for a file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from app.domain.accounting_time import Basis
from app.domain.chart import CHART, FinanceRules, chart_account, own_account
from app.domain.report_tables import Amount, Cell, ReportTable
from app.domain.trial_balance import TrialBalance
from app.services.base.context import Tx
from app.services.finance.accounting_periods import balance_by, moved_by

BALANCE_COLUMNS = (
    *("environment", "asset", "owner", "account", "account_number", "account_name", "debits", "credits", "balance"),
)
CHART_COLUMNS = ("code", "type", "grows_by", "title", "title_zh", "number", "name")


def balances_for(tx: Tx, basis: Basis, *, since: datetime | None = None, until: datetime | None = None) -> TrialBalance:
    """Up to and including `until` (None: now), of everything or of what moved from `since` on."""
    if since is None:
        return balance_by(tx, basis, now=tx.now, at=until)
    return moved_by(tx, basis, now=tx.now, since=since, until=until)


def balance_table(found: TrialBalance, rules: FinanceRules) -> ReportTable:
    """A line for each account, with your numbers and names; money in major units, coins as whole numbers. `owner` is
    `house`, or `users` for all users together. A balance is credits less debits."""
    return ReportTable("trial-balance", "Trial balance", BALANCE_COLUMNS, _lines(found, rules))


def _lines(found: TrialBalance, rules: FinanceRules) -> Iterator[Sequence[Cell]]:
    for sheet in found.sheets:
        for line in sheet.lines:
            of_chart = chart_account(line.code) if sheet.is_money else None
            own = own_account(rules, line.code) if sheet.is_money else None
            sums = (line.debits, line.credits, line.balance)
            yield (
                *(sheet.environment, sheet.asset, "users" if line.of_users else "house", line.code),
                own.number if own else "",
                (own.name if own else "") or (of_chart.title if of_chart else ""),
                *(Amount(each, sheet.asset) if sheet.is_money else each for each in sums),
            )


def chart_table(rules: FinanceRules) -> ReportTable:
    """A line for each account for money, and for each one that has a number or a name of your own."""
    return ReportTable("chart", "Chart of accounts", CHART_COLUMNS, _accounts(rules))


def _accounts(rules: FinanceRules) -> Iterator[Sequence[Cell]]:
    for account in CHART:
        of_it = [code for code in rules.own if chart_account(code) is account]
        side = "debit" if account.nature.grows_by_debit else "credit"
        for code in sorted({account.code, *of_it}):
            own = own_account(rules, code)
            yield code, account.nature, side, account.title, account.title_zh, own.number, own.name
