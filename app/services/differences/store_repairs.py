"""Repairs of what names no payment: units of a store's report, balances, payouts. The bill is fetched and read once
more, and a store is asked for what it told in that time, and about our purchases of the product one by one."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from functools import partial
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy import select

from app.domain.accounting_time import end_of_day, start_of_day
from app.domain.bill_lines import BillSide
from app.domain.differences import DifferenceType
from app.domain.facts import Kind
from app.domain.store_cells import NEIGHBOURS
from app.models.base import AnyRow
from app.models.orders import FACTS
from app.models.slot_guard import sweep
from app.providers.registry import ProviderAccount
from app.providers.verbs import ReadsBills, Scans
from app.services.base.context import Core, Tx
from app.services.bills.kept_bills import BillWindow
from app.services.bills.readings import read_unread
from app.services.calls import payment_queries
from app.services.calls.scans import NotRead, read_range
from app.services.differences.difference_rows import NotDone

MOST_UNITS_ASKED = 100
"""About so many of our purchases a store is asked in one repair."""
BILLS_OF_A_REPAIR = 100
_PRODUCT = re.compile(r"[0-9]+ x (\S+), ")
"""How the subject of a difference about units begins."""
_OF_MONTHS = (DifferenceType.REFUND_MISSING, DifferenceType.REFUND_EXTRA)
_OF_OURS = (DifferenceType.OURS_NOT_THEIRS, DifferenceType.REFUND_MISSING)
_F = FACTS.c
_log = structlog.get_logger(__name__)


def bills_reread(core: Core, account: ProviderAccount, row: AnyRow) -> str:
    """Fetch the bills of that side and time once more. One that the provider made anew takes the place of the first.
    Raises NotDone."""
    provider = account.provider
    feeds = provider.bill_feeds.items() if isinstance(provider, ReadsBills) else ()
    fetched = provider.feeds if isinstance(provider, Scans) else ()  # others are bills of balances nobody set up
    mine = [feed for feed, side in feeds if side == row.side and feed in fetched]
    _read_feeds(core, account, mine, *_time_of(row))
    return f"read again; {read_unread(core, [account], BILLS_OF_A_REPAIR)} bills were made anew"


def store_asked(core: Core, account: ProviderAccount, row: AnyRow) -> str:
    """What the store told in that time is told once more; about purchases that we have and it has not, it is asked one
    by one. Raises NotDone."""
    since, until = _time_of(row)
    provider = account.provider
    bills = provider.bill_feeds if isinstance(provider, ReadsBills) else {}
    feeds = [feed for feed in (provider.feeds if isinstance(provider, Scans) else ()) if feed not in bills]
    facts = _read_feeds(core, account, feeds, since - NEIGHBOURS, until + NEIGHBOURS)
    asked = core.whole.read(partial(_purchases, account=account, row=row)) if row.type in _OF_OURS else []
    for payment_id in asked:
        payment_queries.ask(core, payment_id)
    return f"{facts} facts told again, {len(asked)} purchases asked about"


def _read_feeds(core: Core, account: ProviderAccount, feeds: list[str], since: datetime, until: datetime) -> int:
    try:
        ended = min(until, core.clock.now())
        return sum(read_range(core, account, BillWindow(account.name, feed, since, ended), _tell) for feed in feeds)
    except NotRead as error:
        raise NotDone(str(error)) from None


def _tell(page: str) -> None:
    _log.info("read_for_repair", page=page)


def _time_of(row: AnyRow) -> tuple[datetime, datetime]:
    """The day of the difference in the zone of its bill; of a store's refunds the month that ends with it."""
    zone = ZoneInfo(row.zone)
    last = row.at.astimezone(zone).date()
    of_month = row.side == BillSide.SALES and row.type in _OF_MONTHS
    return start_of_day(last.replace(day=1) if of_month else last, zone), end_of_day(last, zone)


def _purchases(tx: Tx, *, account: ProviderAccount, row: AnyRow) -> list[int]:
    """Our payments of that product and time."""
    named = _PRODUCT.match(row.subject)
    if named is None:
        return []
    since, until = _time_of(row)
    kind = Kind.REFUNDED if row.type in _OF_MONTHS else Kind.PAID
    wanted = (
        select(_F.payment_id)
        .prefix_with(sweep("report"))
        .where(
            _F.provider_account == account.name,
            _F.kind == kind,
            _F.at >= since - timedelta(days=1),
            _F.at < until + timedelta(days=1),
            _F.content["product"].as_string() == named[1],
            _F.payment_id.is_not(None),
        )
    )
    return sorted({int(number) for number in tx.scalars(wanted.limit(MOST_UNITS_ASKED))})
