"""A provider that hangs takes some threads of a process, and never all of them."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy import Engine

from app.providers import Intent, Started
from app.providers.registry import ProviderAccount
from app.services.base.context import Bulkheads
from tests.support.web_client import BACKEND_KEY, ApiClient, build_client, order_body, token
from tests.support.world import World

WIDTH = Bulkheads.WIDTH
THREADS = 8
"""As many as a web process has."""
PATIENCE = 20.0


@dataclass
class Hanging:
    """A provider whose `start` does not come back until told."""

    inner: Any
    waiting: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    answer: threading.Event = field(default_factory=threading.Event)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def start(self, intent: Intent) -> Started:
        self.waiting.release()
        assert self.answer.wait(PATIENCE)
        started: Started = self.inner.start(intent)
        return started


@pytest.fixture
def provider(world: World) -> Iterator[Hanging]:
    hanging = Hanging(world.account.provider)
    yield hanging
    hanging.answer.set()


def test_more_orders_than_a_hanging_provider_may_hold_are_told_to_come_again(
    world: World, engine: Engine, provider: Hanging
) -> None:
    account: Any = ProviderAccount("sandbox", "sandbox", False, provider)
    http = build_client(world.with_accounts(account), engine)

    def order(number: int) -> int:
        client = ApiClient(http.application.test_client(), token(f"user-{number}"))
        return client.post("/v1/orders", order_body(), key="the only one").status_code

    with ThreadPoolExecutor(THREADS) as threads:
        orders = [threads.submit(order, number) for number in range(THREADS)]
        assert all(provider.waiting.acquire(timeout=PATIENCE) for _ in range(WIDTH))
        turned_away = list(itertools.islice(as_completed(orders, PATIENCE), THREADS - WIDTH))
        assert [one.result() for one in turned_away] == [503] * (THREADS - WIDTH)
        granted = {"user": "alice", "asset": "coin", "amount": 1, "reason": "others are served"}
        assert ApiClient(http, BACKEND_KEY).post("/v1/grants", granted).status_code == 201
        provider.answer.set()
        assert sorted(one.result(PATIENCE) for one in orders) == [201] * WIDTH + [503] * (THREADS - WIDTH)
    assert [order(number) for number in range(THREADS)] == [201] * THREADS


def test_a_place_gets_free_again_however_a_call_ends() -> None:
    bulkheads = Bulkheads()
    for _ in range(2 * WIDTH):
        with pytest.raises(KeyError), bulkheads.place("shop"):
            raise KeyError
    with bulkheads.place("shop"), bulkheads.place("shop"), bulkheads.place("shop"), bulkheads.place("shop"):
        with pytest.raises(Bulkheads.Full), bulkheads.place("shop"):
            raise AssertionError("there is no fifth place")
        with bulkheads.place("another account"):
            pass
