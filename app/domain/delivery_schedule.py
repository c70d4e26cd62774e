"""When a delivery is tried again, when an endpoint is left alone, and when it is paused. Seconds; pure rules."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

RETRY_SECONDS = (5, 30, 120, 600, 1800, 3600, 3 * 3600, 6 * 3600, 12 * 3600, 24 * 3600)
"""After each failed attempt of one delivery; the last one again and again."""
RETRY_JITTER = 0.2
"""Each pause is longer or shorter by up to this share of it: what failed together does not return together."""
BREAKER_FAILURES = 5
"""After so many failed attempts in a row, of whatever users, the endpoint itself is taken to be down: from then on one
delivery at a time tries."""
PROBE_CAP_SECONDS = 600
"""An endpoint that is down is tried so often at the least: what waits goes on soon after the endpoint is back."""
PAUSE_AFTER = timedelta(days=3)
"""An endpoint that took nothing for so long is paused, and a person is told."""


class AnswerMeaning(StrEnum):
    """What an answer says about a delivery."""

    TAKEN = "taken"
    FAILED = "failed"
    GONE = "gone"


def meaning_of(status: int | None) -> AnswerMeaning:
    """Only 2xx says that the event was taken. None: no answer. A redirection is a failure: it is not followed."""
    if status is not None and 200 <= status < 300:
        return AnswerMeaning.TAKEN
    return AnswerMeaning.GONE if status == 410 else AnswerMeaning.FAILED


def retry_pause(attempts: int, jitter: float) -> timedelta:
    """How long a delivery rests after its n-th attempt failed. `jitter` is a random number in [0, 1)."""
    return _spread(RETRY_SECONDS[min(max(attempts, 1), len(RETRY_SECONDS)) - 1], jitter)


def probe_pause(failures: int, jitter: float) -> timedelta | None:
    """How long an endpoint rests after so many failures in a row; None while it is not taken to be down."""
    if failures < BREAKER_FAILURES:
        return None
    step = min(failures - BREAKER_FAILURES, len(RETRY_SECONDS) - 1)
    return _spread(min(RETRY_SECONDS[step], PROBE_CAP_SECONDS), jitter)


def is_to_be_paused(failing_since: datetime, now: datetime) -> bool:
    return now - failing_since >= PAUSE_AFTER


def _spread(seconds: float, jitter: float) -> timedelta:
    return timedelta(seconds=seconds * (1 - RETRY_JITTER + 2 * RETRY_JITTER * jitter))
