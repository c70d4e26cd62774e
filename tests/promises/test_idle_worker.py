"""A worker that has nothing to do costs next to nothing, and still finds what falls due."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from app.domain.ledger import Lot, Transfer, system, wallet
from app.domain.numbers import slot_of_user
from app.domain.spending import HoldRequest
from app.providers.facts import Page
from app.providers.registry import ProviderAccount, Registry
from app.services import ledger
from app.services.ledger import holds
from app.services.ledger.hold_rows import Held
from app.worker import IDLE_SECONDS, Worker
from tests.support.world import World

SLOT = slot_of_user("alice")
ALICE = wallet("alice", "coin", "sandbox")
SLOW_MACHINE_SECONDS = 6
"""Test machines are shared: what takes a second alone may take several."""


def credited(world: World, lot: Lot) -> None:
    issue = system("issuance", "coin", "sandbox")
    transfer = Transfer("test", "k", issue, ALICE, 10, "grant", lot=lot)
    world.core.whole.transact(lambda tx: ledger.post(tx, SLOT, [transfer]))


def held(world: World) -> None:
    credited(world, Lot())
    request = HoldRequest("alice", "coin", 4, "h", 60, scope="test", environment="sandbox")
    answer = world.core.whole.transact(lambda tx: holds.hold(tx, SLOT, request))
    assert isinstance(answer, Held)


def balance(world: World) -> tuple[int, int]:
    """As the rows have it, whatever the time is."""
    found = world.core.whole.read(lambda tx: ledger.balance(tx, SLOT, ALICE))
    return found.balance, found.held


def worker_with_nothing_to_do(world: World) -> Worker:
    worker = Worker(world.core)
    while worker.run_once():
        pass
    return worker


def test_lots_that_end_are_found_by_the_look(world: World) -> None:
    credited(world, Lot(expires_at=world.clock.now() + timedelta(seconds=60)))
    worker = worker_with_nothing_to_do(world)
    world.clock.advance(59)
    assert (worker.run_once(), balance(world)) == (0, (10, 0))
    world.clock.advance(1)
    assert (worker.run_once(), balance(world)) == (2, (0, 0)), "the lot, and the place of its event in the feed"
    assert worker.run_once() == 0


def test_holds_that_end_are_found_by_the_look(world: World) -> None:
    held(world)
    worker = worker_with_nothing_to_do(world)
    world.clock.advance(59)
    assert (worker.run_once(), balance(world)) == (0, (10, 4))
    world.clock.advance(1)
    assert (worker.run_once(), balance(world)) == (2, (10, 0)), "the hold, and the place of its event in the feed"


def test_orders_without_a_payment_that_is_open_are_found_by_the_look(world: World) -> None:
    view = world.order()
    ended = text("/* sweep: operator */ UPDATE payments SET status = 'failed', next_query_at = NULL")
    world.core.whole.transact(lambda tx: tx.execute(ended))
    worker = worker_with_nothing_to_do(world)
    world.clock.advance((view.order.expires_at - world.clock.now()).total_seconds() - 1)
    worker.run_once()
    assert world.order_row(view.order.id).status == "open"
    world.clock.advance(1)
    worker.run_once()
    assert world.order_row(view.order.id).status == "expired"


class History:
    """The sandbox's provider with a history, empty and read at certain moments."""

    def __init__(self, inner: Any, now: Callable[[], Any]) -> None:
        self._inner, self._now = inner, now
        self.read: list[Any] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def scan(self, feed: str, since: Any, until: Any, cursor: str | None) -> Page:
        self.read.append(self._now())
        return Page((), None)


def test_histories_are_read_when_they_are_due_and_not_before(world: World) -> None:
    provider = History(world.account.provider, world.clock.now)
    account: Any = ProviderAccount("sandbox", "sandbox", False, provider, {"payments": 30})
    world = replace(world, core=replace(world.core, registry=Registry({"sandbox": account})))
    worker = worker_with_nothing_to_do(world)
    begun = len(provider.read)
    world.clock.advance(30 * 60 - 1)
    assert (worker.run_once(), len(provider.read)) == (0, begun)
    world.clock.advance(1)
    assert (worker.run_once(), len(provider.read)) == (1, begun + 1)


@pytest.mark.parametrize("seconds", [0, 2.5 * IDLE_SECONDS])
def test_a_sleeping_worker_wakes_for_what_falls_due_and_stops_at_once(world: World, seconds: float) -> None:
    held(world)
    worker = Worker(world.core)
    running = threading.Thread(target=worker.run)
    running.start()
    try:
        time.sleep(seconds)
        world.clock.advance(60)
        due_at = time.monotonic()
        while balance(world) != (10, 0) and time.monotonic() - due_at < 20:
            time.sleep(0.05)
        assert balance(world) == (10, 0)
        assert time.monotonic() - due_at < 2 * IDLE_SECONDS + SLOW_MACHINE_SECONDS
    finally:
        stopped_at = time.monotonic()
        worker.stop.set()
        running.join(60)
    assert not running.is_alive()
    assert time.monotonic() - stopped_at < SLOW_MACHINE_SECONDS
