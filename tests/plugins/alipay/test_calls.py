"""Query, close and refund against the simulated gateway, and what its refusals mean."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from app.domain.money import Money
from app.providers import Declined, Kind, Misconfigured, ProviderError, Ref, Retryable, Tools, Unknown
from app.providers.testing.doubles import BrokenHttp, FixedClock
from plugins.alipay.codes import NOT_OPEN
from plugins.alipay.simulated.signing import sign
from tests.plugins.alipay.actors import GATEWAY, Stage, build, intent_for, stage, strangers
from tests.plugins.alipay.samples import CannedHttp

OURS = "4503599627370497"
REF = Ref(ours=OURS)
REFUND = Ref(ours=OURS, refund="5503599627370497")
TWO, SIX = Money(200, "CNY"), Money(600, "CNY")


@pytest.fixture
def here() -> Stage:
    return stage()


@pytest.fixture
def paid(here: Stage) -> Stage:
    here.paid(intent_for(here.clock))
    return here


def kinds(facts: tuple[Any, ...]) -> list[Kind]:
    return [fact.kind for fact in facts]


# --- query


def test_what_no_payer_has_opened_is_not_known_yet(here: Stage) -> None:
    here.provider.start(intent_for(here.clock))
    assert here.provider.query(REF) == ()


def test_what_a_payer_has_opened_is_pending_then_paid(here: Stage) -> None:
    here.opened(intent_for(here.clock))
    assert kinds(here.provider.query(REF)) == [Kind.PENDING]
    here.alipay.pay(here.alipay.gateway.trades.find(OURS).order)
    (fact,) = here.provider.query(REF)
    assert (fact.kind, fact.money, fact.account) == (Kind.PAID, SIX, here.provider.account)


def test_what_expired_unpaid_is_closed(here: Stage) -> None:
    here.opened(intent_for(here.clock))
    here.clock.advance(timedelta(minutes=31).total_seconds())
    assert kinds(here.provider.query(REF)) == [Kind.CLOSED]


def test_what_was_wholly_refunded_is_paid_and_refunded(paid: Stage) -> None:
    paid.alipay.refund_by_hand(OURS, 600)
    assert kinds(paid.provider.query(REF)) == [Kind.PAID, Kind.REFUNDED]


def test_a_payment_can_be_asked_for_by_either_number(paid: Stage) -> None:
    (by_ours,) = paid.provider.query(REF)
    assert paid.provider.query(Ref(theirs=by_ours.ref.theirs)) == (by_ours,)


def test_a_query_without_a_number_is_declined(here: Stage) -> None:
    with pytest.raises(Declined):
        here.provider.query(Ref())


def answer(here: Stage, method: str, **content: Any) -> bytes:
    """A genuine answer of any content, signed by Alipay's key."""
    text = json.dumps({"code": "10000", "msg": "Success", **content})
    root = method.replace(".", "_") + "_response"
    return f'{{"{root}":{text},"sign":"{sign(here.keys.alipay_private_key, text.encode())}"}}'.encode()


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"out_trade_no": "4503599627370498", "trade_status": "TRADE_SUCCESS", "trade_no": "1", "total_amount": "6.00"},
        {"out_trade_no": OURS, "trade_status": "TRADE_SUCCESS", "total_amount": "6.00"},
        {"out_trade_no": OURS, "trade_status": "TRADE_SUCCESS", "trade_no": "1"},
        {"out_trade_no": OURS, "trade_status": "TRADE_SUCCESS", "trade_no": "1", "total_amount": 6},
        {"out_trade_no": OURS, "trade_status": "TRADE_SUCCESS", "trade_no": "1", "total_amount": "6.001"},
        {"out_trade_no": OURS, "trade_status": "TRADE_SUCCESS", "trade_no": ["1"], "total_amount": "6.00"},
        {"out_trade_no": OURS, "trade_status": "TRADE_CLOSED", "trade_no": "1", "send_pay_date": "yesterday"},
        {"code": 10000, "out_trade_no": OURS, "trade_status": "TRADE_SUCCESS"},
    ],
)
def test_a_genuine_answer_that_does_not_say_enough_leaves_it_unknown(here: Stage, content: dict[str, Any]) -> None:
    """One answer is about another payment: a signature does not say which question it answers."""
    provider = here.another_provider(CannedHttp(answer(here, "alipay.trade.query", **content)))
    with pytest.raises(Unknown):
        provider.query(REF)


