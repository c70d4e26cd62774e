"""Money back: by our refund, by a person on the merchant site, and when it cannot be returned."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from app.domain.money import Money
from app.providers import Declined, Fact, Kind, Ref, Refunds, Unknown, key_of
from app.providers.testing.conformance.journeys import BreakingHttp
from app.providers.testing.doubles import FixedClock, WsgiClient
from plugins.wechat.merchant import Merchant
from plugins.wechat.v3.provider import V3Provider
from plugins.wechat.v3.reading import refund_fact
from tests.plugins.wechat.worlds import PublicKeyWorld, V2World, V3World, WeChatWorld


def yuan(fen: int) -> Money:
    return Money(fen, "CNY")


def paid(world: WeChatWorld) -> Fact:
    provider, intent = world.make_provider(world.tools()), world.intent()
    provider.start(intent)
    (message,) = world.pay(intent)
    return provider.receive(message).facts[0]


def v3(world: V3World) -> V3Provider:
    provider = world.make_provider(world.tools())
    assert isinstance(provider, V3Provider)
    return provider


def test_accepted_is_not_refunded() -> None:
    world = V3World(FixedClock())
    ref = Ref(ours=paid(world).ref.ours, refund="81")
    provider = v3(world)

    (accepted,) = provider.refund(ref, yuan(200), "asked & given")
    (asked,) = provider.query(ref)
    (notified,) = provider.receive(*world.settle_refund(ref)).facts
    (settled,) = provider.query(ref)

    assert [accepted.kind, asked.kind] == [Kind.REFUND_PENDING] * 2
    assert [notified.kind, settled.kind] == [Kind.REFUNDED] * 2
    assert {fact.money for fact in (accepted, asked, notified, settled)} == {yuan(200)}
    assert key_of(notified) == key_of(settled)
    assert notified.ref == settled.ref == Ref(ours=ref.ours, theirs=notified.ref.theirs, refund="81")


@pytest.mark.parametrize("status", ["ABNORMAL", "CLOSED"])
def test_a_refund_that_cannot_be_returned_has_failed(status: str) -> None:
    world = V3World(FixedClock())
    ref = Ref(ours=paid(world).ref.ours, refund="81")
    provider = v3(world)
    provider.refund(ref, yuan(200), "")
    world.wechat.finish_refund("81", status)

    (notified,) = provider.receive(*world.delivered()).facts
    (asked,) = provider.query(ref)

    assert [(fact.kind, fact.cause) for fact in (notified, asked)] == [(Kind.REFUND_FAILED, status)] * 2


def test_a_repeated_refund_is_the_very_same_request() -> None:
    world = V3World(FixedClock())
    payment = paid(world)
    provider = v3(world)
    for ref in (Ref(ours=payment.ref.ours, refund="81"), Ref(theirs=payment.ref.theirs, refund="81")):
        provider.refund(ref, yuan(200), "again")
        world.clock.advance(60)
    assert isinstance(world.http, WsgiClient)
    bodies = [body for method, url, body in world.http.requests if url.endswith("/refunds")]
    assert len(bodies) == 2
    assert bodies[0] == bodies[1]
    assert json.loads(bodies[0]) == {
        "transaction_id": payment.ref.theirs,
        "out_refund_no": "81",
        "reason": "again",
        "amount": {"refund": 200, "total": 600, "currency": "CNY"},
    }


def test_the_refund_address_is_sent_where_one_is_configured() -> None:
    world = PublicKeyWorld(FixedClock())
    address = "https://shop.example/webhooks/wechat"
    provider = world.build({**world.settings(), "refund_notify_url": address}, world.tools())
    assert isinstance(provider, Refunds)
    payment = paid(world)
    provider.refund(Ref(ours=payment.ref.ours, refund="81"), yuan(200), "x")
    assert world.wechat.books.refunds["81"].notify_url == address


def test_a_refund_whose_answer_was_lost_is_unknown_and_repeated_without_harm() -> None:
    world = V3World(FixedClock())
    ref = Ref(ours=paid(world).ref.ours, refund="81")
    provider = world.make_provider(world.tools(BreakingHttp(world.http, "timeout_after", breaks_at=2)))
    assert isinstance(provider, V3Provider)
    with pytest.raises(Unknown):
        provider.refund(ref, yuan(200), "")
    assert world.wechat.books.orders[str(ref.ours)].refunded == 200

    (fact,) = v3(world).refund(ref, yuan(200), "")

    assert fact.kind is Kind.REFUND_PENDING
    assert world.wechat.books.orders[str(ref.ours)].refunded == 200


def test_what_was_never_paid_cannot_be_refunded() -> None:
    world = V3World(FixedClock())
    intent = world.intent()
    provider = v3(world)
    provider.start(intent)
    for ref in (Ref(ours=intent.ref.ours, refund="81"), Ref(ours="4503599627370001", refund="81")):
        with pytest.raises(Declined):
            provider.refund(ref, yuan(200), "")
    assert not world.wechat.books.refunds


def test_a_paid_order_stays_paid_after_a_refund() -> None:
    world = V3World(FixedClock())
    payment = paid(world)
    provider = v3(world)
    provider.refund(Ref(ours=payment.ref.ours, refund="81"), yuan(600), "")
    world.wechat.finish_refund("81")

    (fact,) = provider.query(payment.ref)

    assert (fact.kind, fact.cause) == (Kind.PAID, "REFUND")
    assert key_of(fact) == key_of(payment)
    assert (fact.refunds_unknown, payment.refunds_unknown) == (True, False)


def test_a_v3_refund_on_the_merchant_site_makes_the_payment_say_that_something_is_not_known() -> None:
    """On every road on which a payment's state can be REFUND: query, cancel, and a notification that comes late."""
    world = V3World(FixedClock())
    payment = paid(world)
    order = world.wechat.books.orders[str(payment.ref.ours)]
    provider = v3(world)
    world.wechat.refund_on_the_merchant_site(order.number, 200, "site-1")
    late = world.wechat.signer.notification("TRANSACTION.SUCCESS", "transaction", world.wechat.v3.transaction(order))
    for road in (
        provider.query(Ref(ours=payment.ref.ours)),
        provider.query(Ref(theirs=payment.ref.theirs)),
        provider.cancel(Ref(ours=payment.ref.ours)),
        provider.receive(late).facts,
    ):
        assert [(fact.kind, fact.refunds_unknown) for fact in road] == [(Kind.PAID, True)]


