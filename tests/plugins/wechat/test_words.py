"""WeChat Pay's words, each of them: states, error codes, and what we say back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from app.domain.money import Money
from app.providers import (
    Declined,
    Forged,
    HttpResponse,
    Kind,
    Misconfigured,
    Provider,
    ProviderError,
    Ref,
    Retryable,
    Unknown,
)
from app.providers.testing.doubles import FixedClock
from plugins.wechat import mapping
from plugins.wechat.v2.xml import parse_xml
from tests.plugins.wechat.worlds import PublicKeyWorld, V2World, V3World

STATES = {
    "SUCCESS": Kind.PAID,
    "REFUND": Kind.PAID,
    "NOTPAY": Kind.PENDING,
    "CLOSED": Kind.CLOSED,
    "REVOKED": Kind.CLOSED,
    "USERPAYING": Kind.PENDING,
    "PAYERROR": Kind.PENDING,
    "ACCEPT": Kind.PENDING,
    "TOMORROW": Kind.PENDING,
}
REFUND_STATES = {
    "PROCESSING": Kind.REFUND_PENDING,
    "SUCCESS": Kind.REFUNDED,
    "CLOSED": Kind.REFUND_FAILED,
    "REFUNDCLOSE": Kind.REFUND_FAILED,
    "ABNORMAL": Kind.REFUND_FAILED,
    "CHANGE": Kind.REFUND_FAILED,
    "TOMORROW": Kind.REFUND_PENDING,
}
ERRORS: dict[str, type[ProviderError]] = {
    "PARAM_ERROR": Declined,
    "ORDER_CLOSED": Declined,
    "NOT_ENOUGH": Retryable,
    "FREQUENCY_LIMITED": Retryable,
    "SIGN_ERROR": Misconfigured,
    "NO_AUTH": Misconfigured,
    "APPID_MCHID_NOT_MATCH": Misconfigured,
    "INVALID_REQUEST": Unknown,
    "SYSTEM_ERROR": Unknown,
    "USER_PAYING": Unknown,
    "TOMORROWS_ERROR": Unknown,
}


class Answers:
    """Gives one prepared answer to everything."""

    def __init__(self, answer: HttpResponse) -> None:
        self._answer = answer

    def request(self, method: str, url: str, **_: Any) -> HttpResponse:
        return self._answer


def v3_answering(world: V3World, status: int, document: Mapping[str, Any], *, signed: bool = True) -> Provider:
    body = json.dumps(document).encode()
    headers = {name.lower(): value for name, value in world.wechat.signer.answer_headers(body, "").items()}
    answer = HttpResponse(status, headers if signed else {}, body)
    return world.make_provider(world.tools(Answers(answer)))


def v2_answering(world: V2World, **fields: str) -> Provider:
    content = {"return_code": "SUCCESS", "appid": world.config.appid, "mch_id": world.config.mchid, **fields}
    return world.make_provider(world.tools(Answers(HttpResponse(200, {}, world.sign(content).body))))


def test_the_tables_here_cover_the_tables_there() -> None:
    assert set(mapping.TRADE_STATES) == set(STATES) - {"TOMORROW"}
    assert set(mapping.REFUND_STATES) == set(REFUND_STATES) - {"TOMORROW"}
    assert set(ERRORS) - {"TOMORROWS_ERROR"} <= set(mapping.ERRORS)


@pytest.mark.parametrize(("state", "kind"), STATES.items())
def test_each_trade_state_in_a_v3_answer(state: str, kind: Kind) -> None:
    world = V3World(FixedClock())
    document = world.transaction() | {"trade_state": state}
    (fact,) = v3_answering(world, 200, document).query(Ref(ours=document["out_trade_no"]))
    assert (fact.kind, fact.cause) == (kind, state)
    assert fact.money == Money(600, "CNY")


@pytest.mark.parametrize(("state", "kind"), STATES.items())
def test_each_trade_state_in_a_v2_answer(state: str, kind: Kind) -> None:
    world = V2World(FixedClock())
    fields = world.fields() | {"trade_state": state}
    (fact,) = v2_answering(world, **fields).query(Ref(ours=fields["out_trade_no"]))
    assert (fact.kind, fact.cause) == (kind, state)


def test_a_payment_error_is_final_for_a_deduction_only() -> None:
    assert mapping.kind_of_trade("PAYERROR", "PAP") is Kind.FAILED
    assert mapping.kind_of_trade("PAYERROR", "JSAPI") is Kind.PENDING
    assert mapping.kind_of_trade("SUCCESS", "PAP") is Kind.PAID


@pytest.mark.parametrize(("status", "kind"), REFUND_STATES.items())
def test_each_refund_status(status: str, kind: Kind) -> None:
    world = V3World(FixedClock())
    document = {
        "out_trade_no": "4503599627370497",
        "transaction_id": "42000",
        "out_refund_no": "81",
        "status": status,
        "amount": {"total": 600, "refund": 200, "currency": "CNY"},
    }
    (fact,) = v3_answering(world, 200, document).query(Ref(refund="81"))
    assert (fact.kind, fact.cause, fact.money) == (kind, status, Money(200, "CNY"))


@pytest.mark.parametrize("spelling", ["ORDER_NOT_EXIST", "ORDERNOTEXIST", "RESOURCE_NOT_EXISTS"])
def test_what_is_not_there_is_no_fact(spelling: str) -> None:
    world = V3World(FixedClock())
    provider = v3_answering(world, 404, {"code": spelling, "message": "x"}, signed=False)
    assert provider.query(Ref(ours="4503599627370497")) == ()
    assert provider.query(Ref(theirs="42000")) == ()
    assert provider.query(Ref(refund="81")) == ()


@pytest.mark.parametrize(("code", "error"), ERRORS.items())
@pytest.mark.parametrize("status", [400, 403, 429, 500])
def test_the_code_decides_and_not_the_http_status(code: str, error: type[ProviderError], status: int) -> None:
    world = V3World(FixedClock())
    provider = v3_answering(world, status, {"code": code, "message": "payer oUpF8uMuAJO"})
    with pytest.raises(error) as raised:
        provider.query(Ref(ours="4503599627370497"))
    assert type(raised.value) is error
    assert raised.value.code == code
    assert ("oUpF8uMuAJO" in str(raised.value)) == (error is Misconfigured)


@pytest.mark.parametrize(("code", "error"), ERRORS.items())
def test_the_same_codes_in_v2(code: str, error: type[ProviderError]) -> None:
    provider = v2_answering(V2World(FixedClock()), result_code="FAIL", err_code=code, err_code_des="x")
    with pytest.raises(error) as raised:
        provider.query(Ref(ours="4503599627370497"))
    assert type(raised.value) is error


def test_an_error_with_a_wrong_signature_is_not_believed() -> None:
    world = V3World(FixedClock())
    world.wechat.situation.probe_answers = 1
    provider = v3_answering(world, 404, {"code": "ORDER_NOT_EXIST", "message": "x"})
    with pytest.raises(Unknown):
        provider.query(Ref(ours="4503599627370497"))


def test_a_probe_on_an_answer_leaves_it_unknown_and_the_next_one_is_read() -> None:
    world = V3World(FixedClock())
    provider, intent = world.make_provider(world.tools()), world.intent()
    world.wechat.situation.probe_answers = 1
    with pytest.raises(Unknown):
        provider.start(intent)
    assert provider.start(intent).action["type"] == "qr"
    assert world.payments(intent) == 1


def test_an_answer_about_another_order_is_not_believed() -> None:
    world = V3World(FixedClock())
    document = world.transaction()
    provider = v3_answering(world, 200, document)
    for ref in (Ref(ours="4503599627370001"), Ref(theirs="42001"), Ref(refund="81")):
        with pytest.raises(Unknown):
            provider.query(ref)
    fields = V2World(FixedClock()).fields() | {"trade_state": "SUCCESS"}
    with pytest.raises(Unknown):
        v2_answering(V2World(FixedClock()), **fields).query(Ref(ours="4503599627370001"))


@pytest.mark.parametrize("status", [199, 201, 202, 301, 302, 404, 502])
def test_a_page_of_some_gateway_is_unknown(status: int) -> None:
    world = V3World(FixedClock())
    page = HttpResponse(status, {"location": "https://elsewhere.example"}, b"<html>login</html>")
    with pytest.raises(Unknown):
        world.make_provider(world.tools(Answers(page))).query(Ref(ours="4503599627370497"))
    with pytest.raises(Unknown):
        V2World(FixedClock()).make_provider(world.tools(Answers(page))).query(Ref(ours="4503599627370497"))


def test_v3_is_answered_in_its_own_words() -> None:
    world = PublicKeyWorld(FixedClock())
    message = world.samples()["paid"].message
    provider = world.make_provider(world.tools())

    received = provider.receive(message)
    with pytest.raises(Forged) as forged:
        provider.receive(replace(message, body=message.body + b" "))
    with pytest.raises(Forged) as unreadable:
        provider.receive(world.odd()["a member twice"])

    assert (received.reply.status, received.reply.body) == (204, b"")
    assert (received.failure.status, json.loads(received.failure.body)["code"]) == (503, "FAIL")
    assert (forged.value.reply.status, json.loads(forged.value.reply.body)["code"]) == (401, "FAIL")
    assert (unreadable.value.reply.status, json.loads(unreadable.value.reply.body)["code"]) == (400, "FAIL")


def test_v2_is_answered_in_its_own_words() -> None:
    world = V2World(FixedClock())
    message = world.samples()["paid"].message
    provider = world.make_provider(world.tools())

    received = provider.receive(message)
    with pytest.raises(Forged) as forged:
        provider.receive(world.forgeries()["another key"])

    assert received.reply.status == 200
    assert received.reply.body == (
        b"<xml><return_code><![CDATA[SUCCESS]]></return_code><return_msg><![CDATA[OK]]></return_msg></xml>"
    )
    assert parse_xml(received.failure.body)["return_code"] == "FAIL"
    assert parse_xml(forged.value.reply.body)["return_code"] == "FAIL"
    assert received.failure.status >= 500
    assert 400 <= forged.value.reply.status < 500


@pytest.mark.parametrize("missing", ["transaction_id", "total_fee", "out_trade_no", "time_end", "mch_id", "appid"])
def test_a_v2_message_without_what_makes_a_payment_is_refused(missing: str) -> None:
    world = V2World(FixedClock())
    fields = {name: value for name, value in world.fields().items() if name != missing}
    with pytest.raises(Forged):
        world.make_provider(world.tools()).receive(world.sign(fields))


@pytest.mark.parametrize(
    "extra",
    [
        {"refund_fee": "600", "refund_id": "50300"},
        {"prepay_id": "wx1"},
        {"trade_state": "SUCCESS", "result_code": "FAIL"},
    ],
)
def test_another_v2_document_under_the_same_key_is_not_a_payment(extra: dict[str, str]) -> None:
    world = V2World(FixedClock())
    with pytest.raises(Forged):
        world.make_provider(world.tools()).receive(world.sign(world.fields() | extra))


def test_our_own_signed_client_parameters_are_not_a_payment() -> None:
    world = V2World(FixedClock())
    provider = world.make_provider(world.tools())
    action = dict(provider.start(world.intent("jsapi")).action)
    shown = {name: action[name] for name in ("appId", "timeStamp", "nonceStr", "package", "signType")}
    with pytest.raises(Forged, match="not a payment"):
        provider.receive(world.sign(shown))


def test_a_v2_query_that_says_closed_is_not_paid_when_it_comes_as_a_notification() -> None:
    world = V2World(FixedClock())
    for state, kind in (("CLOSED", Kind.CLOSED), ("NOTPAY", Kind.PENDING)):
        message = world.sign(world.fields() | {"trade_state": state})
        (fact,) = world.make_provider(world.tools()).receive(message).facts
        assert fact.kind is kind


@pytest.mark.parametrize("event", ["TRANSACTION.PAY_BACK", "TRANSACTION.TOMORROW", "PAYSCORE.USER_PAID"])
def test_a_signed_event_of_another_product_is_taken_and_kept_for_a_person(event: str) -> None:
    world = V3World(FixedClock())
    message = world.wechat.signer.notification(event, "transaction", {"parking_id": "5K8264ILTKCH16CQ250"})
    received = world.make_provider(world.tools()).receive(message)
    assert (received.facts, received.reply.status) == ((), 204)
    assert event in received.note


@pytest.mark.parametrize("event", ["TRANSACTION.SUCCESS", "REFUND.SUCCESS"])
def test_an_ordinary_event_that_cannot_be_read_is_to_be_sent_again(event: str) -> None:
    world = V3World(FixedClock())
    message = world.wechat.signer.notification(event, "transaction", {"parking_id": "5K8264ILTKCH16CQ250"})
    with pytest.raises(Forged) as refused:
        world.make_provider(world.tools()).receive(message)
    assert refused.value.reply is not None
    assert refused.value.reply.status == 400
