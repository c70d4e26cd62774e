"""What providers say that they hold at the end of a day, beside the books, as a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date

from app.domain.report_tables import Amount, Cell, ReportTable
from app.services.base.context import Tx
from app.services.finance.bill_sums import zones_of_bills
from app.services.finance.clearing import clearing_at_end_of
from app.services.reports.bill_days import bill_day

CLEARING_COLUMNS = (
    *("day", "provider_account", "environment", "currency"),
    *("by_bill", "by_books", "on_its_way", "rest"),
)


def clearing_sheet(tx: Tx, day: date, account: str = "") -> ReportTable:
    """A line for each configured account (or that one) and currency, at the end of that day in the zone of the
    account's bills (without any, the zone of the books). `by_bill` and `rest` are empty where no bill says."""
    return ReportTable("clearing", "Clearing", CLEARING_COLUMNS, _lines(tx, day, account))


def _lines(tx: Tx, day: date, wanted: str) -> Iterator[Sequence[Cell]]:
    zones = zones_of_bills(tx)
    for account in sorted(tx.core.registry, key=lambda account: account.name):
        if wanted not in ("", account.name):
            continue
        of_bills = bill_day(tx, account.name, day, zones.get(account.name, tx.core.rules.ledger.zone))
        for found in clearing_at_end_of(tx, of_bills, now=tx.now, lag=account.lag):
            minors = (found.closing, found.clearing, found.on_its_way, found.rest)
            yield (
                *(day, account.name, of_bills.environment, found.currency),
                *(None if minor is None else Amount(minor, found.currency) for minor in minors),
            )
