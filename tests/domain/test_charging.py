"""When a refused charge is tried again, and when that is over."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from app.domain.charging import (
    MOST_ATTEMPTS,
    RETRY_DAYS,
    ChargingRules,
    announced_charge,
    announcement_moment,
    next_attempt,
)
from app.domain.facts import Refusal

DAY = date(2026, 3, 10)
FAR = datetime(2026, 4, 10, tzinfo=UTC)


def attempts_of(refusal: Refusal, rules: ChargingRules, until: datetime = FAR, zone: str = "UTC") -> list[datetime]:
    """All moments of a charge that is refused each time, the first one by plan."""
    moments, now = [], datetime(2026, 3, 10, 9, tzinfo=ZoneInfo(zone))
    while True:
        moments.append(now)
        again = next_attempt(
            DAY, refusal, now=now, attempts=len(moments), until=until, rules=rules, zone=ZoneInfo(zone)
        )
        if again is None:
            return moments
        now = again


@pytest.mark.parametrize("refusal", [refusal for refusal in Refusal if refusal is not Refusal.NOT_NOW])
def test_attempts_follow_the_table_of_the_reason(refusal: Refusal) -> None:
    found = attempts_of(refusal, ChargingRules(attempts=MOST_ATTEMPTS))
    assert [(moment.day - 10, moment.hour) for moment in found] == [
        (0, 9),
        *((days, 9) for days in RETRY_DAYS[refusal]),
    ]


def test_what_is_called_not_now_is_tried_again_the_day_after_each_time_however_late_that_is() -> None:
    found = attempts_of(Refusal.NOT_NOW, ChargingRules(attempts=4))
    assert [(moment.day - 10, moment.hour) for moment in found] == [(0, 9), (1, 9), (2, 9), (3, 9)]
    late = datetime(2026, 3, 20, 11, tzinfo=UTC)
    again = next_attempt(DAY, Refusal.NOT_NOW, now=late, attempts=1, until=FAR, rules=ChargingRules(), zone=UTC)
    assert again == datetime(2026, 3, 21, 9, tzinfo=UTC)


def test_there_are_no_more_attempts_than_the_settings_allow_and_none_after_the_window() -> None:
    assert len(attempts_of(Refusal.NO_MONEY, ChargingRules(attempts=3))) == 3
    assert len(attempts_of(Refusal.NO_MONEY, ChargingRules(attempts=1))) == 1
    until = datetime(2026, 3, 12, 9, tzinfo=UTC)
    assert attempts_of(Refusal.NO_MONEY, ChargingRules(attempts=9), until)[-1] == until


def test_an_agreement_that_is_gone_is_not_charged_again() -> None:
    assert len(attempts_of(Refusal.AGREEMENT_GONE, ChargingRules())) == 1


def test_hours_are_those_of_the_users_zone() -> None:
    second = attempts_of(Refusal.NO_MONEY, ChargingRules(hour=8), zone="Asia/Shanghai")[1]
    assert second == datetime(2026, 3, 11, 0, tzinfo=UTC)


def test_a_charge_is_announced_some_time_before_it_must_be() -> None:
    moment = datetime(2026, 3, 10, 9, tzinfo=UTC)
    assert announcement_moment(moment, timedelta(hours=24)) == datetime(2026, 3, 9, 8, tzinfo=UTC)


@pytest.mark.parametrize(
    ("told_hour", "charged"),
    [(3, (3, 9)), (8, (3, 9)), (14, (3, 14)), (21, (3, 21)), (22, (4, 9))],
)
def test_an_announced_charge_is_made_by_day_when_its_notice_is_over(told_hour: int, charged: tuple[int, int]) -> None:
    zone = ZoneInfo("Asia/Shanghai")
    told_at = datetime(2026, 3, 1, told_hour, tzinfo=zone)
    found = announced_charge(told_at, timedelta(days=2), ChargingRules(), zone).astimezone(zone)
    assert (found.day, found.hour) == charged
