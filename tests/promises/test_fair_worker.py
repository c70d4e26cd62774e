"""No kind of work, account or user keeps the others waiting, while the worker runs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from app.providers.errors import Unknown
from app.providers.facts import Fact, Ref
from app.providers.registry import ProviderAccount
from app.services.base.context import Bulkheads
from app.services.calls import reference_queries
from app.worker import THREADS, Worker
from tests.support.world import World

PROMISED_SECONDS, SLOW_MACHINE_SECONDS = 2, 4
"""Test machines are shared: what takes a second alone may take several."""
CALL_SECONDS = 0.25


@dataclass
class Slow:
    """The sandbox's provider: what it is asked is written down, and answered when `wait` returns."""

    inner: Any
    wait: Callable[[Ref], object]
    asked: list[Ref] = field(default_factory=list)
    refresh_seconds: int = 3600
    hangs_over_keys: bool = False
    keys_are_there: bool = True
    refreshed: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def query(self, ref: Ref) -> tuple[Fact, ...]:
        self.asked.append(ref)
        self.wait(ref)
        found: tuple[Fact, ...] = self.inner.query(ref)
        return found

    def refresh(self) -> None:
        self.refreshed.release()
        if self.hangs_over_keys:
            self.wait(Ref())
        if not self.keys_are_there:
            raise Unknown("no answer")

    def renewals(self) -> int:
        """How often the keys were to be renewed since this was asked last."""
        count = 0
        while self.refreshed.acquire(blocking=False):
            count += 1
        return count

    def asked_about(self, payment_id: int) -> bool:
        return any(ref.ours == str(payment_id) for ref in self.asked)


def slowed(world: World, *providers: Slow) -> World:
    accounts = (
        ProviderAccount(f"{number or ''}sandbox", "sandbox", False, one) for number, one in enumerate(providers)
    )
    return world.with_accounts(*accounts)


@contextmanager
def worker_of(world: World) -> Iterator[None]:
    worker = Worker(world.core)
    running = threading.Thread(target=worker.run)
    running.start()
    try:
        yield
    finally:
        worker.stop.set()
        running.join(60)
    assert not running.is_alive()


def due_payment(world: World, user: str, key: str = "k1") -> int:
    """A payment whose query is due, begun by a process of its own."""
    web = replace(world, core=replace(world.core, bulkheads=Bulkheads()))
    number: int = web.order(user, key=key).payments[0].id
    world.clock.advance(6)
    return number


def happens(condition: Callable[[], bool], seconds: float = 20) -> bool:
    ends = time.monotonic() + seconds
    while not condition() and time.monotonic() < ends:
        time.sleep(0.02)
    return condition()


def test_600_invented_refund_numbers_keep_no_payment_waiting_at_a_provider_that_is_slow(world: World) -> None:
    paid = world.order("mallory").payments[0].id
    world.pay(paid)
    world.deliver()
    answers = threading.Event()
    slow = Slow(world.account.provider, lambda ref: ref.refund and answers.wait(60))
    world = slowed(world, slow)
    for number in range(600):
        assert reference_queries.raise_ask(world.core, world.account, Ref(ours=str(paid), refund=f"invented-{number}"))
    with worker_of(world):
        try:
            assert happens(lambda: len(slow.asked) >= THREADS), "all places of that kind of work are taken"
            lost, asked_at = due_payment(world, "alice"), time.monotonic()
            assert happens(lambda: slow.asked_about(lost))
            assert time.monotonic() - asked_at < PROMISED_SECONDS + SLOW_MACHINE_SECONDS
        finally:
            answers.set()


def test_a_user_with_many_open_payments_keeps_nobody_waiting_until_all_of_them_are_asked_about(world: World) -> None:
    slow = Slow(world.account.provider, lambda _: time.sleep(CALL_SECONDS))
    world = slowed(world, slow)
    many = [due_payment(world, "mallory", f"k{number}") for number in range(30)]
    with worker_of(world):
        assert happens(lambda: bool(slow.asked))
        lost = due_payment(world, "alice")
        assert happens(lambda: slow.asked_about(lost))
    before = {ref.ours for ref in slow.asked[: [ref.ours for ref in slow.asked].index(str(lost))]}
    assert len(before & set(map(str, many))) < len(many)


@pytest.mark.one_database
def test_a_provider_that_hangs_when_its_keys_are_renewed_keeps_no_other_from_renewing(world: World) -> None:
    answers = threading.Event()
    hung, healthy = (Slow(world.account.provider, lambda _: answers.wait(60)) for _ in range(2))
    hung.hangs_over_keys = True
    with worker_of(slowed(world, hung, healthy)):
        try:
            assert hung.refreshed.acquire(timeout=20)
            assert healthy.refreshed.acquire(timeout=20)
        finally:
            answers.set()


@pytest.mark.one_database
def test_keys_that_could_not_be_renewed_are_renewed_a_minute_later_and_then_on_their_own_timer(world: World) -> None:
    provider = Slow(world.account.provider, lambda _: None, keys_are_there=False)
    worker = Worker(slowed(world, provider).core)

    def renewals_after(seconds: int) -> int:
        world.clock.advance(seconds)
        worker.run_once()
        return provider.renewals()

    assert [renewals_after(seconds) for seconds in (0, 0, 60)] == [1, 0, 1]
    provider.keys_are_there = True
    assert [renewals_after(seconds) for seconds in (100, 100, 3600)] == [1, 0, 1]
