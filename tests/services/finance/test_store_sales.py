"""A store's financial and sales reports beside our books, with the simulated App Store as the store."""

from __future__ import annotations

import gzip
import hashlib
import itertools
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import Engine, insert, text, update

from app.domain.accounting_time import Span
from app.domain.bill_lines import BillContent
from app.domain.report_tables import Amount
from app.domain.store_cells import UnitDifference, UnitFault
from app.models.base import Moment
from app.models.bills import BILL_LINES, BILL_READINGS, BILLS
from app.providers import ReadsBills
from app.services.accounts.catalog import import_products, parse_catalogue
from app.services.audit import run
from app.services.audit.ledger import AsOf
from app.services.base.context import Tx
from app.services.finance import bill_bookings, store_sales
from app.services.finance.store_units import refund_differences, unit_differences
from app.services.reports.catalogue import ReportWanted, draw_report
from plugins.apple.reports.calendar import day_period, fiscal_month
from tests.promises.test_store_gross import GOLD
from tests.promises.test_store_purchases import PRODUCT, Store
from tests.support.databases import Sessions
from tests.support.world import START, build_world

MONTH = fiscal_month("2026-04")
"""2025-12-28 to 2026-01-31: the tests begin on 2026-01-02, in California on 2026-01-01."""
FIRST = date(2026, 1, 1)
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@dataclass
class Desk:
    """Finance of a shop at the store: brings its reports, and reads the books."""

    store: Store
    numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def bring(self, feed: str, content: bytes | None, name: str = "") -> None:
        """A report, kept and read; it takes the place of an earlier one of that name."""
        assert content is not None
        provider = self.store.account.provider
        assert isinstance(provider, ReadsBills)
        bill = provider.read_bill(feed, name or feed, content)
        self.store.core.whole.transact(lambda tx: self._write(tx, feed, name or f"{feed} {bill.since}", content, bill))

    def _write(self, tx: Tx, feed: str, name: str, content: bytes, bill: BillContent) -> None:
        sha256 = hashlib.sha256(content).hexdigest()
        document = {"provider_account": "apple", "feed": feed, "name": name, "sha256": sha256}
        span = {"since": bill.since, "until": bill.until}
        tx.execute(
            insert(BILLS).values(
                **document, **span, size=len(content), content=zlib.compress(content), fetched_at=tx.now
            )
        )
        named = [BILL_READINGS.c[column] == document[column] for column in ("provider_account", "feed", "name")]
        tx.execute(update(BILL_READINGS).where(*named).values(status="replaced"))
        number, lines = next(self.numbers), list(bill.lines)
        reading = {**document, **span, "id": number, "side": bill.side, "status": "read", "zone": bill.zone}
        tx.execute(insert(BILL_READINGS).values(**reading, lines=len(lines), read_at=tx.now))
        for position, line in enumerate(lines, start=1):
            row = {**asdict(line), "kind": line.kind.value, "reading_id": number, "position": position}
            tx.execute(insert(BILL_LINES).values(provider_account="apple", **row))

    def book(self) -> int:
        """The worker's rounds until nothing is left; how many transfers were made."""
        before = self._shares()
        while bill_bookings.book_due_bills(self.store.core, 10):
            pass
        return self._shares() - before

    def _shares(self) -> int:
        query = text("/* sweep: audit */ SELECT count(*) FROM transfers WHERE kind = 'store_share'")
        return int(self.store.core.whole.read(lambda tx: tx.execute(query).scalar_one()))

    def change(self, statement: str) -> None:
        """Somebody at the database."""
        self.store.core.whole.transact(lambda tx: tx.execute(text(f"/* sweep: audit */ {statement}")))

    def found(self) -> list[str]:
        """What the audit finds."""
        core = self.store.core
        return [found.what for found in run.audit(core.whole.sessions, AsOf(core.rules.ledger, core.clock.now))]

    def money(self, code: str, currency: str = "CNY") -> int:
        """What the account has more on the debit side."""
        return -self.store.world.money(f"{code}:apple", currency)

    def sales(self, since: datetime, until: datetime) -> list[store_sales.StoreSale]:
        account = self.store.account
        return self.store.core.whole.read(lambda tx: list(store_sales.store_sales(tx, account, since, until)))

    def units(self, first: date, last: date) -> list[UnitDifference]:
        return self.store.core.whole.read(lambda tx: unit_differences(tx, self.store.account, first, last))

    def refunds(self, month: date) -> list[UnitDifference]:
        return self.store.core.whole.read(lambda tx: refund_differences(tx, self.store.account, month))


@pytest.fixture
def desk(engine: Engine, sessions: Sessions) -> Desk:
    return Desk(Store(build_world(engine, sessions)))


def cny(minor: int) -> Amount:
    return Amount(minor, "CNY")


