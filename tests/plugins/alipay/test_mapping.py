"""Every status row of the tables, on the road where the word appears."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from app.domain.money import Money
from app.providers import Fact, Kind, Ref, key_of
from plugins.alipay import mapping
from plugins.alipay.mapping import Merchant

MERCHANT = Merchant("2021000000000001", "2088000000000001", "shop@example.com", live=True)
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
NOTICE = {
    "app_id": MERCHANT.app_id,
    "seller_id": MERCHANT.seller_id,
    "trade_no": "2026010222001412345678901234",
    "out_trade_no": "4503599627370497",
    "total_amount": "6.00",
    "notify_time": "2026-01-02 11:04:05",
    "gmt_create": "2026-01-02 11:04:00",
}
PAID_AT = {"gmt_payment": "2026-01-02 11:04:03"}
ASKED = Ref(ours="4503599627370497", refund="R1")


def notice(**fields: str) -> Fact:
    return mapping.trade_notice_facts(NOTICE | fields, MERCHANT)[-1]


def query(**fields: Any) -> tuple[Fact, ...]:
    return mapping.query_facts(NOTICE | fields, MERCHANT, NOW)


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"trade_status": "WAIT_BUYER_PAY"}, Kind.PENDING),
        ({"trade_status": "TRADE_SUCCESS", **PAID_AT}, Kind.PAID),
        ({"trade_status": "TRADE_SUCCESS", **PAID_AT, "refund_fee": "0.00"}, Kind.PAID),
        ({"trade_status": "TRADE_SUCCESS", **PAID_AT, "gmt_refund": "2026-01-03 10:00:00.123"}, Kind.PAID),
        ({"trade_status": "TRADE_FINISHED", **PAID_AT, "gmt_close": "2026-04-02 03:05:07"}, Kind.PAID),
        ({"trade_status": "TRADE_CLOSED", "gmt_close": "2026-01-02 11:34:06"}, Kind.CLOSED),
        ({"trade_status": "TRADE_CLOSED", "refund_fee": "0.00"}, Kind.CLOSED),
        ({"trade_status": "TRADE_CLOSED", "gmt_refund": "2026-01-03 10:00:00.123"}, Kind.PENDING),
        ({"trade_status": "TRADE_PENDING"}, Kind.PENDING),
        ({}, Kind.PENDING),
    ],
)
def test_a_notice_without_a_refund_is_read_by_its_status(fields: dict[str, str], kind: Kind) -> None:
    assert notice(**fields).kind is kind


@pytest.mark.parametrize("status", [*mapping.TRADE_STATUS, "SOMETHING_NEW"])
def test_a_refund_event_is_a_refund_under_whatever_status(status: str) -> None:
    fact = notice(trade_status=status, gmt_refund="2026-01-03 10:00:00.123", refund_fee="2.00", out_biz_no="R1")
    assert (fact.kind, fact.total, fact.money) == (Kind.REFUNDED, Money(200, "CNY"), None)
    assert key_of(fact) == f"refunded:{NOTICE['trade_no']}:R1"


def test_a_refund_without_a_number_has_our_payment_number_as_at_alipay() -> None:
    fact = notice(trade_status="TRADE_CLOSED", gmt_refund="2026-01-03 10:00:00", refund_fee="6.00")
    assert fact.ref.refund == NOTICE["out_trade_no"]


@pytest.mark.parametrize(
    ("fields", "kinds"),
    [
        ({"trade_status": "WAIT_BUYER_PAY"}, [Kind.PENDING]),
        ({"trade_status": "TRADE_SUCCESS", "send_pay_date": "2026-01-02 11:04:03"}, [Kind.PAID]),
        ({"trade_status": "TRADE_SUCCESS"}, [Kind.PAID]),
        ({"trade_status": "TRADE_FINISHED", "send_pay_date": "2026-01-02 11:04:03"}, [Kind.PAID]),
        ({"trade_status": "TRADE_CLOSED"}, [Kind.CLOSED]),
        ({"trade_status": "TRADE_CLOSED", "send_pay_date": "2026-01-02 11:04:03"}, [Kind.PAID, Kind.REFUNDED]),
        ({"trade_status": "SOMETHING_NEW"}, [Kind.PENDING]),
        ({"trade_status": {"odd": 1}}, [Kind.PENDING]),
        ({}, [Kind.PENDING]),
    ],
)
def test_a_query_is_read_by_its_status(fields: dict[str, Any], kinds: list[Kind]) -> None:
    assert [fact.kind for fact in query(**fields)] == kinds


def test_a_payment_that_was_wholly_refunded_comes_out_at_nothing() -> None:
    paid, refunded = query(trade_status="TRADE_CLOSED", send_pay_date="2026-01-02 11:04:03")
    assert paid.money == refunded.total == Money(600, "CNY")
    assert refunded.ref.refund == NOTICE["out_trade_no"]


def test_a_notice_and_a_query_tell_a_payment_by_the_same_key_and_time() -> None:
    told = notice(trade_status="TRADE_SUCCESS", **PAID_AT)
    asked = query(trade_status="TRADE_SUCCESS", send_pay_date=PAID_AT["gmt_payment"])[0]
    assert (key_of(told), told.at, told.account) == (key_of(asked), asked.at, asked.account)


@pytest.mark.parametrize(
    ("word", "kind"),
    [("Y", Kind.REFUNDED), ("N", Kind.REFUND_PENDING), (None, Kind.REFUND_PENDING), ("?", Kind.REFUND_PENDING)],
)
def test_a_refund_is_done_only_when_funds_changed(word: str | None, kind: Kind) -> None:
    fact = mapping.refund_fact(NOTICE | {"fund_change": word, "refund_fee": "2.00"}, ASKED, MERCHANT, NOW)
    assert fact.kind is kind
    assert fact.total == (Money(200, "CNY") if kind is Kind.REFUNDED else None)


@pytest.mark.parametrize(
    ("word", "kinds"),
    [
        ("REFUND_SUCCESS", [Kind.REFUNDED]),
        ("REFUND_PROCESSING", [Kind.REFUND_PENDING]),
        ("REFUND_FAIL", [Kind.REFUND_FAILED]),
        ("SOMETHING_NEW", [Kind.REFUND_PENDING]),
        ("", []),
        (None, []),
    ],
)
def test_a_refund_query_is_read_by_its_status(word: str | None, kinds: list[Kind]) -> None:
    content = NOTICE | {"refund_status": word, "refund_amount": "2.00"}
    assert [fact.kind for fact in mapping.refund_query_facts(content, ASKED, MERCHANT, NOW)] == kinds


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("TEMP", Kind.PENDING),
        ("NORMAL", Kind.SIGNED),
        ("STOP", Kind.ENDED),
        ("UNSIGN", Kind.ENDED),
        ("?", Kind.PENDING),
    ],
)
def test_an_agreement_is_read_by_its_status(word: str, kind: Kind) -> None:
    content = {"agreement_no": "20265101000000000001", "status": word, "sign_time": "2026-01-02 04:00:00"}
    assert mapping.agreement_query_fact(content, MERCHANT, NOW).kind is kind


@pytest.mark.parametrize("spoilt", ["total_amount", "trade_no", "out_trade_no"])
def test_paid_is_never_read_without_what_makes_it_one(spoilt: str) -> None:
    for value in ("", "0.00", "-6.00", "6.001", "1e2", "\x00", "６.00", "x" * 100):
        if spoilt != "total_amount" and value in {"0.00", "-6.00", "6.001", "1e2"}:
            continue
        with pytest.raises(ValueError, match=r"."):
            notice(trade_status="TRADE_SUCCESS", **PAID_AT, **{spoilt: value})


@pytest.mark.parametrize(
    ("fields", "account"),
    [
        ({}, MERCHANT.account),
        ({"seller_id": "2088000000000009"}, "2021000000000001:2088000000000009"),
        ({"app_id": "2021000000000009"}, "2021000000000009:2088000000000001"),
        ({"seller_id": "", "seller_email": "shop@example.com"}, MERCHANT.account),
        ({"seller_id": "", "seller_email": "other@example.com"}, "2021000000000001:other@example.com"),
        ({"seller_id": ""}, "2021000000000001:"),
        ({"seller_id": "2088000000000009", "seller_email": "shop@example.com"}, "2021000000000001:2088000000000009"),
    ],
)
def test_the_payee_is_named_as_the_message_names_it(fields: dict[str, str], account: str) -> None:
    assert notice(trade_status="TRADE_SUCCESS", **PAID_AT, **fields).account == account


def test_without_a_configured_address_no_address_is_ours() -> None:
    nameless = Merchant(MERCHANT.app_id, MERCHANT.seller_id, "", live=True)
    assert nameless.account_in({"app_id": MERCHANT.app_id, "seller_email": ""}) != nameless.account
