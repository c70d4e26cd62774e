"""Bills are made by the day, in Beijing: which day a page is about, and when that day's bill can be there."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from app.providers import Declined, Retryable
from plugins.wechat.documents import BEIJING

READY_AT = time(10, tzinfo=BEIJING)
"""On the next day. Bills are made from nine o'clock on; the advice is to fetch them after ten (page 4013071254)."""
ASK_AGAIN = timedelta(minutes=30)
"""The advice for a bill that is still being made, on the same page."""
A_DAY = timedelta(days=1)
_CURSOR = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})/([0-9]{1,9})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Place:
    """From where a page goes on: the day, and how many of its rows were told before."""

    day: date
    row: int = 0

    def __str__(self) -> str:
        return f"{self.day}/{self.row}"

    def next_day(self, until: datetime) -> str | None:
        """The cursor of the following day, None behind the end of the window."""
        following = self.day + A_DAY
        return str(Place(following)) if day_start(following) < until else None

    def require_due(self, now: datetime) -> None:
        """Until then it is not even asked for: WeChat Pay would call the day wrong, or empty."""
        ready = datetime.combine(self.day + A_DAY, READY_AT).astimezone(UTC)
        if now < ready:
            raise Retryable(f"the bill of {self.day} is not made yet", not_before=ready)


def place_of(cursor: str | None, since: datetime) -> Place:
    """Raises Declined for a cursor that is not ours."""
    if not cursor:
        return Place(beijing_day(since))
    match = _CURSOR.fullmatch(cursor)
    try:
        if match is not None:
            return Place(date.fromisoformat(match[1]), int(match[2]))
    except ValueError:
        pass
    raise Declined("the cursor is not one of ours")


def beijing_day(moment: datetime) -> date:
    return moment.astimezone(BEIJING).date()


def day_start(day: date) -> datetime:
    return datetime.combine(day, time(), BEIJING)


def being_made(now: datetime, code: str) -> Retryable:
    """WeChat Pay's word that the bill is still being made."""
    return Retryable("the bill is still being made", code=code, not_before=now + ASK_AGAIN)
