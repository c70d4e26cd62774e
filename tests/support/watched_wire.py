"""Watches what is sent to PostgreSQL, whichever way: through a cursor of psycopg's, or over libpq."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
from sqlalchemy import Engine, event
from sqlalchemy.pool import ConnectionPoolEntry

from app.services.base.statements import WIRE
from app.services.base.wire import Sent, Wire

Watch = Callable[[str, Any], None]
"""Gets a statement's text and the driver's connection before the statement is sent."""


class WatchedWire(Wire):
    """A wire that shows each statement before its flight is sent."""

    def __init__(self, driver: psycopg.Connection[Any], watch: Watch) -> None:
        super().__init__(driver)
        self._watch, self._watched = watch, driver

    def packed(self, part: Sent) -> Any:
        self._watch(part.text.sql, self._watched)
        return super().packed(part)


def watched_cursor(watch: Watch) -> type[psycopg.Cursor[Any]]:
    """A class of cursors that show each statement before it is sent."""

    class WatchedCursor(psycopg.Cursor[Any]):
        def execute(self, query: Any, *args: Any, **kwargs: Any) -> Any:
            watch(str(query), self.connection)
            return super().execute(query, *args, **kwargs)

        def executemany(self, query: Any, *args: Any, **kwargs: Any) -> None:
            watch(str(query), self.connection)
            super().executemany(query, *args, **kwargs)

    return WatchedCursor


def watch_wires(engine: Engine, watch: Watch) -> None:
    """Give every new connection of this engine a wire that is watched."""

    def connected(driver: Any, record: ConnectionPoolEntry) -> None:
        if isinstance(driver, psycopg.Connection):
            record.info[WIRE] = WatchedWire(driver, watch)

    event.listen(engine, "connect", connected)
