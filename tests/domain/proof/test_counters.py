"""The counters of spend limits, derived without a database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from app.domain.ledger import microseconds
from app.domain.limits import LedgerRules, periods
from app.domain.proof.counters import Counted, Today

NOW = datetime(2026, 3, 15, 12, tzinfo=UTC)
NOW_US, EARLIER_US = microseconds(NOW), microseconds(NOW - timedelta(days=2))
RUNNING = periods(NOW, UTC)


def counted(rules: LedgerRules | None = None) -> Counted:
    """70 spent today, of which 20 came back; 5 spent two days ago."""
    found = Counted(Today.at(NOW, rules or LedgerRules()))
    for amount, at_us in ((70, NOW_US), (-20, NOW_US), (5, EARLIER_US)):
        found.add(amount, at_us)
    return found


def test_counters_that_say_what_was_spent_are_right() -> None:
    assert list(counted().differences(RUNNING.day, 50, RUNNING.month, 55)) == []


def test_a_counter_of_the_running_day_or_month_that_says_another_sum_is_named() -> None:
    assert list(counted().differences(RUNNING.day, 49, RUNNING.month, 56)) == [
        "day_spent is 49, derived 50",
        "month_spent is 56, derived 55",
    ]


def test_a_counter_that_stands_on_a_past_day_although_something_was_spent_today_is_named() -> None:
    assert list(counted().differences(RUNNING.day - 1, 50, RUNNING.month, 55)) == [
        f"day is {RUNNING.day - 1}, derived {RUNNING.day}"
    ]


def test_a_counter_of_a_past_day_is_free_when_nothing_was_spent_today() -> None:
    found = Counted(Today.at(NOW, LedgerRules()))
    assert list(found.differences(RUNNING.day - 3, 999, RUNNING.month - 1, 999)) == []


def test_periods_that_began_before_the_zone_came_into_force_are_not_compared() -> None:
    since = LedgerRules(zone_since=NOW - timedelta(days=1))
    assert list(counted(since).differences(RUNNING.day, 50, RUNNING.month, 1)) == []
    assert list(counted(since).differences(RUNNING.day, 1, RUNNING.month, 1)) == ["day_spent is 1, derived 50"]
