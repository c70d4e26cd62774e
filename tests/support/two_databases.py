"""Two databases that share the slots, in halves: what only a service that knows its places can run on."""

from __future__ import annotations

from dataclasses import dataclass

from app.domain.numbers import SLOTS
from app.services.base.databases import SeveralDatabases
from app.services.base.transaction import Sessions

HALF = SLOTS // 2


@dataclass(frozen=True)
class TwoDatabases:
    """The first has the lower half of the slots, and all that is at home."""

    home: Sessions
    second: Sessions

    @property
    def all(self) -> tuple[Sessions, ...]:
        return (self.home, self.second)

    @property
    def whole(self) -> Sessions:
        raise SeveralDatabases

    def of_slot(self, slot: int) -> Sessions:
        return self.home if slot < HALF else self.second
