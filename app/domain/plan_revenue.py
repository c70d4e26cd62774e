"""Revenue of a plan without coins: its price is earned day by day while the period lasts. No database.

Every calendar day of the period, in the zone of the books, earns an equal part, and the last one the rest of the
division. Money that goes back is taken from what is not earned yet; only what exceeds that takes revenue back. What is
left is spread over the days that are left.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from app.domain.accounting_time import TICK, end_of_day
from app.domain.recognition import Pool


def ends_of_plan_days(start: datetime, until: datetime, zone: tzinfo) -> Iterator[datetime]:
    """The last moment of each day that earns. The day on which the next period begins earns for that one; a period
    within one day is earned on that."""
    first, after = start.astimezone(zone).date(), until.astimezone(zone).date()
    for number in range(max(1, (after - first).days)):
        yield end_of_day(first + timedelta(days=number), zone) - TICK


@dataclass(slots=True)
class PlanPool(Pool):
    """The days of one period: `bought` of them, of which `unspent` are to come."""

    spread_minor: int = 0
    """The money that is spread over `spread_days`, counted back from the end."""
    spread_days: int = 0
    sold_minor: int = 0
    """What of the price is spread already."""
    reversed_minor: int = 0
    """Revenue that was taken back because its money went back."""

    @property
    def value_minor(self) -> int:
        """What is not earned yet."""
        if self.unspent <= 0 or self.spread_days <= 0:
            return 0
        return self.spread_minor - self.spread_minor // self.spread_days * (self.spread_days - self.unspent)

    def set_refunded(self, minor: int) -> None:
        """So much of the price has gone back by now, and what was sold meanwhile is to be earned."""
        value = self.value_minor + self.price_minor - self.sold_minor
        more = minor - self.refunded_minor
        if more >= 0:
            taken = min(more, value)
            self.reversed_minor += more - taken
            value -= taken
        else:
            again = min(-more, self.reversed_minor)
            self.reversed_minor -= again
            value += -more - again
        self.refunded_minor, self.sold_minor = minor, self.price_minor
        self.spread_minor, self.spread_days = value, self.unspent
