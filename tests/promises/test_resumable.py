"""Promise 6: kill any process at any instruction; every flow goes on from what is recorded, without a person.

A real process does one flow and is killed (SIGKILL) at its first step, another at its second, and so on to the last: at
each statement, before and after each commit, before and after each call to the provider.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select

from app.domain.numbers import slot_of_user
from app.models.orders import Order
from app.services.payments import orders
from app.worker import Worker
from tests.support import processes
from tests.support.processes import Place, place_of, run_and_kill
from tests.support.world import World

pytestmark = pytest.mark.one_database

MOST_STEPS = 200
LEASE = 61


def each_step(
    place: Callable[[], Place], flow: Callable[..., object], prepare: Callable[[int], tuple[Any, ...]]
) -> int:
    """Run the flow again, killed one step later each time, until it comes through; how often it was killed."""
    for at in range(1, MOST_STEPS):
        arguments = prepare(at)
        if not run_and_kill(place(), at, flow, *arguments):
            return at - 1
    raise AssertionError("it never came to its end")


def books_say_what_the_provider_says(world: World) -> None:
    """What we booked is what was paid there, and every coin of it is in a wallet."""
    paid = [payment for payment in world.simulator.books.all_of("m-1") if payment.status == "PAID"]
    assert -world.money("clearing:sandbox") == sum(payment.asked["amount"] for payment in paid)
    assert -world.money("issuance", "coin") == 66 * len(paid)
    world.assert_balanced()


def orders_of(world: World, user: str) -> list[Any]:
    wanted = select(Order.__table__).where(Order.slot == slot_of_user(user), Order.user_id == user)
    return list(world.core.whole.read(lambda tx: tx.execute(wanted)))


@pytest.mark.timeout(300)
def test_ordering_killed_anywhere_is_repeated_into_one_order_and_one_payment(world: World) -> None:
    with place_of(world) as place:
        killed = each_step(place, processes.buy, lambda at: (f"user-{at}",))
    assert killed >= 15
    for at in range(1, killed + 1):
        payment_id = processes.buy(world.core, f"user-{at}")
        assert len(orders_of(world, f"user-{at}")) == 1
        assert world.payment(payment_id).status == "pending"
        world.pay(payment_id)
    assert world.deliver() == killed
    for at in range(1, killed + 1):
        assert world.coins(f"user-{at}") == 66
    books_say_what_the_provider_says(world)


@pytest.mark.timeout(300)
def test_ordering_killed_anywhere_and_never_repeated_ends_by_itself(world: World) -> None:
    with place_of(world) as place:
        killed = each_step(place, processes.buy, lambda at: (f"user-{at}",))
    worker = Worker(world.core)
    for seconds in (5, 1800, 960, 3600):
        world.clock.advance(seconds)
        worker.run_once()
    for at in range(1, killed + 1):
        for order in orders_of(world, f"user-{at}"):
            assert order.status == "expired"
            view = orders.view_order(world.core, order.user_id, order.id)
            assert [payment.status for payment in view.payments] == ["closed"]
    assert {payment.status for payment in world.simulator.books.all_of("m-1")} == {"CLOSED"}
    books_say_what_the_provider_says(world)


@pytest.mark.timeout(300)
def test_a_notification_killed_anywhere_is_made_good_by_the_worker(world: World) -> None:
    def notified(at: int) -> tuple[bytes, dict[str, str]]:
        payment_id = world.order(f"user-{at}").payments[0].id
        world.simulator.faults.lose = 1
        world.pay(payment_id)
        message = world.notification(payment_id)
        return message.body, dict(message.headers)

    with place_of(world) as place:
        killed = each_step(place, processes.be_notified, notified)
    assert killed >= 8
    world.clock.advance(LEASE)
    assert Worker(world.core).run_once() > 0
    for at in range(1, killed + 2):
        assert world.coins(f"user-{at}") == 66
    books_say_what_the_provider_says(world)


@pytest.mark.timeout(300)
def test_a_worker_killed_anywhere_while_asking_is_followed_by_another(world: World) -> None:
    worker = Worker(world.core)

    def paid_unheard(at: int) -> tuple[()]:
        world.clock.advance(LEASE)
        worker.run_once()
        assert [world.coins(f"user-{before}") for before in range(1, at)] == [66] * (at - 1)
        world.simulator.faults.lose = 1
        world.pay(world.order(f"user-{at}").payments[0].id)
        world.clock.advance(6)
        return ()

    with place_of(world) as place:
        killed = each_step(place, processes.work_on_payments, paid_unheard)
    assert killed >= 12
    assert world.coins(f"user-{killed + 1}") == 66
    books_say_what_the_provider_says(world)


@pytest.mark.timeout(300)
def test_a_worker_killed_anywhere_while_closing_is_followed_by_another(world: World) -> None:
    worker = Worker(world.core)

    def over(at: int) -> tuple[()]:
        world.clock.advance(LEASE)
        while worker.run_once():
            pass
        for before in range(1, at):
            assert [order.status for order in orders_of(world, f"user-{before}")] == ["expired"]
        world.order(f"user-{at}")
        world.clock.advance(1800)
        return ()

    with place_of(world) as place:
        killed = each_step(place, processes.work_on_payments, over)
    assert killed >= 12
    assert [order.status for order in orders_of(world, f"user-{killed + 1}")] == ["expired"]
    assert {payment.status for payment in world.simulator.books.all_of("m-1")} == {"CLOSED"}
    books_say_what_the_provider_says(world)