def sell(desk: Desk) -> None:
    """Three in China (5.88 after tax, 4.41 after a quarter of it), one of them given back later; one in Japan."""
    device = desk.store.device()
    device.buy(PRODUCT, quantity=2)
    back = device.buy(PRODUCT)
    device.buy(PRODUCT, price=120_000, currency="JPY", storefront="JPN")
    desk.store.world.clock.advance(timedelta(days=3).total_seconds())
    desk.store.shop.control("refund", id=back)
    desk.store.deliver()


def test_the_stores_share_is_booked_once_and_what_is_left_is_what_it_pays(desk: Desk) -> None:
    sell(desk)
    assert (desk.money("clearing"), desk.money("clearing", "JPY")) == (1200, 120)
    report = desk.store.shop.store.reports.detail(MONTH)
    desk.bring("finance_detail", report)
    assert desk.book() == 2
    assert (desk.money("clearing"), desk.money("store_share")) == (2 * 441, 2 * 159)
    assert (desk.money("clearing", "JPY"), desk.money("store_share", "JPY")) == (76, 44)
    assert desk.book() == 0
    desk.store.world.assert_balanced()


def test_a_report_that_is_made_anew_is_one_more_transfer_and_workers_side_by_side_book_once(desk: Desk) -> None:
    sell(desk)
    reports = desk.store.shop.store.reports
    whole = reports.detail(MONTH)
    terms = desk.store.shop.store.config.terms
    terms.is_small_business = True
    desk.bring("finance_detail", reports.detail(MONTH), "month")
    account = desk.store.account
    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(lambda _: store_sales.book_shares(desk.store.core, account), range(4))) == 2
    assert desk.money("store_share") == 1200 - 2 * 517  # 5.88 less 12 %
    desk.bring("finance_detail", whole, "month")
    assert desk.book() == 2
    assert (desk.money("store_share"), desk.money("clearing")) == (2 * 159, 2 * 441)
    desk.store.world.assert_balanced()


def test_two_kinds_of_report_and_two_files_of_one_region_tell_the_same_money_once(desk: Desk) -> None:
    sell(desk)
    reports = desk.store.shop.store.reports
    desk.bring("financial_report", reports.financial(MONTH), "all regions")
    desk.bring("financial_report", reports.financial(MONTH, "CN"), "China alone")
    assert (desk.book(), desk.money("store_share")) == (2, 2 * 159)
    desk.bring("finance_detail", reports.detail(MONTH))
    assert (desk.book(), desk.money("store_share")) == (0, 2 * 159)


@on_sqlite
def test_products_of_the_vendors_other_apps_are_none_of_our_share(desk: Desk) -> None:
    sell(desk)
    desk.store.shop.control("sell-other", sku="other.gems", app="OTHERAPP", units=50, day="2026-01-05")
    desk.bring("finance_detail", desk.store.shop.store.reports.detail(MONTH))
    desk.book()
    assert (desk.money("store_share"), desk.money("clearing")) == (2 * 159, 2 * 441)


@on_sqlite
def test_what_is_not_reported_yet_is_an_estimate_and_coins_without_a_price_are_listed(desk: Desk) -> None:
    sell(desk)
    desk.bring("finance_detail", desk.store.shop.store.reports.detail(MONTH))
    desk.store.world.clock.advance(timedelta(days=40).total_seconds())
    device = desk.store.device("bob")
    device.buy(PRODUCT)
    device.buy(PRODUCT, price=None, quantity=2)
    desk.store.account = replace(desk.store.account, estimated_share=25)
    rows = desk.sales(MONTH.since, desk.store.world.clock.now() + timedelta(days=1))
    told = [(row.territory, row.units, row.gross_minor, row.proceeds_minor, row.share_minor) for row in rows]
    assert told == [
        ("CN", 2, 1200, 882, 318),
        ("JP", 1, 120, 76, 44),
        ("CN", 2, None, None, None),
        ("CN", 1, 600, 450, 150),
    ]
    assert [row.is_estimated for row in rows] == [False, False, True, True]
    assert {row.period for row in rows[:2]} == {"2025-12-28/2026-01-31"}
    span = Span(MONTH.since, desk.store.world.clock.now() + timedelta(days=1))
    read = desk.store.core.whole.read
    sheet = read(lambda tx: list(draw_report(tx, "store-sales", ReportWanted(span)).rows), snapshot=True)
    assert sheet[0][3:] == ("CN", 2, cny(1200), "CNY", cny(882), "CNY", cny(318), "no")
    assert sheet[2][3:] == ("CN", 2, None, None, None, None, None, "yes")
    assert sheet[3][3:] == ("CN", 1, cny(600), "CNY", cny(420), "CNY", cny(180), "yes")  # 30 % if nothing is set
    assert (desk.book(), desk.money("store_share")) == (2, 318)  # nothing is booked by an estimate
    assert desk.money("clearing") == 1200 - 318 + 600


