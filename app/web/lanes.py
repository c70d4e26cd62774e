"""How many requests of this process may wait for one provider at once.

A provider that hangs would else take every thread, and with them the wallets, the other providers' notifications and
the health checks. Whoever finds its lane full is soon told so, and nothing is lost: the request can be repeated.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterable, Iterator

from flask import current_app

from app.services.base.errors import ProviderUnavailable

WIDTH = 4
"""Half of the threads of a web process (`app/serving.py`)."""
PATIENCE_SECONDS = 0.5
"""A burst of orders at a healthy provider must not be turned away."""


class Lanes:
    """One lane for each provider account."""

    def __init__(self, provider_accounts: Iterable[str]) -> None:
        self._places = {name: threading.BoundedSemaphore(WIDTH) for name in provider_accounts}

    @contextlib.contextmanager
    def waiting_for(self, provider_account: str) -> Iterator[None]:
        """Inside, one place of the account's lane is taken. Raises ProviderUnavailable if none gets free in time."""
        places = self._places.get(provider_account)
        if places is None:  # not configured (any more): nobody can be waited for
            yield
            return
        if not places.acquire(timeout=PATIENCE_SECONDS):
            raise ProviderUnavailable("too many requests wait for this provider", provider_account=provider_account)
        try:
            yield
        finally:
            places.release()


def waiting_for(provider_account: str) -> contextlib.AbstractContextManager[None]:
    """The same in the lanes of the current application."""
    lanes: Lanes = current_app.extensions["tillbook_lanes"]
    return lanes.waiting_for(provider_account)
