"""How fast the audit proves a ledger, and in how much memory: `python -m bench.audit --postings 100000`.

The books are filled by the service itself, batch by batch, with everything that it does: several lots, coins that
expire, holds that are captured, released or run out, spends that are refused, reversals, limits. Then the audit runs in
a process of its own; then one row in the middle is edited, and it has to be the one that is found.
"""

from __future__ import annotations

import argparse
import contextlib
import cProfile
import itertools
import pstats
import random
import resource
import tempfile
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import psycopg
from sqlalchemy import Engine, create_engine, func, select, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.orm import sessionmaker

from app.domain.ledger import Posted, Transfer
from app.domain.limits import LedgerRules, SpendLimit
from app.domain.numbers import slot_of_user
from app.domain.spending import Capture, HoldRequest, Spend, grant
from app.models.base import Base
from app.models.engine import engine_options, prepare
from app.models.ledger import TRANSFERS
from app.services.audit.ledger import AsOf, AuditState, audit_ledger
from app.services.base.context import Place, Tx
from app.services.base.transaction import Sessions
from app.services.ledger.batches import MOST, book_batch
from app.services.ledger.expiry import expire_due
from app.services.ledger.hold_rows import Held
from app.services.ledger.holds import capture, hold, release
from app.services.ledger.reversals import Reverse, reverse
from bench.ledger import server
from tests.support.ledger_core import books_at

START = datetime(2026, 1, 1, tzinfo=UTC)
A_BATCH = timedelta(minutes=7)
RULES = LedgerRules(limits={"coin": SpendLimit(day=5000, month=100_000)})
OUTSIDE_BATCHES = 20
"""In each round so many users hold, capture, release or reverse, one by one."""


@dataclass
class Filling:
    """Fills the books through the service."""

    sessions: Sessions
    users: list[str]
    chance: random.Random
    now: datetime = START

    @property
    def books(self) -> Place:
        return books_at(self.sessions, self.now, RULES)

    def fill(self, postings: int) -> int:
        """At least so many transfers; how many batches it took."""
        keys = itertools.count()
        for batches in itertools.count(1):
            items = [self._item(user, f"k{next(keys)}") for user in self.chance.choices(self.users, k=MOST)]
            result = self.books.transact(partial(book_batch, items=items, all_or_nothing=False))
            posted = [answer for answer in result.answers if isinstance(answer, Posted)]
            for user in self.chance.choices(self.users, k=OUTSIDE_BATCHES):
                self.books.transact(partial(self._hold, user=user, key=f"h{next(keys)}"))
            self._reverse(self.chance.choice(posted).id, f"r{batches}")
            self.now += A_BATCH
            if batches % 10 == 0:
                while expire_due(self.books):
                    pass
                if _count(self.sessions) >= postings:
                    return batches
        raise AssertionError("unreachable")

    def _item(self, user: str, key: str) -> Spend | Transfer:
        """One in five is a grant, and of those every third expires; some spends are for more than there is."""
        if self.chance.random() < 0.2:
            expires = self.now + timedelta(hours=self.chance.randint(1, 72)) if self.chance.random() < 0.34 else None
            amount = self.chance.randint(1, 2000)
            return grant(user, "coin", amount, key, reason="bench", actor="bench", expires_at=expires)
        return Spend(user, "coin", self.chance.randint(1, 250), key, reference=f"order-{key}")

    def _hold(self, tx: Tx, user: str, key: str) -> None:
        slot = slot_of_user(user)
        held = hold(tx, slot, HoldRequest(user, "coin", self.chance.randint(2, 40), key, 7200))
        if not isinstance(held, Held):
            return
        end = self.chance.random()
        if end < 0.4:
            capture(tx, slot, Capture(held.id, "c", 1, final=end < 0.2))
        elif end < 0.7:
            release(tx, slot, held.id)

    def _reverse(self, transfer: uuid.UUID, key: str) -> None:
        slot = transfer.int & 4095
        request = Reverse(transfer, key, "bench", "bench")
        self.books.transact(lambda tx: reverse(tx, slot, request))


def _count(sessions: Sessions) -> int:
    with sessions() as session:
        return int(session.execute(text("SELECT /* sweep: audit */ count(*) FROM transfers")).scalar_one())


def users_in(slots: int, how_many: int) -> list[str]:
    """Names of users who all lie in the first so many slots."""
    names = (f"u{number}" for number in itertools.count())
    return list(itertools.islice((name for name in names if slot_of_user(name) < slots), how_many))


# --- the databases ---


@contextlib.contextmanager
def postgres_database() -> Iterator[URL]:
    url, name = server(), "bench_audit"
    plain = url.render_as_string(hide_password=False)
    with psycopg.connect(plain, autocommit=True) as admin:
        admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        admin.execute(f"CREATE DATABASE {name}")
    try:
        yield url.set(database=name)
    finally:
        with psycopg.connect(plain, autocommit=True) as admin:
            admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@contextlib.contextmanager
