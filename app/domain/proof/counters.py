"""What a wallet's counters of the spend limits must say, derived from what was spent, held and given back. No database.

Only running days and months matter: the counter of a past one has no effect, and it may be of another time zone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, tzinfo

from app.domain.ledger import MAX_AMOUNT, microseconds, moment_of
from app.domain.limits import LedgerRules, month_start_us, periods, start_us


@dataclass(frozen=True, slots=True)
class Today:
    """The moment for which counters are proved, and what was in force then."""

    at_us: int
    day: int
    month: int
    zone: tzinfo
    from_us: int
    """Nothing before this counts in a running day or month."""
    zone_since_us: int

    @classmethod
    def at(cls, moment: datetime, rules: LedgerRules) -> Today:
        now = periods(moment, rules.zone)
        since = 0 if rules.zone_since is None else microseconds(rules.zone_since)
        return cls(microseconds(moment), now.day, now.month, rules.zone, month_start_us(now.month, rules.zone), since)


@dataclass(slots=True)
class Counted:
    """Of one wallet: what counts, by day and by month. Holds nothing older than this month."""

    today: Today
    days: dict[int, int] = field(default_factory=dict)
    months: dict[int, int] = field(default_factory=dict)

    def add(self, amount: int, at_us: int) -> None:
        """So much was spent or held at that time; negative: it came back, and counts no more at the time it did."""
        if at_us >= self.today.from_us:
            then = periods(moment_of(at_us), self.today.zone)
            self.days[then.day] = self.days.get(then.day, 0) + amount
            self.months[then.month] = self.months.get(then.month, 0) + amount

    def differences(self, day: int, day_spent: int, month: int, month_spent: int) -> Iterator[str]:
        """What is wrong with the counters that are stored."""
        today = self.today
        if start_us(today.day, today.zone) >= today.zone_since_us:
            yield from _difference("day", day, day_spent, today.day, self.days)
        if today.from_us >= today.zone_since_us:
            yield from _difference("month", month, month_spent, today.month, self.months)


def _difference(name: str, stored: int, spent: int, now: int, sums: dict[int, int]) -> Iterator[str]:
    last = max(sums, default=0)
    if last >= now and stored < last:
        yield f"{name} is {stored}, derived {last}"
    elif stored >= now and spent != min(sums.get(stored, 0), MAX_AMOUNT):
        yield f"{name}_spent is {spent}, derived {sums.get(stored, 0)}"
