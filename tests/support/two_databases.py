"""Two databases that share the slots, in halves: what only a service that knows its places can run on."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import sessionmaker

from app.domain.numbers import SLOTS
from app.services.base.databases import SharedSlots
from app.services.base.transaction import Sessions
from tests.support.whole_by_hand import HandEngine

HALF = SLOTS // 2


def two_databases(home: Sessions, second: Sessions) -> SharedSlots:
    """The first has the lower half of the slots, and all that is at home."""
    return by_hand(SharedSlots([home, second], [slot // HALF for slot in range(SLOTS)], names=["first", "second"]))


def by_hand(shared: SharedSlots) -> SharedSlots:
    """What tests themselves read and write by `whole` goes where the rows lie."""
    real: Any = shared.whole_sessions.kw["bind"]
    engine: Any = HandEngine(real.engines, real.number_of_slot)
    shared.whole_sessions = sessionmaker(engine)
    return shared