@pytest.mark.parametrize("by", ["ours", "theirs"])
def test_v2_tells_all_refunds_of_a_payment_that_was_refunded_by_somebody_else(by: str) -> None:
    world = V2World(FixedClock())
    payment, provider = paid(world), world.make_provider(world.tools())
    for number, fen in (("site-1", 100), ("site-2", 250)):
        world.wechat.refund_on_the_merchant_site(str(payment.ref.ours), fen, number)
    world.wechat.finish_refund("site-1")
    ref = Ref(ours=payment.ref.ours) if by == "ours" else Ref(theirs=payment.ref.theirs)

    told = provider.query(ref)

    assert [(fact.kind, fact.ref.refund, fact.money) for fact in told] == [
        (Kind.PAID, None, yuan(600)),
        (Kind.REFUNDED, "site-1", yuan(100)),
        (Kind.REFUND_PENDING, "site-2", yuan(250)),
    ]
    assert not told[0].refunds_unknown
    assert {fact.ref.theirs for fact in told} == {payment.ref.theirs}
    assert [key_of(fact) for fact in provider.query(Ref(refund="site-1"))] == [key_of(told[1])]


def test_v2_asks_on_until_all_refunds_of_a_payment_have_come() -> None:
    world = V2World(FixedClock())
    payment, provider = paid(world), world.make_provider(world.tools())
    for number in range(23):
        world.wechat.refund_on_the_merchant_site(str(payment.ref.ours), 10, f"site-{number}")
    told = provider.query(Ref(ours=payment.ref.ours))
    assert len(told) == 24
    assert not told[0].refunds_unknown


@pytest.mark.parametrize("fault", ["timeout", "garbage", "error500"])
def test_a_v2_payment_whose_refunds_cannot_be_asked_for_says_so_and_is_paid(fault: str) -> None:
    world = V2World(FixedClock())
    payment = paid(world)
    world.wechat.refund_on_the_merchant_site(str(payment.ref.ours), 100, "site-1")
    provider = world.make_provider(world.tools(BreakingHttp(world.http, fault, breaks_at=2)))
    assert [(fact.kind, fact.refunds_unknown) for fact in provider.query(payment.ref)] == [(Kind.PAID, True)]


def test_a_v2_payment_that_only_says_refunded_is_not_told_as_whole() -> None:
    """The state says REFUND, and the list of refunds is empty: one of the two is late."""
    world = V2World(FixedClock())
    payment, provider = paid(world), world.make_provider(world.tools())
    world.wechat.books.orders[str(payment.ref.ours)].shown_state = "REFUND"
    assert [(fact.kind, fact.refunds_unknown) for fact in provider.query(payment.ref)] == [(Kind.PAID, True)]


