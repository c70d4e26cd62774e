"""How the databases of a process are, for whoever asks after its health: none of them is waited for long."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from app.models import schema
from app.services.base.slot_maps import SlotMapDiffers

ANSWER_SECONDS = 0.5
"""A database that has not answered after so long is told as down; who asks after our health waits a second at most."""


class DatabaseStates:
    """Asks all databases at once. One that is still waited for is not asked again meanwhile."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked: dict[str, Future[str]] = {}
        self._threads: ThreadPoolExecutor | None = None

    def look(self, engines: Mapping[str, Engine]) -> dict[str, str]:
        """For each name `ok`, `down`, `other_schema`, or `other_map`: it bears another name or another map."""
        with self._lock:
            if self._threads is None and engines:
                self._threads = ThreadPoolExecutor(len(engines), thread_name_prefix="database-state")
            for name, engine in engines.items():
                if self._threads is not None and (name not in self._asked or self._asked[name].done()):
                    self._asked[name] = self._threads.submit(_state, engine)
            asked = dict(self._asked)
        wait(asked.values(), timeout=ANSWER_SECONDS)
        return {name: asked[name].result() if asked[name].done() else "down" for name in engines}


def _state(engine: Engine) -> str:
    try:
        return "ok" if schema.current(engine) == schema.newest() else "other_schema"
    except SlotMapDiffers:
        return "other_map"
    except (DBAPIError, PoolTimeout):
        return "down"
