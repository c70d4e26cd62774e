"""When to ask a provider about a payment next. Seconds; every limit is here."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

FIRST_ASK_SECONDS = 5
ASK_CAP_SECONDS = 600
AFTER_EXPIRY_CAP_SECONDS = 3600
JITTER = 0.2
LEASE_SECONDS = 60
READ_GAP_SECONDS = 3
HINT_GAP_SECONDS = 60
NOT_FOUND_ASK_SECONDS = (60, 300, 1800, 2 * 3600, 6 * 3600, *(24 * 3600,) * 7)
"""After each look for a payment of which a message told only the provider's number; then a person is shown it."""
LATE_ASKS_SECONDS = (3600, 24 * 3600)
"""After we closed a payment on our own word, it is asked about twice more: its notification may have been lost."""
GIVE_UP_SECONDS = 7 * 24 * 3600
"""So long after `expires_at` an open payment that the provider calls unpaid, and will not close, is given up."""
GIVEN_UP_ASKS_SECONDS = (24 * 3600, 7 * 24 * 3600)
"""After that moment it is asked about twice more."""
LONG_SILENCE_CAP_SECONDS = 24 * 3600
"""From that moment on, a payment that stays open is asked about once a day."""
LAST_ASK_SECONDS = 30 * 24 * 3600
"""So long after `expires_at` a payment that we closed is not asked about any more, answered or not."""


@dataclass(frozen=True, slots=True)
class AskRules:
    grace_seconds: int = 900
    """How long after `expires_at` a provider's «no such payment» is still not believed."""


def backoff_seconds(asked: int, jitter: float, cap: int = ASK_CAP_SECONDS) -> float:
    """5, 10, 20, 40 … up to the cap, spread by ±20 %. `jitter` is a random number in [0, 1)."""
    base = min(cap, FIRST_ASK_SECONDS * (1 << min(asked, 20)))
    return base * (1 - JITTER + 2 * JITTER * jitter)


def next_ask(*, now: datetime, asked: int, expires_at: datetime, rules: AskRules, jitter: float) -> datetime:
    """The next active query of an open payment.

    Never skips the moments that decide: the expiry (to close at the provider before closing here), the end of the grace
    (to close here), and the moment of giving up.
    """
    usual = now + timedelta(seconds=backoff_seconds(asked, jitter, _ask_cap(now, expires_at)))
    milestones = (expires_at, grace_end(expires_at, rules), give_up_moment(expires_at))
    return min([usual, *(moment for moment in milestones if moment > now)])


def _ask_cap(now: datetime, expires_at: datetime) -> int:
    if now < expires_at:
        return ASK_CAP_SECONDS
    return AFTER_EXPIRY_CAP_SECONDS if now < give_up_moment(expires_at) else LONG_SILENCE_CAP_SECONDS


def next_late_ask(
    *, now: datetime, expires_at: datetime, rules: AskRules, given_up: bool = False, answered: bool = True
) -> datetime | None:
    """The next query of a payment that we closed on our own word; None when it has been asked about long enough.

    `given_up`: the provider did not say that it knows of no such payment. Where it did not answer the last query, that
    one did not count: again in an hour.
    """
    end, over = grace_end(expires_at, rules), give_up_moment(expires_at)
    planned = [end + timedelta(seconds=seconds) for seconds in LATE_ASKS_SECONDS]
    if given_up:
        planned += [over + timedelta(seconds=seconds) for seconds in GIVEN_UP_ASKS_SECONDS]
    again = now + timedelta(seconds=AFTER_EXPIRY_CAP_SECONDS)
    if not answered and again <= expires_at + timedelta(seconds=LAST_ASK_SECONDS):
        planned.append(again)
    return min((moment for moment in planned if moment > now), default=None)


def give_up_moment(expires_at: datetime) -> datetime:
    return expires_at + timedelta(seconds=GIVE_UP_SECONDS)


def grace_end(expires_at: datetime, rules: AskRules) -> datetime:
    return expires_at + timedelta(seconds=rules.grace_seconds)
