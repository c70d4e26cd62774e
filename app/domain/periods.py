"""The periods of an agreement by the calendar: which moments they begin at, and when a period's charge is planned.

Period n begins n lengths after the anchor, at the anchor's time of day in the user's zone. Each beginning is counted
from the anchor and never from the one before: after the last of February comes the 31st of March again.
"""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Literal

LONGEST_DAYS = 366
LONGEST_MONTHS = 24
"""The longest period, in each of its units."""


@dataclass(frozen=True, slots=True)
class PeriodLength:
    """`count` days or calendar months. A year is twelve months."""

    unit: Literal["day", "month"]
    count: int


_UNITS: dict[str, tuple[Literal["day", "month"], int]] = {
    "day": ("day", 1),
    "week": ("day", 7),
    "month": ("month", 1),
    "year": ("month", 12),
}


def parse_length(text: str) -> PeriodLength:
    """`1 month`, `7 days`, `1 year`. Raises ValueError."""
    number, _, name = text.partition(" ")
    unit = _UNITS.get(name.removesuffix("s"))
    if unit is None or not number.isascii() or not number.isdecimal() or len(number) > 3:
        raise ValueError("write a number and days, weeks, months or years, like '1 month'")
    length = PeriodLength(unit[0], int(number) * unit[1])
    most = LONGEST_DAYS if length.unit == "day" else LONGEST_MONTHS
    if not 0 < length.count <= most:
        raise ValueError(f"a period is 1 to {LONGEST_DAYS} days or 1 to {LONGEST_MONTHS} months")
    return length


def day_after(first: date, length: PeriodLength, times: int) -> date:
    """The day so many lengths after the first; the last of its month where the month has no such day."""
    if length.unit == "day":
        return first + timedelta(days=length.count * times)
    year, month = divmod(first.year * 12 + first.month - 1 + length.count * times, 12)
    return date(year, month + 1, min(first.day, monthrange(year, month + 1)[1]))


def period_start(anchor: datetime, length: PeriodLength, number: int, zone: tzinfo) -> datetime:
    """When period `number` begins, counted from 0; the end of the one before."""
    if number == 0:
        return anchor
    local = anchor.astimezone(zone)
    return _moment(day_after(local.date(), length, number), local.time(), zone)


def due_day(start: datetime, zone: tzinfo) -> date:
    """The day of the user on which a period that begins then is due."""
    return start.astimezone(zone).date()


def charge_moment(day: date, hour: int, zone: tzinfo) -> datetime:
    """When a charge of that day is planned."""
    return _moment(day, time(hour), zone)


def _moment(day: date, clock: time, zone: tzinfo) -> datetime:
    """That time of the day in UTC. A time that the clocks leave out is as late as they have moved; of one that comes
    twice the first counts."""
    return datetime.combine(day, clock.replace(tzinfo=None, fold=0), zone).astimezone(UTC)
