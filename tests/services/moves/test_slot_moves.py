"""Slots go from one database to another while the service runs, and nothing of them is lost or there twice."""

from __future__ import annotations

import uuid

import pytest
from sqlalchemy import Engine, func, insert, select, text

from app.domain.refunding import Clawback
from app.models.base import Base
from app.models.endpoints import POSITIONS
from app.models.events import EVENTS
from app.services.accounts.catalog import import_products, parse_catalogue
from app.services.base.errors import SlotsFrozen
from app.services.base.idempotency import keyed
from app.services.base.slot_maps import SlotMaps
from app.services.calls import refund_calls
from app.services.events import feed
from app.services.moves.slot_moves import MoveRefused, SlotMover, unfinished_move
from app.services.refunds.requests import Wanted
from app.worker import Worker
from tests.promises.test_store_purchases import CATALOGUE as STORE_CATALOGUE
from tests.promises.test_store_purchases import PRODUCT, Store
from tests.services.moves.house import (
    HIGH,
    MAP,
    MOVED,
    SLOT,
    STAYS,
    House,
    blowing,
)
from tests.support.faults import Injected
from tests.support.friends import friends_in
from tests.support.world import World

pytestmark = pytest.mark.one_database


def test_after_the_move_every_flow_goes_on_in_the_other_database(house: House) -> None:
    friends = friends_in(house.world)
    house.world = friends.world
    payments = {user: house.buys(user) for user in (MOVED, STAYS, HIGH)}
    friends.give(MOVED, STAYS, 20)
    friends.give(HIGH, MOVED, 5)
    late = house.world.order(MOVED, key="late").payments[-1].id
    house.world.pay(late)
    stale = house.core_of(house.looks())
    feed.place_events(house.core)
    before = house.tables("first")
    assert {"events", "transfers", "gifts", "payments"} <= before
    served = []

    def while_frozen() -> None:
        assert house.maps.is_current()
        for use in (lambda: house.coins(MOVED), lambda: house.core.whole):
            with pytest.raises(SlotsFrozen):
                use()
        house.spend(STAYS, "meanwhile")
        assert friends.give(STAYS, MOVED, 3).status == "sent"
        served.append(house.coins(STAYS))

    [group] = house.mover(while_frozen).move([SLOT], "second", at_once=64)
    assert house.maps.is_current()
    assert served == [66 + 20 - 10 - 3]
    assert (group.slots, group.source, group.target, group.version) == (str(SLOT), "first", "second", 3)
    assert group.seals[SLOT]
    assert (house.tables("first"), house.tables("second")) == (set(), before)
    with pytest.raises(SlotsFrozen):
        house.spend(MOVED, "stale", stale)
    house.spend(STAYS, "stale", stale)
    assert house.coins(MOVED) == 66 - 20 + 5
    house.world.deliver()
    house.world.clock.advance(120)
    Worker(house.core).run_once()
    assert house.coins(MOVED) == 66 - 20 + 5 + 66 + 3
    house.spend(MOVED, "one")
    friends.give(STAYS, MOVED, 1)
    friends.give(MOVED, HIGH, 2)
    wanted = Wanted(payments[MOVED], None, None, "a test", Clawback.FORGIVE, "backend:test")
    refund = refund_calls.request_refund(house.core, wanted, keyed("backend:test", "refund", "refund", {}))
    assert refund.status == "done"
    house.world.assert_balanced()
    assert house.core.home.read(unfinished_move) is None


def test_a_move_that_is_killed_before_any_of_its_commits_goes_on(house: House) -> None:
    """Of what it writes in the tables; and once in the middle of the fences. On PostgreSQL before each fourth."""
    house.buys(MOVED)
    house.spend(MOVED, "one")
    feed.place_events(house.core)
    rows = house.tables("first")
    places = ["second", "first"]
    blow_at, step = 0, 4 if house.engines["first"].dialect.name == "postgresql" else 1
    while True:
        blow_at += step
        to = places[0]
        with blowing(house.engines, blow_at) as blown:
            try:
                house.move(to=to)
            except Injected:
                if house.core.home.read(unfinished_move):
                    with pytest.raises(MoveRefused, match="has not ended"):
                        house.move(to=to)
                house.move(to=to, resume=True)
        places.reverse()
        assert (house.tables(places[0]), house.tables(to)) == (set(), rows)
        assert house.coins(MOVED) == 56
        if not blown:
            break
    assert blow_at > 9
    house.spend(MOVED, "two")
    house.world.assert_balanced()