def sqlite_database() -> Iterator[URL]:
    with tempfile.TemporaryDirectory() as folder:
        yield make_url(f"sqlite:///{Path(folder) / 'audit.sqlite3'}")


@contextlib.contextmanager
def engine_for(url: str) -> Iterator[Engine]:
    made = prepare(create_engine(url, **engine_options(url)), durable=False)
    try:
        yield made
    finally:
        made.dispose()


# --- the audit, in a process of its own ---


@dataclass(frozen=True)
class Measured:
    seconds: float
    cpu_seconds: float
    """Of the auditing process alone: on a machine with other work on it the better measure."""
    start_mib: float
    peak_mib: float
    state: AuditState

    def __str__(self) -> str:
        rate, of_cpu = self.state.transfers / self.seconds, self.state.transfers / self.cpu_seconds
        return (
            f"{self.state.transfers:,} postings in {self.state.accounts:,} books: {self.seconds:.1f} s, "
            f"{rate:,.0f} a second ({of_cpu:,.0f} a second of CPU), "
            f"peak memory {self.peak_mib:.0f} MiB ({self.start_mib:.0f} MiB before the first)"
        )


def run_audit(url: str, now: datetime, profile: bool) -> Measured:
    """To be run in a fresh process: the peak is that of the whole process."""
    before = _peak_mib()
    with engine_for(url) as engine:
        profiler = cProfile.Profile() if profile else contextlib.nullcontext()
        started, cpu_before = time.perf_counter(), time.process_time()
        with profiler:
            state = audit_ledger(sessionmaker(engine), as_of=AsOf(RULES, lambda: now))
        seconds, cpu = time.perf_counter() - started, time.process_time() - cpu_before
    if isinstance(profiler, cProfile.Profile):
        pstats.Stats(profiler).sort_stats("tottime").print_stats(30)
    return Measured(seconds, cpu, before, _peak_mib(), state)


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def audited(url: str, now: datetime, *, profile: bool = False) -> Measured:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(run_audit, url, now, profile).result()


def edit_one_in_the_middle(engine: Engine) -> str:
    """Change a note past every guard; the id of the transfer."""
    t = TRANSFERS.c
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("SET LOCAL session_replication_role = replica"))
        else:
            connection.execute(text("DROP TRIGGER transfers_no_update"))
        half = connection.execute(select(func.count()).select_from(TRANSFERS)).scalar_one() // 2
        row = connection.execute(select(t.slot, t.id).order_by(t.slot, t.id).offset(half).limit(1)).one()
        connection.execute(
            TRANSFERS.update().where(t.slot == row.slot, t.id == row.id).values(note="edited by somebody")
        )
    return str(row.id)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--postings", type=int, default=100_000)
    options.add_argument("--users", type=int, default=0, help="default: one for 50 postings")
    options.add_argument("--slots", type=int, default=4096, help="all users in so many slots; 1: a single huge one")
    options.add_argument("--database", choices=["postgresql", "sqlite"], default="postgresql")
    options.add_argument("--profile", action="store_true")
    asked = options.parse_args()
    database = postgres_database() if asked.database == "postgresql" else sqlite_database()
    with database as url:
        bench(url.render_as_string(hide_password=False), asked)


def bench(url: str, asked: argparse.Namespace) -> None:
    users = users_in(asked.slots, asked.users or max(1, asked.postings // 50))
    with engine_for(url) as engine:
        Base.metadata.create_all(engine)
        sessions = sessionmaker(engine, expire_on_commit=False)
        filling = Filling(sessions, users, random.Random(1))
        started = time.perf_counter()
        batches = filling.fill(asked.postings)
        seconds = time.perf_counter() - started
        rows = {table.name: _rows(engine, table.name) for table in Base.metadata.sorted_tables if table.name in COUNTED}
        print(f"filled in {seconds:.0f} s, {batches} batches: {rows}", flush=True)
        if engine.dialect.name == "postgresql":
            with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.execute(text("VACUUM ANALYZE"))
        clean = audited(url, filling.now, profile=asked.profile)
        print(f"clean: {clean}", flush=True)
        if clean.state.findings:
            raise SystemExit(f"the books do not balance: {clean.state.findings[:3]}")
        edited = edit_one_in_the_middle(engine)
        found = audited(url, filling.now)
        print(f"one row edited: {found.seconds:.1f} s, found {[f'{f.table} {f.row}' for f in found.state.findings]}")
        if [finding.row for finding in found.state.findings] != [edited]:
            raise SystemExit(f"{edited} should have been found, and nothing else")


COUNTED = ("accounts", "transfers", "lots", "holds", "refusals", "marks")


def _rows(engine: Engine, table: str) -> int:
    with engine.connect() as connection:
        return int(connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())


if __name__ == "__main__":
    main()
