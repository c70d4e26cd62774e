"""How often one user may ask: a bucket of tokens for each user, in this process, told in the fields of the answers.

The fields are those of draft-ietf-httpapi-ratelimit-headers-10 (2025-09): `RateLimit-Policy` and `RateLimit`. Clients
that know the draft only up to its sixth version read `RateLimit-Limit`, `-Remaining` and `-Reset`.

A user whose requests reach several processes may ask as often of each: the limit keeps one client from taking the
service for itself, and is no quota. Backends and providers have no such limit.
"""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from flask import current_app

from app.services.base.errors import DomainError
from app.web.request_log import RequestRecord

WINDOW_SECONDS = 60
MOST_BUCKETS = 50_000
"""A process remembers the buckets of so many users; who has asked nothing for the longest time is forgotten first."""
RATE_POLICY = "user"
"""The name of the policy in the fields."""


class TooManyRequests(DomainError):
    """`retry_after` says when the user may ask again."""

    code = "too_many_requests"
    remembered = False


class Standing(NamedTuple):
    """What one user has left after a request."""

    limit: int
    left: int
    full_in: int
    """Seconds until nothing is used up any more."""

    def fields(self) -> dict[str, str]:
        limit, left, full_in = map(str, self)
        return {
            "RateLimit-Policy": f'"{RATE_POLICY}";q={limit};w={WINDOW_SECONDS}',
            "RateLimit": f'"{RATE_POLICY}";r={left};t={full_in}',
            "RateLimit-Limit": limit,
            "RateLimit-Remaining": left,
            "RateLimit-Reset": full_in,
        }


class UserRates:
    """Buckets that fill steadily, and hold what one minute may ask."""

    def __init__(self, per_minute: int, seconds: Callable[[], float] = time.monotonic) -> None:
        self.limit = per_minute
        """There is none if it is 0."""
        self._seconds = seconds
        self._lock = threading.Lock()
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()
        """What was left, and when."""

    def take(self, user_id: str) -> tuple[Standing, float]:
        """Take one of the user's tokens: how it stands then, and how many seconds the user has to wait (0: none)."""
        per_second, now = self.limit / WINDOW_SECONDS, self._seconds()
        with self._lock:
            left, at = self._buckets.pop(user_id, (float(self.limit), now))
            left = min(float(self.limit), left + (now - at) * per_second)
            wait = 0.0 if left >= 1 else (1 - left) / per_second
            left = left if wait else left - 1
            self._buckets[user_id] = (left, now)
            if len(self._buckets) > MOST_BUCKETS:
                self._buckets.popitem(last=False)
        full_in = math.ceil((self.limit - left) / per_second)
        return Standing(self.limit, math.floor(left), full_in), wait


def count_request(user_id: str, record: RequestRecord) -> None:
    """Count this request; its answer bears the fields. Raises TooManyRequests."""
    rates: UserRates = current_app.extensions["tillbook_rates"]
    if not rates.limit:
        return
    standing, wait = rates.take(user_id)
    record.fields = standing.fields()
    if wait:
        raise TooManyRequests(limit=standing.limit, retry_after=math.ceil(wait))