@on_sqlite
def test_what_the_store_pays_in_another_currency_is_listed_and_not_booked(desk: Desk) -> None:
    sell(desk)
    report = desk.store.shop.store.reports.financial(MONTH, "JP")
    assert report is not None
    desk.bring("financial_report", gzip.decompress(report).replace(b"75.60\tJPY", b"75.60\tCNY"))
    assert desk.book() == 0
    (row,) = desk.sales(MONTH.since, MONTH.until)
    assert (row.currency, row.gross_minor, row.proceeds_currency, row.proceeds_minor) == ("JPY", 120, "CNY", 7560)
    assert row.share_minor is None


def test_each_unit_that_one_side_lacks_is_found_by_its_day_and_none_is_invented(desk: Desk) -> None:
    """A purchase that we never heard of, one that the store does not report, and those of other apps."""
    sell(desk)
    reports = desk.store.shop.store.reports
    days = [FIRST + timedelta(days=number) for number in range(6)]
    last = days[-1]
    desk.store.shop.control("sell-other", sku=PRODUCT, app="SIMULATEDAPP", units=1, day=str(last), share="4.41")
    for day in days:
        content = reports.sales(day_period(day))
        if content is not None:
            desk.bring("sales_report", content)
    assert desk.units(FIRST, last) == [UnitDifference(UnitFault.THEIRS_NOT_OURS, PRODUCT, "CN", last, 1)]
    # Bought on the second of January, in California, when the report of that day was made.
    on_second = (START + timedelta(days=1)).timestamp()
    desk.store.device("carol").buy(PRODUCT, storefront="DEU", purchaseDate=int(on_second) * 1000)
    assert desk.units(FIRST, days[1]) == [UnitDifference(UnitFault.OURS_NOT_THEIRS, PRODUCT, "DE", days[1], 1)]
    assert desk.units(FIRST, FIRST) == []


@on_sqlite
def test_a_refund_that_we_never_heard_of_is_found_by_its_month(desk: Desk) -> None:
    sell(desk)
    reports, shop = desk.store.shop.store.reports, desk.store.shop
    shop.store.faults.lose = 2
    shop.control("refund", id=desk.store.device("dave").buy(PRODUCT))
    desk.store.deliver()
    for day in (FIRST, FIRST + timedelta(days=3)):
        desk.bring("sales_report", reports.sales(day_period(day)))
    assert desk.refunds(FIRST) == [UnitDifference(UnitFault.THEIRS_NOT_OURS, PRODUCT, "CN", FIRST, 1)]


@on_sqlite
def test_a_period_is_the_reports_own(desk: Desk) -> None:
    sell(desk)
    desk.bring("finance_detail", desk.store.shop.store.reports.detail(MONTH))
    (period,) = desk.store.core.whole.read(lambda tx: store_sales.reported_periods(tx, desk.store.account.name))
    assert (period.since, period.until) == (
        datetime(2025, 12, 28, 8, tzinfo=UTC),
        datetime(2026, 2, 1, 8, tzinfo=UTC),
    )
    assert period.name == "2025-12-28/2026-01-31"


@pytest.mark.one_database
def test_the_share_counts_at_the_end_of_its_period_and_not_when_it_was_booked(desk: Desk) -> None:
    sell(desk)
    desk.store.world.clock.advance(timedelta(days=40).total_seconds())
    desk.bring("finance_detail", desk.store.shop.store.reports.detail(MONTH))
    desk.book()
    query = text("/* sweep: audit */ SELECT DISTINCT effective_at FROM transfers WHERE kind = 'store_share'")
    told = desk.store.core.whole.read(lambda tx: tx.execute(query.columns(effective_at=Moment)).scalars().all())
    assert told == [MONTH.until - timedelta(microseconds=1)]
    assert desk.found() == []


@on_sqlite
def test_a_product_that_joins_the_catalogue_later_has_its_share_then(desk: Desk) -> None:
    device = desk.store.device()
    device.buy("gold", price=3_000)
    desk.bring("finance_detail", desk.store.shop.store.reports.detail(MONTH))
    assert (desk.book(), desk.found()) == (0, [])
    import_products(desk.store.core, parse_catalogue(GOLD))
    device.launch()
    assert (desk.book(), desk.money("store_share")) == (1, 300 - 221)  # 2.94 after tax, 2.205 after a quarter
    assert desk.found() == []


@on_sqlite
def test_the_audit_finds_a_share_that_no_report_tells_and_one_that_is_missing(desk: Desk) -> None:
    sell(desk)
    desk.bring("finance_detail", desk.store.shop.store.reports.detail(MONTH))
    desk.change("UPDATE bill_readings SET booked_at = read_at")
    assert desk.found() == ["store_share"]  # nothing is booked
    desk.change("UPDATE bill_readings SET booked_at = NULL")
    desk.book()
    assert desk.found() == []
    desk.change("UPDATE bill_readings SET status = 'refused'")
    assert set(desk.found()) == {"store_share"}
