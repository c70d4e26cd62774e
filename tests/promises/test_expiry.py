"""What was never paid ends: at the provider first, then here; and money that comes after that is found."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest

from app.providers.errors import Unknown
from app.providers.facts import Fact, Kind, Ref
from app.providers.registry import ProviderAccount, Registry
from app.services.base.idempotency import keyed
from app.services.payments import orders
from app.services.payments.orders import NewOrder, PayBy
from app.worker import Worker
from tests.support.lanes import ABOUT_PAYMENTS, SomeLanes
from tests.support.world import World

EXPIRY, GRACE, HOUR = 1800, 900, 3600


@dataclass
class Forgetful:
    """A provider that knows nothing of any payment until told otherwise, and counts what it is asked."""

    inner: Any
    answer: str = "nothing"
    asked: int = 0
    cancelled: int = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def query(self, ref: Ref) -> tuple[Fact, ...]:
        self.asked += 1
        if self.answer == "nothing":
            return ()
        if self.answer == "silence":
            raise Unknown("no answer")
        found: tuple[Fact, ...] = self.inner.query(ref)
        return found

    def cancel(self, ref: Ref) -> tuple[Fact, ...]:
        self.cancelled += 1
        found: tuple[Fact, ...] = self.inner.cancel(ref)
        return found


def with_provider(world: World, provider: Any) -> World:
    registry = Registry({"sandbox": ProviderAccount("sandbox", "sandbox", False, provider)})
    return replace(world, core=replace(world.core, registry=registry))


def until(world: World, seconds: float) -> None:
    """Let the time go by, with a worker that is always there."""
    lanes = SomeLanes(world.core, ABOUT_PAYMENTS)
    end = world.clock.now().timestamp() + seconds
    while (left := end - world.clock.now().timestamp()) > 0:
        world.clock.advance(min(60, left))
        lanes.round()
    lanes.round_of_all()


def test_at_expiry_the_provider_closes_first_then_the_payment_then_the_order(world: World) -> None:
    provider = Forgetful(world.account.provider, answer="truth")
    world = with_provider(world, provider)
    view = world.order()
    until(world, EXPIRY - 1)
    assert provider.cancelled == 0
    assert world.payment(view.payments[0].id).status == "pending"
    until(world, 2)
    assert world.at_provider(view.payments[0].id).status == "CLOSED"
    assert world.payment(view.payments[0].id).status == "closed"
    assert world.order_row(view.order.id).status == "expired"
    world.assert_balanced()


def test_a_provider_that_lets_people_pay_late_is_told_to_close_before_we_do(world: World) -> None:
    """It does not close by itself; and in the moment of closing it turns out to be paid."""
    view = world.order()
    payment_id = view.payments[0].id
    world.clock.advance(EXPIRY - 1)
    world.simulator.faults.lose = 1
    world.pay(payment_id)
    world.clock.advance(1)
    Worker(world.core).run_once()
    assert world.payment(payment_id).status == "paid"
    assert world.order_row(view.order.id).status == "paid"


def test_no_such_payment_never_closes_before_expiry_and_grace(world: World) -> None:
    provider = Forgetful(world.account.provider)
    world = with_provider(world, provider)
    view = world.order()
    until(world, EXPIRY + GRACE - 1)
    assert provider.asked >= 5
    assert world.payment(view.payments[0].id).status == "pending"
    assert world.order_row(view.order.id).status == "open"
    until(world, 1)
    assert world.payment(view.payments[0].id).status == "closed"
    assert world.order_row(view.order.id).status == "expired"
    world.assert_balanced()


@pytest.mark.parametrize("hours", [1, 24])
def test_a_lost_late_payment_is_found_by_the_late_questions(world: World, hours: int) -> None:
    provider = Forgetful(world.account.provider)
    world = with_provider(world, provider)
    view = world.order()
    payment_id = view.payments[0].id
    world.simulator.faults.lose = 1
    world.pay(payment_id)
    worker = Worker(world.core)
    world.clock.advance(EXPIRY + GRACE)
    worker.run_once()
    assert world.order_row(view.order.id).status == "expired"
    if hours == 24:
        world.clock.advance(HOUR)
        worker.run_once()
        assert world.coins() == 0
    provider.answer = "truth"
    world.clock.advance((24 if hours == 24 else 1) * HOUR)
    worker.run_once()
    assert world.order_row(view.order.id).status == "paid"
    assert world.coins() == 66
    world.assert_balanced()


def test_a_late_question_that_is_not_answered_is_asked_again(world: World) -> None:
    provider = Forgetful(world.account.provider)
    world = with_provider(world, provider)
    view = world.order()
    world.simulator.faults.lose = 1
    world.pay(view.payments[0].id)
    worker = Worker(world.core)
    for seconds in (EXPIRY + GRACE, HOUR):
        world.clock.advance(seconds)
        worker.run_once()
    provider.answer = "silence"
    for _ in range(30):
        world.clock.advance(HOUR)
        worker.run_once()
    assert world.coins() == 0
    provider.answer = "truth"
    world.clock.advance(HOUR)
    worker.run_once()
    assert world.coins() == 66


def test_after_the_late_questions_there_is_silence(world: World) -> None:
    provider = Forgetful(world.account.provider)
    world = with_provider(world, provider)
    payment_id = world.order().payments[0].id
    worker = Worker(world.core)
    for seconds in (EXPIRY + GRACE, HOUR, 24 * HOUR):
        world.clock.advance(seconds)
        worker.run_once()
    assert world.payment(payment_id).next_query_at is None
    asked = provider.asked
    world.clock.advance(30 * 24 * HOUR)
    assert worker.run_once() == 0
    assert provider.asked == asked


def test_an_order_without_a_started_payment_ends_too(world: World) -> None:
    wanted = NewOrder("alice", "coins-60", 1, PayBy("sandbox", "page"), "CNY")
    order_id, payment_id = orders.create_order(world.core, wanted, keyed("user:alice", "k", "create_order", {}))
    until(world, EXPIRY + GRACE)
    assert world.payment(payment_id).status == "closed"
    assert world.order_row(order_id).status == "expired"
    assert world.payment(payment_id).queries < 40


def test_a_payment_closed_by_the_provider_is_not_asked_about_any_more(world: World) -> None:
    view = world.order()
    payment = world.at_provider(view.payments[0].id)
    world.simulator.books.close(payment)
    world.clock.advance(6)
    Worker(world.core).run_once()
    row = world.payment(view.payments[0].id)
    assert (row.status, row.next_query_at) == ("closed", None)
    assert world.order_row(view.order.id).status == "open"
    world.clock.advance(EXPIRY)
    Worker(world.core).run_once()
    assert world.order_row(view.order.id).status == "expired"


def test_a_fact_of_closing_that_comes_after_the_time_ends_the_order_at_once(world: World) -> None:
    view = world.order()
    world.clock.advance(EXPIRY + 1)
    assert world.at_provider(view.payments[0].id).status == "CLOSED"
    assert world.receive(world.notification(view.payments[0].id)).status == 200
    assert world.order_row(view.order.id).status == "expired"
    assert [kind for kind, _, _ in world.outcomes()][-1] == Kind.CLOSED
