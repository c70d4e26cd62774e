"""What a worker costs that has nothing to do, beside many orders: `python -m bench.idle --orders 1000000`.

A few orders are bought and spent as in production; then their rows are multiplied in the database, in other slots and
at other times. A worker process runs beside them, over PostgreSQL with durable commits. Told are the CPU time of the
worker and of its connections' server processes, transactions a second, and the plan of the look for due work.
"""

from __future__ import annotations

import argparse
import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psycopg
from sqlalchemy import BigInteger, Column, Table, Uuid
from sqlalchemy.engine import Dialect, make_url

from app.models.base import Base, Moment
from app.worker import Worker
from bench.served import cpu_seconds
from tests.conftest import create_schema
from tests.support import databases
from tests.support.flows import Installation, installation

BOUGHT = 20
"""Orders that are really bought; each user has one of them, paid and partly spent."""
COPIED = ("users", "orders", "payments", "facts", "idempotency", "accounts", "transfers", "lots", "events")
CALLS = "provider_calls"
SPREAD_MS = 7_200_000
"""The copies of a row lie in the two hours before: no day is over that would have to be summed up first."""
SETTLE_SECONDS = 20
"""A worker that begins goes once through everything that it looks for seldom."""
STOP_SECONDS = 60
_SUFFIXED = frozenset({"key", "request", "theirs", "reference", "user_id", "token"})
"""Texts and UUIDs that are another one in each copy, beside `id`."""


def multiply(connection: psycopg.Connection, table: Table, times: int) -> None:
    """Insert so many copies of each row that is there."""
    columns = ", ".join(column.name for column in table.c)
    values = ", ".join(_copied(column, SPREAD_MS // times) for column in table.c)
    connection.execute(
        f"INSERT INTO {table.name} ({columns}) SELECT {values} FROM {table.name}, generate_series(1, {times}) AS n"
    )


def _copied(column: Column[object], apart_ms: int) -> str:
    """The value of this column in copy number `n`."""
    name = f"{column.table.name}.{column.name}"
    own = column.name in _SUFFIXED or column.name == "id" or column.name.endswith("_id")
    if column.name == "slot":
        return f"({name} + n) % 4096"
    if column.name == "position" and column.table.name == "events":
        return f"{name} + n * 100000::bigint"
    if isinstance(column.type, Moment):
        return f"{name} - n * interval '{apart_ms} milliseconds'"
    if isinstance(column.type, Uuid) and own:
        return f"md5({name}::text || n)::uuid"
    if isinstance(column.type, BigInteger) and own:
        earlier = f"(({name} >> 22) - n * {apart_ms}::bigint) << 22"
        return f"CASE WHEN {name} = 0 THEN 0 ELSE ({earlier}) | ({name} & 4190208) | ((({name} & 4095) + n) % 4096) END"
    if own and column.name != "reference":
        return f"{name} || '-' || n"
    return name


@dataclass(frozen=True, slots=True)
class Idle:
    worker: float
    """Share of a core, 0.01 for one percent."""
    database: float
    transactions: float
    """A second."""


def measured(url: str, environ: Mapping[str, str], seconds: float) -> Idle:
    log = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
    worker = subprocess.Popen([Path(sys.executable).parent / "tillbook", "worker"], env=environ, stdout=log, stderr=log)
    try:
        with psycopg.connect(_plain(url), autocommit=True) as admin:
            time.sleep(SETTLE_SECONDS)
            before = _spent(admin, worker.pid)
            began = time.monotonic()
            time.sleep(seconds)
            after = _spent(admin, worker.pid)
            took = time.monotonic() - began
    finally:
        worker.terminate()
        worker.wait(timeout=STOP_SECONDS)
    server = sum(after[1].get(pid, spent) - spent for pid, spent in before[1].items())
    server += sum(spent for pid, spent in after[1].items() if pid not in before[1])
    return Idle((after[0] - before[0]) / took, server / took, (after[2] - before[2]) / took)


def _spent(admin: psycopg.Connection, worker: int) -> tuple[float, dict[int, float], int]:
    """CPU seconds of the worker, of each server process of its connections, and transactions so far."""
    admin.execute("SELECT pg_stat_clear_snapshot()")
    others = "datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
    pids = [row[0] for row in admin.execute(f"SELECT pid FROM pg_stat_activity WHERE {others}")]
    told = admin.execute("SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()")
    done = told.fetchone()
    assert done is not None
    return cpu_seconds(worker), {pid: cpu_seconds(pid) for pid in pids}, done[0]


def look_plan(url: str, worker: Worker, dialect: Dialect) -> list[str]:
    """How the server runs the statement that asks once a second which kinds of work are due."""
    with psycopg.connect(_plain(url)) as connection:
        sent = worker.look.sent(dialect, {"now": datetime.now(UTC)})[0]
        rows = psycopg.RawCursor(connection).execute(f"EXPLAIN (ANALYZE, BUFFERS) {sent.text.sql}", sent.values)
        return [row[0] for row in rows]


def _plain(url: str) -> str:
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


@contextlib.contextmanager
def filled(orders: int, folder: Path) -> Iterator[tuple[str, Installation]]:
    """A database with so many orders, and the installation over it."""
    with databases.postgres_database() as url:
        create_schema(url)
        with installation(url, folder) as place:
            buy(place)
            with psycopg.connect(_plain(url), autocommit=True) as connection:
                connection.execute("SET session_replication_role = replica")
                connection.execute("SET synchronous_commit = off")
                for name in (*COPIED, CALLS):
                    began = time.monotonic()
                    multiply(connection, Base.metadata.tables[name], orders // BOUGHT)
                    print(f"{name}: {time.monotonic() - began:.0f} s", flush=True)
                connection.execute("VACUUM ANALYZE")
                settle(place)
                databases.wait_for_the_disk()
                connection.execute("CHECKPOINT")
            yield url, place


def buy(place: Installation) -> None:
    """Orders as in production, and nothing that is due afterwards."""
    for number in range(BOUGHT):
        user = f"idle-{number}"
        place.shop.bought(user, "wechat" if number % 2 else "alipay")
        place.shop.done(place.shop.spend_request(user, 10))
    settle(place)


def settle(place: Installation) -> None:
    """Do what is due: positions of events, checkpoints and revenue of the days that are over."""
    began, worker = time.monotonic(), Worker(place.app.extensions["tillbook"])
    while worker.run_once():
        pass
    print(f"nothing is due after {time.monotonic() - began:.0f} s", flush=True)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--orders", type=int, default=100_000)
    options.add_argument("--seconds", type=float, default=60)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder, filled(given.orders, Path(folder)) as (url, place):
        house = place.app.extensions["tillbook_house"]
        print("\n".join(look_plan(url, Worker(house.core), house.engine.dialect)))
        idle = measured(url, place.environ, given.seconds)
        print(
            f"{given.orders:,} orders: worker {idle.worker:.2%} of a core, database {idle.database:.2%}, "
            f"{idle.transactions:.1f} transactions a second"
        )


if __name__ == "__main__":
    main()
