"""`scan` of fund flow bills in both generations, beside the trade bill and apart from it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from app.domain.bill_lines import BillLine, BillSide, LineKind
from app.providers import (
    ClientCertificate,
    Declined,
    HttpResponse,
    Misconfigured,
    Page,
    Provider,
    ReadsBills,
    Retryable,
    Scans,
    Unknown,
    key_of,
)
from app.providers.testing.doubles import FixedClock
from plugins.wechat.bills.feeds import BILL_FEEDS, FUND_ACCOUNTS, FUND_BILL, TRADE_BILL
from plugins.wechat.v2.signing import V2Key
from plugins.wechat.v2.xml import parse_xml, write_xml
from tests.plugins.wechat.test_bills import A_DAY, READY, SECOND_OF_JANUARY, all_pages, at, paid, refunded
from tests.plugins.wechat.worlds import V2RefundingWorld, V2World, V3World, WeChatWorld


class V2Md5RefundingWorld(V2RefundingWorld):
    """Orders are signed with MD5; fund flow bills cannot be."""

    sign_type = "MD5"


class AllFundsV3World(V3World):
    """A merchant who uses all three balances."""

    def settings(self) -> dict[str, Any]:
        return super().settings() | {"fund_accounts": list(FUND_ACCOUNTS.values())}


class AllFundsV2World(V2RefundingWorld):
    """A merchant of API v2 who uses all three balances."""

    def settings(self) -> dict[str, Any]:
        return super().settings() | {"fund_accounts": list(FUND_ACCOUNTS.values())}


WORLDS = [V3World, V2RefundingWorld]


def scan(world: WeChatWorld, feed: str = FUND_BILL, cursor: str | None = None, days: int = 1, http: Any = None) -> Page:
    provider: Provider = world.make_provider(world.tools(http))
    assert isinstance(provider, Scans)
    return provider.scan(feed, SECOND_OF_JANUARY, SECOND_OF_JANUARY + days * A_DAY, cursor)


def lines(world: WeChatWorld, feed: str = FUND_BILL, days: int = 1) -> list[BillLine]:
    """The lines of all the bills of a feed."""
    provider = world.make_provider(world.tools())
    assert isinstance(provider, ReadsBills)
    found: list[BillLine] = []
    cursor: str | None = None
    while True:
        page = scan(world, feed, cursor, days)
        assert page.problems == ()
        for name, content in page.files:
            bill = provider.read_bill(feed, name, content)
            assert bill.problems == ()
            found += bill.lines
        cursor = page.cursor
        if cursor is None:
            return found


@pytest.mark.parametrize("world_class", WORLDS)
def test_a_day_of_funds_is_fetched_and_tells_no_facts(world_class: type[WeChatWorld]) -> None:
    world = world_class(FixedClock())
    payment = paid(world, 100_00)
    world.clock.advance(3600)
    refunded(world, payment)
    world.wechat.funds.pay_out(50_00)
    at(world, READY)

    page = scan(world)

    assert (page.facts, page.problems, page.cursor) == ((), (), None)
    (name, _), ending = page.files[0], ".csv.gz" if world_class is V3World else ".csv"
    assert name == f"1900000109_20260102_basic{ending}"
    assert [(line.kind, line.amount_minor, line.balance_minor) for line in lines(world)] == [
        (LineKind.PAYMENT, 100_00, 100_00),
        (LineKind.FEE, -60, 99_40),
        (LineKind.REFUND, -2_00, 97_40),
        (LineKind.FEE_RETURN, 1, 97_41),
        (LineKind.PAYOUT, -50_00, 47_41),
    ]
    assert {line.theirs for line in lines(world)[:4]} == {payment.ref.theirs}


@pytest.mark.parametrize("world_class", [AllFundsV3World, AllFundsV2World])
def test_each_balance_has_a_bill_of_its_own(world_class: type[WeChatWorld]) -> None:
    world = world_class(FixedClock())
    paid(world)
    world.wechat.funds.move(30_00, "充值/提现", "充值", account="OPERATION")
    at(world, READY)
    found = {feed: [line.kind for line in lines(world, feed)] for feed in FUND_ACCOUNTS}
    assert found == {
        FUND_BILL: [LineKind.PAYMENT, LineKind.FEE],
        "fund_bill_operation": [LineKind.TRANSFER],
        "fund_bill_fees": [],
    }


@pytest.mark.parametrize("world_class", WORLDS)
def test_days_without_a_movement_are_empty_pages(world_class: type[WeChatWorld]) -> None:
    world = world_class(FixedClock())
    paid(world)
    world.clock.advance(2 * A_DAY.total_seconds())
    paid(world)
    at(world, READY + 2 * A_DAY)
    assert [line.kind for line in lines(world, days=3)] == [LineKind.PAYMENT, LineKind.FEE] * 2
    assert scan(world, cursor="2026-01-03/0", days=3) == Page((), "2026-01-04/0")


@pytest.mark.parametrize("world_class", WORLDS)
@pytest.mark.parametrize(
    ("situation", "error"), [("refused", Misconfigured), ("creating", Retryable), ("omit", Unknown)]
)
def test_a_fund_bill_that_is_not_given_keeps_no_trade_bill_back(
    world_class: type[WeChatWorld], situation: str, error: type[Exception]
) -> None:
    world = world_class(FixedClock())
    told = paid(world)
    at(world, READY)
    world.wechat.situation.fund_bill = situation
    with pytest.raises(error):
        scan(world)
    assert [key_of(fact) for page in all_pages(world) for fact in page.facts] == [key_of(told)]


@pytest.mark.parametrize("world_class", WORLDS)
@pytest.mark.parametrize("situation", ["refused", "creating", "omit"])
def test_a_trade_bill_that_is_not_given_keeps_no_fund_bill_back(world_class: type[WeChatWorld], situation: str) -> None:
    world = world_class(FixedClock())
    paid(world)
    paid(world)
    at(world, READY)
    world.wechat.situation.bill = situation
    with pytest.raises((Misconfigured, Retryable, Unknown)):
        scan(world, TRADE_BILL)
    assert len(lines(world)) == 4


def test_a_v3_fund_bill_that_is_not_what_was_signed_for_is_not_believed() -> None:
    world = V3World(FixedClock())
    paid(world)
    at(world, READY)
    world.wechat.situation.fund_bill = "corrupt"
    with pytest.raises(Unknown, match="hash"):
        scan(world)


@pytest.mark.parametrize("world_class", WORLDS)
def test_a_fund_bill_is_not_asked_for_before_it_can_be_there(world_class: type[WeChatWorld]) -> None:
    world = world_class(FixedClock())
    at(world, READY - timedelta(seconds=1))
    with pytest.raises(Retryable) as told:
        scan(world)
    assert told.value.not_before == READY


class Watched:
    """Keeps what goes over a line."""

    def __init__(self, world: WeChatWorld) -> None:
        self._line = world.http
        self.sent: list[tuple[str, bytes, ClientCertificate | None]] = []

    def request(self, method: str, url: str, **options: Any) -> HttpResponse:
        self.sent.append((url, options.get("body", b""), options.get("certificate")))
        return self._line.request(method, url, **options)


def test_v2_shows_the_certificate_and_signs_with_hmac_whatever_signs_orders() -> None:
    world = V2Md5RefundingWorld(FixedClock())
    paid(world)
    at(world, READY)
    watched = Watched(world)
    assert scan(world, http=watched).files
    ((url, body, certificate),) = watched.sent
    fields = parse_xml(body)
    assert url.endswith("/pay/downloadfundflow")
    assert (fields["account_type"], fields["bill_date"], fields["sign_type"]) == ("Basic", "20260102", "HMAC-SHA256")
    assert V2Key(world.config.api_key).verify(fields, "HMAC-SHA256")
    assert certificate is not None
    assert certificate.chain == world.config.merchant.certificate_pem


def test_a_v2_account_without_the_certificate_reads_fund_bills_and_fetches_none() -> None:
    world = V2World(FixedClock())
    provider = world.make_provider(world.tools())
    assert isinstance(provider, ReadsBills)
    assert isinstance(provider, Scans)
    assert (provider.feeds, dict(provider.bill_feeds)) == ((TRADE_BILL,), dict(BILL_FEEDS))
    assert set(BILL_FEEDS.values()) == {BillSide.TRADES, BillSide.FUNDS}
    at(world, READY)
    with pytest.raises(Declined):
        scan(world)


@pytest.mark.parametrize("world_class", WORLDS)
def test_a_merchant_without_fund_bills_fetches_none(world_class: type[WeChatWorld]) -> None:
    world = world_class(FixedClock())
    for accounts, feeds in (([], (TRADE_BILL,)), (["BASIC"], (TRADE_BILL, FUND_BILL))):
        provider = world.build(world.settings() | {"fund_accounts": accounts}, world.tools())
        assert isinstance(provider, Scans)
        assert provider.feeds == feeds


def said(**fields: str) -> bytes:
    return write_xml(fields)


@pytest.mark.parametrize(
    "body",
    [
        said(return_code="FAIL", return_msg="No Bill Exist", error_code="20002"),
        said(return_code="SUCCESS", result_code="FAIL", err_code="NO_BILL_EXIST"),
        said(return_code="SUCCESS", result_code="FAIL", err_code="20002", err_code_des="no bill exist"),
    ],
)
def test_v2_says_in_one_of_several_ways_that_nothing_moved(body: bytes) -> None:
    assert _answered(lambda: body) == Page((), None)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (said(return_code="FAIL", return_msg="Bill Creating"), Retryable),
        (said(return_code="SUCCESS", result_code="FAIL", err_code="BILL_CREATING"), Retryable),
        (said(return_code="SUCCESS", result_code="FAIL", err_code="NOAUTH"), Misconfigured),
        (said(return_code="SUCCESS", result_code="FAIL", err_code="TOMORROW"), Unknown),
        (said(return_code="FAIL", return_msg="签名错误"), Unknown),
        (b"<html>502 Bad Gateway</html>", Unknown),
        (b"", Unknown),
    ],
)
def test_what_v2_says_in_place_of_a_bill_is_no_empty_day(body: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        _answered(lambda: body)


def _answered(body: Callable[[], bytes]) -> Page:
    """The page of a scan whose answer is this."""
    world = V2RefundingWorld(FixedClock())
    at(world, READY)

    class Says:
        def request(self, *_: Any, **__: Any) -> HttpResponse:
            return HttpResponse(200, {}, body())

    return scan(world, http=Says())
