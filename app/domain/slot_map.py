"""The map of the slots: which database of a service holds which of them.

Every slot lies in exactly one database. The slot of the house makes its database the first one, which is called home.
A database may hold no slots, before some are moved there.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any

from app.domain.chart import HOUSE_SLOT
from app.domain.numbers import SLOTS

ONLY_DATABASE = "first"
"""The name of a database that is the only one."""
MOST_DATABASES = 16
_PART = re.compile(r"(\d{1,4})(?:\s*-\s*(\d{1,4}))?", re.ASCII)

SlotRange = tuple[int, int]
"""The first and the last of slots that follow each other."""


@dataclass(frozen=True, slots=True)
class SlotMap:
    """Two maps are equal if each slot lies in the database of the same name, and the same slots are frozen."""

    names: tuple[str, ...] = field(compare=False)
    """Of all databases, home's first."""
    of_slot: tuple[str, ...]
    """For each slot the name of its database."""
    frozen: frozenset[int] = frozenset()
    """The slots that are on their way to another database: nobody may use them meanwhile."""

    @property
    def numbers(self) -> tuple[int, ...]:
        """For each slot the place of its database in `names`."""
        return tuple(self.names.index(name) for name in self.of_slot)

    def ranges(self, name: str) -> list[SlotRange]:
        """The slots of this database."""
        return ranges_of(slot for slot, owner in enumerate(self.of_slot) if owner == name)

    def other_ranges(self, name: str) -> list[SlotRange]:
        """The slots that are not of this database."""
        return ranges_of(slot for slot, owner in enumerate(self.of_slot) if owner != name)

    @property
    def document(self) -> dict[str, Any]:
        """As it is kept: {"databases": [{"name": …, "slots": [[first, last], …]}, …]}, home's first; while slots are
        moved, beside them {"frozen": [[first, last], …]}."""
        kept: dict[str, Any] = {
            "databases": [{"name": name, "slots": [list(one) for one in self.ranges(name)]} for name in self.names]
        }
        if self.frozen:
            kept["frozen"] = [list(one) for one in ranges_of(self.frozen)]
        return kept

    def freezing(self, slots: Collection[int]) -> SlotMap:
        """This map with just these slots frozen."""
        return replace(self, frozen=frozenset(slots))

    def moved(self, slots: Collection[int], name: str) -> SlotMap:
        """This map with these slots in the database of this name, and none frozen."""
        names = self.names if name in self.names else (*self.names, name)
        owners = tuple(name if slot in slots else owner for slot, owner in enumerate(self.of_slot))
        return SlotMap(names, owners)

    def __str__(self) -> str:
        return ", ".join(f'{name} "{text_of_ranges(self.ranges(name))}"' for name in self.names)


def map_of_one() -> SlotMap:
    """The map of a service with one database."""
    return SlotMap((ONLY_DATABASE,), (ONLY_DATABASE,) * SLOTS)


def map_of_document(document: Any) -> SlotMap:
    """The map that was kept as this document. Raises ValueError for what is no map."""
    try:
        found = map_of(
            [(one["name"], [(first, last) for first, last in one["slots"]]) for one in document["databases"]]
        )
        return found.freezing(slots_of((first, last) for first, last in document.get("frozen", ())))
    except (KeyError, TypeError) as error:
        raise ValueError("not a map of the slots") from error


def map_of(databases: Sequence[tuple[str, Sequence[SlotRange]]]) -> SlotMap:
    """The map in which these databases, home's first, have these slots. Raises ValueError with a sentence."""
    names = [name for name, _ in databases]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise ValueError(f"two databases have the name {twice[0]!r}")
    owners: dict[int, str] = {}
    for name, ranges in databases:
        for first, last in ranges:
            if not 0 <= first <= last < SLOTS:
                raise ValueError(f"{name!r}: {first}-{last} are no slots: they are 0-{SLOTS - 1}, the lower one first")
            for slot in range(first, last + 1):
                if (other := owners.setdefault(slot, name)) != name:
                    raise ValueError(f"the slot {slot} is given to {other!r} and to {name!r}")
    missing = [slot for slot in range(SLOTS) if slot not in owners]
    if missing:
        raise ValueError(f"the slots {text_of_ranges(ranges_of(missing))} are in no database")
    if owners[HOUSE_SLOT] != names[0]:
        raise ValueError(f"the first database, {names[0]!r}, must hold the slot {HOUSE_SLOT}: it is home")
    return SlotMap(tuple(names), tuple(owners[slot] for slot in range(SLOTS)))


def parse_ranges(text: str) -> list[SlotRange]:
    """Reads `0-2047,3000`: ranges and single slots. Raises ValueError with a sentence."""
    found = []
    for part in filter(None, map(str.strip, text.split(","))):
        match = _PART.fullmatch(part)
        if match is None:
            raise ValueError('slots are written as "0-2047,3000": ranges and single slots')
        found.append((int(match[1]), int(match[2] or match[1])))
    return found


def text_of_ranges(ranges: Iterable[SlotRange]) -> str:
    """As `parse_ranges` reads it."""
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in ranges)


def slots_of(ranges: Iterable[SlotRange]) -> list[int]:
    """The slots of these ranges, in order, each once."""
    return sorted({slot for first, last in ranges for slot in range(first, last + 1)})


def ranges_of(slots: Iterable[int]) -> list[SlotRange]:
    """These slots as ranges."""
    runs = (list(run) for _, run in groupby(enumerate(sorted(slots)), key=lambda pair: pair[1] - pair[0]))
    return [(run[0][1], run[-1][1]) for run in runs]
