"""How long bills and books are compared, and in how much memory: `python -m bench.settling --lines 1000000`.

The bill and the facts are written in bulk, as the service would have left them, on one day; another nine tenths of as
many facts lie around it in time. One line in a thousand has another amount, and one in a thousand is missing: just so
many differences have to be found. The comparison runs twice, each time in a process of its own: first it opens them,
then it finds them as they are.
"""

from __future__ import annotations

import argparse
import contextlib
import resource
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from typing import Any, cast

from sqlalchemy import Engine, create_engine, text
from sqlalchemy.orm import sessionmaker

from app.domain.numbers import NumberSource
from app.models.base import Base
from app.models.engine import engine_options, prepare
from app.providers.registry import ProviderAccount, Registry
from app.providers.testing.doubles import FixedClock
from app.services.base.context import Core
from app.services.base.databases import OneDatabase
from app.services.differences.comparisons import Comparison, compare_account
from tests.support import databases

DAY = datetime(2026, 3, 1, 16, tzinfo=UTC)
NOW = DAY + timedelta(days=30)
ONE_IN = 1_000
"""Of so many lines one has another amount, and one is missing."""


@contextlib.contextmanager
def engine_for(url: str) -> Iterator[Engine]:
    made = prepare(create_engine(url, **engine_options(url)), durable=False)
    try:
        yield made
    finally:
        made.dispose()


_SHIFT = "((n::bigint + 1000) << 12) | (n % 4096)"
_FACTS = f"""
INSERT INTO facts (slot, id, provider_account, environment, key, kind, payment_id, content, raw, road, message_id,
  outcome, reason, booking, from_suspense, at, recorded_at)
SELECT n % 4096, {_SHIFT}, 'shop', 'live', 'paid:' || md5(n::text), 'paid', {_SHIFT},
  jsonb_build_object('ours', ({_SHIFT})::text, 'theirs', '2026' || md5(n::text), 'refund', NULL, 'amount_minor', 600,
    'currency', 'CNY', 'fee_minor', 4, 'fee_currency', 'CNY', 'account', 'm-1', 'live', true),
  '{{}}', 'notification', NULL, 'applied', '', 'sale', false, moment, moment
FROM (SELECT n, CAST(:begin AS timestamptz) + n * (CAST(:span AS interval) / :lines) AS moment
  FROM generate_series(CAST(:first AS integer), CAST(:last AS integer)) n) numbered"""
_BILL = """
INSERT INTO bills (provider_account, feed, name, sha256, size, content, since, until, fetched_at)
VALUES ('shop', 'trade', 'the day', repeat('0', 64), 0, '', :since, :until, :until)"""
_READING = """
INSERT INTO bill_readings (provider_account, id, feed, name, sha256, side, status, problem, since, until, zone, lines,
  read_at)
VALUES ('shop', 1, 'trade', 'the day', repeat('0', 64), 'trades', 'read', '', :since, :until, 'Asia/Shanghai', :lines,
  :until)"""
_LINES = f"""
INSERT INTO bill_lines (provider_account, reading_id, position, key, kind, at, amount_minor, currency, fee_minor,
  discount_minor, ours, theirs, undecided, word, note)
SELECT 'shop', 1, n, 'payment:' || md5(n::text), 'payment',
  CAST(:begin AS timestamptz) + n * (interval '1 day' / :lines), CASE WHEN n % {ONE_IN} = 1 THEN 700 ELSE 600 END,
  'CNY', -4, 0, ({_SHIFT})::text, '2026' || md5(n::text), false, '', ''
FROM generate_series(1, CAST(:lines AS integer)) n WHERE n % {ONE_IN} <> 2"""


def fill(engine: Engine, lines: int) -> None:
    """The bill's day, and as many facts again in the month around it."""
    span = {"since": DAY, "until": DAY + timedelta(days=1)}
    with engine.begin() as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        month = {"begin": DAY - timedelta(days=50), "span": timedelta(days=20), "lines": lines}
        connection.execute(text(_FACTS), {**month, "first": lines + 1, "last": 2 * lines - 1})
        day = {"begin": DAY, "span": timedelta(days=1), "lines": lines}
        connection.execute(text(_FACTS), {**day, "first": 1, "last": lines - 1})
        connection.execute(text(_BILL), span)
        connection.execute(text(_READING), {**span, "lines": lines})
        connection.execute(text(_LINES), {"begin": DAY, "lines": lines - 1})
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("SET statement_timeout = 0"))
        connection.execute(text("VACUUM ANALYZE"))
        connection.execute(text("RESET statement_timeout"))


@dataclass(frozen=True)
class Measured:
    seconds: float
    cpu_seconds: float
    start_mib: float
    peak_mib: float
    done: Comparison

    def __str__(self) -> str:
        kept = self.done.kept
        return (
            f"{self.done.matched:,} matched, differences {kept.opened} new and {kept.stayed} as before:"
            f" {self.seconds:.1f} s ({self.cpu_seconds:.1f} s of CPU in this process),"
            f" peak memory {self.peak_mib:.0f} MiB ({self.start_mib:.0f} MiB before the first)"
        )


def run_comparison(url: str) -> Measured:
    """To be run in a fresh process: the peak is that of the whole process."""
    before = _peak_mib()
    with engine_for(url) as engine:
        account = ProviderAccount("shop", "none", True, cast(Any, None))
        clock = FixedClock(NOW)
        numbers = NumberSource(lambda: int(clock.now().timestamp() * 1000))
        core = Core(OneDatabase(sessionmaker(engine)), Registry({"shop": account}), numbers, clock)
        started, cpu_before = time.perf_counter(), time.process_time()
        done = compare_account(core, account, DAY, DAY + timedelta(days=1))
        seconds, cpu = time.perf_counter() - started, time.process_time() - cpu_before
    return Measured(seconds, cpu, before, _peak_mib(), done)


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def compared(url: str) -> Measured:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(run_comparison, url).result()


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--lines", type=int, default=100_000)
    lines = options.parse_args().lines
    with databases.postgres_database() as url, engine_for(url) as engine:
        Base.metadata.create_all(engine)
        started = time.perf_counter()
        fill(engine, lines)
        print(f"{lines:,} lines, {2 * lines:,} facts: filled in {time.perf_counter() - started:.0f} s", flush=True)
        for _ in range(2):
            measured = compared(url)
            print(measured, flush=True)
            kept, every = measured.done.kept, 2 * len(range(1, lines, ONE_IN))
            if abs(kept.opened + kept.stayed - every) > 2:
                raise SystemExit(f"{every} differences should have been found")


if __name__ == "__main__":
    main()
