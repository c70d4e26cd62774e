"""When a delivery is tried again: what an answer means, and how long its receiver asks to be left alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from app.domain.delivery_schedule import DELIVERY_LEASE_SECONDS, AnswerMeaning, asked_pause, meaning_of, retry_pause
from app.services.events import endpoint_client

NOW = datetime(2026, 12, 1, 8, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        (" 120 ", 120),
        ("00120", 120),
        ("3600", 3600),
        ("3601", 3600),
        ("9" * 400, 3600),
        ("Tue, 01 Dec 2026 08:32:00 GMT", 120),
        ("Tuesday, 01-Dec-26 08:32:00 GMT", 120),
        ("Tue Dec  1 08:32:00 2026", 120),
        ("Tue, 01 Dec 2026 08:29:59 GMT", 0),
        ("Wed, 01 Dec 2027 08:30:00 GMT", 3600),
        ("Fri, 31 Dec 9999 23:59:59 -2359", 3600),
        ("", None),
        ("-1", None),
        ("1.5", None),
        ("soon", None),
        ("٣", None),
        ("Tue, 99 Dec 2026 08:32:00 GMT", None),
    ],
)
def test_retry_after_is_read_in_each_form_that_http_knows(text: str, seconds: int | None) -> None:
    wanted = None if seconds is None else timedelta(seconds=seconds)
    for status in (429, 503):
        assert asked_pause(status, text, NOW) == wanted
    for status in (200, 301, 400, 410, 500, 502, None):
        assert asked_pause(status, text, NOW) is None


def test_a_lease_is_longer_than_the_longest_attempt() -> None:
    assert endpoint_client.ATTEMPT_SECONDS + endpoint_client.ANSWER_SECONDS < DELIVERY_LEASE_SECONDS


@pytest.mark.parametrize("status", [None, 429, 502, 503, 504])
def test_an_answer_of_a_gateway_says_no_more_than_none(status: int | None) -> None:
    assert meaning_of(status) is AnswerMeaning.UNAVAILABLE
    assert retry_pause(AnswerMeaning.UNAVAILABLE, 6, 0.5) == timedelta(seconds=5)
    assert retry_pause(AnswerMeaning.FAILED, 6, 0.5) == timedelta(hours=1)
