"""Answers in the shapes in which WeChat Pay was seen to give them, which its pages do not show. Logged by merchants
between 2020 and 2024 and published with their code; numbers and signatures here are the tests' own.

The signatures of three of these (a close, a refund, a refused refund; 2023 and 2024) were checked once with the
plugin's verifier, under the platform key that they share: refused calls are signed too, and a close answers 204 with
nothing.
"""

from __future__ import annotations

from typing import Any

import pytest

from app.domain.money import Money
from app.providers import Kind, Misconfigured, Provider, Ref, Retryable
from app.providers.testing.doubles import FixedClock
from tests.plugins.wechat.test_words import v2_answering, v3_answering
from tests.plugins.wechat.worlds import V2World, V3World

NUMBER = "4503599627370497"
UNPAID: dict[str, Any] = {
    "amount": {"payer_currency": "CNY", "total": 600},
    "out_trade_no": NUMBER,
    "promotion_detail": [],
    "scene_info": {"device_id": ""},
    "trade_state": "NOTPAY",
    "trade_state_desc": "订单未支付",
}
REFUND: dict[str, Any] = {
    "amount": {
        "currency": "CNY",
        "discount_refund": 0,
        "from": [],
        "payer_refund": 10,
        "payer_total": 10,
        "refund": 10,
        "refund_fee": 0,
        "settlement_refund": 10,
        "settlement_total": 10,
        "total": 10,
    },
    "channel": "ORIGINAL",
    "create_time": "2024-07-31T16:55:39+08:00",
    "funds_account": "AVAILABLE",
    "out_refund_no": "81",
    "out_trade_no": NUMBER,
    "promotion_detail": [],
    "refund_id": "50303400132024073135461150169",
    "status": "PROCESSING",
    "transaction_id": "4200002346202407227299244938",
    "user_received_account": "支付用户零钱",
}


@pytest.fixture
def world() -> V3World:
    return V3World(FixedClock())


def answering(world: V3World, document: dict[str, Any]) -> Provider:
    own = {"appid": world.config.appid, "mchid": world.config.mchid}
    return v3_answering(world, 200, own | document)


@pytest.mark.parametrize(("state", "kind"), [("NOTPAY", Kind.PENDING), ("CLOSED", Kind.CLOSED)])
def test_an_order_that_nobody_paid_names_no_currency_of_its_own(world: V3World, state: str, kind: Kind) -> None:
    (fact,) = answering(world, UNPAID | {"trade_state": state}).query(Ref(ours=NUMBER))
    assert (fact.kind, fact.cause, fact.ref) == (kind, state, Ref(ours=NUMBER))
    assert fact.money == Money(600, "CNY")
    assert fact.account == f"{world.config.mchid}:{world.config.appid}"


def test_a_currency_that_is_there_must_be_one(world: V3World) -> None:
    for state in ("NOTPAY", "SUCCESS"):
        document = world.transaction() | {"trade_state": state, "amount": {"total": 600, "currency": "HKD"}}
        (fact,) = v3_answering(world, 200, document).query(Ref(ours=document["out_trade_no"]))
        assert fact.money == Money(600, "HKD")


def test_a_refund_is_accepted_with_more_amounts_than_one(world: V3World) -> None:
    (fact,) = v3_answering(world, 200, REFUND).query(Ref(refund="81"))
    assert (fact.kind, fact.money) == (Kind.REFUND_PENDING, Money(10, "CNY"))


def test_a_refused_call_is_signed_and_believed(world: V3World) -> None:
    for signed in (True, False):
        answer = {"code": "NOT_ENOUGH", "message": "基本账户余额不足，请充值后重新发起"}
        with pytest.raises(Retryable):
            v3_answering(world, 403, answer, signed=signed).query(Ref(refund="81"))
    with pytest.raises(Misconfigured):
        v3_answering(world, 401, {"code": "SIGN_ERROR", "message": "错误的签名，验签失败"}).query(Ref(refund="81"))


@pytest.mark.parametrize("amount", [{"total_fee": "1"}, {}], ids=["with total_fee", "without"])
def test_an_unpaid_v2_order_is_told_with_next_to_nothing(amount: dict[str, str]) -> None:
    fields = {
        "return_msg": "OK",
        "device_info": "",
        "nonce_str": "gNdSBWNJe4x0PNvX",
        "result_code": "SUCCESS",
        "out_trade_no": NUMBER,
        "trade_state": "NOTPAY",
        "trade_state_desc": "订单未支付",
    }
    (fact,) = v2_answering(V2World(FixedClock()), **fields | amount).query(Ref(ours=NUMBER))
    assert (fact.kind, fact.ref) == (Kind.PENDING, Ref(ours=NUMBER))
