"""`scan` of trade bills in both generations: days, pages, and bills that are not there or not true."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import pytest

from app.domain.money import Money
from app.providers import (
    Declined,
    Fact,
    HttpClient,
    Kind,
    Page,
    Provider,
    Ref,
    Retryable,
    Scans,
    key_of,
)
from app.providers.testing.doubles import FixedClock, WsgiClient
from plugins.wechat.bills.feeds import TRADE_BILL
from plugins.wechat.bills.pages import BillPages
from plugins.wechat.bills.reading import fact_of
from plugins.wechat.merchant import Merchant
from plugins.wechat.simulated.bills import make_bill
from plugins.wechat.v2.provider import BILL_ROWS
from tests.plugins.wechat.worlds import API_URL, PublicKeyWorld, V2World, V3World, WeChatWorld

A_DAY = timedelta(days=1)
SECOND_OF_JANUARY = datetime(2026, 1, 1, 16, tzinfo=UTC)
"""The beginning of 2 January in Beijing; the tests' clock starts at 11:04 of that day there."""
READY = datetime(2026, 1, 3, 2, tzinfo=UTC)
WORLDS = [V3World, PublicKeyWorld, V2World]


def at(world: WeChatWorld, moment: datetime) -> None:
    world.clock.advance((moment - world.clock.now()).total_seconds())


def paid(world: WeChatWorld, fen: int = 600) -> Fact:
    provider, intent = world.make_provider(world.tools()), world.intent(fen=fen)
    provider.start(intent)
    (message,) = world.pay(intent)
    return provider.receive(message).facts[0]


def refunded(world: WeChatWorld, payment: Fact, number: str = "81", status: str = "SUCCESS") -> None:
    world.wechat.refund_on_the_merchant_site(str(payment.ref.ours), 200, number)
    if status:
        world.wechat.finish_refund(number, status)


def scan(
    world: WeChatWorld,
    http: HttpClient | None = None,
    *,
    days: int = 1,
    cursor: str | None = None,
    since: datetime = SECOND_OF_JANUARY,
) -> Page:
    provider: Provider = world.make_provider(world.tools(http))
    assert isinstance(provider, Scans)
    return provider.scan(TRADE_BILL, since, since + days * A_DAY, cursor)


def all_pages(world: WeChatWorld, days: int = 1) -> Iterator[Page]:
    cursor: str | None = None
    while True:
        page = scan(world, days=days, cursor=cursor)
        yield page
        if page.cursor is None:
            return
        cursor = page.cursor


def requests_of(world: WeChatWorld) -> list[tuple[str, str, bytes]]:
    assert isinstance(world.http, WsgiClient)
    return world.http.requests


@pytest.mark.parametrize("world_class", WORLDS)
def test_a_bill_tells_the_same_facts_as_the_notifications(world_class: type[WeChatWorld]) -> None:
    world = world_class(FixedClock())
    told = paid(world)
    refunded(world, told)
    (asked,) = world.make_provider(world.tools()).query(Ref(ours=told.ref.ours, refund="81"))
    at(world, READY)

    page = scan(world)

    listed, given_back = page.facts
    assert key_of(listed) == key_of(told)
    assert (listed.kind, listed.money, listed.at, listed.ref) == (told.kind, told.money, told.at, told.ref)
    assert key_of(given_back) == key_of(asked)
    assert (given_back.kind, given_back.money, given_back.ref) == (Kind.REFUNDED, Money(200, "CNY"), asked.ref)
    assert {fact.account for fact in page.facts} == {told.account}
    assert page.cursor is None


def test_a_v3_bill_tells_the_fee_and_brings_its_file() -> None:
    world = V3World(FixedClock())
    paid(world, 100_00)
    at(world, READY)
    page = scan(world)
    assert [fact.fee for fact in page.facts] == [Money(60, "CNY")]
    assert [(name, content[:2]) for name, content in page.files] == [("1900000109_20260102.csv.gz", b"\x1f\x8b")]


