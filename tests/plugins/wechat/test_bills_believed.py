"""Trade bills that must not be believed: changed, cut, invented, or from an address that nobody should call."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from app.domain.money import Money
from app.providers import (
    HttpClient,
    HttpResponse,
    Retryable,
    Scans,
    Unknown,
    key_of,
)
from app.providers.testing.conformance.journeys import BreakingHttp
from app.providers.testing.doubles import FixedClock, RewritingHttp
from plugins.wechat.bills.content import MAX_PROBLEMS
from plugins.wechat.bills.feeds import TRADE_BILL
from plugins.wechat.bills.pages import BillPages
from plugins.wechat.bills.reading import fact_of
from plugins.wechat.merchant import Merchant
from plugins.wechat.simulated.bills import COLUMNS, TOTALS, make_bill
from tests.plugins.wechat.test_bills import A_DAY, READY, SECOND_OF_JANUARY, at, paid, requests_of, scan
from tests.plugins.wechat.worlds import API_URL, V2World, V3World, WeChatWorld


def test_a_v3_bill_that_is_not_what_was_signed_for_is_not_believed() -> None:
    world = V3World(FixedClock())
    paid(world)
    at(world, READY)
    world.wechat.situation.bill = "corrupt"
    with pytest.raises(Unknown, match="hash"):
        scan(world)


def test_a_v2_bill_with_other_money_changes_nothing_of_what_is_told() -> None:
    world = V2World(FixedClock())
    told = paid(world)
    at(world, READY)
    world.wechat.situation.bill = "corrupt"
    page = scan(world)
    assert b"`9.00" in page.files[0][1]
    assert [fact.money for fact in page.facts] == [told.money] == [Money(600, "CNY")]


@pytest.mark.parametrize("world_class", [V3World, V2World])
def test_a_bill_with_a_row_left_out_is_not_believed(world_class: type[WeChatWorld]) -> None:
    world = world_class(FixedClock())
    paid(world)
    paid(world)
    at(world, READY)
    world.wechat.situation.bill = "omit"
    with pytest.raises(Unknown, match="totals"):
        scan(world)


def test_a_payment_that_a_v2_bill_invents_is_shown_and_the_rest_is_told() -> None:
    world = V2World(FixedClock())
    told, another = paid(world), paid(world)
    at(world, READY)

    def invent(answer: HttpResponse) -> HttpResponse:
        return replace(answer, body=answer.body.replace(str(told.ref.theirs).encode(), b"4200009999"))

    page = scan(world, _OnlyTheBill(world.http, RewritingHttp(world.http, invent)))
    assert [key_of(fact) for fact in page.facts] == [key_of(another)]
    (problem,) = page.problems
    assert "does not confirm" in problem
    assert str(told.ref.ours) in problem


def test_a_v2_bill_that_calls_an_unpaid_order_paid_is_not_believed_about_it() -> None:
    world = V2World(FixedClock())
    told = paid(world)
    at(world, READY)
    world.wechat.books.find(str(told.ref.ours)).shown_state = "NOTPAY"
    page = scan(world)
    assert page.facts == ()
    assert len(page.problems) == 1


def test_an_odd_row_is_shown_on_its_page_and_the_rest_is_told() -> None:
    world = V3World(FixedClock())
    told = [paid(world) for _ in range(4)]
    at(world, READY)
    content = make_bill(world.wechat.books.orders.values(), world.config, date(2026, 1, 2))
    header, first, second, third, *others = content.split("\r\n")
    spoilt = [header, first.replace(",`OTHERS", ""), second.replace("2026-01-02 ", "2026-13-02 "), third, *others]

    pages = BillPages(
        Merchant(world.config.mchid, world.config.appid, live=False),
        world.clock,
        fetch=lambda _: "\r\n".join(spoilt).encode(),
        tell=lambda row: (fact_of(row, Merchant(world.config.mchid, world.config.appid, live=False)),),
        page_rows=3,
    )
    one = pages.page(SECOND_OF_JANUARY, READY, "")
    two = pages.page(SECOND_OF_JANUARY, READY, one.cursor)

    assert [key_of(fact) for fact in (*one.facts, *two.facts)] == [key_of(fact) for fact in told[2:]]
    by_number, by_order = one.problems
    assert by_number.startswith("bill of 2026-01-02, row 1: ")
    assert str(told[1].ref.ours) in by_order
    assert two.problems == ()


def test_very_many_odd_rows_are_counted() -> None:
    lines = "\n".join([COLUMNS, *["`odd"] * (MAX_PROBLEMS + 7), TOTALS, f"`{MAX_PROBLEMS + 7},`0,`0,`0,`0,`0,`0"])
    pages = BillPages(
        Merchant("1900000109", "wx2421b1c4370ec43b", live=False),
        FixedClock(),
        fetch=lambda _: lines.encode(),
        tell=lambda row: (),
        page_rows=1000,
    )
    page = pages.page(SECOND_OF_JANUARY - A_DAY, SECOND_OF_JANUARY, "2025-12-31/0")
    assert len(page.problems) == MAX_PROBLEMS + 1
    assert page.problems[-1] == "bill of 2025-12-31, and 7 more rows"


class _OnlyTheBill:
    """Takes the bill from one line and everything else from another."""

    def __init__(self, others: HttpClient, bill: HttpClient) -> None:
        self._others, self._bill = others, bill

    def request(self, method: str, url: str, **options: Any) -> HttpResponse:
        line = self._bill if "bill" in url else self._others
        return line.request(method, url, **options)


def test_the_address_of_a_bill_is_used_with_a_signature_and_within_minutes() -> None:
    world = V3World(FixedClock())
    paid(world)
    at(world, READY)
    scan(world)
    (url,) = [url for _, url, _ in requests_of(world) if "billdownload" in url]
    assert world.http.request("GET", url).status == 401

    class Late:
        def request(self, method: str, url: str, **options: Any) -> HttpResponse:
            answer = world.http.request(method, url, **options)
            world.clock.advance(301)
            return answer

    with pytest.raises(Unknown):
        scan(world, Late())


@pytest.mark.parametrize(
    "changes",
    [
        {"download_url": "http://wechat.simulated.example/x?token=1"},
        {"download_url": "ftp://x/y"},
        {"download_url": "/v3/billdownload/file"},
        {"download_url": "https://u@h/x"},
        {"download_url": ""},
        {"download_url": None},
    ],
)
def test_an_odd_address_is_not_called(changes: dict[str, Any]) -> None:
    world = V3World(FixedClock())
    at(world, READY)
    line = _Signed(world, {"hash_type": "SHA1", "hash_value": "0" * 40} | changes)
    with pytest.raises(Unknown):
        scan(world, line)
    assert line.calls == 1


@pytest.mark.parametrize("changes", [{"hash_type": "MD5"}, {"hash_value": None}, {"hash_value": ""}, {}])
def test_a_bill_without_its_hash_is_not_believed(changes: dict[str, Any]) -> None:
    world = V3World(FixedClock())
    at(world, READY)
    named = {"hash_type": "SHA1", "hash_value": "0" * 40, "download_url": f"{API_URL}/v3/billdownload/file?token=1"}
    line = _Signed(world, named | changes)
    with pytest.raises(Unknown):
        scan(world, line)
    assert line.calls == 2


class _Signed:
    """Answers everything with one document, signed by WeChat Pay."""

    def __init__(self, world: V3World, document: dict[str, Any]) -> None:
        self._body = json.dumps(document).encode()
        self._headers = world.wechat.signer.answer_headers(self._body, "")
        self.calls = 0

    def request(self, method: str, url: str, **_: Any) -> HttpResponse:
        self.calls += 1
        return HttpResponse(200, {name.lower(): value for name, value in self._headers.items()}, self._body)


@pytest.mark.parametrize("fault", ["timeout", "timeout_after", "garbage", "empty", "html", "error500"])
@pytest.mark.parametrize("breaks_at", [1, 2])
@pytest.mark.parametrize("world_class", [V3World, V2World])
def test_a_line_that_breaks_tells_nothing(world_class: type[WeChatWorld], breaks_at: int, fault: str) -> None:
    world = world_class(FixedClock())
    paid(world)
    at(world, READY)
    with pytest.raises((Unknown, Retryable)):
        scan(world, BreakingHttp(world.http, fault, breaks_at))


def test_v2_says_what_is_wrong_when_it_gives_no_bill() -> None:
    world = V2World(FixedClock())
    at(world, READY)
    settings = world.settings() | {"api_key": "0" * 32}
    provider = world.build(settings, world.tools())
    assert isinstance(provider, Scans)
    with pytest.raises(Unknown, match="check api_key"):
        provider.scan(TRADE_BILL, SECOND_OF_JANUARY, READY, "2026-01-02/0")
