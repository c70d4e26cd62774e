"""When a transfer counts: by effective time until a month is closed, then when it was booked; and dates as people write
them."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from app.domain.accounting_time import (
    TICK,
    ClosedMonth,
    NotATime,
    Span,
    accounting_at,
    accounting_date,
    effective_before,
    late_at,
    moment_given,
    month_after,
    month_span,
)

CHINA = ZoneInfo("Asia/Shanghai")
JANUARY, FEBRUARY = (month_span(month, CHINA) for month in ("2026-01", "2026-02"))
CLOSED = [
    ClosedMonth(JANUARY.until, datetime(2026, 2, 3, tzinfo=UTC)),
    ClosedMonth(FEBRUARY.until, datetime(2026, 3, 9, tzinfo=UTC)),
]


def test_a_month_begins_and_ends_in_its_zone() -> None:
    assert Span(datetime(2025, 12, 31, 16, tzinfo=UTC), datetime(2026, 1, 31, 16, tzinfo=UTC)) == JANUARY
    assert month_span("2026-12", UTC).until == datetime(2027, 1, 1, tzinfo=UTC)


def test_what_is_no_month_is_refused() -> None:
    for month in ("2026-13", "2026-00", "2026-1", "0000-01", "9999-12", "2026-01-01", "", "２０２６-01"):
        with pytest.raises(NotATime):
            month_span(month, CHINA)


def test_a_late_transfer_counts_in_its_month_until_that_is_closed() -> None:
    happened = datetime(2026, 1, 31, 15, 59, tzinfo=UTC)
    booked = {
        datetime(2026, 2, 2, 23, tzinfo=UTC): date(2026, 1, 31),
        datetime(2026, 2, 3, tzinfo=UTC): date(2026, 2, 3),  # from the closing on: the day of the booking
        datetime(2026, 3, 20, tzinfo=UTC): date(2026, 3, 20),
    }
    for at, day in booked.items():
        assert accounting_date(at, happened, CLOSED, CHINA) == day
    assert accounting_date(datetime(2026, 3, 20, tzinfo=UTC), happened, [], CHINA) == date(2026, 1, 31)
    assert accounting_date(happened, None, CLOSED, CHINA) == date(2026, 1, 31)


def test_nothing_is_effective_after_it_was_booked() -> None:
    now = datetime(2026, 1, 5, tzinfo=UTC)
    assert effective_before(now + TICK, now) is None
    assert effective_before(now, now) is None
    assert effective_before(now - TICK, now) == now - TICK
    assert accounting_at(now, now + TICK, []) == now


@pytest.mark.parametrize("closed", [[], CLOSED[:1], CLOSED], ids=["none", "january", "both"])
def test_the_late_transfers_of_a_moment_are_those_that_count_before_it_and_were_booked_after(
    closed: list[ClosedMonth],
) -> None:
    chance = random.Random(7)
    first = datetime(2026, 1, 1, tzinfo=UTC)
    transfers = [(first + timedelta(hours=chance.randrange(2400)), chance.randrange(-900, 3)) for _ in range(400)]
    for hours in range(0, 2400, 37):
        moment = first + timedelta(hours=hours)
        late = late_at(moment, closed)
        for created_at, before in transfers:
            effective_at = effective_before(created_at + timedelta(hours=before), created_at)
            counts = accounting_at(created_at, effective_at, closed) <= moment < created_at
            found = [
                each
                for each in late
                if effective_at is not None
                and created_at > moment
                and each.since <= effective_at < each.until
                and (each.booked_until is None or created_at < each.booked_until)
            ]
            assert len(found) == counts, (moment, created_at, effective_at)


def test_december_is_followed_by_january() -> None:
    assert [month_after(month) for month in ("2026-01", "2026-11", "2026-12")] == ["2026-02", "2026-12", "2027-01"]


def test_a_bare_date_is_a_day_of_the_zone() -> None:
    assert moment_given("2026-01-31", CHINA, is_end=False) == datetime(2026, 1, 30, 16, tzinfo=UTC)
    assert moment_given("2026-01-31", CHINA, is_end=True) == JANUARY.until - TICK
    assert moment_given("2026-01-31T00:00:00+08:00", UTC, is_end=True) == datetime(2026, 1, 30, 16, tzinfo=UTC)
    for text in ("2026-02-30", "20260131", "2026-01-31T00:00:00", "yesterday", "", "0001-01-01T00:00:00+10:00"):
        with pytest.raises(NotATime):
            moment_given(text, CHINA, is_end=True)
