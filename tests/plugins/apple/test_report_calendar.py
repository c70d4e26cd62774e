"""Apple's fiscal calendar, and when its reports are made."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from plugins.apple.reports.calendar import day_period, fiscal_month, fiscal_period


def test_a_month_of_the_fiscal_calendar_is_the_one_of_a_genuine_file() -> None:
    """A payout importer's file of 2025-11-30 to 2025-12-27 is 2026-03."""
    month = fiscal_month("2026-03")
    assert (month.first, month.last) == (date(2025, 11, 30), date(2025, 12, 27))


def test_a_month_is_due_on_the_first_friday_of_the_next_one_and_a_day_on_the_next_morning() -> None:
    assert fiscal_month("2026-03").due == datetime(2026, 1, 2, 16, tzinfo=UTC)
    assert fiscal_month("2023-12").due == datetime(2023, 10, 6, 15, tzinfo=UTC)  # summer time
    assert day_period(date(2026, 3, 7)).due == datetime(2026, 3, 8, 15, tzinfo=UTC)  # the clock changes in that night
    assert day_period(date(2026, 11, 20)).due == datetime(2026, 11, 21, 16, tzinfo=UTC)


def test_months_follow_each_other_through_thirty_years_of_364_or_371_days() -> None:
    """By the rule: each year begins on the Sunday after the last Saturday of September, and has weeks of 5, 4, 4."""
    period = fiscal_period(date(2019, 9, 29))
    assert period.name == "2020-01"
    for year in range(2020, 2050):
        starts, weeks = period.first, []
        for month in range(1, 13):
            assert period.name == f"{year}-{month:02}"
            assert fiscal_month(period.name) == fiscal_period(period.first) == fiscal_period(period.last) == period
            weeks.append(((period.last - period.first).days + 1) // 7)
            period = fiscal_period(period.last + timedelta(days=1))
        saturday = starts - timedelta(days=1)
        assert (saturday.weekday(), saturday.month, (saturday + timedelta(days=7)).month) == (5, 9, 10)
        long = [5, 4, 5, *[5, 4, 4] * 3]
        assert weeks in ([5, 4, 4] * 4, long)
        assert (weeks == long) == (year in (2023, 2028, 2034, 2040, 2045))


@pytest.mark.parametrize("name", ["2026-00", "2026-13", "2026-1", "26-01", "2026-01-01", "", "9999-01"])
def test_other_names_are_no_months(name: str) -> None:
    with pytest.raises(ValueError, match="fiscal month"):
        fiscal_month(name)
