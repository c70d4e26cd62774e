"""The feed: positions after the commit, a reader that misses nothing, retention."""

from __future__ import annotations

import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, select

from app.domain.event_types import EventType
from app.domain.numbers import slot_of_user
from app.domain.spending import Spend, grant
from app.models.events import EVENTS
from app.services import ledger
from app.services.base.errors import NotACursor, NotFound
from app.services.events import feed
from tests.support.world import World, build_world


def give(world: World, user: str, amount: int = 10) -> None:
    given = grant(user, "coin", amount, uuid.uuid4().hex, reason="a prize", actor="backend")
    slot = slot_of_user(user)
    world.core.whole.transact(lambda tx: ledger.post(tx, slot, [given]))


def place_all(world: World) -> int:
    placed = 0
    while done := feed.place_events(world.core):
        placed += done
    return placed


def follow(world: World, after: str | None = None, **wanted: Any) -> tuple[list[Any], str]:
    """Read pages of three until there is no more."""
    found = []
    while True:
        page = feed.read_feed(world.core, after, limit=3, **wanted)
        found += page.events
        after = page.cursor
        if not page.more:
            return found, after


@pytest.mark.one_database
def test_a_reader_gets_every_event_once_in_one_order(world: World) -> None:
    for number in range(10):
        give(world, f"user-{number}")
    assert follow(world)[0] == []
    assert place_all(world) == 10
    first, cursor = follow(world)
    assert [event.position for event in first] == list(range(1, 11))
    assert {event.user_id for event in first} == {f"user-{number}" for number in range(10)}
    give(world, "user-1")
    place_all(world)
    then, after = follow(world, cursor)
    assert [event.user_id for event in then] == ["user-1"]
    assert follow(world, after) == ([], after)


@pytest.mark.postgres
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_transaction_held_open_while_others_commit_is_not_passed_by(world: World, engine: Engine) -> None:
    """Its number and its moment are the smallest; a reader has read all others before it commits."""
    written, go_on = threading.Event(), threading.Event()
    given = grant("late", "coin", 10, "k", reason="a prize", actor="backend")

    def slowly() -> None:
        def work(tx: Any) -> None:
            ledger.post(tx, slot_of_user("late"), [given])
            written.set()
            assert go_on.wait(60)

        world.core.whole.transact(work)

    thread = threading.Thread(target=slowly)
    thread.start()
    assert written.wait(60)
    for number in range(5):
        give(world, f"user-{number}")
    place_all(world)
    before, cursor = follow(world)
    assert len(before) == 5
    go_on.set()
    thread.join()
    place_all(world)
    assert [event.user_id for event in follow(world, cursor)[0]] == ["late"]
    assert engine.dialect.name == "postgresql"


@pytest.mark.one_database
def test_several_workers_that_place_at_once_give_each_position_once(world: World) -> None:
    for number in range(30):
        give(world, f"user-{number % 7}")
    with ThreadPoolExecutor(4) as threads:
        placed = sum(threads.map(lambda _: place_all(world), range(4)))
    assert placed == 30
    found, _ = follow(world)
    assert [event.position for event in found] == list(range(1, 31))


def test_events_of_one_user_come_in_the_order_of_the_changes_whatever_the_clocks_say(
    engine: Engine, sessions: Any
) -> None:
    """Two machines share the work on one wallet; the clock of one of them is a minute behind."""
    world = build_world(engine, sessions)
    for number in range(6):
        world.clock.advance(-60 if number % 2 else 61)
        give(world, "alice", 10 + number)
    place_all(world)
    found, _ = follow(world)
    assert [event.body["data"]["line"]["version"] for event in found] == [1, 2, 3, 4, 5, 6]
    versions = [event.version for event in found]
    assert versions == sorted(set(versions))


def test_a_reader_may_want_some_types_or_one_user_only(world: World) -> None:
    give(world, "alice")
    give(world, "bob")
    spend = Spend("alice", "coin", 4, "s", actor="backend")
    world.core.whole.transact(lambda tx: ledger.spend(tx, slot_of_user("alice"), spend))
    place_all(world)
    assert [event.type for event in follow(world, user_id="alice")[0]] == ["coins.credited", "coins.spent"]
    spent, cursor = follow(world, types=[EventType.COINS_SPENT])
    assert [(event.user_id, event.type) for event in spent] == [("alice", "coins.spent")]
    assert follow(world, cursor, types=[EventType.COINS_SPENT])[0] == []


def test_what_is_no_cursor_is_refused(world: World) -> None:
    for text in ("", "1", "MTox!", "Mjox", "MTotMQ", "MTrCsQ", "x" * 50):
        with pytest.raises(NotACursor):
            feed.read_feed(world.core, text, limit=1)


def test_old_events_are_deleted_and_a_reader_who_stayed_away_too_long_is_told(world: World) -> None:
    give(world, "alice")
    give(world, "alice")
    place_all(world)
    oldest = feed.read_feed(world.core, None, limit=1)
    world.clock.advance(31 * 86400)
    give(world, "alice")
    place_all(world)
    assert feed.delete_old_events(world.core, 1) == 1
    assert feed.delete_old_events(world.core, 100) == 1
    assert feed.delete_old_events(world.core, 100) == 0
    with pytest.raises(feed.CursorTooOld) as refused:
        feed.read_feed(world.core, oldest.cursor, limit=10)
    kept = feed.read_feed(world.core, refused.value.members["oldest"], limit=10)
    assert len(kept.events) == 1
    assert len(feed.read_feed(world.core, None, limit=10).events) == 1


def test_no_event_is_deleted_before_it_has_its_position(world: World) -> None:
    give(world, "alice")
    world.clock.advance(timedelta(days=99).total_seconds())
    assert feed.delete_old_events(world.core, 100) == 0
    assert place_all(world) == 1


def test_one_event_is_found_by_its_id(world: World) -> None:
    give(world, "alice")
    row = world.core.whole.read(
        lambda tx: tx.execute(select(EVENTS.c.id).where(EVENTS.c.slot == slot_of_user("alice"))).one()
    )
    assert feed.find_event(world.core, row.id).user_id == "alice"
    assert row.id.int % 4096 == slot_of_user("alice")
    with pytest.raises(NotFound):
        feed.find_event(world.core, uuid.uuid4())


def test_a_backend_that_wants_no_spends_has_none_written(world: World) -> None:
    rules = world.core.rules
    unwanted = replace(rules.ledger, events=rules.ledger.events - {EventType.COINS_SPENT})
    quiet = world.with_rules(replace(rules, ledger=unwanted))
    give(quiet, "alice")
    slot = slot_of_user("alice")
    for number in range(3):
        spend = Spend("alice", "coin", 3 + 2 * number, f"s{number}")  # the last one leaves the open lot
        quiet.core.whole.transact(lambda tx, spend=spend: ledger.spend(tx, slot, spend))
    place_all(world)
    assert [event.type for event in follow(world)[0]] == ["coins.credited"]


def test_what_is_rolled_back_is_not_told(world: World) -> None:
    given = grant("alice", "coin", 10, "k", reason="a prize", actor="backend")

    def work(tx: Any) -> None:
        ledger.post(tx, slot_of_user("alice"), [given])
        raise KeyError("no")

    with pytest.raises(KeyError):
        world.core.whole.transact(work)
    assert place_all(world) == 0
