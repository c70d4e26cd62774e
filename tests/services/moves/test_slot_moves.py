"""Slots go from one database to another while the service runs, and nothing of them is lost or there twice."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, create_engine, event, func, insert, select, text, update
from sqlalchemy.orm import sessionmaker

from app.composition import databases_of_maps
from app.domain.numbers import slot_of_user
from app.domain.refunding import Clawback
from app.domain.slot_map import map_of
from app.domain.spending import Spend
from app.models.base import Base
from app.models.endpoints import POSITIONS
from app.models.events import EVENTS
from app.models.ledger import ACCOUNTS
from app.services import ledger
from app.services.accounts.catalog import import_products, parse_catalogue
from app.services.audit.ledger import AsOf, AuditState, audit_slot
from app.services.base.context import Core
from app.services.base.databases import SharedSlots
from app.services.base.errors import SlotsFrozen
from app.services.base.idempotency import keyed
from app.services.base.slot_maps import SlotMaps, write_missing
from app.services.calls import refund_calls
from app.services.events import feed
from app.services.moves.slot_moves import HOLD_SECONDS, MoveRefused, SlotMover, unfinished_move
from app.services.moves.slot_rows import RowsDiffer, carry_slots, digests_of
from app.services.refunds.requests import Wanted
from app.worker import Worker
from tests.promises.test_store_purchases import CATALOGUE as STORE_CATALOGUE
from tests.promises.test_store_purchases import PRODUCT, Store
from tests.support.faults import Injected
from tests.support.friends import friends_in
from tests.support.two_databases import HALF, by_hand
from tests.support.world import CATALOGUE, World

pytestmark = pytest.mark.one_database
LIVE = "sandbox"
MOVED, STAYS, HIGH = "alice", "bob", "carol"
"""Users: of a slot of the first database that is moved, of one that stays there, and of the second database."""
SLOT = slot_of_user(MOVED)
MAP = map_of([("first", [(0, HALF - 1)]), ("second", [(HALF, 2 * HALF - 1)])])


class House:
    """A service over two databases whose settings do not say which slots lie where."""

    def __init__(self, world: World, engines: dict[str, Engine]) -> None:
        self.engines = engines
        write_missing(engines, MAP)
        self.maps = self.looks()
        self.world = world
        self.world.core = self.core_of(self.maps)
        import_products(self.core, parse_catalogue(CATALOGUE))

    @property
    def core(self) -> Core:
        return self.world.core

    def looks(self) -> SlotMaps:
        """The map as a process of its own sees it, that looks whenever it is asked to."""
        clock = iter(range(0, 1_000_000, 10))
        maps = SlotMaps(self.engines, None, clock=lambda: float(next(clock)))
        maps.check_all()
        return maps

    def core_of(self, maps: SlotMaps) -> Core:
        shared = databases_of_maps(maps)
        assert isinstance(shared, SharedSlots)
        return replace(self.world.core, databases=by_hand(shared))

    def mover(self, while_frozen: Callable[[], object] = lambda: None) -> SlotMover:
        return SlotMover(self.core, self.maps, pause=lambda _: while_frozen())

    def move(self, *slots: int, to: str = "second", resume: bool = False) -> list[Any]:
        done = list(self.mover().move(slots or [SLOT], to, at_once=1, resume=resume))
        assert self.maps.is_current()
        return done

    def coins(self, user: str) -> int:
        slot = slot_of_user(user)
        found = self.core.at(slot).read(lambda tx: ledger.balances(tx, slot, user))
        return sum(one.balance for one in found if one.asset == "coin")

    def spend(self, user: str, key: str, core: Core | None = None) -> None:
        core, slot = core or self.core, slot_of_user(user)
        request = Spend(user, "coin", 10, key, environment=LIVE)
        core.at(slot).transact(lambda tx: ledger.spend(tx, slot=slot, request=request, at=tx.now))

    def buys(self, user: str) -> int:
        payment: int = self.world.order(user, key=f"order-{user}").payments[-1].id
        self.world.pay(payment)
        self.world.deliver()
        return payment

    def audited(self, name: str, slot: int) -> str:
        """The seal of the audit, which finds nothing wrong."""
        state = AuditState()
        as_of = AsOf(self.core.rules.ledger, self.core.clock.now)
        audit_slot(sessionmaker(self.engines[name]), slot, state, as_of=as_of)
        assert state.clean
        return state.seal

    def tables(self, name: str, slot: int = SLOT) -> set[str]:
        with self.engines[name].connect() as connection:
            return set(digests_of(connection, [slot]))


@pytest.fixture
def house(world: World, engine: Engine, second_engine: Engine) -> House:
    assert SLOT < HALF <= slot_of_user(HIGH)
    assert slot_of_user(STAYS) < HALF
    return House(world, {"first": engine, "second": second_engine})


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
        with _blowing(house.engines, blow_at) as blown:
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


@contextlib.contextmanager
def plain_role(engines: Iterable[Engine]) -> Iterator[list[Engine]]:
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


COPYING, DELETING = "UPDATE event_feeds", "DELETE /* sweep: operator */ FROM users"
"""What only that transaction of a move does, in one of the databases."""


@contextlib.contextmanager
def _before_commit(engine: Engine, done: str, act: Callable[[], object]) -> Iterator[None]:
    """Once, before the commit of a transaction of this database that has done that."""
    acted = []

    def saw(connection: Connection, _cursor: Any, sql: str, *_: Any) -> None:
        if sql.startswith(done):
            connection.info["done"] = True

    def commits(connection: Connection) -> None:
        if connection.info.pop("done", False) and not acted:
            acted.append(True)
            act()

    with contextlib.ExitStack() as stack:
        for name, listener in (("before_cursor_execute", saw), ("commit", commits)):
            event.listen(engine, name, listener)
            stack.callback(event.remove, engine, name, listener)
        yield
    assert acted


def _blow() -> None:
    raise Injected


@contextlib.contextmanager
def _blowing(engines: dict[str, Engine], at: int) -> Iterator[list[int]]:
    """Raises before the commit of that transaction, among those that changed rows; whether it has is in the list."""
    blown: list[int] = []
    counted = iter(range(1, 1_000))

    def saw(connection: Connection, _cursor: Any, sql: str, *_: Any) -> None:
        if sql.split(None, 1)[0] in ("INSERT", "UPDATE", "DELETE") or "TRIGGER lots_fence" in sql:
            connection.info["changed"] = True

    def commits(connection: Connection) -> None:
        if connection.info.pop("changed", False) and next(counted) == at:
            blown.append(at)
            raise Injected

    with contextlib.ExitStack() as stack:
        for engine in engines.values():
            for name, listener in (("before_cursor_execute", saw), ("commit", commits)):
                event.listen(engine, name, listener)
                stack.callback(event.remove, engine, name, listener)
        yield blown


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
            stack.enter_context(_before_commit(house.engines["second"], COPYING, another_one_comes))
        else:  # which lets nobody write at home while rows are carried out of it
            mover = replace(mover, pause=lambda _: another_one_comes())
        [group] = mover.move([SLOT], "second", at_once=1)
    assert met == [set()]
    assert group.rows
    assert house.maps.is_current()
    assert house.coins(MOVED) == 66


def test_who_wakes_after_others_have_gone_on_carries_nothing(house: House) -> None:
    house.buys(MOVED)

    def others_go_on() -> None:
        for engine in house.engines.values():
            with engine.begin() as connection:
                connection.execute(text("UPDATE slot_map SET version = version + 7"))

    with pytest.raises(MoveRefused, match=r"another process has gone on .* has the version 9, and had 2"):
        list(house.mover(others_go_on).move([SLOT], "second", at_once=1))
    assert house.tables("second") == set()
    house.move(resume=True)
    assert house.coins(MOVED) == 66


def test_nobody_touches_the_copies_before_they_count(house: House) -> None:
    house.buys(MOVED)
    before = house.tables("first")
    with _before_commit(house.engines["first"], DELETING, _blow), pytest.raises(Injected):
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
    with _before_commit(house.engines["second"], COPYING, places):
        house.move()
    assert (house.tables("first"), house.tables("second")) == (set(), before)
    assert house.coins(MOVED) == 66


def test_a_role_that_has_to_look_at_foreign_keys_carries_the_same(house: House) -> None:
    if house.engines["first"].dialect.name == "sqlite":
        pytest.skip("SQLite has no roles")
    house.buys(MOVED)
    before = house.tables("first")
    with plain_role(house.engines.values()) as engines:
        rows = carry_slots(*engines, [SLOT], version=1)
        back = carry_slots(*engines[::-1], [SLOT], version=1)
    assert rows == back > 0
    assert (house.tables("first"), house.tables("second")) == (before, set())


def test_rows_that_differ_after_they_were_copied_are_not_deleted(house: House) -> None:
    house.buys(MOVED)
    source, target = house.engines["first"], house.engines["second"]
    with _blowing({"first": source}, at=1), pytest.raises(Injected):
        carry_slots(source, target, [SLOT], version=1)
    with target.begin() as connection:
        connection.execute(update(ACCOUNTS).where(ACCOUNTS.c.slot == SLOT).values(frozen=True))
    with pytest.raises(RowsDiffer, match=r"the slots have [0-9]+ rows in the table accounts"):
        carry_slots(source, target, [SLOT], version=1)
    assert house.coins(MOVED) == 66


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
