"""What went back, whoever sent it and whatever became of it: every road tells what is true now."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import pytest
from flask import Flask

from app.domain.money import Money
from app.providers import Declined, Fact, HttpResponse, Kind, Message, Ref, Unknown, key_of
from tests.plugins.alipay.actors import Stage, intent_for, stage
from tests.plugins.alipay.samples import CannedHttp

OURS = "4503599627370497"
REFUND = Ref(ours=OURS, refund="5503599627370497")
TWO, FOUR, SIX = Money(200, "CNY"), Money(400, "CNY"), Money(600, "CNY")
APPLICATION_GATEWAY = "https://pay.example.com/webhooks/alipay"


@pytest.fixture
def paid() -> Stage:
    here = stage()
    here.paid(intent_for(here.clock))
    return here


def kinds(facts: tuple[Fact, ...]) -> list[Kind]:
    return [fact.kind for fact in facts]


def told(here: Stage, message: Message) -> tuple[Fact, ...]:
    return here.provider.receive(message).facts


def noticed(here: Stage, **changes: str) -> tuple[Fact, ...]:
    """The facts of the last notice with other fields in it, signed by Alipay all the same."""
    fields = {**here.alipay.notices[-1].fields, "notify_id": "N1", "notify_time": "2026-01-03 12:00:00", **changes}
    body = here.alipay.gateway.signed_form({name: value for name, value in fields.items() if value})
    return told(here, Message("notification", body.encode()))


# --- heard of late


@pytest.mark.parametrize("fen", [100, 600])
def test_a_refunds_notice_tells_the_payment_whose_own_notice_was_lost(paid: Stage, fen: int) -> None:
    lost = told(paid, paid.inbox.messages[0])[0]
    paid.alipay.refund_by_hand(OURS, fen, "C1")
    payment, refund = told(paid, paid.notices()[0])
    assert (key_of(payment), payment.money, payment.at) == (key_of(lost), SIX, lost.at)
    assert (refund.kind, refund.total, refund.ref.refund) == (Kind.REFUNDED, Money(fen, "CNY"), "C1")
    assert not payment.refunds_unknown


def test_a_notice_that_names_a_refund_without_its_size_says_that_the_size_is_unknown(paid: Stage) -> None:
    for changes in ({"gmt_refund": "2026-01-03 10:00:00.123"}, {"send_back_fee": "1.00"}):
        (payment,) = noticed(paid, **changes)
        assert (payment.kind, payment.refunds_unknown) == (Kind.PAID, True)
    for changes in ({}, {"refund_fee": "0.00"}, {"send_back_fee": "0.00"}):
        (payment,) = noticed(paid, **changes)
        assert (payment.kind, payment.refunds_unknown) == (Kind.PAID, False)


def test_a_refund_without_its_time_is_a_refund_all_the_same(paid: Stage) -> None:
    payment, refund = noticed(paid, refund_fee="2.00", out_biz_no="C1")
    assert (payment.kind, refund.kind, refund.total) == (Kind.PAID, Kind.REFUNDED, TWO)


def test_a_notice_that_is_closed_after_the_payment_tells_that_everything_went_back(paid: Stage) -> None:
    payment, refund = noticed(paid, trade_status="TRADE_CLOSED", gmt_close="2026-01-03 10:00:00")
    assert (payment.kind, refund.kind, refund.total) == (Kind.PAID, Kind.REFUNDED, SIX)


def test_a_closed_notice_that_names_a_refund_and_no_payment_closes_nothing(paid: Stage) -> None:
    facts = noticed(paid, trade_status="TRADE_CLOSED", gmt_payment="", gmt_refund="2026-01-03 10:00:00")
    assert kinds(facts) == [Kind.PENDING]


@pytest.mark.parametrize("field", ["refund_fee", "send_back_fee"])
def test_a_query_that_names_money_sent_back_does_not_hide_it(paid: Stage, field: str) -> None:
    content = {
        "code": "10000",
        "out_trade_no": OURS,
        "trade_no": "1",
        "trade_status": "TRADE_SUCCESS",
        "total_amount": "6.00",
        field: "3.00",
    }
    root = "alipay_trade_query_response"
    body = paid.alipay.gateway.signed_answer(root, content, encrypted=False)
    (payment,) = paid.another_provider(CannedHttp(body.encode())).query(Ref(ours=OURS))
    assert (payment.kind, payment.refunds_unknown) == (Kind.PAID, True)
    body = paid.alipay.gateway.signed_answer(root, content | {field: "0.00"}, encrypted=False)
    (payment,) = paid.another_provider(CannedHttp(body.encode())).query(Ref(ours=OURS))
    assert not payment.refunds_unknown


class InTurn:
    """Gives each request the next of these bodies."""

    def __init__(self, *bodies: str) -> None:
        self.bodies = list(bodies)

    def request(self, method: str, url: str, **_: object) -> HttpResponse:
        return HttpResponse(200, {}, self.bodies.pop(0).encode())


def test_a_refund_that_was_made_without_a_number_is_asked_for_by_that_of_the_payment(paid: Stage) -> None:
    sign = partial(paid.alipay.gateway.signed_answer, encrypted=False)
    names = {"code": "10000", "out_trade_no": OURS, "trade_no": "1"}
    trade = names | {"trade_status": "TRADE_SUCCESS", "total_amount": "6.00", "send_back_fee": "2.00"}
    refund = names | {"out_request_no": OURS, "refund_status": "REFUND_SUCCESS", "refund_amount": "2.00"}
    told = InTurn(
        sign("alipay_trade_query_response", trade), sign("alipay_trade_fastpay_refund_query_response", refund)
    )
    payment, found = paid.another_provider(told).query(Ref(ours=OURS))
    assert (payment.kind, found.kind, found.ref.refund, found.money) == (Kind.PAID, Kind.REFUNDED, OURS, TWO)
    none = InTurn(sign("alipay_trade_query_response", trade), sign("alipay_trade_fastpay_refund_query_response", names))
    assert kinds(paid.another_provider(none).query(Ref(ours=OURS))) == [Kind.PAID]


# --- refunds that no longer fit


def test_a_refund_that_no_longer_fits_is_declined_with_alipays_code(paid: Stage) -> None:
    paid.alipay.refund_by_hand(OURS, 300, "C1")
    with pytest.raises(Declined) as refusal:
        paid.provider.refund(REFUND, FOUR, "asked")
    assert refusal.value.code == "ACQ.REASON_TRADE_REFUND_FEE_ERR"
    (fact,) = paid.provider.refund(REFUND, Money(300, "CNY"), "asked")
    assert (fact.kind, fact.total) == (Kind.REFUNDED, SIX)


def test_a_refund_of_what_is_wholly_back_is_declined_with_alipays_code(paid: Stage) -> None:
    paid.alipay.refund_by_hand(OURS, 600, "C1")
    with pytest.raises(Declined) as refusal:
        paid.provider.refund(REFUND, TWO, "asked")
    assert refusal.value.code == "ACQ.TRADE_HAS_CLOSE"


def test_a_refunds_number_with_another_amount_is_refused_and_its_query_tells_what_was_sent(paid: Stage) -> None:
    paid.provider.refund(REFUND, TWO, "asked")
    with pytest.raises(Unknown) as refusal:
        paid.provider.refund(REFUND, FOUR, "asked")
    assert refusal.value.code == "ACQ.DISCORDANT_REPEAT_REQUEST"
    (fact,) = paid.provider.query(REFUND)
    assert (fact.kind, fact.money) == (Kind.REFUNDED, TWO)


def test_a_failed_refund_under_the_number_does_not_hide_a_definite_no(paid: Stage) -> None:
    paid.alipay.gateway.refunds_wait = True
    paid.provider.refund(REFUND, FOUR, "asked")
    paid.alipay.settle_refund(OURS, "5503599627370497", succeeded=False)
    paid.alipay.refund_by_hand(OURS, 300, "C1")
    with pytest.raises(Declined):
        paid.provider.refund(REFUND, FOUR, "asked")


# --- refunds that end otherwise later


def test_a_refund_that_is_worked_on_is_pending_and_succeeds_later(paid: Stage) -> None:
    paid.alipay.gateway.refunds_wait = True
    assert kinds(paid.provider.refund(REFUND, TWO, "asked")) == [Kind.REFUND_PENDING]
    assert paid.provider.query(REFUND) == ()
    paid.alipay.settle_refund(OURS, "5503599627370497", succeeded=True)
    (asked,) = paid.provider.query(REFUND)
    heard = told(paid, paid.notices()[0])[-1]
    assert (asked.kind, asked.money, heard.total) == (Kind.REFUNDED, TWO, TWO)
    assert key_of(asked) == key_of(heard)


def test_a_failed_refund_can_succeed_under_its_number_without_a_new_one(paid: Stage) -> None:
    paid.alipay.gateway.refunds_wait = True
    paid.provider.refund(REFUND, TWO, "asked")
    paid.alipay.settle_refund(OURS, "5503599627370497", succeeded=False)
    assert kinds(paid.provider.query(REFUND)) == [Kind.REFUND_FAILED]
    paid.alipay.settle_refund(OURS, "5503599627370497", succeeded=True)
    assert kinds(paid.provider.query(REFUND)) == [Kind.REFUNDED]


def test_a_failed_refund_can_be_asked_for_again_under_its_number(paid: Stage) -> None:
    paid.alipay.gateway.refunds_wait = True
    paid.provider.refund(REFUND, TWO, "asked")
    paid.alipay.settle_refund(OURS, "5503599627370497", succeeded=False)
    paid.alipay.gateway.refunds_wait = False
    (fact,) = paid.provider.refund(REFUND, TWO, "asked")
    assert (fact.kind, fact.total) == (Kind.REFUNDED, TWO)


# --- refunds to a bank card


@pytest.fixture
def to_a_card(paid: Stage) -> Stage:
    """A refund of two yuan on its way to the payer's bank."""
    paid.alipay.gateway.pays_back_to_cards = True
    paid.alipay.application_gateway = APPLICATION_GATEWAY
    paid.provider.refund(REFUND, TWO, "asked")
    return paid


