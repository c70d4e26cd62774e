"""What carries the rows of slots takes its time, meets others, is killed, and leaves each row in one place."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import replace

import pytest
from sqlalchemy import Engine, create_engine, insert, text, update

from app.domain.numbers import slot_of_user
from app.models.base import Base
from app.models.events import EVENTS
from app.models.ledger import ACCOUNTS
from app.services.base.errors import SlotsFrozen
from app.services.events import feed
from app.services.moves.slot_moves import HOLD_SECONDS, MoveRefused, unfinished_move
from app.services.moves.slot_rows import RowsDiffer, carry_slots
from tests.services.moves.house import (
    COPYING,
    DELETING,
    MOVED,
    SLOT,
    STAYS,
    House,
    before_commit,
    blow,
    blowing,
)
from tests.support.faults import Injected

pytestmark = pytest.mark.one_database


@contextlib.contextmanager
def _plain_role(engines: Iterable[Engine]) -> Iterator[list[Engine]]:
    """These databases, as a role sees them that may do to rows what it likes, and set nothing."""
    role = f"plain_{uuid.uuid4().hex[:12]}"
    owners = list(engines)
    with owners[0].begin() as connection:
        connection.execute(text(f"CREATE ROLE {role}"))
    plain = []
    for owner in owners:
        with owner.begin() as connection:
            connection.execute(text(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}"))
        plain.append(create_engine(owner.url, connect_args={"options": f"-c role={role} -c timezone=UTC"}))
    try:
        yield plain
    finally:
        for owner, engine in zip(owners, plain, strict=True):
            engine.dispose()
            with owner.begin() as connection:
                connection.execute(text(f"DROP OWNED BY {role}"))
        with owners[0].begin() as connection:
            connection.execute(text(f"DROP ROLE {role}"))


def test_a_group_has_fewer_slots_where_these_have_many_rows_and_the_seal_is_that_of_the_audit(house: House) -> None:
    slots = sorted(map(slot_of_user, (MOVED, STAYS)))
    for user in (MOVED, STAYS):
        house.buys(user)
        house.spend(user, "one")
    seals = {slot: house.audited("first", slot) for slot in slots}
    there = list(house.mover().move(slots, "second", at_once=64, most_rows=1))
    assert [(group.slots, group.seals) for group in there] == [(str(slot), {slot: seals[slot]}) for slot in slots]
    [back] = house.mover().move(slots, "first", at_once=64, most_rows=sum(group.rows for group in there))
    assert back.seals == seals == {slot: house.audited("first", slot) for slot in slots}


def test_who_carries_for_longer_than_a_lease_is_not_taken_for_dead(house: House) -> None:
    house.buys(MOVED)
    met = []

    def another_one_comes() -> None:
        house.world.clock.advance(2 * HOLD_SECONDS)
        until = time.monotonic() + 5
        while house.core.home.read(unfinished_move).held_until < house.core.clock.now() and time.monotonic() < until:
            time.sleep(0.005)
        with pytest.raises(MoveRefused, match="has not ended"):
            house.move()
        met.append(house.tables("second"))

    mover = replace(house.mover(), hold_again_seconds=0.01)
    with contextlib.ExitStack() as stack:
        if house.engines["first"].dialect.name == "postgresql":
            stack.enter_context(before_commit(house.engines["second"], COPYING, another_one_comes))
        else:  # which lets nobody write at home while rows are carried out of it
            mover = replace(mover, pause=lambda _: another_one_comes())
        [group] = mover.move([SLOT], "second", at_once=1)
    assert met == [set()]
    assert group.rows
    assert house.maps.is_current()
    assert house.coins(MOVED) == 66


def test_who_wakes_after_others_have_gone_on_or_meets_them_carries_nothing(house: House) -> None:
    house.buys(MOVED)

    def others_go_on() -> None:
        for engine in house.engines.values():
            with engine.begin() as connection:
                connection.execute(text("UPDATE slot_map SET version = version + 7"))

    with pytest.raises(MoveRefused, match=r"another process has gone on .* has the version 9, and had 2"):
        list(house.mover(others_go_on).move([SLOT], "second", at_once=1))
    assert house.tables("second") == set()
    if house.engines["first"].dialect.name == "postgresql":  # and on SQLite he waits, and is refused after 15 seconds
        with house.engines["second"].begin() as carries:
            carries.execute(text("SELECT version FROM slot_map FOR UPDATE"))
            with pytest.raises(MoveRefused, match=r"another process .* carries these slots at this moment"):
                house.move(resume=True)
    house.move(resume=True)
    assert house.coins(MOVED) == 66


def test_nobody_touches_the_copies_before_they_count(house: House) -> None:
    house.buys(MOVED)
    before = house.tables("first")
    with before_commit(house.engines["first"], DELETING, blow), pytest.raises(Injected):
        house.move()
    assert (house.tables("first"), house.tables("second")) == (before, before)
    user = {"slot": SLOT, "id": "u", "token": uuid.UUID(int=0), "created_at": house.core.clock.now()}
    with pytest.raises(SlotsFrozen):
        house.core.everywhere()[1].transact(lambda tx: tx.execute(insert(Base.metadata.tables["users"]).values(user)))
    house.move(resume=True)
    assert (house.tables("first"), house.tables("second")) == (set(), before)


def test_an_event_that_gets_its_place_in_the_old_feed_meanwhile_hinders_nothing(house: House) -> None:
    if house.engines["first"].dialect.name == "sqlite":
        pytest.skip("SQLite has one writer, and that is the move")
    house.buys(MOVED)
    before = house.tables("first")

    def places() -> None:
        with house.engines["first"].begin() as connection:
            moved = update(EVENTS).where(EVENTS.c.slot == SLOT)
            assert connection.execute(moved.values(position=EVENTS.c.position + 1000)).rowcount

    feed.place_events(house.core)
    with before_commit(house.engines["second"], COPYING, places):
        house.move()
    assert (house.tables("first"), house.tables("second")) == (set(), before)
    assert house.coins(MOVED) == 66


def test_a_role_that_has_to_look_at_foreign_keys_carries_the_same(house: House) -> None:
    if house.engines["first"].dialect.name == "sqlite":
        pytest.skip("SQLite has no roles")
    house.buys(MOVED)
    before = house.tables("first")
    with _plain_role(house.engines.values()) as engines:
        rows = carry_slots(*engines, [SLOT], version=1)
        back = carry_slots(*engines[::-1], [SLOT], version=1)
    assert rows == back > 0
    assert (house.tables("first"), house.tables("second")) == (before, set())


def test_rows_that_differ_after_they_were_copied_are_not_deleted(house: House) -> None:
    house.buys(MOVED)
    source, target = house.engines["first"], house.engines["second"]
    with blowing({"first": source}, at=1), pytest.raises(Injected):
        carry_slots(source, target, [SLOT], version=1)
    with target.begin() as connection:
        connection.execute(update(ACCOUNTS).where(ACCOUNTS.c.slot == SLOT).values(frozen=True))
    with pytest.raises(RowsDiffer, match=r"the slots have [0-9]+ rows in the table accounts"):
        carry_slots(source, target, [SLOT], version=1)
    assert house.coins(MOVED) == 66
