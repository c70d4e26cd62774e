"""What goes wrong in a simulated year, and by how much we may lag behind the provider's books because of that."""

from __future__ import annotations

import random
from datetime import timedelta

from app.providers.testing.simulator import Faults

LAG = timedelta(hours=30)
"""We ask about each agreement once a day; everything else is asked about sooner."""
CALM_DAYS = 4
"""At the end nothing goes wrong for so long: then our books and the provider's must be alike."""
SILENT_HOURS = 20
"""No notification is taken for so long at the most."""
LONG_DOWN_HOURS = 6 * 24
"""So long nobody works at the most: longer than any provider waits for a charge that was announced."""
LONGEST_SPOILT = 24
"""So many hours in a row something goes wrong at the most: whoever looks twice a day must know all within the lag."""
MOST_STEPS = 250
"""Of one piece of work: a process that dies, dies at one of these."""

MOST_MEETINGS = 12
"""Transactions and calls of one piece of work after which another worker may come by."""


class Trouble:
    """Decides what goes wrong next, from one seed. `is_over`: nothing any more."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self.is_over = False
        self._down_hours, self._spoilt_hours = 0, 0
        self._behind_for = timedelta(0)
        self._webhooks_too = False
        self.lag = LAG

    def spoil(self, faults: Faults, hours: int) -> None:
        """Set what goes wrong with the messages and calls of the next hours."""
        faults.set(lose=0, repeat=0, delay=0.0, reorder=0, timeout_before=0, timeout_after=0, garbage=0, error500=0)
        is_calm = self._chance.random() < 0.5 or self._spoilt_hours + hours > LONGEST_SPOILT
        self._spoilt_hours = 0 if is_calm else self._spoilt_hours + hours
        if self.is_over or is_calm:
            return
        name = self._chance.choice(
            ("lose", "repeat", "delay", "reorder", "timeout_before", "timeout_after", "garbage", "error500")
        )
        faults.set(**{name: self._chance.randrange(1, 3) if name != "delay" else self._chance.uniform(60, 40_000)})

    def kill_at(self) -> int:
        """At which step the next piece of work dies; 0: it does not."""
        return 0 if self.is_over or self._chance.random() > 0.15 else self._chance.randrange(1, MOST_STEPS)

    def meets_at(self) -> int:
        """At which moment of its work a worker meets another one; 0: it is alone."""
        return 0 if self.is_over or self._chance.random() > 0.2 else self._chance.randrange(1, MOST_MEETINGS)

    def restarts(self) -> bool:
        """Whether a process that died is started anew by itself, or its work is left to another one."""
        return self._chance.random() < 0.5

    def new_day(self) -> None:
        """Sometimes nobody works for a day or three, and once in a while for six."""
        if self._down_hours <= 0 and not self.is_over and self._chance.random() < 0.03:
            self._down_hours = self._chance.randrange(5, 72) if self._chance.random() < 0.85 else LONG_DOWN_HOURS
            # Providers try for a day at the most to tell us.
            self._webhooks_too = self._down_hours < SILENT_HOURS and self._chance.random() < 0.7
            self.lag += timedelta(hours=self._down_hours)
            self._behind_for = LAG

    def next_hours(self, hours: int) -> tuple[bool, bool]:
        """Whether the worker runs in these hours, and whether notifications are taken."""
        if self._down_hours > 0:
            self._down_hours -= hours
            return False, not self._webhooks_too
        # What a time without a worker left behind is made up for within the usual time, and not sooner.
        self._behind_for -= timedelta(hours=hours)
        if self._behind_for <= timedelta(0):
            self.lag = LAG
        return True, True
