"""Engines set up so that SQLite and PostgreSQL keep the same promises."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Engine, bindparam, event, text
from sqlalchemy.engine import Dialect, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

from app.domain.ledger import next_head

POOL_SIZE = 8
POOL_WAIT_SECONDS = 10
CONNECTION_IDLE_SECONDS = 10
"""After so long in the pool a connection is asked whether it still lives."""
SQLITE_BUSY_MS = 15_000
POSTGRES_LOCK_MS = 10_000
POSTGRES_STATEMENT_MS = 30_000
_SESSION = {"TimeZone": "UTC", "lock_timeout": str(POSTGRES_LOCK_MS), "statement_timeout": str(POSTGRES_STATEMENT_MS)}
"""What a session of PostgreSQL is asked to keep to, by the names in `pg_settings`."""
DATABASE_CONNECT_SECONDS = 2
"""The least that libpq takes."""
SLOW_FAILURE_SECONDS = 0.5
UNREACHABLE_SECONDS = 5.0
"""After an attempt to connect that failed slowly nobody tries again for so long: else each thread of a process would
spend its time on one dead database, and none were left for the users of others. What fails at once costs nothing."""
VANISHED_SECONDS = 1.0
"""So long nobody connects after a connection ended because the other side was silent: whoever has waited for that one
must not wait for the next as well."""
_DEAD_LINE = {
    "keepalives_idle": 2,
    "keepalives_interval": 1,
    "keepalives_count": 2,
    "tcp_user_timeout": 1_500,
}
"""A database host that vanishes without a word (a failover, a cut line) is noticed after 1.5 to 3 seconds. The system's
own patience is a quarter of an hour, and every thread would spend it on the dead connection that it holds. A line that
was only silent for so long costs its requests a 503."""
_DEAD_CLIENT = {
    "tcp_keepalives_idle": 10,
    "tcp_keepalives_interval": 5,
    "tcp_keepalives_count": 3,
    "tcp_user_timeout": 25_000,
}
"""The other side of that: when a host of ours vanishes in the middle of a transaction, the server ends that after 25
seconds. Its own patience is two hours, and so long nobody could pay or spend whose rows are locked there."""
_DECODER = json.JSONDecoder()
READ_ONLY = "tillbook_read_only"
"""Execution option: this transaction only reads, so SQLite need not queue it behind writers."""


def _read_json(document: str | bytes) -> Any:
    """`json.loads` would look for the encoding of bytes, in Python; databases send UTF-8."""
    return _DECODER.decode(document.decode() if isinstance(document, bytes) else document)


def engine_options(url: str, *, durable: bool = True, only_reads: bool = False) -> dict[str, Any]:
    """Arguments for `create_engine`. `durable=False` lets SQLite skip the flush at each commit (demo and tests).
    `only_reads` is for `prepare_reader`."""
    if make_url(url).get_backend_name() == "sqlite":
        return {"connect_args": {"timeout": SQLITE_BUSY_MS / 1000}, "json_deserializer": _read_json}
    options = " ".join(f"-c {name}={value}" for name, value in (_SESSION | _DEAD_CLIENT).items())
    # After a failover the address may lead to a standby for a while. A connection to it would stay in the pool, and
    # refuse each payment for as long as the process lives.
    wanted = "any" if only_reads else make_url(url).query.get("target_session_attrs", "read-write")
    if only_reads:
        options += " -c default_transaction_read_only=on"
    return {
        "json_deserializer": _read_json,
        "pool_size": POOL_SIZE,
        "max_overflow": 0,
        "pool_timeout": POOL_WAIT_SECONDS,
        "pool_use_lifo": True,  # the one that was used last has the statements prepared
        "connect_args": {
            "options": options,
            "connect_timeout": DATABASE_CONNECT_SECONDS,
            "target_session_attrs": wanted,
            # What is often run is prepared by `services.base.wire`. psycopg would forget all that a connection has
            # prepared, that wire's too, whenever a transaction is rolled back, and each read ends so.
            "prepare_threshold": None,
            **_DEAD_LINE,
        },
    }


def unheeded_settings(connection: Connection) -> list[str]:
    """The settings, as `name = value`, that PostgreSQL was asked for and did not take: a pooler stands between that
    does not hand them on. Empty on SQLite."""
    if connection.dialect.name == "sqlite":
        return []
    named: Any = bindparam("names", list(_SESSION), expanding=True)
    asked = text("SELECT name, setting FROM pg_settings WHERE name IN :names").bindparams(named)
    found = {row.name: row.setting for row in connection.execute(asked)}
    return [f"{name} = '{value}'" for name, value in _SESSION.items() if found.get(name) != value]


def _keep_to_process(engine: Engine) -> None:
    """Open a connection anew where it was opened before this process was forked (gunicorn with `--preload`): two that
    use one would read each other's answers."""

    def taken(_: DBAPIConnection, record: ConnectionPoolEntry, taking: PoolProxiedConnection) -> None:
        if record.info["process"] != os.getpid():
            # Let go of, and not closed: to close it is to end the parent's session.
            record.dbapi_connection = taking.dbapi_connection = None  # type: ignore[misc]
            raise DisconnectionError("a connection from before the fork")

    event.listen(engine, "connect", lambda _, record: record.info.update(process=os.getpid()))
    event.listen(engine, "checkout", taken)