def test_the_amount_is_what_was_ordered_whatever_coupons_left_of_it() -> None:
    world = V3World(FixedClock())
    provider, intent = world.make_provider(world.tools()), world.intent()
    provider.start(intent)
    world.wechat.pay(str(intent.ref.ours), coupon=250)
    at(world, READY)
    assert [fact.money for fact in scan(world).facts] == [Money(600, "CNY")]


@pytest.mark.parametrize("world_class", [V3World, V2World])
@pytest.mark.parametrize(
    ("status", "kind"),
    [("", Kind.REFUND_PENDING), ("CLOSED", Kind.REFUND_FAILED), ("ABNORMAL", Kind.REFUND_FAILED)],
)
def test_a_refund_that_did_not_arrive_is_not_told_as_one(
    world_class: type[WeChatWorld], status: str, kind: Kind
) -> None:
    world = world_class(FixedClock())
    refunded(world, paid(world), status=status)
    at(world, READY)
    assert [fact.kind for fact in scan(world).facts] == [Kind.PAID, kind]


def test_a_bill_is_made_once_and_a_refund_that_ends_later_stays_in_progress_there() -> None:
    """v3 believes the row and says "in progress", so that the core asks; v2 asks about the row itself."""
    told: dict[type[WeChatWorld], list[Kind]] = {}
    for world_class in (V3World, V2World):
        world = world_class(FixedClock())
        refunded(world, paid(world), status="")
        at(world, READY + A_DAY)
        world.wechat.finish_refund("81")
        page = scan(world)
        told[world_class] = [fact.kind for fact in page.facts]
        (asked,) = world.make_provider(world.tools()).query(page.facts[1].ref)
        assert asked.kind is Kind.REFUNDED
        assert scan(world, since=SECOND_OF_JANUARY + A_DAY, cursor="2026-01-03/0").facts == ()
    assert told == {V3World: [Kind.PAID, Kind.REFUND_PENDING], V2World: [Kind.PAID, Kind.REFUNDED]}


@pytest.mark.parametrize("world_class", [V3World, V2World])
def test_each_day_is_a_bill_of_its_own(world_class: type[WeChatWorld]) -> None:
    world = world_class(FixedClock())
    first = paid(world)
    world.clock.advance(2 * A_DAY.total_seconds())  # nothing on the third
    second = paid(world)
    at(world, READY + 2 * A_DAY)

    pages = list(all_pages(world, days=3))

    assert [[key_of(fact) for fact in page.facts] for page in pages] == [[key_of(first)], [], [key_of(second)]]
    assert [len(page.files) for page in pages] == [1, 0, 1]


@pytest.mark.parametrize("world_class", [V3World, V2World])
def test_a_payment_just_before_midnight_in_beijing_is_on_that_day(world_class: type[WeChatWorld]) -> None:
    world = world_class(FixedClock())
    at(world, SECOND_OF_JANUARY + A_DAY - timedelta(seconds=1))
    told = paid(world)
    at(world, READY + A_DAY)
    assert [key_of(fact) for fact in scan(world).facts] == [key_of(told)]
    assert scan(world, since=SECOND_OF_JANUARY + A_DAY).facts == ()


@pytest.mark.parametrize("world_class", [V3World, V2World])
def test_payments_are_cut_to_the_window_and_refunds_are_not(world_class: type[WeChatWorld]) -> None:
    world = world_class(FixedClock())
    told = paid(world)
    refunded(world, told)
    at(world, READY)
    page = scan(world, since=told.at + timedelta(seconds=1), cursor="2026-01-02/0")
    assert [fact.kind for fact in page.facts] == [Kind.REFUNDED]


@pytest.mark.parametrize("world_class", [V3World, V2World])
def test_a_bill_of_today_is_not_asked_for_before_it_can_be_there(world_class: type[WeChatWorld]) -> None:
    world = world_class(FixedClock())
    paid(world)
    before = len(requests_of(world))
    for moment in (world.clock.now(), SECOND_OF_JANUARY + A_DAY, READY - timedelta(seconds=1)):
        at(world, moment)
        with pytest.raises(Retryable) as told:
            scan(world)
        assert told.value.not_before == READY
    assert len(requests_of(world)) == before


