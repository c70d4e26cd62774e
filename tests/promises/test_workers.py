"""Several workers at once never do the same thing at once; what a dead one had taken is taken over."""

from __future__ import annotations

import threading
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy import text

from app.providers.facts import Fact, Ref
from app.providers.registry import ProviderAccount
from app.services.calls import payment_queries
from app.worker import THREADS, Worker
from tests.support import processes
from tests.support.processes import CONTEXT, place_of
from tests.support.world import World

MANY = 40
SLOW_MACHINE_SECONDS = 4
"""Test machines are shared: what takes a second alone may take several."""


@dataclass
class Counting:
    """The sandbox's provider, counting what is asked, and whether two ask about the same payment at once."""

    inner: Any
    queries: Counter[str] = field(default_factory=Counter)
    cancels: Counter[str] = field(default_factory=Counter)
    busy: set[str] = field(default_factory=set)
    collisions: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def query(self, ref: Ref) -> tuple[Fact, ...]:
        return self._counted(self.queries, ref, self.inner.query)

    def cancel(self, ref: Ref) -> tuple[Fact, ...]:
        return self._counted(self.cancels, ref, self.inner.cancel)

    def _counted(self, counter: Counter[str], ref: Ref, call: Any) -> tuple[Fact, ...]:
        number = ref.ours or ""
        with self.lock:
            counter[number] += 1
            if number in self.busy:
                self.collisions.append(number)
            self.busy.add(number)
        try:
            found: tuple[Fact, ...] = call(ref)
            return found
        finally:
            with self.lock:
                self.busy.discard(number)


def counted(world: World) -> tuple[World, Counting]:
    provider = Counting(world.account.provider)
    account: Any = ProviderAccount("sandbox", "sandbox", False, provider)
    return world.with_accounts(account), provider


def test_four_workers_ask_about_each_due_payment_once(world: World) -> None:
    world, provider = counted(world)
    ids = [world.order(f"user-{number}").payments[0].id for number in range(MANY)]
    world.clock.advance(6)
    with ThreadPoolExecutor(4) as pool:
        done = sum(pool.map(lambda _: Worker(world.core).run_once(), range(4)))
    assert done == MANY
    assert provider.queries == dict.fromkeys(map(str, ids), 1)
    assert provider.collisions == []


def test_four_workers_close_each_expired_payment_once(world: World) -> None:
    world, provider = counted(world)
    ids = [world.order(f"user-{number}").payments[0].id for number in range(MANY)]
    world.simulator.books._aged = lambda payment: payment  # type: ignore[method-assign]  # a provider without a clock
    world.clock.advance(1800)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: Worker(world.core).run_once(), range(4)))
    assert provider.queries == provider.cancels == dict.fromkeys(map(str, ids), 1)
    assert {world.payment(payment_id).status for payment_id in ids} == {"closed"}


@pytest.mark.one_database
def test_workers_in_three_processes_ask_about_each_due_payment_once(world: World) -> None:
    for number in range(20):
        world.order(f"user-{number}")
    world.clock.advance(6)
    with place_of(world) as place, ProcessPoolExecutor(3, mp_context=CONTEXT) as pool:
        futures = [pool.submit(processes.work_once, place()) for _ in range(3)]
        assert sum(future.result() for future in futures) == 20


def test_what_a_dead_worker_had_taken_is_due_again_when_its_lease_is_over(world: World) -> None:
    world, provider = counted(world)
    payment_id = world.order().payments[0].id
    world.clock.advance(6)
    assert payment_queries.take_due(world.core, payment_id)
    assert Worker(world.core).run_once() == 0
    world.clock.advance(59)
    assert Worker(world.core).run_once() == 0
    world.clock.advance(1)
    assert Worker(world.core).run_once() == 1
    assert provider.queries.total() == 1


def test_one_payment_that_cannot_be_worked_on_does_not_keep_the_others_waiting(world: World) -> None:
    world, provider = counted(world)
    ids = [world.order(f"user-{number}").payments[0].id for number in range(5)]

    class Unlucky(Counting):
        def query(self, ref: Ref) -> tuple[Fact, ...]:
            if ref.ours == str(ids[0]):
                raise SystemError("a defect")
            return super().query(ref)

    unlucky: Any = Unlucky(provider)
    account = ProviderAccount("sandbox", "sandbox", False, unlucky)
    world = world.with_accounts(account)
    world.clock.advance(6)
    assert Worker(world.core).run_once() == 5
    assert sorted(unlucky.queries) == sorted(map(str, ids[1:]))


def test_readers_of_one_order_ask_the_provider_at_most_every_three_seconds(world: World) -> None:
    world, provider = counted(world)
    payment_id = world.order().payments[0].id
    for expected in (1, 2):
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: payment_queries.ask_if_due(world.core, payment_id), range(16)))
        assert provider.queries.total() == expected
        world.clock.advance(3)


def test_payments_of_an_account_that_is_gone_wait_without_disturbing_anybody(world: World) -> None:
    payment_id = world.order().payments[0].id
    orphaned = world.with_accounts()
    world.clock.advance(6)
    Worker(orphaned.core).run_once()
    assert world.payment(payment_id).status == "pending"
    assert world.payment(payment_id).next_query_at > world.clock.now()


@dataclass
class Hung:
    """A provider that does not answer questions until it is told to."""

    inner: Any
    asked: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    answers: threading.Event = field(default_factory=threading.Event)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def query(self, ref: Ref) -> tuple[Fact, ...]:
        self.asked.release()
        assert self.answers.wait(60)
        found: tuple[Fact, ...] = self.inner.query(ref)
        return found


def test_an_account_that_hangs_keeps_no_question_to_another_waiting_for_two_seconds(world: World) -> None:
    healthy, hung = Counting(world.account.provider), Hung(world.account.provider)
    accounts: Any = {
        "hung": ProviderAccount("hung", "sandbox", False, hung),
        "sandbox": ProviderAccount("sandbox", "sandbox", False, healthy),
    }
    world = world.with_accounts(*accounts.values())
    for number in range(MANY):
        world.order(f"waits-{number}")
    world.core.whole.transact(
        lambda tx: tx.execute(text("/* sweep: operator */ UPDATE payments SET provider_account = 'hung'"))
    )
    world.clock.advance(6)
    worker = Worker(world.core)
    running = threading.Thread(target=worker.run)
    running.start()
    try:
        for _ in range(THREADS):
            assert hung.asked.acquire(timeout=20), "the worker asks the account that hangs"
        lost = world.order("alice").payments[0].id
        world.clock.advance(6)
        asked_at = time.monotonic()
        while not healthy.queries[str(lost)] and time.monotonic() - asked_at < 20:
            time.sleep(0.05)
        assert healthy.queries[str(lost)] == 1
        assert time.monotonic() - asked_at < 2 + SLOW_MACHINE_SECONDS
    finally:
        worker.stop.set()
        hung.answers.set()
        running.join(60)
    assert not running.is_alive()