def _ping_idle(engine: Engine) -> None:
    """Ask a connection that was idle for a while whether it still lives, and replace it if not.

    SQLAlchemy's `pool_pre_ping` asks at every checkout: one more round trip and a fifth of the client's time for each
    spend. A connection that dies while in use is repeated by `transact` anyway.
    """

    def returned(_: object, record: ConnectionPoolEntry) -> None:
        record.info["idle_since"] = time.monotonic()

    def taken(connection: DBAPIConnection, record: ConnectionPoolEntry, _: object) -> None:
        now = record.info["taken_at"] = time.monotonic()
        if now - record.info.get("idle_since", now) < CONNECTION_IDLE_SECONDS:
            return
        try:
            engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error as error:
            raise DisconnectionError from error

    event.listen(engine, "checkin", returned)
    event.listen(engine, "checkout", taken)


def _remember_down(engine: Engine) -> None:
    """Let whoever connects fail at once for a while after somebody has waited for the database in vain."""
    until = [0.0]

    def connecting(dialect: Dialect, _: object, given: Sequence[Any], named: dict[str, Any]) -> DBAPIConnection:
        begun = time.monotonic()
        if begun < until[0]:
            raise dialect.loaded_dbapi.OperationalError("the database did not answer a moment ago")
        try:
            connection: DBAPIConnection = dialect.connect(*given, **named)
        except dialect.loaded_dbapi.Error:
            now = time.monotonic()
            if now - begun >= SLOW_FAILURE_SECONDS:
                until[0] = now + UNREACHABLE_SECONDS
            raise
        until[0] = 0.0
        return connection

    def lost(_: object, record: ConnectionPoolEntry, error: BaseException | None) -> None:
        now = time.monotonic()
        waited = now - record.info.get("taken_at", now)
        # One that the system gave up while it lay in the pool says the same words, but made nobody wait.
        if waited >= SLOW_FAILURE_SECONDS and "timed out" in str(getattr(error, "__cause__", None) or error):
            until[0] = max(until[0], now + VANISHED_SECONDS)

    event.listen(engine, "do_connect", connecting)
    event.listen(engine, "invalidate", lost)


def prepare_reader(engine: Engine) -> Engine:
    """Install what an engine needs that only reads: whatever is asked of it, it changes nothing."""
    _keep_to_process(engine)
    if engine.dialect.name != "sqlite":
        _ping_idle(engine)
        _remember_down(engine)
        return engine

    def connected(connection: sqlite3.Connection, _: object) -> None:
        connection.isolation_level = None
        connection.execute("PRAGMA query_only=ON")
        connection.execute(f"PRAGMA busy_timeout={SQLITE_BUSY_MS}")

    event.listen(engine, "connect", connected)
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
    return engine


def prepare(engine: Engine, *, durable: bool = True) -> Engine:
    """Install what SQLite needs to behave like a server database; elsewhere, a look at connections that lay idle."""
    _keep_to_process(engine)
    if engine.dialect.name != "sqlite":
        _ping_idle(engine)
        _remember_down(engine)
        return engine

    def connected(connection: sqlite3.Connection, _: object) -> None:
        # Python's own BEGIN comes too late and is DEFERRED: two readers that both turn writer would deadlock.
        connection.isolation_level = None
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute(f"PRAGMA busy_timeout={SQLITE_BUSY_MS}")
        # The ledger's hash chain is computed inside an UPDATE; PostgreSQL has sha256 built in.
        connection.create_function("next_head", 4, next_head, deterministic=True)

    def began(connection: Connection) -> None:
        read_only = connection.get_execution_options().get(READ_ONLY, False)
        connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")

    event.listen(engine, "connect", connected)
    event.listen(engine, "begin", began)
    return engine
