"""What keeps a line of an earlier system's table from being taken over."""

from __future__ import annotations

from dataclasses import dataclass, field

MOST_IMPORTED = 200_000
"""Agreements, or owners, of one import: their numbers are compared with each other in memory."""
FilePlace = int
"""The number of a line in its file."""


class ImportFault(ValueError):
    """The line cannot be taken over. The text names the column and says why, for people."""


@dataclass(slots=True)
class Unique:
    """Names of which a file has each once, with the line that has it."""

    seen: dict[tuple[str, ...], FilePlace] = field(default_factory=dict)

    def add(self, place: FilePlace, column: str, *name: str) -> None:
        """Raises ImportFault for a name that another line has."""
        first = self.seen.setdefault(name, place)
        if first != place:
            raise ImportFault(f"{column}: as in line {first}")
