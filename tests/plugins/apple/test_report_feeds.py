"""Reports fetched from the simulated App Store Connect, and what they say of the store's own purchases."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from typing import Any

import jwt
import pytest

from app.providers import (
    BillLine,
    Declined,
    Fact,
    HttpResponse,
    Kind,
    Misconfigured,
    Page,
    Retryable,
    Unknown,
    capabilities,
)
from app.providers.testing.doubles import FixedClock, RewritingHttp
from plugins.apple.reports.calendar import Period, day_period
from plugins.apple.simulated.connect import NO_REPORT
from tests.plugins.apple.world import STORE_URL, Shop

START = datetime(2026, 4, 1, 12, tzinfo=UTC)
"""In the fiscal month 2026-07, 2026-03-29 to 2026-05-02, whose report is due on 2026-05-08."""
DUE = datetime(2026, 5, 8, 15, tzinfo=UTC)
NO_CONNECT = ("vendor_number", "connect_issuer_id", "connect_key_id", "connect_private_key")


def shop_at(moment: datetime = START, **config: Any) -> Shop:
    return Shop(FixedClock(moment), **config)


def go_to(shop: Shop, moment: datetime) -> None:
    shop.clock.advance((moment - shop.clock.now()).total_seconds())


def lines_of(provider: Any, page: Page, feed: str) -> list[BillLine]:
    return [line for name, content in page.files for line in provider.read_bill(feed, name, content).lines]


def fetched(shop: Shop, feed: str, since: datetime, until: datetime) -> list[BillLine]:
    """All lines of that window."""
    provider, cursor, lines = shop.provider(), None, list[BillLine]()
    while True:
        page = provider.scan(feed, since, until, cursor)
        assert page.problems == ()
        lines += lines_of(provider, page, feed)
        cursor = page.cursor
        if cursor is None:
            return lines


def test_without_a_team_key_reports_are_read_and_not_fetched() -> None:
    shop = shop_at()
    shop.buy()
    report = shop.store.reports.sales(_day("2026-04-01"))
    assert report is not None
    nothing: dict[str, Any] = dict.fromkeys(NO_CONNECT)
    provider = shop.provider(**nothing)
    assert not set(provider.feeds) & set(provider.bill_feeds)
    assert "bills" in capabilities(provider)
    assert len(list(provider.read_bill("sales_report", "by hand", report).lines)) == 1
    with pytest.raises(Misconfigured, match="team key"):
        provider.scan("sales_report", START, START, None)


@pytest.mark.parametrize("missing", NO_CONNECT)
def test_a_part_of_a_team_key_is_refused(missing: str) -> None:
    with pytest.raises(Misconfigured, match=missing):
        shop_at().provider(**{missing: None})


def test_a_days_report_is_waited_for_and_then_there_once_for_each_day() -> None:
    shop = shop_at()
    provider = shop.provider()
    shop.buy(quantity=3)
    go_to(shop, START + timedelta(days=1))
    shop.buy()
    until = shop.clock.now()
    with pytest.raises(Retryable) as early:  # noon in London is 5 in California
        provider.scan("sales_report", START, until, None)
    assert early.value.not_before == datetime(2026, 4, 2, 15, tzinfo=UTC)
    go_to(shop, datetime(2026, 4, 2, 15, tzinfo=UTC))
    first = provider.scan("sales_report", START, until, None)
    assert [name for name, _ in first.files] == ["sales_report_2026-04-01.txt.gz"]
    assert first.cursor == "2026-04-02"
    with pytest.raises(Retryable):
        provider.scan("sales_report", START, until, first.cursor)
    go_to(shop, datetime(2026, 4, 3, 15, tzinfo=UTC))
    second = provider.scan("sales_report", START, until, first.cursor)
    assert second.cursor is None
    units = [
        line.cell.units for page in (first, second) for line in lines_of(provider, page, "sales_report") if line.cell
    ]
    assert units == [3, 1]


def test_a_day_without_sales_is_asked_for_two_days_and_then_left() -> None:
    """Apple says the same of a report that is late and of one that is not made."""
    shop = shop_at()
    go_to(shop, datetime(2026, 4, 4, 14, 59, tzinfo=UTC))
    with pytest.raises(Retryable) as waits:
        shop.provider().scan("sales_report", START, START, None)
    assert waits.value.not_before == shop.clock.now() + timedelta(hours=3)
    go_to(shop, datetime(2026, 4, 4, 15, tzinfo=UTC))
    assert shop.provider().scan("sales_report", START, START, None) == Page((), None)


def test_the_version_that_apple_names_is_asked_for() -> None:
    shop = shop_at(sales_version="1_3")
    shop.buy()
    go_to(shop, START + timedelta(days=2))
    assert len(fetched(shop, "sales_report", START, START)) == 1


def test_a_token_is_a_team_keys_good_for_its_path_and_short() -> None:
    shop = shop_at()
    shop.buy()
    go_to(shop, START + timedelta(days=2))
    seen = list[tuple[str, dict[str, str]]]()

    class Watching:
        def request(self, method: str, url: str, **more: Any) -> HttpResponse:
            seen.append((url, more["headers"]))
            return shop.http.request(method, url, **more)

    shop.provider(http=Watching()).scan("sales_report", START, START, None)
    ((url, headers),) = seen
    token = headers["authorization"].removeprefix("Bearer ")
    claims = jwt.decode(token, options={"verify_signature": False})
    assert jwt.get_unverified_header(token) == {"alg": "ES256", "kid": "SIMULATED2", "typ": "JWT"}
    assert claims["exp"] - claims["iat"] <= 1200
    assert (claims["aud"], claims["scope"]) == ("appstoreconnect-v1", ["GET /v1/salesReports"])
    assert "bid" not in claims
    assert url.startswith(f"{STORE_URL}/v1/salesReports?filter%5BvendorNumber%5D=80012345&")


@pytest.mark.parametrize(
    "changes", [{"connect_key_id": "OTHER"}, {"connect_issuer_id": "another"}, {"vendor_number": "1"}]
)
def test_another_teams_key_or_vendor_is_a_fault_of_the_settings(changes: dict[str, Any]) -> None:
    with pytest.raises(Misconfigured):
        shop_at().provider(**changes).scan("sales_report", START, START, None)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (HttpResponse(404, {}, b"<html>not found</html>"), Unknown),
        (HttpResponse(404, {}, b'{"error": "no route"}'), Unknown),
        (HttpResponse(400, {}, b"<html>"), Unknown),
        (HttpResponse(200, {}, b"<html>welcome</html>"), Unknown),
        (HttpResponse(200, {}, b""), Unknown),
        (HttpResponse(500, {}, b""), Unknown),
        (HttpResponse(429, {}, b""), Retryable),
        (HttpResponse(404, {}, json.dumps({"errors": [{"status": "404", "detail": NO_REPORT}]}).encode()), Retryable),
        (HttpResponse(400, {}, b'{"errors": [{"status": "400", "detail": "no"}]}'), Misconfigured),
    ],
)
def test_an_answer_that_is_not_apples_says_nothing(answer: HttpResponse, expected: type[Exception]) -> None:
    shop = shop_at()
    with pytest.raises(expected):
        shop.provider(http=RewritingHttp(shop.http, lambda _: answer)).scan("sales_report", START, START, None)


def test_a_report_that_stays_unreadable_is_handed_on_with_its_problem() -> None:
    shop = shop_at()
    shop.buy()
    go_to(shop, START + timedelta(days=4))
    cut = RewritingHttp(shop.http, lambda answer: replace(answer, body=answer.body[:-9]))
    page = shop.provider(http=cut).scan("sales_report", START, START, None)
    assert len(page.files) == 1
    assert "not whole" in page.problems[0]


@pytest.mark.parametrize(("feed", "cursor"), [("sales_report", "2026-13-01"), ("finance_detail", "x")])
def test_a_cursor_of_nobodys_is_declined(feed: str, cursor: str) -> None:
    with pytest.raises(Declined):
        shop_at().provider().scan(feed, START, START, cursor)


def test_a_month_of_the_store_is_reported_as_it_was_sold() -> None:
    """Sales, refunds, an upgrade, a trial, other apps, other countries, late and lost money: each report is compared
    with what the signed transactions said, counted here by hand."""
    shop = shop_at()
    told = Counter[tuple[str, str]]()
    paid = list[Fact]()

    def hear(purchase: Any) -> Any:
        for fact in shop.provider().receive(shop.receipt(purchase)).facts:
            if fact.kind is Kind.PAID:
                paid.append(fact)
                told[fact.product or "", fact.storefront or ""] += fact.quantity or 1
        return purchase

    refunded = hear(shop.buy(quantity=2))
    hear(shop.buy(price=120_000, currency="JPY", storefront="JPN"))
    late = hear(shop.buy(price=4_990, currency="GBP", storefront="GBR"))
    lost = hear(shop.buy(price=4_990, currency="EUR", storefront="DEU"))
    shop.store.purchases.collect(shop.environment, late.id, 40)
    shop.store.purchases.collect(shop.environment, lost.id, None)
    gold = hear(shop.subscribe(price=12_000))
    shop.subscribe(offerDiscountType="FREE_TRIAL", offerType=1, price=0)
    shop.buy(inAppOwnershipType="FAMILY_SHARED")
    shop.control("sell-other", sku="other.gems", app="OTHERAPP", units=9)
    shop.control("sell-other", sku="OTHERAPP", app="", type="1F", units=70)
    go_to(shop, START + timedelta(days=15))
    hear(shop.store.purchases.upgrade(shop.environment, gold.id, "platinum-monthly"))
    shop.store.purchases.refund(shop.environment, refunded.id)
    go_to(shop, DUE)

    sales = fetched(shop, "sales_report", START, START + timedelta(days=16))
    sold = Counter[tuple[str, str]]()
    for line in sales:
        assert line.cell is not None
        if line.cell.units > 0 and line.cell.price_minor:
            sold[line.cell.product, line.cell.territory] += line.cell.units
    assert sold == told
    back = {(line.cell.product, line.cell.units) for line in sales if line.cell and line.cell.units < 0}
    assert back == {("coins-600", -2), ("gold-monthly", -1)}

    window = (START, START + timedelta(days=16))
    detail, financial = fetched(shop, "finance_detail", *window), fetched(shop, "financial_report", *window)
    assert _money(detail) == _money(financial)
    ours = [line for line in detail if line.cell and line.cell.product != "other.gems"]
    assert {line.currency for line in ours} == {"CNY", "JPY"}  # late and lost money is not in it
    shares = {price: _share(Fraction(price), tax=2, rate=25) for price in ("6.00", "12.00")}
    half = _share(Fraction("6.00"), tax=2, rate=25)  # 15 of 30 days of 12.00 came back
    expected = 2 * shares["6.00"] - 2 * shares["6.00"] + 2 * shares["12.00"] - half
    assert sum(line.amount_minor for line in ours if line.currency == "CNY") == expected
    yen = next(line for line in ours if line.currency == "JPY")
    assert yen.amount_minor == 76  # 120 less 10 % tax less 30 % is 75.6
    assert fetched(shop, "finance_detail", *window) == detail

    go_to(shop, DUE + timedelta(days=60))
    month_after = fetched(shop, "finance_detail", datetime(2026, 5, 10, tzinfo=UTC), datetime(2026, 5, 11, tzinfo=UTC))
    assert [(line.currency, line.at.date().isoformat()) for line in month_after] == [("GBP", "2026-04-01")]


def test_a_subscriber_of_more_than_a_year_costs_the_lower_rate() -> None:
    shop = shop_at()
    gold = shop.subscribe(price=12_000)
    go_to(shop, START + timedelta(days=366))
    shop.store.purchases.renew(shop.environment, gold.id)
    day = shop.clock.now()
    go_to(shop, day + timedelta(days=3))
    (line,) = fetched(shop, "sales_report", day, day)
    assert (line.amount_minor, line.note) == (_share(Fraction("12.00"), tax=2, rate=12), "Rate After One Year")


def _share(price: Fraction, *, tax: int, rate: int) -> int:
    """In fen, half up."""
    fen = price * 100 * (100 - tax) / 100 * (100 - rate) / 100
    return int(Decimal(fen.numerator * 1000 // fen.denominator).scaleb(-3).to_integral_value(ROUND_HALF_UP))


def _money(lines: list[BillLine]) -> Counter[tuple[str, str, str]]:
    sums = Counter[tuple[str, str, str]]()
    for line in lines:
        assert line.cell is not None
        sums[line.cell.product, line.cell.territory, line.currency] += line.amount_minor
    return sums


def _day(name: str) -> Period:
    return day_period(date.fromisoformat(name))
