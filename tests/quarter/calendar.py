"""When something counts: days, months, Beijing's days of bills, and the store's fiscal months."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo

CHINA, PACIFIC = ZoneInfo("Asia/Shanghai"), ZoneInfo("America/Los_Angeles")
A_DAY = timedelta(days=1)
TICK = timedelta(microseconds=1)
FISCAL_YEAR = date(2025, 9, 28)
"""Apple's fiscal year 2026 begins on that Sunday; its months have five, four and four weeks."""
WEEKS = (5, 4, 4) * 4


@dataclass(frozen=True, slots=True)
class Calendar:
    """The days of the reports, what is closed, and now."""

    zone: tzinfo
    now: datetime
    closed: tuple[tuple[datetime, datetime], ...] = ()

    def counts_at(self, at: datetime, booked_at: datetime) -> datetime:
        """When it happened; but what was booked for a closed month counts when it was booked."""
        late = any(at < end and booked_at >= since for end, since in self.closed)
        return booked_at if late else at

    def day(self, moment: datetime) -> date:
        return moment.astimezone(self.zone).date()

    def month(self, moment: datetime) -> str:
        return f"{self.day(moment):%Y-%m}"

    def end_of(self, day: date) -> datetime:
        """The last moment of that day."""
        return end_of_day(day, self.zone)


def end_of_day(day: date, zone: tzinfo) -> datetime:
    return datetime.combine(day + A_DAY, time(), zone).astimezone(UTC) - TICK


def end_of_bill(moment: datetime, zone: tzinfo = CHINA) -> datetime:
    """The last moment of the provider's day in whose bill it stands."""
    return end_of_day(moment.astimezone(zone).date(), zone)


@dataclass(frozen=True, slots=True, order=True)
class FiscalMonth:
    first: date
    last: date

    @property
    def name(self) -> str:
        return f"{self.first}/{self.last}"

    @property
    def end(self) -> datetime:
        return end_of_day(self.last, PACIFIC)

    @property
    def due(self) -> datetime:
        """The first Friday after it."""
        friday = self.last + timedelta(days=(4 - self.last.weekday()) % 7 or 7)
        return datetime.combine(friday, time(8), PACIFIC)


def fiscal_month(moment: datetime) -> FiscalMonth:
    day, first = moment.astimezone(PACIFIC).date(), FISCAL_YEAR
    for weeks in WEEKS:
        following = first + timedelta(weeks=weeks)
        if first <= day < following:
            return FiscalMonth(first, following - A_DAY)
        first = following
    raise ValueError(f"{day} is not in the fiscal year 2026")
