"""The days of a provider account's bills, as reports need them: also of an account that is not configured any more."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, tzinfo

from app.domain.accounting_time import Span
from app.domain.bill_figures import USUAL_RULE, BillDay, BillRule
from app.services.base.context import Tx, environment_of
from app.services.finance import bill_sums


def environment_of_bills(tx: Tx, account: str) -> str:
    """Live, if the account is not configured any more."""
    known = tx.core.registry.get(account)
    return environment_of(True if known is None else known.live)


def rule_of_bills(tx: Tx, account: str) -> BillRule:
    """By which lines are compared and booked; the usual one, if the account is not configured any more."""
    known = tx.core.registry.get(account)
    return USUAL_RULE if known is None else known.bill_rule


def bill_day(tx: Tx, account: str, day: date, zone: tzinfo) -> BillDay:
    return BillDay(account, environment_of_bills(tx, account), day, zone, rule_of_bills(tx, account))


def bill_days(tx: Tx, span: Span, account: str) -> Iterator[BillDay]:
    """The days that end in the span and have lines, by account (empty: all that have bills)."""
    for name, zone in bill_sums.zones_of_bills(tx).items():
        if account not in ("", name):
            continue
        first = bill_day(tx, name, span.since.astimezone(zone).date(), zone)
        for day in bill_sums.days_of_account(tx, name, zone, Span(first.start, span.until)):
            found = bill_day(tx, name, day, zone)
            if found.effective_at < span.until:
                yield found