@pytest.mark.parametrize("world_class", [V3World, V2World])
def test_an_abnormal_refund_that_succeeds_later_is_told_as_done_under_the_same_number(
    world_class: type[WeChatWorld],
) -> None:
    world = world_class(FixedClock())
    payment, provider = paid(world), world.make_provider(world.tools())
    world.wechat.refund_on_the_merchant_site(str(payment.ref.ours), 200, "site-1")
    world.wechat.finish_refund("site-1", "ABNORMAL")
    (failed,) = provider.query(Ref(refund="site-1"))
    world.clock.advance(3 * 86400)
    world.wechat.repair_refund("site-1")
    (done,) = provider.query(Ref(refund="site-1"))
    assert (failed.kind, done.kind) == (Kind.REFUND_FAILED, Kind.REFUNDED)
    assert failed.ref == done.ref
    assert failed.at < done.at
    assert len(world.delivered()) == 1  # of ABNORMAL; of the end nobody tells


def test_a_late_delivery_that_a_refund_is_abnormal_is_dated_before_its_success() -> None:
    world = V3World(FixedClock())
    payment, provider = paid(world), v3(world)
    refund = world.wechat.refund_on_the_merchant_site(str(payment.ref.ours), 200, "site-1")
    world.wechat.finish_refund("site-1", "ABNORMAL")
    abnormal = world.wechat.refund_message(refund).body
    world.clock.advance(3600)
    world.wechat.repair_refund("site-1")
    (done,) = provider.query(Ref(refund="site-1"))
    world.clock.advance(3600)

    (late,) = provider.receive(world.signed(abnormal)).facts

    assert late.kind is Kind.REFUND_FAILED
    assert late.at < done.at


@pytest.mark.parametrize(
    ("told", "fee"), [({"refund_fee": 3}, 3), ({"refund_fee": 0}, 0), ({}, None), ({"refund_fee": "3"}, None)]
)
def test_the_fee_that_came_back_with_a_refund_is_told_where_the_answer_has_it(
    told: dict[str, object], fee: int | None
) -> None:
    merchant = Merchant("1900000109", "wx8888888888888888", live=False)
    document = {
        "out_trade_no": "4503599627370497",
        "transaction_id": "42000",
        "out_refund_no": "81",
        "status": "SUCCESS",
        "success_time": "2026-01-02T10:00:00+08:00",
        "amount": {"refund": 500, "total": 600, "currency": "CNY", **told},
    }
    at = datetime(2026, 1, 3, tzinfo=UTC)
    assert refund_fact(document, merchant, at).fee == (None if fee is None else yuan(fee))
    assert refund_fact({**document, "status": "PROCESSING"}, merchant, at).fee is None


def test_a_refund_on_the_merchant_site_is_told_by_v3() -> None:
    world = V3World(FixedClock())
    payment = paid(world)
    world.wechat.refund_on_the_merchant_site(str(payment.ref.ours), 200, "site-1")
    world.wechat.finish_refund("site-1")

    (fact,) = v3(world).receive(*world.delivered()).facts

    assert (fact.kind, fact.ref.refund, fact.money) == (Kind.REFUNDED, "site-1", yuan(200))


def test_a_refund_on_the_merchant_site_is_asked_about_in_v2() -> None:
    world = V2World(FixedClock())
    payment = paid(world)
    provider = world.make_provider(world.tools())
    world.wechat.refund_on_the_merchant_site(str(payment.ref.ours), 200, "site-1")
    world.wechat.finish_refund("site-1")

    received = provider.receive(*world.delivered())
    (ask,) = received.asks
    (fact,) = provider.query(ask)

    assert received.facts == ()
    assert ask == Ref(ours=payment.ref.ours, theirs=payment.ref.theirs, refund="site-1")
    assert (fact.kind, fact.ref, fact.money) == (Kind.REFUNDED, ask, yuan(200))


@pytest.mark.parametrize(("status", "kind"), [("CLOSED", Kind.REFUND_FAILED), ("ABNORMAL", Kind.REFUND_FAILED)])
def test_a_v2_refund_that_failed_is_asked_about_and_told(status: str, kind: Kind) -> None:
    world = V2World(FixedClock())
    payment = paid(world)
    provider = world.make_provider(world.tools())
    world.wechat.refund_on_the_merchant_site(str(payment.ref.ours), 200, "site-1")
    world.wechat.finish_refund("site-1", status)

    (ask,) = provider.receive(*world.delivered()).asks

    assert [fact.kind for fact in provider.query(ask)] == [kind]


def test_v2_has_no_refund_and_knows_no_refund_that_is_not_there() -> None:
    world = V2World(FixedClock())
    provider = world.make_provider(world.tools())
    assert not isinstance(provider, Refunds)
    assert provider.query(Ref(refund="never")) == ()