@pytest.mark.parametrize("world_class", [V3World, V2World])
def test_a_bill_that_is_still_being_made_is_asked_for_again_and_never_empty(world_class: type[WeChatWorld]) -> None:
    world = world_class(FixedClock())
    told = paid(world)
    at(world, READY + 7 * A_DAY)
    world.wechat.situation.bill = "creating"
    with pytest.raises(Retryable) as waiting:
        scan(world)
    assert waiting.value.not_before == world.clock.now() + timedelta(minutes=30)
    world.wechat.situation.bill = "made"
    assert [key_of(fact) for fact in scan(world).facts] == [key_of(told)]


@pytest.mark.parametrize("world_class", [V3World, V2World])
def test_a_quiet_day_is_an_empty_page(world_class: type[WeChatWorld]) -> None:
    world = world_class(FixedClock())
    at(world, READY)
    assert scan(world) == Page((), None)


def test_other_appids_of_the_merchant_are_other_accounts() -> None:
    """v3 gives the bill of the whole merchant, whichever appid the account has."""
    world = V3World(FixedClock())
    paid(world)
    at(world, READY)
    other = world.build(world.settings() | {"appid": "wxffffffffffffffff"}, world.tools())
    assert isinstance(other, Scans)
    assert other.scan(TRADE_BILL, SECOND_OF_JANUARY, READY, "2026-01-02/0").facts == ()


def test_a_long_bill_is_many_pages_and_its_file_comes_with_the_first() -> None:
    world = V3World(FixedClock())
    told = [paid(world) for _ in range(5)]
    at(world, READY)
    content = make_bill(world.wechat.books.orders.values(), world.config, date(2026, 1, 2)).encode()
    merchant = Merchant(world.config.mchid, world.config.appid, live=False)
    pages_of_two = BillPages(
        merchant, world.clock, fetch=lambda _: content, tell=lambda row: (fact_of(row, merchant),), page_rows=2
    )

    pages: list[Page] = []
    cursor = ""
    while len(pages) < 3:
        pages.append(pages_of_two.page(SECOND_OF_JANUARY, READY, cursor))
        cursor = pages[-1].cursor or ""

    assert [len(page.facts) for page in pages] == [2, 2, 1]
    assert [key_of(fact) for page in pages for fact in page.facts] == [key_of(fact) for fact in told]
    assert [page.cursor for page in pages] == ["2026-01-02/2", "2026-01-02/4", "2026-01-03/0"]
    assert [len(page.files) for page in pages] == [1, 0, 0]


def test_a_v2_page_asks_about_no_more_rows_than_fit_into_its_time() -> None:
    world = V2World(FixedClock())
    told = [paid(world) for _ in range(BILL_ROWS + 1)]
    at(world, READY)
    pages = list(all_pages(world))
    assert [len(page.facts) for page in pages] == [BILL_ROWS, 1]
    assert {key_of(fact) for page in pages for fact in page.facts} == {key_of(fact) for fact in told}


@pytest.mark.parametrize("cursor", ["2026-01-02", "2026-13-02/0", "yesterday", "2026-01-02/-1", "/0"])
@pytest.mark.parametrize("world_class", [V3World, V2World])
def test_a_cursor_that_is_not_ours_is_declined(world_class: type[WeChatWorld], cursor: str) -> None:
    world = world_class(FixedClock())
    at(world, READY)
    with pytest.raises(Declined):
        scan(world, cursor=cursor)


def test_a_feed_that_is_not_there_is_declined() -> None:
    world = V3World(FixedClock())
    provider = world.make_provider(world.tools())
    assert isinstance(provider, Scans)
    with pytest.raises(Declined):
        provider.scan("refunds", SECOND_OF_JANUARY, READY, None)


def test_the_simulators_address_is_the_one_it_is_served_under() -> None:
    world = V3World(FixedClock())
    paid(world)
    at(world, READY)
    scan(world)
    assert all(url.startswith(API_URL) for _, url, _ in requests_of(world))
