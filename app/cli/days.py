"""Days as commands about bills are given them: one day or a range, in the zone of the providers that make bills."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import click

BILL_ZONE = ZoneInfo("Asia/Shanghai")
"""The zone in which days of bills are given to commands: providers of bills by the day count in it."""
MOST_BILL_DAYS = 366
Days = tuple[datetime, datetime]


class DaysType(click.ParamType[Days]):
    """`2026-01-01..2026-03-31`, or one day: from the beginning of the first to the end of the last."""

    name = "days"

    def convert(self, value: str | Days, param: click.Parameter | None, ctx: click.Context | None) -> Days:
        if isinstance(value, tuple):
            return value
        first, _, last = value.partition("..")
        try:
            begin, end = date.fromisoformat(first), date.fromisoformat(last or first) + timedelta(days=1)
        except (ValueError, OverflowError):
            self.fail(f"not days like 2026-01-01..2026-03-31: {value}", param, ctx)
        if not timedelta(0) < end - begin <= timedelta(days=MOST_BILL_DAYS):
            self.fail(f"1 to {MOST_BILL_DAYS} days, the first one first", param, ctx)
        return _start_of(begin), _start_of(end)


def _start_of(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=BILL_ZONE).astimezone(UTC)
