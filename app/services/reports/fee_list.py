"""The fees that providers took and gave back, one by one, each with the row of the bill that says so."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from app.domain.accounting_time import Span
from app.domain.bill_figures import FEE_KINDS, LineOwner, booked_as
from app.domain.bill_lines import LineKind
from app.domain.report_tables import Amount, Cell, ReportTable
from app.services.base.context import Tx
from app.services.finance.bill_sums import lines_of_day
from app.services.reports.bill_days import bill_days

FEE_COLUMNS = (
    *("day", "provider_account", "environment", "kind", "amount", "currency"),
    *("at", "payment", "provider_number", "refund", "feed", "bill", "row", "word"),
)
_BEHIND = ("feed", "name", "position", "word")
"""Where the line stands: columns of the lines beside those that every reader of lines gets."""


def fee_list(tx: Tx, span: Span, account: str = "") -> ReportTable:
    """A line for each fee of the days of bills that end in the span, of one provider account or of all: from the lines
    that are booked, so that the lines of a day sum to what is booked for it. Less than zero: taken; more: given back. A
    fee that belongs to no payment has no number."""
    return ReportTable("fees", "Fees", FEE_COLUMNS, _lines(tx, span, account))


def _lines(tx: Tx, span: Span, account: str) -> Iterator[Sequence[Cell]]:
    for day in bill_days(tx, span, account):
        for row, owner in lines_of_day(tx, day, *_BEHIND):
            if owner is not LineOwner.HOUSE:
                continue
            for kind, minor in booked_as(LineKind(row.kind), row.amount_minor, row.fee_minor):
                if kind in FEE_KINDS and minor:
                    yield (
                        *(day.day, day.provider_account, day.environment, kind),
                        *(Amount(minor, row.currency), row.currency, row.at),
                        *(row.number, row.theirs, row.refund, row.feed, row.name, row.position, row.word),
                    )