def test_a_genuine_answer_to_another_method_is_no_answer(paid: Stage) -> None:
    provider = paid.another_provider(CannedHttp(answer(paid, "alipay.trade.close", out_trade_no=OURS)))
    with pytest.raises(Unknown):
        provider.query(REF)


# --- cancel


def test_an_opened_payment_is_closed(here: Stage) -> None:
    here.opened(intent_for(here.clock))
    (fact,) = here.provider.cancel(REF)
    assert (fact.kind, fact.ref.ours) == (Kind.CLOSED, OURS)
    assert fact.ref.theirs


def test_what_does_not_exist_yet_cannot_be_closed_and_stays_payable(here: Stage) -> None:
    started = here.provider.start(intent_for(here.clock))
    assert here.provider.cancel(REF) == ()
    here.alipay.pay(here.alipay.order_of(started.action))
    assert kinds(here.provider.query(REF)) == [Kind.PAID]


def test_closing_what_was_paid_says_paid(paid: Stage) -> None:
    assert kinds(paid.provider.cancel(REF)) == [Kind.PAID]


@pytest.mark.parametrize("code", [f"ACQ.{word}" for word in sorted(NOT_OPEN)])
def test_every_wording_of_not_open_is_followed_by_a_question(paid: Stage, code: str) -> None:
    paid.alipay.gateway.business_faults = [code]
    assert kinds(paid.provider.cancel(REF)) == [Kind.PAID]


# --- refund


def test_a_refund_tells_the_running_total_under_our_number(paid: Stage) -> None:
    (first,) = paid.provider.refund(REFUND, TWO, "asked")
    (second,) = paid.provider.refund(Ref(ours=OURS, refund="R2"), Money(150, "CNY"), "asked")
    assert (first.kind, first.total, first.ref.refund) == (Kind.REFUNDED, TWO, REFUND.refund)
    assert second.total == Money(350, "CNY")


def test_a_repeated_refund_pays_once_and_says_so(paid: Stage) -> None:
    """`fund_change=N` is the answer to the repeat; the refund query then says that it is done."""
    paid.provider.refund(REFUND, TWO, "asked")
    (again,) = paid.provider.refund(REFUND, TWO, "asked")
    assert (again.kind, again.money, again.ref.refund) == (Kind.REFUNDED, TWO, REFUND.refund)
    assert paid.alipay.gateway.trades.find(OURS).refunded_fen == 200


def test_an_undecided_refund_is_pending(paid: Stage) -> None:
    content = {"out_trade_no": OURS, "trade_no": "1", "fund_change": "N", "refund_fee": "2.00"}
    bodies = [
        answer(paid, "alipay.trade.refund", **content),
        answer(paid, "alipay.trade.fastpay.refund.query"),
    ]
    assert kinds(paid.another_provider(CannedHttp(*bodies)).refund(REFUND, TWO, "asked")) == [Kind.REFUND_PENDING]


def test_a_refund_that_was_lost_midway_is_found_by_its_number(paid: Stage) -> None:
    lost = paid.another_provider(BrokenHttp(paid.http, "timeout_after"))
    with pytest.raises(Unknown):
        lost.refund(REFUND, TWO, "asked")
    (fact,) = paid.provider.query(REFUND)
    assert (fact.kind, fact.money, fact.ref.refund) == (Kind.REFUNDED, TWO, REFUND.refund)


def test_a_refusal_of_the_repeat_does_not_hide_the_first_success(paid: Stage) -> None:
    """The first attempt gave everything back, its answer was lost, and the repeat is refused as closed."""
    paid.provider.refund(REFUND, SIX, "asked")
    paid.alipay.gateway.business_faults = ["ACQ.TRADE_HAS_CLOSE"]
    assert kinds(paid.provider.refund(REFUND, SIX, "asked")) == [Kind.REFUNDED]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("ACQ.TRADE_HAS_FINISHED", Declined),
        ("ACQ.TRADE_NOT_ALLOW_REFUND", Declined),
        ("ACQ.BUYER_NOT_EXIST", Declined),
        ("ACQ.SELLER_BALANCE_NOT_ENOUGH", Retryable),
        ("ACQ.REFUND_CHARGE_ERROR", Unknown),
        ("ACQ.SYSTEM_ERROR", Unknown),
        ("aop.ACQ.SYSTEM_ERROR", Unknown),
        ("ACQ.SOMETHING_NEW", Unknown),
        ("ACQ.DISCORDANT_REPEAT_REQUEST", Unknown),
    ],
)
def test_a_refused_refund_means_what_its_code_says(paid: Stage, code: str, expected: type[ProviderError]) -> None:
    paid.alipay.gateway.business_faults = [code]
    with pytest.raises(ProviderError) as error:
        paid.provider.refund(REFUND, TWO, "asked")
    assert type(error.value) is expected
    assert error.value.code == code