@pytest.mark.parametrize("word", ["S", "F"])
def test_a_banks_answer_makes_us_ask_about_the_refund(to_a_card: Stage, word: str) -> None:
    to_a_card.alipay.bank_answers(OURS, "5503599627370497", word)
    received = to_a_card.provider.receive(to_a_card.notices()[0])
    (ask,) = received.asks
    assert (received.facts, received.note) == ((), "")
    assert (ask.ours, ask.refund) == (OURS, REFUND.refund)
    (fact,) = to_a_card.provider.query(ask)
    assert (fact.kind, fact.money, fact.cause) == (Kind.REFUNDED, TWO, f"REFUND_SUCCESS deposit_back={word}")


def test_a_bank_may_answer_otherwise_later_and_each_answer_is_told(to_a_card: Stage) -> None:
    (waiting,) = to_a_card.provider.query(REFUND)
    assert waiting.cause.endswith("=P")
    for word in ("F", "S"):
        to_a_card.alipay.bank_answers(OURS, "5503599627370497", word)
        assert to_a_card.provider.receive(to_a_card.notices()[0]).asks
        assert to_a_card.provider.query(REFUND)[0].cause.endswith(f"={word}")


@pytest.mark.parametrize(
    "changes",
    [
        {"app_id": "2021000000000009"},
        {"msg_method": "alipay.some.event"},
        {"biz_content": "[]"},
        {"biz_content": json.dumps({"out_trade_no": OURS})},
        {"biz_content": json.dumps({"out_trade_no": "a b", "out_request_no": "R1"})},
    ],
)
def test_a_message_that_names_no_refund_of_ours_asks_nothing(to_a_card: Stage, changes: dict[str, str]) -> None:
    to_a_card.alipay.bank_answers(OURS, "5503599627370497", "S")
    fields = {**to_a_card.alipay.notices[-1].fields, "notify_id": "N1", **changes}
    body = to_a_card.alipay.gateway.signed_form(fields)
    received = to_a_card.provider.receive(Message("notification", body.encode()))
    assert (received.facts, received.asks, received.reply.body) == ((), (), b"success")
    assert received.note


