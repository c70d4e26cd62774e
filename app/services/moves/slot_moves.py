"""Moves slots from one database to another while the service runs.

A group of slots at a time: the map freezes it, every process learns of that, a fence in the database where the slots
were keeps out who has not; then each slot is carried over; then the map says where they lie, and nothing is frozen.
What is done already is seen in the map and in the rows, so a move that was killed anywhere goes on from there.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import accumulate
from typing import Any

from sqlalchemy import Engine, select, update
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import sessionmaker

from app.domain.chart import HOUSE_SLOT
from app.domain.numbers import SLOTS
from app.domain.slot_map import SlotMap, ranges_of, text_of_ranges
from app.models.base import AnyRow
from app.models.distribution import is_cluster
from app.models.ledger import ACCOUNTS
from app.models.slot_fence import set_fence
from app.models.slot_map import SLOT_MAP
from app.models.slot_moves import SLOT_MOVES
from app.services.audit.ledger import seal_of_slot
from app.services.base.context import Core, Tx
from app.services.base.slot_maps import MAP_LOOK_SECONDS, KeptMap, SlotMaps, newest_kept
from app.services.base.transaction import Transaction, read
from app.services.base.upsert import insert_if_new
from app.services.base.used_slots import used_slots
from app.services.moves.slot_rows import MapChanged, carry_slots, digests_of, rows_by_slot

FREEZE_SECONDS = 2 * MAP_LOOK_SECONDS
"""After the map is frozen, before anything is carried: every process has looked at home meanwhile, and what had begun
before has ended. Who could not look is kept out by the fence."""
HOLD_SECONDS = 60
"""After a move's process was last heard of, another one may go on."""
HOLD_AGAIN_SECONDS = 15
USUAL_ROWS = 50_000
"""A group has no more, unless one slot has: some seconds of carrying."""
FENCE_ATTEMPTS = 20
_m = SLOT_MOVES.c


class MoveRefused(Exception):
    """These slots cannot be moved so; nothing was changed."""


@dataclass(frozen=True, slots=True)
class CarriedSlots:
    """A group of slots that was moved."""

    slots: str
    source: str
    target: str
    rows: int
    seals: dict[int, str]
    """Of each slot that has accounts: the seal of the audit, the same before and after."""
    version: int
    """Of the map that says so."""


