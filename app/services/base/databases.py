"""Which database holds what: one for all, or several that share the slots.

User data lies by its slot, claims of store purchases by the hash of their own reference in the same map, and all that
belongs to no user lies in the first database, which is called home. So does the slot of the house (`HOUSE_SLOT`).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy.orm import sessionmaker

from app.services.base.errors import SlotsFrozen
from app.services.base.transaction import Sessions
from app.services.base.whole import LeftOut, WholeEngine


class Databases(Protocol):
    """The databases of one service."""

    @property
    def home(self) -> Sessions:
        """Where everything lies that belongs to no user."""

    @property
    def house(self) -> Sessions:
        """Home, for transactions that touch the slot of the house besides."""

    @property
    def all(self) -> Sequence[Sessions]:
        """Each database once, home first."""

    @property
    def names(self) -> Sequence[str]:
        """What the settings call each of `all`."""

    @property
    def whole(self) -> Sessions:
        """All of them read as one; only what lies at home can be changed here (`base.whole`). Raises SlotsFrozen while
        slots are moved: their rows are in two databases for a moment, and a sum would count them twice."""

    def whole_without(self, silent: Collection[int]) -> tuple[Sessions, frozenset[int]]:
        """As `whole`, but nothing is found of the databases with these numbers, nor of slots that are moved; and the
        numbers of the databases of which something is left out so."""

    def of_slot(self, slot: int) -> Sessions:
        """Where the rows of this slot lie. Raises SlotsFrozen."""

    @property
    def frozen(self) -> Collection[int]:
        """The slots that are moved at this moment: their rows may lie in two databases."""

    def number_of(self, slot: int) -> int:
        """Which of `all` that is."""


@dataclass(frozen=True, slots=True)
class OneDatabase:
    """One database for everything."""

    home: Sessions
    names: tuple[str] = ("first",)
    frozen: frozenset[int] = frozenset()

    @property
    def house(self) -> Sessions:
        return self.home

    @property
    def all(self) -> tuple[Sessions, ...]:
        return (self.home,)

    @property
    def whole(self) -> Sessions:
        return self.home

    def whole_without(self, silent: Collection[int]) -> tuple[Sessions, frozenset[int]]:
        del silent
        return self.home, frozenset()

    def of_slot(self, slot: int) -> Sessions:
        del slot
        return self.home

    def number_of(self, slot: int) -> int:
        del slot
        return 0


class SharedSlots:
    """Several databases, the first of them home. `numbers` says for each slot which of them has it, `frozen` which
    slots are on their way to another one. Both may change while the process runs (`take_over`)."""

    def __init__(
        self,
        databases: Sequence[Sessions],
        numbers: Sequence[int],
        frozen: Collection[int] = frozenset(),
        *,
        names: Sequence[str] = (),
    ) -> None:
        self.all = tuple(databases)
        self.names = tuple(names) or tuple(map(str, range(len(self.all))))
        self.home = self.house = self.all[0]
        self.take_over(numbers, frozen)
        engines: Any = WholeEngine([each.kw["bind"] for each in self.all], self.number_of)
        self.whole_sessions: Sessions = sessionmaker(engines)

    def take_over(self, numbers: Sequence[int], frozen: Collection[int]) -> None:
        """From now on the slots lie so. Both are replaced at once: other threads see the one or the other."""
        self._places = (tuple(numbers), frozenset(frozen))

    @property
    def whole(self) -> Sessions:
        if frozen := self._places[1]:
            raise SlotsFrozen(f"{len(frozen)} slots are being moved to another database: try again in some seconds")
        return self.whole_sessions

    def whole_without(self, silent: Collection[int]) -> tuple[Sessions, frozenset[int]]:
        numbers, frozen = self._places
        engine: Any = WholeEngine(
            [each.kw["bind"] for each in self.all], numbers.__getitem__, LeftOut(frozenset(silent), frozen)
        )
        return sessionmaker(engine), frozenset(silent).union(numbers[slot] for slot in frozen)

    @property
    def frozen(self) -> frozenset[int]:
        return self._places[1]

    def of_slot(self, slot: int) -> Sessions:
        numbers, frozen = self._places
        if slot in frozen:
            raise SlotsFrozen(f"the slot {slot} is being moved to another database: try again in some seconds")
        return self.all[numbers[slot]]

    def number_of(self, slot: int) -> int:
        return self._places[0][slot]
