"""Promise 5: a timeout, garbage, a 5xx, an unverifiable reply: the outcome is unknown until a query settles it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest

from app.providers.facts import Intent, Started
from app.providers.http import HttpResponse
from app.providers.registry import ProviderAccount, Registry
from app.providers.testing.doubles import BrokenHttp, MemoryKeys, RewritingHttp
from app.providers.tools import Tools
from app.services.base.errors import OrderNotOpen, PaymentDeclined, ProviderMisconfigured, ProviderUnavailable
from app.services.base.idempotency import keyed
from app.services.calls import payment_closing, payment_queries, payment_starts
from app.services.payments import orders
from app.services.payments.orders import NewOrder, PayBy
from app.worker import Worker
from plugins.sandbox import plugin
from tests.support.world import SECRET, World

DONE_UNHEARD = ["timeout_after", "garbage", "empty", "html", "error500"]
"""Faults after which the provider has done what we asked, and we could not hear it."""


def through(world: World, http: Any) -> World:
    """The world with that line to the provider."""
    settings = plugin.settings.model_validate({"base_url": "https://sandbox.test", "merchant": "m-1", "secret": SECRET})
    provider = plugin.build(settings, Tools(http=http, clock=world.clock, keys=MemoryKeys(), live=False))
    registry = Registry({"sandbox": ProviderAccount("sandbox", "sandbox", False, provider)})
    return replace(world, core=replace(world.core, registry=registry))


def written(world: World, user: str = "alice") -> int:
    """An order whose payment the provider has not heard of; the payment's number."""
    wanted = NewOrder(user, "coins-60", 1, PayBy("sandbox", "page"), "CNY")
    return orders.create_order(world.core, wanted, keyed(f"user:{user}", "k1", "create_order", {}))[1]


@pytest.mark.parametrize("fault", ["timeout", *DONE_UNHEARD])
def test_a_start_without_an_answer_is_unknown_and_its_repeat_is_the_same_request(world: World, fault: str) -> None:
    payment_id = written(world)
    broken = through(world, BrokenHttp(world.http, fault))
    for _ in range(3):
        with pytest.raises(ProviderUnavailable):
            payment_starts.start_payment(broken.core, payment_id)
        assert world.payment(payment_id).status == "unknown"
    payment_starts.start_payment(world.core, payment_id)
    assert world.payment(payment_id).status == "pending"
    bodies = {body for method, url, body in world.http.requests if method == "POST"}
    assert len(bodies) == 1
    assert len(world.simulator.books.all_of("m-1")) == 1
    world.pay(payment_id)
    world.deliver()
    assert world.coins() == 66
    world.assert_balanced()


def test_a_start_that_surely_did_not_happen_changes_nothing(world: World) -> None:
    payment_id = written(world)
    with pytest.raises(ProviderUnavailable):
        payment_starts.start_payment(through(world, BrokenHttp(world.http, "refused")).core, payment_id)
    assert world.payment(payment_id).status == "created"


def test_money_paid_after_a_start_that_we_never_heard_of_is_found_by_the_worker(world: World) -> None:
    payment_id = written(world)
    with pytest.raises(ProviderUnavailable):
        payment_starts.start_payment(through(world, BrokenHttp(world.http, "timeout_after")).core, payment_id)
    world.simulator.faults.lose = 1
    world.pay(payment_id)
    world.clock.advance(6)
    assert Worker(world.core).run_once() == 4, "one question, and three events that get their places"
    assert world.payment(payment_id).status == "paid"
    assert world.coins() == 66


def test_a_no_after_an_unknown_outcome_is_not_believed(world: World) -> None:
    """The first call may have made the payment; «bad request» to the second proves nothing about it."""
    payment_id = written(world)
    with pytest.raises(ProviderUnavailable):
        payment_starts.start_payment(through(world, BrokenHttp(world.http, "timeout_after")).core, payment_id)
    world.at_provider(payment_id).asked = {**world.at_provider(payment_id).asked, "subject": "something else"}
    with pytest.raises(ProviderUnavailable):
        payment_starts.start_payment(world.core, payment_id)
    assert world.payment(payment_id).status == "unknown"
    assert world.payment(payment_id).next_query_at is not None


@dataclass
class Answers:
    """A provider of the test's own whose `start` ends as told."""

    inner: Any
    error: Exception

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def start(self, intent: Intent) -> Started:
        raise self.error


def answering(world: World, error: Exception) -> World:
    provider: Any = Answers(world.account.provider, error)
    registry = Registry({"sandbox": ProviderAccount("sandbox", "sandbox", False, provider)})
    return replace(world, core=replace(world.core, registry=registry))


def test_a_definite_no_ends_the_payment_with_the_providers_word(world: World) -> None:
    from app.providers import Declined

    payment_id = written(world)
    with pytest.raises(PaymentDeclined) as refused:
        payment_starts.start_payment(answering(world, Declined("no such bank", code="NO_BANK")).core, payment_id)
    assert refused.value.members["provider_code"] == "NO_BANK"
    row = world.payment(payment_id)
    assert (row.status, row.problem, row.next_query_at) == ("failed", "NO_BANK no such bank", None)
    world.assert_balanced()


