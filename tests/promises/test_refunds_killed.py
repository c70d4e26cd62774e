"""Promise 6 for refunds: `kill -9` at any statement or commit, and everything goes on from what is recorded.

The process that dies is a fork of the test. It speaks to the provider over a socket, so what it did there stays done.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import pytest
from sqlalchemy import Engine
from werkzeug.serving import make_server

from app.providers.facts import Kind
from app.providers.http import RequestsClient
from app.providers.registry import ProviderAccount, Registry
from app.providers.testing.doubles import MemoryKeys
from app.providers.tools import Tools
from app.services.calls import refund_calls
from app.worker import Worker
from plugins.sandbox import plugin
from tests.conftest import database_of
from tests.support import databases
from tests.support.buyer import Buyer, target
from tests.support.forks import count_steps, kill_at
from tests.support.world import SECRET, World, build_world

KILLS = 8
"""How many of the steps are tried, spread over all of them."""


@dataclass
class Place:
    """A database, the world in it, and where the provider answers over HTTP."""

    url: str
    world: World
    base_url: str


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with database_of(request, tmp_path_factory.mktemp("killed")) as url:
        yield from _place(url)


def _place(url: str) -> Iterator[Place]:
    with databases.engine_for(url) as engine:
        world = build_world(engine, databases.sessions_for(engine))
        server = make_server("127.0.0.1", 0, world.provider_app, threaded=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield Place(url, world, f"http://127.0.0.1:{server.server_port}")
        finally:
            server.shutdown()
            server.server_close()


# --- what is interrupted, and how it goes on ---


def _prepare_ask(buyer: Buyer) -> None:
    buyer.pay()
    buyer.spend(20)


def _ask(buyer: Buyer) -> None:
    refund_calls.work_on_refund(buyer.world.core, buyer.ask(300, key="the same"))


def _ask_and_send(buyer: Buyer) -> None:
    buyer.ask_and_send(300, key="the same")


def _ask_again(buyer: Buyer) -> None:
    """The backend, which got no answer, sends the same request again; the rest is the worker's."""
    buyer.ask(300, key="the same")
    buyer.world.clock.advance(120)
    Worker(buyer.world.core).run_once()


def _prepare_console(buyer: Buyer) -> None:
    buyer.pay()
    buyer.spend(20)


def _console(buyer: Buyer) -> None:
    """As its notification is taken in; the provider, which got no answer, sends it again."""
    buyer.tell(buyer.fact(Kind.REFUNDED, 1, refund="r1", money=300))


def _prepare_waiting(buyer: Buyer) -> None:
    buyer.tell(buyer.fact(Kind.REFUNDED, 1, refund="r1", money=300))


def _paid(buyer: Buyer) -> None:
    buyer.tell(buyer.paid())


@dataclass(frozen=True)
class Action:
    prepare: Callable[[Buyer], None]
    run: Callable[[Buyer], None]
    go_on: Callable[[Buyer], None]
    spent: int


ACTIONS = {
    "asked by us": Action(_prepare_ask, _ask, _ask_again, 20),
    "asked by us and sent at once": Action(_prepare_ask, _ask_and_send, _ask_again, 20),
    "decided by the provider": Action(_prepare_console, _console, _console, 20),
    "paid after its refund": Action(_prepare_waiting, _paid, _paid, 0),
}


@pytest.mark.parametrize("name", ACTIONS)
def test_killed_at_any_step_it_goes_on_to_one_refund_and_one_clawback(place: Place, name: str) -> None:
    action = ACTIONS[name]
    steps = _count_steps(place, action)
    assert steps > KILLS
    for at in sorted({1 + number * (steps - 1) // (KILLS - 1) for number in range(KILLS)}):
        buyer = Buyer(place.world)
        action.prepare(buyer)
        _kill(place, buyer, action, at, steps)
        action.go_on(buyer)
        assert buyer.refunded == 300
        assert (buyer.coins, buyer.debt, buyer.account.held) == (66 - action.spent - target(300), 0, 0)
        assert [row.status for row in buyer.refunds()] == ["done"]
        if name.startswith("asked by us"):
            assert len(place.world.at_provider(buyer.payment_id).refunds) == 1
        buyer.assert_proved()
    buyer.assert_balanced()


def _count_steps(place: Place, action: Action) -> int:
    buyer = Buyer(place.world)
    action.prepare(buyer)
    return count_steps(place.url, lambda engine: action.run(_elsewhere(place, buyer, engine)))


def _kill(place: Place, buyer: Buyer, action: Action, at: int, steps: int) -> None:
    kill_at(place.url, lambda engine: action.run(_elsewhere(place, buyer, engine)), at, steps)


def _elsewhere(place: Place, buyer: Buyer, engine: Engine) -> Buyer:
    """The buyer, seen through connections of its own."""
    world = place.world
    settings = {"base_url": place.base_url, "merchant": "m-1", "secret": SECRET}
    tools = Tools(http=RequestsClient(), clock=world.clock, keys=MemoryKeys(), live=False)
    provider = plugin.build(plugin.settings.model_validate(settings), tools)
    core = replace(
        world.core,
        databases=databases.databases_of(databases.sessions_for(engine)),
        registry=Registry({"sandbox": ProviderAccount("sandbox", "sandbox", False, provider)}),
    )
    other = object.__new__(Buyer)
    other.__dict__.update(buyer.__dict__)
    other.world = replace(world, core=core)
    return other
