"""Promise 9: the app's backend learns of every change, at least once, signed, in order for each user."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from app.domain.event_examples import USER
from app.domain.event_types import EventType
from app.services.events import catalogue
from app.services.events.delivery_rounds import Dispatcher
from app.worker import Worker
from tests.promises.test_resumable import each_step
from tests.support.databases import databases_of, sessions_for
from tests.support.faults import Fuse, Injected, fused_engine, raising
from tests.support.processes import place_of
from tests.support.receiver import (
    AppliesOnce,
    Message,
    add,
    answering,
    deliveries_of,
    dying,
    pushing,
    receiving,
    send_rounds,
    tell,
)
from tests.support.world import World

PATIENCE_SECONDS = 60
LEASE = 61


def until(what: Callable[[], bool]) -> None:
    """Wait for something that another thread does. Test machines are slow and shared."""
    ends = time.monotonic() + PATIENCE_SECONDS
    while not what():
        assert time.monotonic() < ends, "it did not happen"
        time.sleep(0.02)


def send_all(world: World) -> None:
    dispatcher = Dispatcher(world.core)
    while dispatcher.run_once():
        pass


@pytest.mark.one_database
@pytest.mark.timeout(300)
def test_a_worker_killed_anywhere_while_sending_is_followed_by_another_and_nothing_is_missed(world: World) -> None:
    here = pushing(world)
    recipe = AppliesOnce()

    def applied(handler: BaseHTTPRequestHandler, message: Message) -> None:
        recipe.apply(message)
        answering(200)(handler, message)

    def told(at: int) -> tuple[()]:
        here.clock.advance(LEASE)
        send_all(here)  # the worker after the one that was killed
        assert recipe.numbers == {f"user-{before}": [1, 2] for before in range(1, at)}
        for number in (1, 2):
            tell(here.core, f"user-{at}", number)
        return ()

    with receiving(applied) as receiver:
        secret = add(here.core, receiver)
        with place_of(here) as place:
            killed = each_step(place, send_rounds, told)
        assert killed >= 10
    assert recipe.numbers == {f"user-{at}": [1, 2] for at in range(1, killed + 2)}
    assert all(message.is_signed_with(secret) for message in receiver.got)
    assert {row.status for row in deliveries_of(here.core)} == {"done"}
    bodies: dict[str, set[bytes]] = {}
    for message in receiver.got:
        bodies.setdefault(message.id, set()).add(message.body)
    assert all(len(each) == 1 for each in bodies.values()), "an event is the same bytes in every attempt"
    assert len(receiver.got) > len(bodies), "a worker that died between answer and note has sent again"


@pytest.mark.one_database
def test_a_worker_that_fails_at_any_statement_loses_and_doubles_no_delivery(world: World) -> None:
    """The database fails, and the process lives on: nothing is planned twice, nothing is left out."""
    here = pushing(world)
    fuse = Fuse(raising)
    engine = fused_engine(world.core.whole.sessions.kw["bind"].url.render_as_string(hide_password=False), fuse)
    core = replace(here.core, databases=databases_of(sessions_for(engine)))
    with receiving() as receiver:
        add(here.core, receiver)
        at = 0
        while True:
            at += 1
            here.clock.advance(LEASE)
            for number in (1, 2):
                tell(here.core, f"user-{at}", number)
            with fuse.armed(at):
                try:
                    Dispatcher(core).run_once()
                except Injected:
                    continue
                if not fuse.has_blown:
                    break
        engine.dispose()
        here.clock.advance(LEASE)
        send_all(here)
    assert at > 10
    rows = deliveries_of(here.core)
    assert len(rows) == 2 * at
    assert {row.status for row in rows} == {"done"}
    for number in range(1, at + 1):
        seen = receiver.of(f"user-{number}")
        assert sorted(set(seen)) == [1, 2]
        assert seen == sorted(seen)


def test_two_workers_at_once_send_each_event_once_and_in_order(world: World) -> None:
    here = pushing(world)
    users = [f"user-{number}" for number in range(8)]
    with receiving() as receiver:
        add(here.core, receiver)
        for number in range(5):
            for user in users:
                tell(here.core, user, number)
        with ThreadPoolExecutor(2) as threads:
            list(threads.map(lambda _: send_all(here), range(2)))
        send_all(here)
    for user in users:
        assert receiver.of(user) == [0, 1, 2, 3, 4]
    assert len({message.id for message in receiver.got}) == len(receiver.got) == 40


def test_an_answer_that_was_lost_is_asked_for_again_under_the_same_id(world: World) -> None:
    here = pushing(world)
    recipe = AppliesOnce()

    def does_it_and_dies_the_first_time(handler: BaseHTTPRequestHandler, message: Message) -> None:
        (dying if recipe.apply(message) else answering(200))(handler, message)

    with receiving(does_it_and_dies_the_first_time) as receiver:
        add(here.core, receiver)
        for number in (1, 2, 3):
            tell(here.core, "alice", number)
        for _ in range(4):
            send_all(here)
            here.clock.advance(60)
    assert receiver.of("alice") == [1, 1, 2, 2, 3, 3]
    assert recipe.numbers == {"alice": [1, 2, 3]}


@pytest.mark.timeout(300)
def test_an_endpoint_that_hangs_holds_up_no_other(world: World) -> None:
    here = pushing(world)
    released = threading.Event()

    def hanging(handler: BaseHTTPRequestHandler, message: Message) -> None:
        released.wait(PATIENCE_SECONDS)
        answering(200)(handler, message)

    with receiving(hanging) as stuck, receiving() as healthy:
        add(here.core, stuck, "stuck")
        add(here.core, healthy, "healthy")
        worker = Worker(here.core)
        thread = threading.Thread(target=worker.run)
        thread.start()
        try:
            tell(here.core, "alice", 1)
            until(lambda: len(stuck.got) == 1)
            for number in (2, 3):
                tell(here.core, "alice", number)
                until(lambda wanted=number: healthy.of("alice")[-1:] == [wanted])  # type: ignore[misc]
            assert stuck.of("alice") == [1], "it has not been answered yet"
        finally:
            released.set()
            worker.stop.set()
            thread.join()
    assert healthy.of("alice") == [1, 2, 3]


def test_a_purchase_is_told_as_the_catalogue_says(world: World) -> None:
    here = pushing(world)
    with receiving() as receiver:
        add(here.core, receiver)
        here.pay(here.order().payments[0].id)
        here.deliver()
        worker = Worker(here.core)
        while worker.run_once():
            pass
    told = [message.content for message in receiver.got]
    assert {each["user"] for each in told} == {"alice"}
    assert [each["version"] for each in told] == sorted({each["version"] for each in told})
    types = [each["type"] for each in told]
    assert sorted(types) == ["coins.credited", "coins.credited", "order.paid"]
    for each in told:
        assert shape(each) == shape(catalogue.example(EventType(each["type"])))
    assert USER not in {each["user"] for each in told}


def shape(value: Any) -> Any:
    """The names in a document, without what they stand for."""
    if isinstance(value, dict):
        return {name: shape(member) for name, member in value.items()}
    return [shape(member) for member in value[:1]] if isinstance(value, list) else ""
