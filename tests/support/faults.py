"""Breaks a database connection, or the process, at a chosen step: below SQLAlchemy, so that no statement is missed."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import psycopg
from sqlalchemy import Engine, create_engine
from sqlalchemy.engine import make_url

from app.models.engine import engine_options
from tests.support.databases import as_in_service
from tests.support.watched_wire import watch_wires, watched_cursor


class Killed(BaseException):
    """The process dies here: no handler of ours may catch this."""


class Injected(Exception):
    """The test's own failure, of a kind that no code of ours expects."""


class Fuse:
    """Counts steps and blows at the n-th. A step is a statement (before it runs), or a commit (before and after it).

    `blow` gets the driver's connection. It is disarmed before it blows, so that what follows runs undisturbed.
    """

    def __init__(self, blow: Callable[[Any], None]) -> None:
        self._blow = blow
        self.watch: Callable[[str, Any], None] = lambda _sql, _values: None
        """Sees every statement and its values, before the statement runs."""
        self._lock = threading.Lock()
        self._at = 0
        self.steps: list[str] = []

    @contextlib.contextmanager
    def armed(self, at: int) -> Iterator[None]:
        """Count from here, and blow at that step (1 is the first; 0 only counts)."""
        self.steps, self._at = [], at
        try:
            yield
        finally:
            self._at = 0

    @contextlib.contextmanager
    def aside(self) -> Iterator[None]:
        """Another process runs in the middle of this one: its steps are no steps of this one, and it dies alone."""
        before = self.steps, self._at
        self.steps, self._at = [], 0
        try:
            yield
        finally:
            self.steps, self._at = before

    @property
    def has_blown(self) -> bool:
        return self._at < 0

    def step(self, name: str, connection: Any = None) -> None:
        with self._lock:
            self.steps.append(name)
            if self._at <= 0 or len(self.steps) != self._at:
                return
            self._at = -1
        self._blow(connection)


def raising(_: Any) -> None:
    raise Injected


def losing_the_connection(connection: psycopg.Connection[Any]) -> None:
    """As when the server or the network goes away: the driver finds its connection closed."""
    connection.close()
    raise psycopg.OperationalError("server closed the connection unexpectedly")


def killing(_: Any) -> None:
    """As `kill -9`: no exception handler, no finally, no rollback is run."""
    os.kill(os.getpid(), signal.SIGKILL)


def fused_engine(url: str, fuse: Fuse) -> Engine:
    """An engine as the service makes it, with the fuse in its driver."""
    options = engine_options(url)
    if make_url(url).get_backend_name() == "sqlite":
        options["connect_args"]["factory"] = _sqlite_connection(fuse)
    else:
        options["creator"] = _postgres_creator(url, fuse, options.pop("connect_args"))
    engine = create_engine(url, **options)
    watch_wires(engine, partial(_statement, fuse))
    return as_in_service(engine)


def _sqlite_connection(fuse: Fuse) -> type[sqlite3.Connection]:
    class FusedCursor(sqlite3.Cursor):
        def execute(self, sql: str, *args: Any) -> Any:
            fuse.watch(sql, args)
            _statement(fuse, sql, self.connection)
            return super().execute(sql, *args)

        def executemany(self, sql: str, *args: Any) -> Any:
            fuse.watch(sql, args)
            _statement(fuse, sql, self.connection)
            return super().executemany(sql, *args)

    class FusedConnection(sqlite3.Connection):
        def cursor(self, factory: Any = None) -> Any:
            return super().cursor(factory or FusedCursor)

        def commit(self) -> None:
            fuse.step("before commit", self)
            super().commit()
            fuse.step("after commit", self)

    return FusedConnection


def _postgres_creator(url: str, fuse: Fuse, connect_args: dict[str, Any]) -> Callable[[], psycopg.Connection[Any]]:
    class FusedConnection(psycopg.Connection[Any]):
        def commit(self) -> None:
            fuse.step("before commit", self)
            super().commit()
            fuse.step("after commit", self)

    plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    cursor = watched_cursor(partial(_statement, fuse))
    return lambda: FusedConnection.connect(plain, cursor_factory=cursor, **connect_args)


def _statement(fuse: Fuse, sql: str, connection: Any) -> None:
    """Whatever changes or reads data is a step; what the dialect asks when it connects is not."""
    words = sql.split(None, 1)
    if words and words[0].upper() in {"SELECT", "INSERT", "UPDATE", "DELETE", "WITH"} and " " in sql.strip():
        fuse.step(sql, connection)
