"""Which database holds what: one for all, or several that share the slots.

User data lies by its slot, claims of store purchases by the hash of their own reference in the same map, and all that
belongs to no user lies in the first database, which is called home.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from app.services.base.transaction import Sessions


class SeveralDatabases(RuntimeError):
    """This is not done yet where several databases share the slots."""

    def __init__(self) -> None:
        super().__init__("not possible while several databases share the slots")


class Databases(Protocol):
    """The databases of one service."""

    @property
    def home(self) -> Sessions:
        """Where everything lies that belongs to no user."""

    @property
    def all(self) -> Sequence[Sessions]:
        """Each database once, home first."""

    @property
    def whole(self) -> Sessions:
        """The only database. Raises SeveralDatabases where there are more."""

    def of_slot(self, slot: int) -> Sessions:
        """Where the rows of this slot lie."""


@dataclass(frozen=True, slots=True)
class OneDatabase:
    """One database for everything."""

    home: Sessions

    @property
    def all(self) -> tuple[Sessions, ...]:
        return (self.home,)

    @property
    def whole(self) -> Sessions:
        return self.home

    def of_slot(self, slot: int) -> Sessions:
        del slot
        return self.home
