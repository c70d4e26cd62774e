"""Days as commands about bills are given them: one day or a range, in the zone of the providers that make bills."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import click

from app.domain.accounting_time import start_of_day
from app.services.base.context import Core
from app.services.finance import bill_sums

BILL_ZONE = ZoneInfo("Asia/Shanghai")
"""The zone in which days of bills are given to commands, as long as the bills of no account say another one."""
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


def days_of_bills(core: Core, account: str, days: Days) -> Days:
    """These days where the account's bills begin theirs: the days that were given, if none of its bills was read."""
    zone = zone_of_days(core, account)
    begin, end = (start_of_day(moment.astimezone(BILL_ZONE).date(), zone) for moment in days)
    return begin, end


def zone_of_days(core: Core, account: str) -> ZoneInfo:
    """In which zone the days of the account's bills are; BILL_ZONE, if none of its bills was read."""
    return core.home.read(lambda tx: bill_sums.zones_of_bills(tx).get(account, BILL_ZONE))


def _start_of(day: date) -> datetime:
    return start_of_day(day, BILL_ZONE)
