"""Which users are to be compared in an hour: all of whom any answer may have changed since they were compared last."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Protocol, TypeVar

from tests.years.till import Till


class Model(Protocol):
    """What must hold for a user, from the provider's books."""

    def moments(self) -> Iterator[datetime]:
        """When something happened in the provider's books."""

    def turns(self) -> Iterator[datetime]:
        """When that which must hold changes, although nothing happens in any book."""


class Compared(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def model(self) -> Model: ...


U = TypeVar("U", bound=Compared)


class Changes:
    """An answer is a function of our rows in the user's slot, of the provider's books, of how far we may lag behind
    them, and of the periods that have begun or ended by now. Where none of these has changed since the last comparison,
    another one would compare equal things."""

    def __init__(self, till: Till) -> None:
        self._till = till
        self._compared = dict[str, tuple[tuple[int, int], datetime]]()

    def among(self, users: Sequence[U], lag: timedelta) -> Iterator[U]:
        now, written = self._till.clock.now(), self._till.take_written()
        for user in users:
            known = self._compared.get(user.name)
            stand = _stand(user.model, now - lag)
            if known is not None and known[0] == stand and now < known[1] and user.name not in written:
                continue
            turns = [turn for turn in (*user.model.turns(), *self._till.turns(user.name)) if turn > now]
            self._compared[user.name] = (stand, min(turns, default=datetime.max.replace(tzinfo=now.tzinfo)))
            yield user


def _stand(model: Model, since: datetime) -> tuple[int, int]:
    """How much has happened at all, and how much since then."""
    moments = list(model.moments())
    return len(moments), sum(moment >= since for moment in moments)
