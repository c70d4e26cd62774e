"""What is tried again: for which reason, after which pauses, how often and how long. One table, and its arithmetic.

When a payment is asked about also depends on its expiry (`app.domain.schedule`), and what an endpoint's answer means is
said elsewhere (`app.domain.delivery_schedule`): they look here for the pauses.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

JITTER = 0.2
"""A pause is longer or shorter by up to this share of it: what failed together does not return together."""
_HOUR, _DAY = 3600, 24 * 3600


class Retried(StrEnum):
    """Why something is tried again."""

    OPEN_PAYMENT = "open payment"
    PAYMENT_OVER_TIME = "payment that is open though its time is over"
    SILENT_PAYMENT = "payment that stays open for longer than a week"
    OPEN_REFUND = "open refund"
    FAILED_REFUND = "refund that its provider called failed"
    UNANSWERED_QUESTION = "question without an answer about a payment that a message named"
    ENDLESS_QUESTION = "such a question, where no message can be shown to a person"
    PAYMENT_NOT_FOUND = "payment that a message named by the provider's number alone, and that is not known here"
    RECEIPT = "purchase that its provider does not settle"
    DELIVERY_REPORT = "telling the provider that it was delivered"
    OWNER_REPORT = "telling the provider whose purchase it is"
    REFUND_REPORT = "telling the provider what was used of a purchase that may be refunded"
    GIFT = "gift, or recall of given coins, that cannot end"
    UNANSWERED_WISH = "wish that the app's backend has not answered"
    AGREEMENT = "charging, asking about or ending an agreement, without an answer"
    WAITING_FACT = "fact whose cause may still come"
    HISTORY = "page of a history that cannot be read"
    KEYS = "renewing a provider's keys"
    FAILED_DELIVERY = "event that its receiver did not take"
    UNTRIED_DELIVERY = "event that nobody looked at, since the receiver was away"
    ENDPOINT_DOWN = "endpoint that took nothing several times in a row"


@dataclass(frozen=True, slots=True)
class Retry:
    """The pauses between tries, in seconds; the last one again and again."""

    pauses: tuple[int, ...]
    most: int | None = None
    """After so many pauses nothing is tried any more. None: pauses are not counted."""
    within: timedelta | None = None
    """After so long nothing is tried any more. None: it is tried until it ends."""
    jitter: float = JITTER
    least: int = 0
    """No pause is shorter than this, whatever the jitter."""


def doubling(first: int, cap: int) -> tuple[int, ...]:
    """Pauses that grow to twice the one before, up to the cap."""
    pauses = [first]
    while pauses[-1] < cap:
        pauses.append(min(2 * pauses[-1], cap))
    return tuple(pauses)


RETRIES: Mapping[Retried, Retry] = {
    Retried.OPEN_PAYMENT: Retry(doubling(5, 600)),
    Retried.PAYMENT_OVER_TIME: Retry(doubling(5, _HOUR)),
    Retried.SILENT_PAYMENT: Retry(doubling(5, _DAY)),
    # Providers want some seconds before they are asked about a refund (10 in one's documentation, 2026-09).
    Retried.OPEN_REFUND: Retry(doubling(10, _HOUR), least=10),
    # One provider lets its merchant repair an abnormal refund by hand (its documentation, 2026-09), and says nothing
    # when that has been done.
    Retried.FAILED_REFUND: Retry((_DAY,), most=30, jitter=0),
    Retried.UNANSWERED_QUESTION: Retry(doubling(5, _HOUR), most=24),
    Retried.ENDLESS_QUESTION: Retry((_DAY,), jitter=0),
    Retried.PAYMENT_NOT_FOUND: Retry((60, 300, 1800, 2 * _HOUR, 6 * _HOUR, _DAY), most=12, jitter=0),
    Retried.RECEIPT: Retry(doubling(5, _HOUR), within=timedelta(days=7)),
    Retried.DELIVERY_REPORT: Retry(doubling(5, 1800), within=timedelta(days=3)),
    Retried.OWNER_REPORT: Retry(doubling(60, 6 * _HOUR), within=timedelta(days=7)),
    Retried.REFUND_REPORT: Retry(doubling(5, 1800), within=timedelta(hours=12)),
    Retried.GIFT: Retry(doubling(120, _HOUR), jitter=0),
    Retried.UNANSWERED_WISH: Retry(doubling(60, _DAY)),
    Retried.AGREEMENT: Retry(doubling(60, _HOUR)),
    Retried.WAITING_FACT: Retry((30,), within=timedelta(days=30), jitter=0),
    # Most of a day; then the feed goes on behind the page's window. Only failures of one kind in a row count, and no
    # calls that did not happen.
    Retried.HISTORY: Retry(doubling(120, _HOUR), most=23, jitter=0),
    # Without them no message of the provider can be believed.
    Retried.KEYS: Retry(doubling(30, _HOUR)),
    Retried.FAILED_DELIVERY: Retry((5, 30, 120, 600, 1800, _HOUR, 3 * _HOUR, 6 * _HOUR, 12 * _HOUR, _DAY)),
    # Soon, for that says nothing about the event, and a receiver that restarts is back in seconds. Seldom from the
    # seventh time on: this event may be what it dies of.
    Retried.UNTRIED_DELIVERY: Retry((*(5,) * 6, 30, 120, 600)),
    # At least every ten minutes: what waits goes on soon after the endpoint is back.
    Retried.ENDPOINT_DOWN: Retry((5, 30, 120, 600)),
}


def pause_seconds(why: Retried, number: int, jitter: float) -> float:
    """How long the pause with that number is, the first being 0. `jitter` is a random number in [0, 1)."""
    retry = RETRIES[why]
    base = retry.pauses[min(max(number, 0), len(retry.pauses) - 1)]
    return max(float(retry.least), base * (1 - retry.jitter + 2 * retry.jitter * jitter))


def is_over(why: Retried, *, pauses: int = 0, passed: timedelta = timedelta(0)) -> bool:
    """Whether it is not tried any more, after so many pauses, or so long after it began."""
    retry = RETRIES[why]
    return (retry.most is not None and pauses >= retry.most) or (retry.within is not None and passed > retry.within)
