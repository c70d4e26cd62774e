"""When Apple's reports are made, and which time each of them covers. All days are Pacific ones."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

ZONE = "America/Los_Angeles"
PACIFIC = ZoneInfo(ZONE)
READY_HOUR = time(8)
"""Reports are there by 08:00 Pacific (App Store Connect help, "Reports availability")."""
WEEK = timedelta(days=7)
_SATURDAY, _FRIDAY = 5, 4
_WEEKS = (5, 4, 4) * 4
_LONG_YEAR_WEEKS = 53
_LONG_MONTH = 3
"""A year of 53 weeks has its 53rd in the third month (the fiscal year 2023; from memory, no source found). A report's
own dates count; this only decides when it is asked for."""
_NAME = re.compile(r"([0-9]{4})-([0-9]{2})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Period:
    """What one report covers: the days from `first` to `last`, both included."""

    name: str
    """Apple's `reportDate`: a day, or a fiscal year with its month, of which 01 is mostly October."""
    first: date
    last: date
    due: datetime
    """When the report is there at the latest, as a rule."""

    @property
    def since(self) -> datetime:
        return day_start(self.first)

    @property
    def until(self) -> datetime:
        return day_start(self.last + timedelta(days=1))


def day_start(day: date) -> datetime:
    """When that Pacific day begins, in UTC."""
    return datetime.combine(day, time(), PACIFIC).astimezone(UTC)


def pacific_day(moment: datetime) -> date:
    return moment.astimezone(PACIFIC).date()


def day_period(day: date) -> Period:
    """A daily report is there the next morning."""
    return Period(day.isoformat(), day, day, _morning(day + timedelta(days=1)))


def fiscal_period(day: date) -> Period:
    """The month of Apple's fiscal calendar in which that day lies. Its report is there on the first Friday of the next
    one."""
    year = day.year + 1 if _year_start(day.year + 1) <= day else day.year
    number, first = 1, _year_start(year)
    for number, weeks in enumerate(_weeks_of(year), start=1):
        if day < first + weeks * WEEK:
            return _fiscal(year, number, first, weeks)
        first += weeks * WEEK
    raise ValueError("a fiscal year ends before the next one begins")


def fiscal_month(name: str) -> Period:
    """The month of that name, like `2026-03`. Raises ValueError."""
    found = _NAME.fullmatch(name)
    if found is None or not 1 <= int(found[2]) <= len(_WEEKS) or not 2000 <= int(found[1]) <= 2999:
        raise ValueError("not a fiscal month")
    year, number = int(found[1]), int(found[2])
    weeks = _weeks_of(year)
    return _fiscal(year, number, _year_start(year) + sum(weeks[: number - 1]) * WEEK, weeks[number - 1])


def _fiscal(year: int, number: int, first: date, weeks: int) -> Period:
    last = first + weeks * WEEK - timedelta(days=1)
    friday = last + timedelta(days=(_FRIDAY - last.weekday()) % 7)
    return Period(f"{year}-{number:02}", first, last, _morning(friday))


def _year_start(year: int) -> date:
    """The Sunday after the last Saturday of the September before."""
    last = date(year - 1, 9, 30)
    return last - timedelta(days=(last.weekday() - _SATURDAY) % 7) + timedelta(days=1)


def _weeks_of(year: int) -> tuple[int, ...]:
    is_long = (_year_start(year + 1) - _year_start(year)) // WEEK == _LONG_YEAR_WEEKS
    return tuple(weeks + (is_long and number == _LONG_MONTH) for number, weeks in enumerate(_WEEKS, start=1))


def _morning(day: date) -> datetime:
    return datetime.combine(day, READY_HOUR, PACIFIC).astimezone(UTC)
