"""What a store sold and what it keeps of that, by month, product and territory; and its share in the books.

A sale is booked gross by its fact, in the customer's currency: `clearing:<account>` to `sales`. What the store keeps
(commission and taxes, which no report tells apart) is known when its financial report is there. It is booked then, from
`clearing` to `store_share:<account>`: one figure for each period and currency, as the difference to what is booked for
it already, under the lock of the journal. So a report that is made anew is one more transfer, and a repeat is none.

What the store pays in another currency than its customers is listed and not booked: the rate in between is the store's,
and the amount is booked by a person, by what came to the bank.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy import ColumnElement, and_, case, func, select

from app.domain.accounting_time import TICK
from app.domain.bill_lines import BillLine, BillSide, LineKind, StoreCell
from app.domain.chart import HOUSE_SLOT
from app.domain.deciding import TOLD_WITH_ITS_BUYER
from app.domain.facts import Kind, price_of
from app.domain.ledger import JOURNAL, Transfer, system
from app.domain.numbers import keyed_uuid
from app.domain.store_cells import StoreFigure, estimated_share, figures_of_store, shares_of_store
from app.models.base import AnyRow
from app.models.bills import BillLineRow, BillReading
from app.models.catalogue import Product
from app.models.ledger import ACCOUNTS, TRANSFERS
from app.models.orders import FACTS
from app.models.slot_guard import sweep
from app.providers.registry import ProviderAccount
from app.providers.verbs import ReadsBills
from app.services.base.context import Core, Tx, environment_of
from app.services.base.transaction import Transaction
from app.services.bills.counted_lines import THAT_COUNTS, LinesOf, counted_lines
from app.services.ledger.ledger_transaction import LedgerTransaction, places_of

STORE_SHARE = "store_share"
"""The kind of the transfers, and the beginning of the account's code."""
FACTS_AT_ONCE = 1000
SHARE_ATTEMPTS = 5
"""How often a period is added up anew because reports were read meanwhile."""
_R, _L = BillReading.__table__.c, BillLineRow.__table__.c
_T, _A, _F = TRANSFERS.c, ACCOUNTS.c, FACTS.c
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class StorePeriod:
    """The time that one financial report covers, in the zone of the store's days."""

    since: datetime
    until: datetime
    zone: ZoneInfo

    @property
    def effective_at(self) -> datetime:
        """When the store's share of it is effective: the last moment of the period."""
        return self.until - TICK

    @property
    def name(self) -> str:
        first, last = (moment.astimezone(self.zone).date() for moment in (self.since, self.until - TICK))
        return f"{first}/{last}"


@dataclass(frozen=True, slots=True)
class StoreSale:
    """One row of the report."""

    period: str
    product: str
    territory: str | None
    currency: str | None
    """None where neither the store nor the fact tells a price: the sale is *unvalued*."""
    units: int
    gross_minor: int | None
    proceeds_minor: int | None
    proceeds_currency: str | None
    share_minor: int | None
    is_estimated: bool
    """The store has not reported yet: gross by our own facts (returns are not taken off), share by the setting."""


class ReportsChanging(Exception):
    """Reports are being read so fast that a period could not be added up in between. The worker comes again."""


def reported_periods(tx: Transaction, account: str) -> list[StorePeriod]:
    """Those of which a financial report was read, oldest first."""
    wanted = select(_R.since, _R.until, _R.zone).where(_is_read(account)).distinct()
    rows = tx.execute(wanted.order_by(_R.since, _R.until)).all()
    return [StorePeriod(row.since, row.until, ZoneInfo(row.zone)) for row in rows]


def figures_of_period(tx: Transaction, account: ProviderAccount, period: StorePeriod) -> list[StoreFigure]:
    """What the report of that period says of the products that we sell. A vendor's report lists other apps too."""
    there = feeds_of_period(tx, account.name, period)
    feed = next((feed for feed in _proceeds_feeds(account) if feed in there), min(there, default=""))
    return figures_of_feed(tx, account.name, period, feed)


def feeds_of_period(tx: Transaction, account: str, period: StorePeriod) -> set[str]:
    """The kinds of financial report that are there for the period."""
    return set(tx.scalars(select(_R.feed).where(_covers(account, period))))


def figures_of_feed(tx: Transaction, account: str, period: StorePeriod, feed: str) -> list[StoreFigure]:
    """What the reports of one kind say. A row that several of them tell counts once: of one region alone, and of all
    regions."""
    ours = products_sold(tx, account)
    figures = figures_of_store(_lines_of_feed(tx, account, period, feed))
    return [figure for figure in figures if figure.product in ours]


