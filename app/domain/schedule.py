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
LATE_ASKS_SECONDS = (3600, 24 * 3600)
"""After we closed a payment on our own word, it is asked about twice more: its notification may have been lost."""


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

    Never skips the two moments that decide: the expiry (to close at the provider before closing here) and the end of
    the grace (to close here).
    """
    cap = ASK_CAP_SECONDS if now < expires_at else AFTER_EXPIRY_CAP_SECONDS
    usual = now + timedelta(seconds=backoff_seconds(asked, jitter, cap))
    milestones = (expires_at, grace_end(expires_at, rules))
    return min([usual, *(moment for moment in milestones if moment > now)])


def next_late_ask(*, now: datetime, expires_at: datetime, rules: AskRules) -> datetime | None:
    """The next query of a payment that we closed on our own word; None when it has been asked about long enough."""
    end = grace_end(expires_at, rules)
    later = (end + timedelta(seconds=seconds) for seconds in LATE_ASKS_SECONDS)
    return next((moment for moment in later if moment > now), None)


def grace_end(expires_at: datetime, rules: AskRules) -> datetime:
    return expires_at + timedelta(seconds=rules.grace_seconds)
