"""Endpoints of the settings, and endpoints that were away for longer than events are kept."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import Engine, create_engine, delete, func, select
from structlog.testing import capture_logs

from app.domain.endpoints import DeclaredEndpoint, PushRules
from app.domain.event_types import EventType
from app.domain.numbers import SLOTS
from app.domain.webhook_signatures import new_secret
from app.models.endpoints import ENDPOINTS, POSITIONS
from app.services.base.context import Core
from app.services.base.databases import SharedSlots
from app.services.base.errors import NotACursor
from app.services.base.transaction import Sessions
from app.services.events import endpoints, feed
from app.services.events.delivery_rounds import Dispatcher, send_due
from app.services.lookup.entries import EntryKind, sentence
from app.services.lookup.timeline import timeline
from tests.support import databases
from tests.support.receiver import add, answering, deliveries_of, endpoint, plan, pushing, receiving, tell
from tests.support.world import World

DAY = 24 * 3600


@pytest.fixture
def here(world: World) -> World:
    return pushing(world)


def declaring(world: World, url: str, *secrets: str, types: frozenset[EventType] = frozenset()) -> World:
    declared = {"game": DeclaredEndpoint("game", url, types, secrets)}
    return world.with_rules(replace(world.core.rules, push=PushRules(declared, allow_private=True)))


def send_all(world: World, dispatcher: Dispatcher | None = None) -> None:
    dispatcher = dispatcher or Dispatcher(world.core)
    while dispatcher.run_once():
        pass


def test_the_worker_sends_to_endpoints_of_the_settings_and_their_secrets_are_in_no_database(here: World) -> None:
    one, other = new_secret(), new_secret()
    with receiving() as receiver:
        world = declaring(here, receiver.url, one, other)
        dispatcher = Dispatcher(world.core)
        assert dispatcher.run_once() == 0
        tell(world.core, "alice", 1)
        send_all(world, dispatcher)
        (message,) = receiver.got
        assert message.is_signed_with(one)
        assert message.is_signed_with(other)
        assert endpoint(world.core).secrets == []
        assert endpoint(world.core).origin == "settings"


def test_another_address_in_the_settings_is_followed_after_a_restart_and_the_position_stays(here: World) -> None:
    secret = new_secret()
    with receiving() as old, receiving() as new:
        world = declaring(here, old.url, secret)
        send_all(world)
        tell(world.core, "alice", 1)
        moved = declaring(here, new.url, secret, types=frozenset({EventType.COINS_CREDITED}))
        tell(moved.core, "alice", 2, EventType.COINS_SPENT)
        send_all(moved)
    assert (old.got, new.of("alice")) == ([], [1])


def test_two_workers_that_start_at_once_make_one_endpoint(here: World) -> None:
    world = declaring(here, "http://127.0.0.1:1/", new_secret())
    endpoints.follow_settings(world.core)
    first = endpoint(world.core)
    endpoints.follow_settings(world.core)
    assert endpoint(world.core) == first


@pytest.mark.one_database
def test_an_endpoint_of_the_settings_waits_for_a_database_that_is_down_and_the_others_do_not(
    here: World, engine: Engine, second_engine: Engine
) -> None:
    """An endpoint has a place in the feed of each database, or in none: the worker would look for ever after a place of
    an endpoint that nobody knows."""
    home, second = databases.sessions_for(engine), databases.sessions_for(second_engine)
    lost = databases.sessions_for(create_engine("sqlite:////nowhere/books.sqlite3"))
    url, secret = "http://127.0.0.1:1/", new_secret()

    def core_with(third: Sessions, *names: str) -> Core:
        declared = {name: DeclaredEndpoint(name, url, frozenset(), (secret,)) for name in names}
        rules = replace(here.core.rules, push=PushRules(declared, allow_private=True))
        thirds = SharedSlots([home, second, third], [slot % 3 for slot in range(SLOTS)])
        return replace(here.core, databases=thirds, rules=rules)

    def there() -> tuple[list[str], int | None]:
        with second_engine.connect() as connection:
            positions = connection.scalar(select(func.count()).select_from(POSITIONS))
        return [row.name for row in here.core.home.read(endpoints.all_endpoints)], positions

    assert endpoints.follow_settings(core_with(second, "game"))
    assert not endpoints.follow_settings(core_with(lost, "game", "new"))
    assert Dispatcher(core_with(lost, "game", "new")).run_once() == 0, "no error: those who are there are told"
    assert there() == (["game"], 1)
    ahead = endpoints.NewEndpoint("ahead", url, (), endpoints.BY_API, "a test", after=feed.cursor_at(7, 0, 0))
    with pytest.raises(NotACursor):
        core_with(second).house.transact(lambda tx: endpoints.add_endpoint(tx, ahead))
    assert there() == (["game"], 1)
    assert endpoints.follow_settings(core_with(second, "game", "new"))
    assert there() == (["game", "new"], 2)


def test_an_endpoint_without_a_secret_gets_nothing_unsigned(here: World) -> None:
    """One that the settings named, in a process whose settings do not."""
    with receiving() as receiver:
        world = declaring(here, receiver.url, new_secret())
        send_all(world)
        tell(world.core, "alice", 1)
        number = endpoint(world.core).id
        assert send_due(here.core, number) > 0
        assert receiver.got == []
    (row,) = deliveries_of(here.core)
    assert (row.status, row.problem) == ("failed", "no secret is there to sign with")


def test_an_endpoint_that_was_paused_for_longer_than_events_are_kept_is_alarmed_and_gets_the_rest(here: World) -> None:
    with receiving() as receiver:
        add(here.core, receiver)
        tell(here.core, "alice", 1)
        send_all(here)
        here.core.whole.transact(lambda tx: endpoints.pause_endpoint(tx, "game", "a long holiday", "operator:me"))
        tell(here.core, "alice", 2)
        here.clock.advance(31 * DAY)
        assert feed.delete_old_events(here.core, 100) == 2
        tell(here.core, "alice", 3)
        here.core.house.transact(lambda tx: endpoints.resume_endpoint(tx, "game"))
        with capture_logs() as lines:
            send_all(here)
    assert receiver.of("alice") == [1, 3]
    (alarm,) = [line for line in lines if line["event"] == "events_not_kept"]
    assert (alarm["log_level"], alarm["after"], alarm["kept_after"]) == ("error", 1, 2)


def test_a_new_endpoint_and_one_that_saw_everything_are_no_alarm(here: World) -> None:
    with receiving() as receiver:
        add(here.core, receiver, "old")
        tell(here.core, "alice", 1)
        send_all(here)
        here.clock.advance(31 * DAY)
        feed.delete_old_events(here.core, 100)
        add(here.core, receiver, "new")
        tell(here.core, "alice", 2)
        with capture_logs() as lines:
            send_all(here)
    assert "events_not_kept" not in [line["event"] for line in lines]


def test_a_delivery_whose_event_is_not_kept_any_more_is_given_up_and_the_next_one_goes(here: World) -> None:
    with receiving(answering(500)) as receiver:
        add(here.core, receiver)
        tell(here.core, "alice", 1)
        send_all(here)
        here.clock.advance(31 * DAY)
        feed.delete_old_events(here.core, 100)
        tell(here.core, "alice", 2)
        receiver.answer = answering(200)
        send_all(here)
    assert receiver.of("alice") == [1, 2]
    first, second = deliveries_of(here.core)
    assert (first.status, first.problem, second.status) == ("given_up", "the event is not kept any more", "done")


def test_an_endpoint_that_is_removed_while_its_round_runs_is_no_error(here: World) -> None:
    with receiving(answering(500)) as receiver:
        add(here.core, receiver)
        tell(here.core, "alice", 1)
        number = endpoint(here.core).id
        plan(here.core)
        here.core.whole.transact(lambda tx: tx.execute(delete(ENDPOINTS)))
        assert send_due(here.core, number) == 0
    assert receiver.got == []


def test_what_endpoints_were_told_about_an_order_is_in_its_timeline(here: World) -> None:
    view = here.order()
    with receiving(answering(200)) as receiver:
        add(here.core, receiver)
        here.pay(view.payments[0].id)
        here.deliver()
        while feed.place_events(here.core):
            pass
        here.clock.advance(1)
        send_all(here)
    entries = [entry for entry in timeline(here.core, view.order.id).entries if entry.kind is EntryKind.DELIVERY]
    assert sorted(entry.what for entry in entries) == [
        "game of coins.credited",
        "game of coins.credited",
        "game of order.paid",
    ]
    assert {(entry.outcome, entry.detail) for entry in entries} == {("done", "attempt 1, HTTP 200")}
    assert {entry.number for entry in entries} == {message.id for message in receiver.got}
    assert sentence(entries[0]).startswith("told game of ")