def _covers(account: str, period: StorePeriod) -> ColumnElement[bool]:
    return and_(_is_read(account), _R.since == period.since, _R.until == period.until)


def products_sold(tx: Transaction, account: str) -> set[str]:
    """The store's ids of all products that were ever sold through this account."""
    ids = tx.scalars(select(Product.__table__.c.store_ids))
    return {str(one[account]) for one in ids if one and account in one}


def book_share(core: Core, account: ProviderAccount, period: StorePeriod) -> int:
    """Bring the books to what the period's report says; how many transfers that took."""
    for _ in range(SHARE_ATTEMPTS):
        shares = core.whole.read(lambda tx: shares_of_store(figures_of_period(tx, account, period)), snapshot=True)
        booked = core.house.transact(partial(_book, account=account, period=period, named=frozenset(shares)))
        if booked is not None:
            if booked:
                _log.info("store_share_booked", provider_account=account.name, period=period.name, transfers=booked)
            return booked
    raise ReportsChanging(f"{account.name} {period.name}")


def book_shares(core: Core, account: ProviderAccount) -> int:
    """Bring the books to what all reports of that store say; how many transfers that took."""
    periods = core.home.read(lambda tx: reported_periods(tx, account.name))
    return sum(book_share(core, account, period) for period in periods)


def store_sales(tx: Transaction, account: ProviderAccount, since: datetime, until: datetime) -> Iterator[StoreSale]:
    """The rows of all reported periods that end in that time, then what we know of the time after them."""
    last = since
    for period in reported_periods(tx, account.name):
        last = max(last, period.until)
        if since < period.until <= until:
            for figure in figures_of_period(tx, account, period):
                yield _reported(figure, period.name)
    yield from _estimated(tx, account, last, until)


def _book(tx: Tx, account: ProviderAccount, period: StorePeriod, named: Collection[str]) -> int | None:
    """None if the report tells of other currencies than `named` by now."""
    environment = environment_of(account.live)
    named = {*named, *_currencies(tx, account.name, environment)}
    places = {(HOUSE_SLOT, system(JOURNAL, currency, environment)) for currency in named}
    for currency in named:
        places |= places_of(HOUSE_SLOT, [_transfer(account.name, environment, period, currency, 1, 0)])
    with LedgerTransaction(tx, places) as books:
        shares = shares_of_store(figures_of_period(tx, account, period))
        if not shares.keys() <= named:
            return None
        booked = 0
        for currency in sorted(named):
            minor, times = share_booked(tx, account.name, period, currency)
            missing = shares.get(currency, 0) - minor
            if missing:
                books.post(HOUSE_SLOT, _transfer(account.name, environment, period, currency, missing, times))
                booked += 1
    return booked


def _transfer(account: str, environment: str, period: StorePeriod, currency: str, minor: int, times: int) -> Transfer:
    """The transfer of what is still to be booked of a figure. `times`, the number of transfers that the figure has
    already, gives each transfer its own key."""
    share = system(f"{STORE_SHARE}:{account}", currency, environment)
    clearing = system(f"clearing:{account}", currency, environment)
    debit, credit = (share, clearing) if minor > 0 else (clearing, share)
    return Transfer(
        scope=_scope(account),
        key=f"{period.name}:{currency}:{times}",
        debit=debit,
        credit=credit,
        amount=abs(minor),
        kind=STORE_SHARE,
        reference=f"{account}:{period.name}"[:128],
        cause=cause_of_share(account, period, currency),
        effective_at=period.effective_at,
    )


def _scope(account: str) -> str:
    return f"store:{account}"


def cause_of_share(account: str, period: StorePeriod, currency: str) -> uuid.UUID:
    """What the first transfer of a figure and its corrections name as their cause."""
    return keyed_uuid(HOUSE_SLOT, _scope(account), f"{period.name}:{currency}")


def share_booked(tx: Transaction, account: str, period: StorePeriod, currency: str) -> tuple[int, int]:
    """What is booked for a figure, and by how many transfers."""
    taken = case((_A.code == f"{STORE_SHARE}:{account}", _T.amount), else_=-_T.amount)
    wanted = (
        select(func.coalesce(func.sum(taken), 0).label("minor"), func.count().label("times"))
        .join(ACCOUNTS, and_(_A.slot == _T.slot, _A.id == _T.debit_id))
        .where(_T.slot == HOUSE_SLOT, _A.slot == HOUSE_SLOT, _T.cause_id == cause_of_share(account, period, currency))
    )
    row = tx.connection().execute(wanted).one()
    return int(row.minor), int(row.times)


