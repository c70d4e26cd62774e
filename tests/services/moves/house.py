"""A service over two databases whose slots are moved, and what strikes in the middle of a move."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Engine, event
from sqlalchemy.orm import sessionmaker

from app.composition import databases_of_maps
from app.domain.numbers import slot_of_user
from app.domain.slot_map import map_of
from app.domain.spending import Spend
from app.services import ledger
from app.services.accounts.catalog import import_products, parse_catalogue
from app.services.audit.ledger import AsOf, AuditState, audit_slot
from app.services.base.context import Core
from app.services.base.databases import SharedSlots
from app.services.base.slot_maps import SlotMaps, write_missing
from app.services.moves.slot_moves import SlotMover
from app.services.moves.slot_rows import digests_of
from tests.support.faults import Injected
from tests.support.two_databases import HALF, by_hand
from tests.support.world import CATALOGUE, World

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
        core.at(slot).transact(lambda tx: ledger.spend(tx, slot=slot, request=request))

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


COPYING, DELETING = "UPDATE event_feeds", "DELETE /* sweep: operator */ FROM users"
"""What only that transaction of a move does, in one of the databases."""


@contextlib.contextmanager
def before_commit(engine: Engine, done: str, act: Callable[[], object]) -> Iterator[None]:
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


def blow() -> None:
    raise Injected


@contextlib.contextmanager
def blowing(engines: dict[str, Engine], at: int) -> Iterator[list[int]]:
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