@dataclass(frozen=True, slots=True)
class SlotMover:
    """Moves slots between the databases of this service."""

    core: Core
    maps: SlotMaps
    freeze_seconds: float = FREEZE_SECONDS
    pause: Callable[[float], object] = time.sleep
    hold_again_seconds: float = HOLD_AGAIN_SECONDS
    holder: str = field(default_factory=lambda: secrets.token_hex(8))

    def move(
        self, slots: Collection[int], target: str, *, at_once: int, most_rows: int = USUAL_ROWS, resume: bool = False
    ) -> Iterator[CarriedSlots]:
        """Move these slots, `at_once` at a time, or fewer if these have more than `most_rows` rows; each group when it
        is done. With `resume` a move whose process is known to be dead is gone on with at once, and not after a minute.

        Raises MoveRefused; RowsDiffer, after which the slots in hand stay frozen until a person has looked.
        """
        self._check(slots, target)
        move = self._take(text_of_ranges(ranges_of(slots)), target, take_from_another=resume)
        # A process that died while it wrote the map has left an older one in some databases.
        self._write(newest_kept(self.maps.engines), list(self.maps.engines)[::-1])
        while group := self._next_group(slots, target, at_once, most_rows):
            with self._held(move):
                done = self._move_group(move, group, target)
            yield done
        self.core.home.transact(lambda tx: _end(tx, move))

    def _check(self, slots: Collection[int], target: str) -> None:
        if not self.maps.follows:
            raise MoveRefused("leave `slots` out of the settings of all processes first: see docs/operating.md")
        if target not in self.maps.engines:
            raise MoveRefused(f"no database has the name {target!r}: {', '.join(self.maps.engines)}")
        if not slots or not all(0 <= slot < SLOTS for slot in slots):
            raise MoveRefused(f"slots are 0-{SLOTS - 1}")
        if HOUSE_SLOT in slots:
            raise MoveRefused(f"the slot {HOUSE_SLOT} stays at home")
        for name, engine in self.maps.engines.items():
            with engine.connect() as connection:
                if is_cluster(connection):
                    raise MoveRefused(f"{name} is a cluster, which moves its shards itself")
        now = newest_kept(self.maps.engines).map
        others = [slot for slot in slots if now.of_slot[slot] != target and slot not in now.frozen]
        self._refuse_rows(self.maps.engines[target], others, "has rows of them already")

    def _take(self, slots: str, target: str, *, take_from_another: bool) -> int:
        """The number of the move, which is this process's from now on."""
        number = self.core.numbers.next(HOUSE_SLOT)

        def work(tx: Tx) -> AnyRow:
            until = tx.now + timedelta(seconds=HOLD_SECONDS)
            row = {"id": number, "slots": slots, "target": target, "running": 1, "holder": self.holder}
            insert_if_new(tx, SLOT_MOVES, {**row, "held_until": until, "started_at": tx.now, "ended_at": None})
            taken = update(SLOT_MOVES).where(_m.running == 1, _m.slots == slots, _m.target == target)
            if not take_from_another:
                taken = taken.where((_m.holder == self.holder) | (_m.held_until < tx.now))
            tx.execute(taken.values(holder=self.holder, held_until=until))
            return tx.execute(select(SLOT_MOVES).where(_m.running == 1)).one()

        found = self.core.home.transact(work)
        if found.holder != self.holder:
            raise MoveRefused(
                f"the move of {found.slots} to {found.target}, begun at {found.started_at:%Y-%m-%d %H:%M:%S}, has not "
                f"ended: end that one first, by the same command (in {HOLD_SECONDS} seconds, or with --resume)"
            )
        return int(found.id)

    def _hold(self, move: int) -> None:
        def work(tx: Tx) -> int:
            held = update(SLOT_MOVES).where(_m.id == move, _m.holder == self.holder, _m.running == 1)
            return tx.execute(held.values(held_until=tx.now + timedelta(seconds=HOLD_SECONDS))).rowcount

        if not self.core.home.transact(work):
            raise MoveRefused("another process has gone on with this move")

    @contextmanager
    def _held(self, move: int) -> Iterator[None]:
        """Inside, nobody takes this process for dead, however long a statement takes."""
        ended = threading.Event()

        def hold() -> None:
            while not ended.wait(self.hold_again_seconds):
                with suppress(DBAPIError, PoolTimeout, MoveRefused):  # the work itself meets what is wrong
                    self._hold(move)

        thread = threading.Thread(target=hold, name="hold-move", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def _next_group(self, slots: Collection[int], target: str, at_once: int, most_rows: int) -> list[int]:
        """The slots that are frozen already, or the next that lie together in another database."""
        now = newest_kept(self.maps.engines).map
        if now.frozen:
            return sorted(now.frozen)
        left = [slot for slot in sorted(slots) if now.of_slot[slot] != target]
        together = [slot for slot in left if now.of_slot[slot] == now.of_slot[left[0]]][:at_once]
        if not together:
            return []
        rows = rows_by_slot(self.maps.engines[now.of_slot[together[0]]], together)
        sums = accumulate(rows.get(slot, 0) for slot in together)
        return together[: max(1, sum(total <= most_rows for total in sums))]

    def _move_group(self, move: int, group: Sequence[int], target: str) -> CarriedSlots:
        kept = newest_kept(self.maps.engines)
        name = kept.map.of_slot[group[0]]
        source, into = self.maps.engines[name], self.maps.engines[target]
        # What works there must not touch the copies before they count: it would plan deliveries of their events.
        self._fence(into, kept.map, target)
        if not kept.map.frozen:
            kept = KeptMap(name, kept.version + 1, kept.map.freezing(group))
        self._write(kept, list(self.maps.engines))
        self._hold(move)
        self.pause(self.freeze_seconds)
        moved = kept.map.moved(group, target)
        self._fence(source, moved, name)
        before = self._seals(source, group)
        self._hold(move)
        try:
            rows = carry_slots(source, into, group, version=kept.version)
        except MapChanged as error:
            raise MoveRefused(f"another process has gone on with this move: {error}") from None
        self._hold(move)
        seals = self._seals(into, group)
        for slot, seal in before.items():
            if seal != seals.get(slot):
                raise MoveRefused(f"the audit's seal of the slot {slot} was {seal}, and is {seals.get(slot)} now")
        self._refuse_rows(source, group, "has rows of them still")
        self._fence(into, moved, target)
        self._hold(move)
        others_first = list(self.maps.engines)[::-1]
        self._write(KeptMap(name, kept.version + 1, moved), others_first)
        return CarriedSlots(text_of_ranges(ranges_of(group)), name, target, rows, seals, kept.version + 1)

    def _write(self, new: KeptMap, names: Sequence[str]) -> None:
        for name in names:
            with self.maps.engines[name].begin() as connection:
                older = update(SLOT_MAP).where(SLOT_MAP.c.id == 1, SLOT_MAP.c.version < new.version)
                connection.execute(older.values(version=new.version, document=new.map.document))

    def _fence(self, engine: Engine, after: SlotMap, name: str) -> None:
        """Refuse all slots that this database does not hold after the move of the group."""
        for attempt in range(1, FENCE_ATTEMPTS + 1):
            try:
                set_fence(engine, after.other_ranges(name))
                return
            except OperationalError:  # somebody writes there for long
                if attempt == FENCE_ATTEMPTS:
                    raise
                self.pause(1.0)

    def _seals(self, engine: Engine, slots: Collection[int]) -> dict[int, str]:
        """The audit's seal of each slot that has accounts here."""

        def work(tx: Transaction) -> dict[int, str]:
            tx.of_several_slots("audit")
            found = used_slots(tx, "operator", select(ACCOUNTS.c.slot).where(ACCOUNTS.c.slot.in_(slots)))
            return {slot: seal_of_slot(tx, slot) for slot in found}

        return read(sessionmaker(engine), work, snapshot=True)

    def _refuse_rows(self, engine: Engine, slots: Collection[int], what: str) -> None:
        with engine.connect() as connection:
            found = digests_of(connection, slots)
        if found:
            name = next(name for name, each in self.maps.engines.items() if each is engine)
            group = text_of_ranges(ranges_of(slots))
            raise MoveRefused(f"the slots {group}: the database {name!r} {what}, in {', '.join(sorted(found))}")


def unfinished_move(tx: Tx) -> Any | None:
    """The move that has not ended: `slots`, `target`, `started_at`; None if there is none."""
    return tx.execute(select(SLOT_MOVES).where(_m.running == 1)).one_or_none()


def _end(tx: Tx, move: int) -> None:
    tx.execute(update(SLOT_MOVES).where(_m.id == move).values(running=None, ended_at=tx.now))