def _currencies(tx: Transaction, account: str, environment: str) -> Sequence[str]:
    """Those in which a share is or was booked: a report that is made anew may lack one of them."""
    wanted = select(_A.asset).where(_A.slot == HOUSE_SLOT, _A.user_id == "", _A.code == f"{STORE_SHARE}:{account}")
    return list(tx.connection().scalars(wanted.where(_A.environment == environment)))


def _is_read(account: str) -> ColumnElement[bool]:
    """A financial report of that account that counts."""
    return and_(_R.provider_account == account, _R.side == BillSide.PROCEEDS, _R.status == THAT_COUNTS)


def _lines_of_feed(tx: Transaction, account: str, period: StorePeriod, feed: str) -> Iterator[BillLine]:
    of_feed = (_covers(account, period), _R.feed == feed, _L.cell.is_not(None))
    told = counted_lines(tx, LinesOf(account, BillSide.PROCEEDS), *of_feed, once=True)
    wanted = select(told.c.key, told.c.kind, told.c.at, told.c.amount_minor, told.c.currency, told.c.cell)
    for row in tx.execute(wanted.execution_options(yield_per=FACTS_AT_ONCE)):
        yield BillLine(row.key, LineKind(row.kind), row.at, row.amount_minor, row.currency, cell=StoreCell(**row.cell))


def _proceeds_feeds(account: ProviderAccount) -> list[str]:
    """The feeds that tell proceeds, in the order in which the plugin names them: several may tell the same money."""
    provider = account.provider
    if not isinstance(provider, ReadsBills):
        return []
    return [feed for feed, side in provider.bill_feeds.items() if side is BillSide.PROCEEDS]


def _reported(figure: StoreFigure, period: str) -> StoreSale:
    return StoreSale(
        period=period,
        product=figure.product,
        territory=figure.territory,
        currency=figure.price_currency,
        units=figure.units,
        gross_minor=figure.gross_minor,
        proceeds_minor=figure.proceeds_minor,
        proceeds_currency=figure.currency,
        share_minor=figure.share_minor,
        is_estimated=False,
    )


def _estimated(tx: Transaction, account: ProviderAccount, since: datetime, until: datetime) -> Iterator[StoreSale]:
    if since >= until:
        return
    sums = _gross(store_facts(tx, account, Kind.PAID, since, until))
    period = f"{since.date()}/{(until - TICK).date()}"
    for (product, territory, currency), (units, gross) in sorted(sums.items(), key=str):
        share = estimated_share(gross, account.estimated_share * 1000) if currency else None
        yield StoreSale(
            period=period,
            product=product,
            territory=territory or None,
            currency=currency or None,
            units=units,
            gross_minor=gross if currency else None,
            proceeds_minor=gross - share if share is not None else None,
            proceeds_currency=currency or None,
            share_minor=share,
            is_estimated=True,
        )


def _gross(facts: Iterable[AnyRow]) -> Mapping[tuple[str, str, str], tuple[int, int]]:
    """Units and gross by product, territory and currency; without a price, under no currency."""
    sums = dict[tuple[str, str, str], tuple[int, int]]()
    for row in facts:
        content, price = row.content, price_of(row.content)
        key = (content["product"] or "", content.get("storefront") or "", price.currency if price else "")
        units, gross = sums.get(key, (0, 0))
        sums[key] = (units + (content["quantity"] or 1), gross + (price.minor if price else 0))
    return sums


def store_facts(
    tx: Transaction, account: ProviderAccount, kind: Kind, since: datetime, until: datetime
) -> Iterator[AnyRow]:
    """What the store told of that kind and time, applied or waiting: content and moment. Once, where it was told again
    when its buyer was known."""
    wanted = (
        select(_F.content, _F.at)
        .prefix_with(sweep("report"))
        .where(
            _F.kind == kind,
            _F.reason != TOLD_WITH_ITS_BUYER,
            _F.provider_account == account.name,
            _F.environment == environment_of(account.live),
            _F.at >= since,
            _F.at < until,
        )
    )
    yield from tx.execute(wanted.execution_options(yield_per=FACTS_AT_ONCE))