def test_a_refund_of_what_was_never_paid_is_declined(here: Stage) -> None:
    here.opened(intent_for(here.clock))
    with pytest.raises(Declined):
        here.provider.refund(REFUND, TWO, "asked")


def test_a_refund_nobody_asked_for_is_no_fact(paid: Stage) -> None:
    assert paid.provider.query(REFUND) == ()
    assert paid.provider.query(Ref(ours="1", refund="R")) == ()


@pytest.mark.parametrize(("ref", "money"), [(REF, TWO), (REFUND, Money(200, "USD"))])
def test_a_refund_without_number_or_in_another_currency_is_declined(paid: Stage, ref: Ref, money: Money) -> None:
    with pytest.raises(Declined):
        paid.provider.refund(ref, money, "asked")


# --- agreements


def test_an_agreement_is_asked_about_and_ended_by_its_number(here: Stage) -> None:
    content = {"agreement_no": "A1", "status": "NORMAL", "sign_time": "2026-01-02 04:00:00"}
    asking = here.another_provider(CannedHttp(answer(here, "alipay.user.agreement.query", **content)))
    ending = here.another_provider(CannedHttp(answer(here, "alipay.user.agreement.unsign")))
    (fact,) = asking.query(Ref(agreement="A1"))
    assert fact.kind is Kind.SIGNED
    assert asking.query(Ref(agreement="A1", our_agreement="4503599627370498")) == (fact,)
    assert kinds(ending.cancel(Ref(agreement="A1"))) == [Kind.ENDED]


def test_an_agreement_that_is_not_there_or_over_is_no_error(here: Stage) -> None:
    def failing(method: str, sub_code: str) -> CannedHttp:
        return CannedHttp(answer(here, method, code="40004", sub_code=sub_code))

    query, unsign = "alipay.user.agreement.query", "alipay.user.agreement.unsign"
    assert here.another_provider(failing(query, "USER_AGREEMENT_NOT_EXIST")).query(Ref(agreement="A1")) == ()
    assert here.another_provider(failing(unsign, "USER_AGREEMENT_NOT_EXIST")).cancel(Ref(agreement="A1")) == ()
    ended = here.another_provider(failing(unsign, "AGREEMENT_HAS_UNSIGNED")).cancel(Ref(agreement="A1"))
    assert kinds(ended) == [Kind.ENDED]
    known = Ref(agreement="A1", our_agreement="4503599627370498")  # it was in force once, so it is over
    assert kinds(here.another_provider(failing(query, "USER_AGREEMENT_NOT_EXIST")).query(known)) == [Kind.ENDED]
    assert kinds(here.another_provider(failing(unsign, "USER_AGREEMENT_NOT_EXIST")).cancel(known)) == [Kind.ENDED]


def test_an_agreement_of_ours_cannot_be_named_without_the_contract(here: Stage) -> None:
    with pytest.raises(Declined):
        here.provider.query(Ref(our_agreement="4503599627370498"))


# --- refusals of the gateway itself


def test_a_wrong_app_or_key_is_misconfigured(paid: Stage) -> None:
    calls: list[Callable[[], object]] = [
        lambda: paid.another_provider(app_id="2021000000000009").query(REF),
        lambda: paid.another_provider(app_private_key=strangers().app_private_key).query(REF),
    ]
    for call, code in zip(calls, ("isv.invalid-app-id", "isv.invalid-signature"), strict=True):
        with pytest.raises(Misconfigured) as error:
            call()
        assert error.value.code == code


def test_a_host_whose_clock_is_days_off_is_misconfigured(paid: Stage) -> None:
    late = FixedClock(paid.clock.now() + timedelta(days=2))
    provider = build(paid.keys.settings(GATEWAY), Tools(http=paid.http, clock=late, keys=paid.stored, live=False))
    with pytest.raises(Misconfigured) as error:
        provider.query(REF)
    assert error.value.code == "isv.invalid-timestamp"


def test_with_content_encryption_everything_works_the_same() -> None:
    here = stage(aes_key="Xwa4XhYZsri1b3t1igoxCg==")
    here.paid(intent_for(here.clock))
    assert kinds(here.provider.query(REF)) == [Kind.PAID]
    _, _, body = here.http.requests[-1]
    assert OURS.encode() not in body
