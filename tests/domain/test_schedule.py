"""When to ask next: bounded, spread, and never past the two moments that decide."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from app.domain.retries import JITTER, RETRIES, Retried
from app.domain.schedule import (
    AskRules,
    give_up_moment,
    grace_end,
    next_ask,
    next_late_ask,
)

MADE = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
EXPIRES = MADE + timedelta(minutes=30)
RULES = AskRules(grace_seconds=900)
jitters = st.floats(0, 1, exclude_max=True)
moments = st.integers(0, 10 * 24 * 3600).map(lambda seconds: MADE + timedelta(seconds=seconds))


@given(st.integers(0, 100), moments, jitters)
def test_the_next_question_is_later_and_bounded(asked: int, now: datetime, jitter: float) -> None:
    moment = next_ask(now=now, asked=asked, expires_at=EXPIRES, rules=RULES, jitter=jitter)
    why = Retried.OPEN_PAYMENT if now < EXPIRES else Retried.PAYMENT_OVER_TIME
    if now >= give_up_moment(EXPIRES):
        why = Retried.SILENT_PAYMENT
    cap = RETRIES[why].pauses[-1]
    assert now < moment <= now + timedelta(seconds=cap * (1 + JITTER))


@given(st.integers(0, 100), moments, jitters)
def test_expiry_and_the_end_of_grace_are_never_skipped(asked: int, now: datetime, jitter: float) -> None:
    moment = next_ask(now=now, asked=asked, expires_at=EXPIRES, rules=RULES, jitter=jitter)
    for milestone in (EXPIRES, grace_end(EXPIRES, RULES), give_up_moment(EXPIRES)):
        assert now >= milestone or moment <= milestone


@given(st.lists(jitters, min_size=1, max_size=5))
def test_whatever_the_jitter_a_payment_is_asked_about_at_both_moments(jitter: list[float]) -> None:
    now, asked_at, asked = MADE, set(), 0
    while now < grace_end(EXPIRES, RULES):
        now = next_ask(now=now, asked=asked, expires_at=EXPIRES, rules=RULES, jitter=jitter[asked % len(jitter)])
        asked_at.add(now)
        asked += 1
    assert {EXPIRES, grace_end(EXPIRES, RULES)} <= asked_at
    assert asked < 40


def test_a_lapsed_payment_is_asked_about_an_hour_and_a_day_later_and_then_no_more() -> None:
    end = grace_end(EXPIRES, RULES)
    first = next_late_ask(now=end, expires_at=EXPIRES, rules=RULES)
    assert first == end + timedelta(hours=1)
    second = next_late_ask(now=end + timedelta(hours=1), expires_at=EXPIRES, rules=RULES)
    assert second == end + timedelta(hours=24)
    assert next_late_ask(now=end + timedelta(hours=24), expires_at=EXPIRES, rules=RULES) is None


def test_a_given_up_payment_is_asked_about_a_day_and_a_week_later_and_then_no_more() -> None:
    over = give_up_moment(EXPIRES)
    moment, asked = over, []
    while (later := next_late_ask(now=moment, expires_at=EXPIRES, rules=RULES, given_up=True)) is not None:
        moment = later
        asked.append(moment - over)
    assert asked == [timedelta(days=1), timedelta(days=7)]


def test_a_late_question_without_an_answer_is_repeated_hourly_for_thirty_days_at_most() -> None:
    moment: datetime | None = grace_end(EXPIRES, RULES)
    last, times = moment, 0
    while moment is not None:
        last, times = moment, times + 1
        moment = next_late_ask(now=moment, expires_at=EXPIRES, rules=RULES, answered=False)
    assert last is not None
    assert timedelta(days=29) < last - EXPIRES <= timedelta(days=30)
    assert times < 30 * 24 + 10
