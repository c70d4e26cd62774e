"""Promise 3: what is not verified moves no money. It may be a hint: then we ask."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest
from sqlalchemy import func, select

from app.models.base import Base
from app.models.slot_guard import sweep
from app.providers.errors import Forged
from app.providers.facts import Message, Received, Ref, Reply
from app.providers.registry import ProviderAccount, Registry
from app.services.calls import payment_queries
from app.worker import Worker
from plugins.sandbox.simulator import FORGER
from tests.support.world import World

ACCEPTED = Reply(200, "text/plain", b"ok")


@dataclass
class Hinting:
    """The sandbox's provider, but its refusals (or its messages) name a payment."""

    inner: Any
    hint: Ref
    asks: bool = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def receive(self, message: Message) -> Received:
        if self.asks:
            return Received((), ACCEPTED, asks=(self.hint,))
        raise Forged("not signed", hint=self.hint)


def hinting(world: World, ref: Ref, *, asks: bool = False) -> World:
    provider: Any = Hinting(world.account.provider, ref, asks)
    registry = Registry({"sandbox": ProviderAccount("sandbox", "sandbox", False, provider)})
    return replace(world, core=replace(world.core, registry=registry))


def rows(world: World) -> dict[str, int]:
    """How many rows each table has."""
    counted = {
        table.name: select(func.count()).select_from(table).prefix_with(sweep("audit"))
        for table in Base.metadata.sorted_tables
    }
    return world.core.whole.read(lambda s: {name: s.execute(wanted).scalar_one() for name, wanted in counted.items()})


def test_a_forgers_notification_is_refused_and_changes_nothing(world: World) -> None:
    payment_id = world.order().payments[0].id
    payment, before = world.payment(payment_id), rows(world)
    shown = {**world.at_provider(payment_id).shown(), "status": "PAID"}
    forged = world.simulator.notification("m-1", {"event": "payment", "payment": shown}, FORGER)
    assert world.receive(forged).status == 400
    assert (world.payment(payment_id), rows(world)) == (payment, before)


def test_a_recording_played_back_later_is_refused(world: World) -> None:
    payment_id = world.order().payments[0].id
    world.simulator.faults.lose = 1
    world.pay(payment_id)
    recorded = world.notification(payment_id)
    world.clock.advance(301)
    assert world.receive(recorded).status == 400
    assert world.coins() == 0


def test_a_hint_brings_the_query_forward_at_most_once_a_minute_and_moves_nothing(world: World) -> None:
    payment_id = world.order().payments[0].id
    hints = hinting(world, Ref(ours=str(payment_id)))
    world.clock.advance(1)
    before = rows(world)
    calls = len(world.http.requests)
    for _ in range(20):
        assert hints.receive(Message("notification", b"x")).status == 400
    assert world.payment(payment_id).next_query_at == world.clock.now()
    assert (rows(world), len(world.http.requests)) == (before, calls)
    world.clock.advance(3)
    assert Worker(world.core).run_once() == 1
    due = world.payment(payment_id).next_query_at
    for _ in range(20):
        hints.receive(Message("notification", b"x"))
    assert world.payment(payment_id).next_query_at == due
    world.clock.advance(60)
    hints.receive(Message("notification", b"x"))
    assert world.payment(payment_id).next_query_at == world.clock.now()
    assert world.coins() == 0


def test_a_hint_finds_money_whose_genuine_notification_was_lost(world: World) -> None:
    payment_id = world.order().payments[0].id
    world.simulator.faults.lose = 1
    world.pay(payment_id)
    hinting(world, Ref(ours=str(payment_id))).receive(Message("notification", b"x"))
    world.clock.advance(0.001)
    Worker(world.core).run_once()
    assert world.coins() == 66


@pytest.mark.parametrize("ours", [None, "", "1", "0", "-5", "x", "9" * 30, "9223372036854775807"])
def test_a_hint_about_nothing_is_ignored(world: World, ours: str | None) -> None:
    before = rows(world)
    assert hinting(world, Ref(ours=ours)).receive(Message("notification", b"x")).status == 400
    assert rows(world) == before


def test_a_hint_about_a_paid_payment_is_ignored(world: World) -> None:
    payment_id = world.order().payments[0].id
    world.pay(payment_id)
    world.deliver()
    paid = world.payment(payment_id)
    assert not payment_queries.hint(world.core, Ref(ours=str(payment_id)))
    assert world.payment(payment_id) == paid


def test_a_genuine_message_that_wants_to_be_confirmed_is_always_asked_about(world: World) -> None:
    """Not once a minute: what was asked a moment ago may have been before the payment."""
    payment_id = world.order().payments[0].id
    world.simulator.faults.lose = 1
    asker = hinting(world, Ref(ours=str(payment_id)), asks=True)
    for seconds in (4, 4):
        world.clock.advance(seconds)
        assert asker.receive(Message("notification", b"x")) == ACCEPTED
        assert world.payment(payment_id).next_query_at == world.clock.now()
        if seconds == 4 and world.at_provider(payment_id).status == "WAITING":
            Worker(world.core).run_once()
            world.pay(payment_id)
    Worker(world.core).run_once()
    assert world.coins() == 66


def test_a_plugin_that_breaks_down_on_a_message_makes_the_provider_send_it_again(world: World) -> None:
    broken = hinting(world, Ref())

    class Broken(Hinting):
        def receive(self, message: Message) -> Received:
            raise RecursionError

    provider: Any = Broken(broken.account.provider, Ref())
    registry = Registry({"sandbox": ProviderAccount("sandbox", "sandbox", False, provider)})
    world = replace(world, core=replace(world.core, registry=registry))
    assert world.receive(Message("notification", b"x")).status == 503