def test_without_its_address_in_the_console_no_bank_is_heard(to_a_card: Stage) -> None:
    to_a_card.alipay.application_gateway = ""
    to_a_card.alipay.bank_answers(OURS, "5503599627370497", "S")
    assert to_a_card.notices() == []


def test_a_test_drives_refunds_over_http(paid: Stage) -> None:
    app = paid.http._client.application
    assert isinstance(app, Flask)
    browser = app.test_client()

    def control(command: str, **body: Any) -> int:
        return browser.post(f"/_control/{command}", json=body).status_code

    number = {"out_trade_no": OURS, "out_request_no": REFUND.refund}
    assert control("switches", refunds_wait=True, pays_back_to_cards=True) == 200
    assert control("switches", gremlins=True) == 400
    paid.provider.refund(REFUND, TWO, "asked")
    assert control("settle-refund", **number, succeeded=True) == 200
    assert control("settle-refund", **number, succeeded=True) == 409
    assert control("bank", **number, answer="S") == 200
    assert control("bank", **number, answer="?") == 409
    assert kinds(paid.provider.query(REFUND)) == [Kind.REFUNDED]


def test_of_two_refunds_at_one_time_the_notice_names_the_second(paid: Stage) -> None:
    paid.provider.refund(REFUND, TWO, "asked")
    paid.alipay.refund_by_hand(OURS, 100, "C1")
    refund = told(paid, paid.notices()[-1])[-1]
    assert (refund.ref.refund, refund.total) == ("C1", Money(300, "CNY"))