def test_a_definite_no_is_the_answer_to_every_repeat_and_the_provider_is_not_asked_again(world: World) -> None:
    from app.providers import Declined

    for first, code in ((Declined("no such bank", code="NO_BANK"), "NO_BANK"), (Declined("not sold here"), "")):
        payment_id = written(world, f"alice{code}")
        with pytest.raises(PaymentDeclined):
            payment_starts.start_payment(answering(world, first).core, payment_id)
        with pytest.raises(PaymentDeclined) as repeated:
            payment_starts.start_payment(world.core, payment_id)
        assert repeated.value.members["provider_code"] == code
        assert world.payment(payment_id).action is None


def test_a_wrong_setting_leaves_the_payment_to_be_repeated(world: World) -> None:
    from app.providers import Misconfigured

    payment_id = written(world)
    with pytest.raises(ProviderMisconfigured):
        payment_starts.start_payment(answering(world, Misconfigured("no key")).core, payment_id)
    assert world.payment(payment_id).status == "created"
    payment_starts.start_payment(world.core, payment_id)
    assert world.payment(payment_id).status == "pending"


def test_an_exception_that_nobody_foresaw_is_unknown_and_its_text_is_not_kept(world: World) -> None:
    payment_id = written(world)
    with pytest.raises(ProviderUnavailable):
        payment_starts.start_payment(answering(world, ZeroDivisionError("secret=hunter2")).core, payment_id)
    row = world.payment(payment_id)
    assert (row.status, row.problem) == ("unknown", "ZeroDivisionError")


@pytest.mark.parametrize("fault", ["refused", "timeout", *DONE_UNHEARD])
def test_a_query_without_an_answer_changes_nothing_and_is_asked_again(world: World, fault: str) -> None:
    payment_id = world.order().payments[0].id
    world.simulator.faults.lose = 1
    world.pay(payment_id)
    before = world.payment(payment_id)
    broken = through(world, BrokenHttp(world.http, fault))
    world.clock.advance(6)
    assert payment_closing.work_on_payment(broken.core, payment_id)
    row = world.payment(payment_id)
    assert (row.status, row.theirs, world.coins()) == (before.status, before.theirs, 0)
    assert row.next_query_at > world.clock.now()
    world.clock.advance((row.next_query_at - world.clock.now()).total_seconds())
    assert payment_closing.work_on_payment(world.core, payment_id)
    assert world.coins() == 66


@pytest.mark.parametrize("fault", ["refused", "timeout", *DONE_UNHEARD])
def test_nothing_closes_while_the_provider_does_not_answer(world: World, fault: str) -> None:
    view = world.order()
    payment_id = view.payments[0].id
    broken = Worker(through(world, BrokenHttp(world.http, fault)).core)
    for _ in range(4):
        world.clock.advance(3700)
        broken.run_once()
    assert world.payment(payment_id).status == "pending"
    assert world.order_row(view.order.id).status == "open"
    world.clock.advance(4400)
    Worker(world.core).run_once()
    assert world.payment(payment_id).status == "closed"
    assert world.order_row(view.order.id).status == "expired"


class FailingSecond:
    """The first request goes through, the second (the close) does not come back."""

    def __init__(self, world: World) -> None:
        self._inner, self._broken, self._calls = world.http, BrokenHttp(world.http, "timeout_after"), 0

    def request(self, method: str, url: str, **details: Any) -> HttpResponse:
        self._calls += 1
        return (self._inner if self._calls == 1 else self._broken).request(method, url, **details)


def test_a_close_that_was_not_answered_is_settled_by_the_next_question(world: World) -> None:
    view = world.order()
    payment_id = view.payments[0].id
    world.clock.advance(1800)
    world.simulator.books._aged = lambda payment: payment  # type: ignore[method-assign]  # a provider without a clock
    assert payment_closing.work_on_payment(through(world, FailingSecond(world)).core, payment_id)
    assert world.at_provider(payment_id).status == "CLOSED"
    assert world.payment(payment_id).status == "pending"
    world.clock.advance(3700)
    assert payment_closing.work_on_payment(world.core, payment_id)
    assert world.payment(payment_id).status == "closed"


def test_an_answer_that_is_not_signed_by_the_provider_is_not_believed(world: World) -> None:
    """An impostor says «paid», in the right words."""
    payment_id = world.order().payments[0].id
    lie = RewritingHttp(world.http, lambda answer: replace(answer, body=answer.body.replace(b'"WAITING"', b'"PAID"')))
    asked = payment_queries.ask(through(world, lie).core, payment_id)
    assert asked is not None
    assert asked.answer is payment_queries.Answer.NONE
    assert (world.payment(payment_id).status, world.coins()) == ("pending", 0)


def test_an_unknown_payment_is_asked_about_before_another_one_is_made(world: World) -> None:
    """The user tries again after a timeout; the first attempt was paid meanwhile: no second payment is made."""
    payment_id = written(world)
    with pytest.raises(ProviderUnavailable):
        payment_starts.start_payment(through(world, BrokenHttp(world.http, "timeout_after")).core, payment_id)
    world.simulator.faults.lose = 1
    world.pay(payment_id)
    order_id = world.payment(payment_id).order_id
    request = keyed("user:alice", "k2", "add_payment", {})
    with pytest.raises(OrderNotOpen):
        payment_starts.pay_again(world.core, "alice", order_id, PayBy("sandbox", "qr"), request)
    assert (world.order_row(order_id).status, world.coins()) == ("paid", 66)
