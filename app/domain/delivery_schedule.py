"""The states of a delivery, what a receiver's answer means for it, when an endpoint is left alone, and when it is
paused. Pure rules; the pauses are in `app.domain.retries`."""

from __future__ import annotations

import email.utils
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from app.domain.retries import Retried, pause_seconds

UNAVAILABLE_STATUSES = frozenset({429, 502, 503, 504})
"""Answers that say no more than no answer does: a gateway's, or that the receiver has too much to do."""
WAIT_STATUSES = frozenset({429, 503})
"""Answers whose `Retry-After` is heeded (RFC 6585, section 4; RFC 9110, section 15.6.4)."""
LONGEST_ASKED_PAUSE = timedelta(hours=1)
"""`Retry-After` is heeded up to here: a receiver that asks for more is tried every hour."""
BREAKER_FAILURES = 5
"""After so many failed attempts in a row, of whatever users, the endpoint itself is taken to be down: from then on one
delivery at a time tries."""
DELIVERY_LEASE_SECONDS = 20
"""A worker that dies while it sends leaves the event due again after so long. An attempt takes less
(`endpoint_client`): 15 s until the answer, and 2 s for its body."""
PAUSE_AFTER = timedelta(days=3)
"""An endpoint that took nothing for so long is paused, and a person is told."""

_MOST_DIGITS = 9
"""Of a number of seconds: as many say more than LONGEST_ASKED_PAUSE."""


class DeliveryStatus(StrEnum):
    """What has become of a delivery."""

    WAITING = "waiting"
    FAILED = "failed"
    """The last attempt failed; another one is planned."""
    DONE = "done"
    GIVEN_UP = "given_up"


class AnswerMeaning(StrEnum):
    """What an answer says about a delivery."""

    TAKEN = "taken"
    FAILED = "failed"
    UNAVAILABLE = "unavailable"
    """Nobody looked at the event."""
    GONE = "gone"


def meaning_of(status: int | None) -> AnswerMeaning:
    """Only 2xx says that the event was taken. None: no answer. A redirection is a failure: it is not followed."""
    if status is not None and 200 <= status < 300:
        return AnswerMeaning.TAKEN
    if status is None or status in UNAVAILABLE_STATUSES:
        return AnswerMeaning.UNAVAILABLE
    return AnswerMeaning.GONE if status == 410 else AnswerMeaning.FAILED


def retry_pause(meaning: AnswerMeaning, attempts: int, jitter: float) -> timedelta:
    """How long a delivery rests after its n-th attempt failed. `jitter` is a random number in [0, 1)."""
    why = Retried.UNTRIED_DELIVERY if meaning is AnswerMeaning.UNAVAILABLE else Retried.FAILED_DELIVERY
    return timedelta(seconds=pause_seconds(why, attempts - 1, jitter))


def asked_pause(status: int | None, retry_after: str, now: datetime) -> timedelta | None:
    """How long the receiver asks to be left alone: `Retry-After` as a number of seconds or as a moment, up to
    LONGEST_ASKED_PAUSE. None where it asks for nothing, or for what nobody can read."""
    if status not in WAIT_STATUSES:
        return None
    text = retry_after.strip()
    if text.isascii() and text.isdecimal():
        seconds = int(text[:_MOST_DIGITS])
        return min(timedelta(seconds=seconds), LONGEST_ASKED_PAUSE)
    try:
        until = email.utils.parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    if until.tzinfo is None:  # the oldest form (asctime) names no zone, and is UTC (RFC 9110, section 5.6.7)
        until = until.replace(tzinfo=UTC)
    return min(max(until - now, timedelta(0)), LONGEST_ASKED_PAUSE)


def probe_pause(failures: int, jitter: float) -> timedelta | None:
    """How long an endpoint rests after so many failures in a row; None while it is not taken to be down."""
    if failures < BREAKER_FAILURES:
        return None
    return timedelta(seconds=pause_seconds(Retried.ENDPOINT_DOWN, failures - BREAKER_FAILURES, jitter))


def is_to_be_paused(failing_since: datetime, now: datetime) -> bool:
    return now - failing_since >= PAUSE_AFTER
