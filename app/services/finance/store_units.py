"""Units that a store says it sold, beside those that its signed purchases told us."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, and_, func, select

from app.domain.bill_lines import BillSide
from app.domain.facts import Kind
from app.domain.store_cells import NEIGHBOURS, UnitDifference, UnitEntry, compare_months, compare_units
from app.models.bills import BillLineRow, BillReading
from app.providers.registry import ProviderAccount
from app.services.base.transaction import Transaction
from app.services.bills.counted_lines import THAT_COUNTS, LinesOf, counted_lines
from app.services.finance.store_sales import FACTS_AT_ONCE, products_sold, store_facts

_R, _L = BillReading.__table__.c, BillLineRow.__table__.c
_DAY = timedelta(days=1)
_Counted = Counter[tuple[str, str | None, date]]


def unit_differences(tx: Transaction, account: ProviderAccount, first: date, last: date) -> list[UnitDifference]:
    """Purchases of these days (both included, by the store's calendar) that one side knows of alone. Days that the
    store has not reported yet wait."""
    days = _reported_days(tx, account)
    if not days:
        return []
    zone = zone_of_sales(tx, account)
    since, until = first - NEIGHBOURS, last + NEIGHBOURS
    ours = _entries(_our_units(tx, account, since, until, zone))
    theirs = _entries(_their_units(tx, account, since, until, zone, refunds=False))
    found = compare_units(ours, theirs, reported=days, products=products_sold(tx, account.name))
    return [one for one in found if first <= one.day <= last]


def refund_differences(tx: Transaction, account: ProviderAccount, month: date) -> list[UnitDifference]:
    """Refunds of the month that begins on that day: a store dates them in its own way."""
    if not _reported_days(tx, account):
        return []
    zone, last = zone_of_sales(tx, account), (month.replace(day=28) + 4 * _DAY).replace(day=1) - _DAY
    ours = _of_month(_our_refunds(tx, account, month, last, zone), month)
    theirs = _of_month(_their_units(tx, account, month, last, zone, refunds=True), month)
    return compare_months(ours, theirs, products_sold(tx, account.name))


def _reported_days(tx: Transaction, account: ProviderAccount) -> frozenset[date]:
    """From the first day with a report until the last one. On a day between them without one nothing was sold: reports
    are asked for one after another, and each is waited for."""
    zone = zone_of_sales(tx, account)
    wanted = select(func.min(_R.since), func.max(_R.until)).where(_is_read(account))
    first, until = tuple(tx.execute(wanted).one())
    if first is None or until is None:
        return frozenset()
    day, end = first.astimezone(zone).date(), until.astimezone(zone).date()
    return frozenset(day + number * _DAY for number in range((end - day).days))


def zone_of_sales(tx: Transaction, account: ProviderAccount) -> ZoneInfo:
    """The zone of the days of the store's sales reports."""
    return ZoneInfo(tx.scalar(select(_R.zone).where(_is_read(account)).limit(1)) or "UTC")


def _is_read(account: ProviderAccount) -> ColumnElement[bool]:
    return and_(_R.provider_account == account.name, _R.side == BillSide.SALES, _R.status == THAT_COUNTS)


def _our_units(tx: Transaction, account: ProviderAccount, first: date, last: date, zone: ZoneInfo) -> _Counted:
    """What cost nothing is not counted: reports tell it in another way. What does not tell its price is."""
    units = _Counted()
    for row in store_facts(tx, account, Kind.PAID, *_span(first, last, zone)):
        content = row.content
        if content.get("price_minor") != 0:
            key = (content["product"] or "", content.get("storefront"), row.at.astimezone(zone).date())
            units[key] += content["quantity"] or 1
    return units


def _our_refunds(tx: Transaction, account: ProviderAccount, first: date, last: date, zone: ZoneInfo) -> _Counted:
    """Each purchase once, however many parts of it went back in that time."""
    known = dict[str, tuple[tuple[str, str | None, date], int]]()
    for row in store_facts(tx, account, Kind.REFUNDED, *_span(first, last, zone)):
        content = row.content
        key = (content["product"] or "", content.get("storefront"), row.at.astimezone(zone).date())
        known.setdefault(content["theirs"] or "", (key, content["quantity"] or 1))
    units = _Counted()
    for key, quantity in known.values():
        units[key] += quantity
    return units


def _their_units(
    tx: Transaction, account: ProviderAccount, first: date, last: date, zone: ZoneInfo, *, refunds: bool
) -> _Counted:
    since, until = _span(first, last, zone)
    of_cells = (_L.at >= since, _L.at < until, _L.cell.is_not(None))
    told = counted_lines(tx, LinesOf(account.name, BillSide.SALES), *of_cells)
    wanted = select(told.c.cell, told.c.at)
    units = _Counted()
    for row in tx.execute(wanted.execution_options(yield_per=FACTS_AT_ONCE)):
        cell = row.cell
        if cell["price_minor"] and (cell["units"] < 0) == refunds:
            units[cell["product"], cell["territory"], row.at.astimezone(zone).date()] += abs(cell["units"])
    return units


def _span(first: date, last: date, zone: ZoneInfo) -> tuple[datetime, datetime]:
    since, until = (datetime.combine(day, time(), zone).astimezone(UTC) for day in (first, last + _DAY))
    return since, until


def _entries(units: Mapping[tuple[str, str | None, date], int]) -> Iterator[UnitEntry]:
    for (product, territory, day), count in units.items():
        yield UnitEntry(product, day, count, territory)


def _of_month(units: Mapping[tuple[str, str | None, date], int], month: date) -> Iterator[UnitEntry]:
    for (product, territory, _), count in units.items():
        yield UnitEntry(product, month, count, territory)
