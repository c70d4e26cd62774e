"""Promise 1 again, across real processes: fifty notifications at once; notification against query against expiry."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial

import pytest

from app.services.calls import payment_closing, payment_queries
from app.worker import Worker
from tests.support import processes
from tests.support.processes import CONTEXT, place_of
from tests.support.world import World

pytestmark = pytest.mark.one_database

PROCESSES = 5
EACH = 10


def test_fifty_identical_notifications_in_five_processes_credit_once(world: World) -> None:
    payment_id = world.order().payments[0].id
    world.simulator.faults.lose = 1
    world.pay(payment_id)
    message = world.notification(payment_id)
    same = [(message.body, dict(message.headers))] * EACH
    with place_of(world) as place, ProcessPoolExecutor(PROCESSES, mp_context=CONTEXT) as pool:
        futures = [pool.submit(processes.be_notified_by_many, place(), same) for _ in range(PROCESSES)]
        assert {status for future in futures for status in future.result()} == {200}
    assert [outcome for kind, outcome, _ in world.outcomes() if kind == "paid"] == ["applied"]
    assert (world.coins(), world.money("sales")) == (66, 600)
    world.assert_balanced()


def test_notifications_against_workers_in_many_processes_at_expiry_credit_once(world: World) -> None:
    """The payer pays in the last second; the worker comes to close, others bring the news."""
    ids = [world.order(f"user-{number}").payments[0].id for number in range(6)]
    world.clock.advance(1799)
    for payment_id in ids:
        world.simulator.faults.lose = 1
        world.pay(payment_id)
    world.clock.advance(2)
    messages = [world.notification(payment_id) for payment_id in ids]
    bodies = [(message.body, dict(message.headers)) for message in messages]
    with place_of(world) as place, ProcessPoolExecutor(4, mp_context=CONTEXT) as pool:
        told = [pool.submit(processes.be_notified_by_many, place(), bodies) for _ in range(2)]
        worked = [pool.submit(processes.work_once, place()) for _ in range(2)]
        assert {status for future in told for status in future.result()} == {200}
        assert all(future.result() >= 0 for future in worked)
    for number in range(6):
        assert world.coins(f"user-{number}") == 66
    assert world.money("sales") == 3600
    world.assert_balanced()


def test_notification_query_and_expiry_at_the_same_moment_credit_once(world: World) -> None:
    """In threads, over and over: whichever comes first, the result is the same."""
    for number in range(4):
        user = f"user-{number}"
        view = world.order(user)
        payment_id = view.payments[0].id
        world.clock.advance(1799)
        world.simulator.faults.lose = 1
        world.pay(payment_id)
        world.clock.advance(1)
        message = world.notification(payment_id)
        jobs: list[Callable[[], object]] = [
            partial(world.receive, message),
            partial(payment_queries.ask, world.core, payment_id),
            partial(payment_closing.work_on_payment, world.core, payment_id),
            Worker(world.core).run_once,
        ]
        with ThreadPoolExecutor(8) as pool:
            for future in [pool.submit(job) for job in jobs * 2]:
                future.result()
        assert world.order_row(view.order.id).status == "paid"
        assert world.coins(user) == 66
    world.assert_balanced()
