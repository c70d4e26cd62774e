"""Payments, answers and reminders of external orders under `kill -9` at any statement or commit: each goes on
when it is told, sent or due again, and is done once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import pytest
from sqlalchemy import Engine

from app.domain.fulfilment import RefusedFulfilment
from app.services.fulfilments import reminders
from tests.conftest import database_of
from tests.support import databases
from tests.support.backend_wallets import ExternalBuyer, sell_externally
from tests.support.forks import count_steps, kill_at
from tests.support.world import World, build_world

KILLS = 4
"""How many of the steps are tried, spread over all of them."""
Work = Callable[[ExternalBuyer], object]


@dataclass
class Place:
    """A database, and the world in it, which refunds what the backend refuses."""

    url: str
    world: World


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with database_of(request, tmp_path_factory.mktemp("killed")) as url, databases.engine_for(url) as engine:
        world = sell_externally(build_world(engine, databases.sessions_for(engine)))
        rules = replace(world.core.rules, refused_fulfilment=RefusedFulfilment.REFUND)
        yield Place(url, world.with_rules(rules))


def _pay(buyer: ExternalBuyer) -> None:
    buyer.tell(buyer.paid())


def _refuse(buyer: ExternalBuyer) -> None:
    buyer.answer("refused", key="the same")


def _remind(buyer: ExternalBuyer) -> None:
    """As the worker does; what the killed one had leased would be due again a minute later."""
    buyer.world.clock.advance(120)
    reminders.work_on_fulfilment(buyer.world.core, buyer.order_id)


def _nothing(_: ExternalBuyer) -> None:
    """The order is not paid."""


ACTIONS: dict[str, tuple[Work, Work, list[tuple[str, int, list[int]]]]] = {
    # (before, what is killed and then done again, what was told in the end)
    "payment": (_nothing, _pay, [("ordered", 1, [60, 6])]),
    "refusal": (_pay, _refuse, [("ordered", 1, [60, 6]), ("refused", 1, [60, 6])]),
    "reminder": (_pay, _remind, [("ordered", 1, [60, 6]), ("ordered", 1, [60, 6])]),
}


@pytest.mark.parametrize("name", ACTIONS)
def test_killed_at_any_step_it_is_done_once(place: Place, name: str) -> None:
    before, work, told = ACTIONS[name]
    counted = ExternalBuyer(place.world)
    before(counted)
    steps = count_steps(place.url, lambda engine: work(_elsewhere(counted, engine)))
    for at in sorted({1 + number * (steps - 1) // (KILLS - 1) for number in range(KILLS)}):
        buyer = ExternalBuyer(place.world)
        before(buyer)
        kill_at(place.url, lambda engine, buyer=buyer: work(_elsewhere(buyer, engine)), at, steps)  # type: ignore[misc]
        was_told = len(buyer.steps())
        if name != "reminder" or was_told < len(told):
            work(buyer)
        assert buyer.steps() == told
        assert len(buyer.refunds()) == (name == "refusal")
        buyer.assert_proved()
    counted.assert_balanced()


def _elsewhere(buyer: ExternalBuyer, engine: Engine) -> ExternalBuyer:
    """The buyer, seen through connections of its own."""
    core = replace(buyer.world.core, databases=databases.databases_of(databases.sessions_for(engine)))
    other = object.__new__(ExternalBuyer)
    other.__dict__.update(buyer.__dict__)
    other.world = replace(buyer.world, core=core)
    return other
