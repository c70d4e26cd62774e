"""When to ask a provider about a payment next: the moments that decide. The pauses between them are in `retries`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from app.domain.retries import RETRIES, Retried, pause_seconds

LEASE_SECONDS = 60
READ_GAP_SECONDS = 3
HINT_GAP_SECONDS = 60
LATE_ASKS_SECONDS = (3600, 24 * 3600)
"""After we closed a payment on our own word, it is asked about twice more: its notification may have been lost."""
GIVE_UP_SECONDS = 7 * 24 * 3600
"""So long after `expires_at` an open payment that the provider calls unpaid, and will not close, is given up."""
GIVEN_UP_ASKS_SECONDS = (24 * 3600, 7 * 24 * 3600)
"""After that moment it is asked about twice more."""
OVER_TIME_SECONDS = RETRIES[Retried.PAYMENT_OVER_TIME].pauses[-1]
LAST_ASK_SECONDS = 30 * 24 * 3600
"""So long after `expires_at` a payment that we closed is not asked about any more, answered or not."""


@dataclass(frozen=True, slots=True)
class AskRules:
    grace_seconds: int = 900
    """How long after `expires_at` a provider's «no such payment» is still not believed."""


def next_ask(*, now: datetime, asked: int, expires_at: datetime, rules: AskRules, jitter: float) -> datetime:
    """The next active query of an open payment.

    Never skips the moments that decide: the expiry (to close at the provider before closing here), the end of the grace
    (to close here), and the moment of giving up.
    """
    usual = now + timedelta(seconds=pause_seconds(_phase(now, expires_at), asked, jitter))
    milestones = (expires_at, grace_end(expires_at, rules), give_up_moment(expires_at))
    return min([usual, *(moment for moment in milestones if moment > now)])


def _phase(now: datetime, expires_at: datetime) -> Retried:
    if now < expires_at:
        return Retried.OPEN_PAYMENT
    return Retried.PAYMENT_OVER_TIME if now < give_up_moment(expires_at) else Retried.SILENT_PAYMENT


def next_late_ask(
    *, now: datetime, expires_at: datetime, rules: AskRules, given_up: bool = False, answered: bool = True
) -> datetime | None:
    """The next query of a payment that we closed on our own word; None when it has been asked about long enough.

    `given_up`: the provider did not say that it knows of no such payment. Where it did not answer the last query, that
    one did not count: again after OVER_TIME_SECONDS.
    """
    end, over = grace_end(expires_at, rules), give_up_moment(expires_at)
    planned = [end + timedelta(seconds=seconds) for seconds in LATE_ASKS_SECONDS]
    if given_up:
        planned += [over + timedelta(seconds=seconds) for seconds in GIVEN_UP_ASKS_SECONDS]
    again = now + timedelta(seconds=OVER_TIME_SECONDS)
    if not answered and again <= expires_at + timedelta(seconds=LAST_ASK_SECONDS):
        planned.append(again)
    return min((moment for moment in planned if moment > now), default=None)


def give_up_moment(expires_at: datetime) -> datetime:
    return expires_at + timedelta(seconds=GIVE_UP_SECONDS)


def grace_end(expires_at: datetime, rules: AskRules) -> datetime:
    return expires_at + timedelta(seconds=rules.grace_seconds)
