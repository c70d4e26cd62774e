"""The calendar of periods, against a computation of its own that counts days one by one."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from app.domain.periods import PeriodLength, charge_moment, day_after, due_day, parse_length, period_start

ZONES = [
    ZoneInfo(name) for name in ("UTC", "Asia/Shanghai", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe")
]
MONTH, YEAR, WEEK = PeriodLength("month", 1), PeriodLength("month", 12), PeriodLength("day", 7)


def by_counting(first: date, months: int) -> date:
    """Walks from month to month, a day at a time; a day that a month lacks is the last that it has."""
    year, month = first.year, first.month
    for _ in range(months):
        year, month = (year + 1, 1) if month == 12 else (year, month + 1)
    day, wanted = date(year, month, 1), first.day
    while day.day < wanted and (day + timedelta(days=1)).month == month:
        day += timedelta(days=1)
    return day


def test_days_are_those_that_counting_finds() -> None:
    chance = random.Random(7)
    for _ in range(2000):
        first = date(2024, 1, 1) + timedelta(days=chance.randrange(1500))
        count, times = chance.choice((1, 2, 3, 6, 12)), chance.randrange(30)
        assert day_after(first, PeriodLength("month", count), times) == by_counting(first, count * times)
        assert day_after(first, PeriodLength("day", count), times) == first + timedelta(days=count * times)


def test_the_31st_comes_back_after_shorter_months_and_29_february_after_four_years() -> None:
    days = [day_after(date(2026, 1, 31), MONTH, n) for n in range(6)]
    assert [day.day for day in days] == [31, 28, 31, 30, 31, 30]
    assert [day_after(date(2024, 2, 29), YEAR, n).day for n in range(5)] == [29, 28, 28, 28, 29]


def test_each_period_begins_at_the_anchors_time_of_day_and_periods_neither_overlap_nor_leave_gaps() -> None:
    chance = random.Random(11)
    for _ in range(400):
        zone = chance.choice(ZONES)
        anchor = datetime(2025, 1, 1, tzinfo=UTC) + timedelta(seconds=chance.randrange(86_400 * 700))
        length = chance.choice((MONTH, YEAR, WEEK, PeriodLength("day", 1), PeriodLength("month", 3)))
        starts = [period_start(anchor, length, n, zone) for n in range(16)]
        assert starts[0] == anchor
        assert starts == sorted(set(starts))
        local = anchor.astimezone(zone)
        for n, start in enumerate(starts[1:], start=1):
            there = start.astimezone(zone)
            assert there.date() == due_day(start, zone) == day_after(local.date(), length, n)
            moved = abs(
                timedelta(hours=there.hour, minutes=there.minute) - timedelta(hours=local.hour, minutes=local.minute)
            )
            assert moved in (timedelta(0), timedelta(hours=1), timedelta(minutes=30)), (
                "only where the clocks leave it out"
            )
            if moved:
                naive = datetime.combine(there.date(), local.time().replace(fold=0))
                assert naive.replace(tzinfo=zone).astimezone(UTC).astimezone(zone).replace(tzinfo=None) != naive


def test_a_time_that_the_clocks_leave_out_is_an_hour_later_and_one_that_comes_twice_is_the_first() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    anchor = datetime(2026, 2, 28, 2, 30, tzinfo=berlin)
    assert period_start(anchor.astimezone(UTC), PeriodLength("day", 29), 1, berlin) == datetime(
        2026, 3, 29, 1, 30, tzinfo=UTC
    )
    twice = datetime(2026, 9, 25, 2, 30, tzinfo=berlin).astimezone(UTC)
    assert period_start(twice, MONTH, 1, berlin) == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


def test_a_charge_is_planned_at_the_hour_of_the_users_day() -> None:
    assert charge_moment(date(2026, 3, 1), 9, ZoneInfo("Asia/Shanghai")) == datetime(2026, 3, 1, 1, tzinfo=UTC)
    assert charge_moment(date(2026, 7, 1), 0, ZoneInfo("America/New_York")) == datetime(2026, 7, 1, 4, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("1 month", MONTH),
        ("7 days", WEEK),
        ("1 week", WEEK),
        ("1 year", YEAR),
        ("24 months", PeriodLength("month", 24)),
    ],
)
def test_a_length_is_written_as_people_say_it(text: str, length: PeriodLength) -> None:
    assert parse_length(text) == length


@pytest.mark.parametrize(
    "text", ["", "month", "0 days", "-1 month", "1.5 months", "367 days", "3 years", "1  month", "१ day"]
)
def test_other_lengths_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"period|write"):
        parse_length(text)
