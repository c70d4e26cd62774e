"""Engines set up so that SQLite and PostgreSQL keep the same promises."""

from __future__ import annotations

import sqlite3
from typing import Any

from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine import make_url

from app.domain.ledger import next_head

POOL_SIZE = 8
POOL_WAIT_SECONDS = 10
SQLITE_BUSY_MS = 15_000
POSTGRES_LOCK_MS = 10_000
POSTGRES_STATEMENT_MS = 30_000
READ_ONLY = "tillbook_read_only"
"""Execution option: this transaction only reads, so SQLite need not queue it behind writers."""


def engine_options(url: str, *, durable: bool = True) -> dict[str, Any]:
    """Arguments for `create_engine`. `durable=False` lets SQLite skip the flush at each commit (demo and tests)."""
    if make_url(url).get_backend_name() == "sqlite":
        return {"connect_args": {"timeout": SQLITE_BUSY_MS / 1000}}
    options = f"-c timezone=UTC -c lock_timeout={POSTGRES_LOCK_MS} -c statement_timeout={POSTGRES_STATEMENT_MS}"
    return {
        "pool_size": POOL_SIZE,
        "max_overflow": 0,
        "pool_timeout": POOL_WAIT_SECONDS,
        "pool_pre_ping": True,
        "connect_args": {"options": options, "connect_timeout": 5},
    }


def prepare(engine: Engine, *, durable: bool = True) -> Engine:
    """Install what SQLite needs to behave like a server database. Does nothing for others."""
    if engine.dialect.name != "sqlite":
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