def test_a_process_whose_connections_home_are_lost_keeps_its_map_and_looks_again(house: House) -> None:
    home, other = house.engines["first"], house.engines["second"]
    if home.dialect.name == "sqlite":
        pytest.skip("SQLite has no connections that could be lost")
    maps = house.looks()
    kill = text("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = :name")
    with other.connect() as connection:
        assert connection.scalar(kill, {"name": home.url.database})
    assert maps.is_current()
    house.move()
    assert maps.is_current()
    assert maps.map.of_slot[SLOT] == "second"


def test_what_cannot_be_moved_is_refused_and_nothing_is_frozen(house: House) -> None:
    house.buys(MOVED)
    for slots, to, told in (
        ([0, SLOT], "second", "the slot 0 stays at home"),
        ([SLOT], "third", "no database has the name 'third': first, second"),
        ([5000], "second", "slots are 0-4095"),
    ):
        with pytest.raises(MoveRefused, match=told):
            house.move(*slots, to=to)
    fixed = SlotMaps(house.engines, MAP)
    with pytest.raises(MoveRefused, match="leave `slots` out"):
        next(SlotMover(house.core, fixed).move([SLOT], "second", at_once=1))
    with house.engines["second"].begin() as connection:
        user = {"slot": SLOT, "id": "u", "token": uuid.UUID(int=0), "created_at": house.core.clock.now()}
        connection.execute(insert(Base.metadata.tables["users"]).values(user))
    with pytest.raises(MoveRefused, match="'second' has rows of them already, in users"):
        house.move()
    assert house.coins(MOVED) == 66
    assert house.core.home.read(unfinished_move) is None
    with house.engines["second"].begin() as connection:
        connection.execute(text(f"DELETE FROM users WHERE slot = {SLOT}"))
    running = house.mover(lambda: next(house.mover().move([SLOT + 1], "second", at_once=1)))
    with pytest.raises(MoveRefused, match=f"the move of {SLOT} to second, begun at .* has not ended"):
        next(running.move([SLOT], "second", at_once=1))
    assert house.move(resume=True)


def test_readers_of_the_feed_see_moved_events_again_and_endpoints_do_not(house: House) -> None:
    for user in (MOVED, STAYS, HIGH):
        house.buys(user)
    feed.place_events(house.core)
    all_of = feed.read_feed(house.core, None, limit=1000)
    tokens = [each.version for each in all_of.events if each.user_id == MOVED]
    last = select(func.max(EVENTS.c.position)).where(EVENTS.c.slot == SLOT)
    for engine in house.engines.values():
        with engine.begin() as connection:
            placed = connection.execute(text("SELECT placed FROM event_feeds")).scalar_one()
            all_but_one = (connection.execute(last).scalar() or placed + 1) - 1
            for endpoint, planned in ((7, placed), (8, placed - 1), (9, all_but_one)):
                row = {"endpoint_id": endpoint, "planned": planned, "rests_until": None}
                connection.execute(insert(POSITIONS).values(row))
    house.move()
    again = feed.read_feed(house.core, all_of.cursor, limit=1000)
    assert [each.version for each in again.events] == tokens
    with house.engines["second"].connect() as connection:
        placed = connection.execute(text("SELECT placed FROM event_feeds")).scalar_one()
        found = dict(connection.execute(select(POSITIONS.c.endpoint_id, POSITIONS.c.planned)).all())
    assert (found[7], found[8], found[9]) == (placed, placed - len(tokens) - 1, placed - 1)


def test_a_claim_of_a_store_purchase_is_moved_by_its_own_slot_and_claimed_once_still(
    world: World, engine: Engine, second_engine: Engine
) -> None:
    store = Store(world)
    house = House(world, {"first": engine, "second": second_engine})
    store.core = house.core
    import_products(house.core, parse_catalogue(STORE_CATALOGUE))
    device = store.device(MOVED)
    numbers = [device.buy(PRODUCT) for _ in range(4)]
    store.deliver()
    claimed = "/* sweep: operator */ SELECT DISTINCT cslot FROM claims WHERE cslot > 0"
    with engine.connect() as connection:
        slots = set(connection.execute(text(claimed)).scalars()) - {SLOT}
    assert slots
    house.move(*slots)
    with engine.connect() as connection:
        assert set(connection.execute(text(claimed)).scalars()) <= {SLOT}
    assert all(device.resubmit(number) for number in numbers)
    assert house.coins(MOVED) == 4 * 600
