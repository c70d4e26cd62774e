"""How long reports of many rows take, and in how much memory: `python -m bench.report_files --rows 1000000`.

The rows are made in SQL, in a PostgreSQL of the pip package, as the service would have left them: so many payments that
went back, over three months, and so many figures of recognised revenue. Each report is then drawn and written by the
code of `tillbook report`, as CSV and as a workbook, each time in a process of its own. `refunds` and `revenue` have a
line for each row; `sales` and `journal` read as many and add them up.
"""

from __future__ import annotations

import argparse
import contextlib
import resource
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path

from sqlalchemy import Engine, create_engine, text
from sqlalchemy.orm import sessionmaker

from app.domain.accounting_time import Span
from app.domain.numbers import NumberSource
from app.domain.report_tables import ReportTable
from app.models.base import Base
from app.models.engine import engine_options, prepare
from app.providers.registry import Registry
from app.providers.testing.doubles import FixedClock
from app.services.base.context import Core
from app.services.base.databases import OneDatabase
from app.services.reports.catalogue import ReportWanted, draw_report
from app.services.reports.files import ReportFormat, csv_lines, write_workbook
from tests.support import databases

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
DAYS = 90
NOW = BEGIN + timedelta(days=DAYS + 10)
NAMES = ("refunds", "revenue", "sales", "journal")
_ORDER, _PAYMENT = "((n::bigint + 1000) << 12) | (n % 4096)", "((n::bigint + 5000000) << 12) | (n % 4096)"
_AT = f"CAST(:begin AS timestamptz) + n * (interval '{DAYS} days' / CAST(:rows AS integer))"
_EACH = "FROM generate_series(0, CAST(:rows AS integer) - 1) n"
_UUID = "CAST(substr(md5({name} || n), 1, 29) || lpad(to_hex(n % 4096), 3, '0') AS uuid)"
_SALE, _BACK = _UUID.format(name="'sale'"), _UUID.format(name="'back'")
_ACCOUNTS = """
INSERT INTO accounts (slot, id, user_id, code, asset, environment, frozen, balance, held, floor, version, changed_us,
  open_lot, open_left, open_rank, open_order, day, day_spent, month, month_spent, head, marks)
SELECT slot, (place << 12) | slot, '', code, 'CNY', 'live', false, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, ''::bytea, 0
FROM generate_series(0, 4095) slot, (VALUES (1, 'clearing:shop'), (2, 'sales'), (3, 'journal')) kinds (place, code)"""
_ORDERS = f"""
INSERT INTO orders (slot, id, user_id, environment, sku, title, quantity, amount_minor, currency, grants, fulfilment,
  status, paid_payment_id, created_at, expires_at, paid_at)
SELECT n % 4096, {_ORDER}, 'user-' || n, 'live', 'coins-' || n % 50, 'Coins', 1, 600, 'CNY', '[]', 'wallet', 'paid',
  {_PAYMENT}, {_AT}, {_AT}, {_AT} {_EACH}"""
_PAYMENTS = f"""
INSERT INTO payments (slot, id, order_id, attempt, provider_account, way, status, theirs, intent, problem, created_at,
  expires_at, paid_at, queries)
SELECT n % 4096, {_PAYMENT}, {_ORDER}, 1, 'shop', 'page', 'paid', '2026' || md5(n::text), '{{}}', '', {_AT}, {_AT},
  {_AT}, 0 {_EACH}"""
_TRANSFERS = f"""
INSERT INTO transfers (slot, version, id, book_id, debit_id, credit_id, amount, balance, lot, created_at, cause_id,
  hash, kind, reference, note, actor)
SELECT n % 4096, 2 * (n / 4096) + {{version}}, {{id}}, (3 << 12) | n % 4096, ({{debit}} << 12) | n % 4096,
  ({{credit}} << 12) | n % 4096, 600, 0, 0, {_AT} + interval '{{version}} hours', {{cause}}, ''::bytea, '{{kind}}',
  {{reference}}, '', '' {_EACH}"""
_SOLD = _TRANSFERS.format(
    version=1, id=_SALE, debit=1, credit=2, cause="NULL", kind="payment", reference=f"({_PAYMENT})::text"
)
_RETURNED = _TRANSFERS.format(
    version=2, id=_BACK, debit=2, credit=1, cause=_SALE, kind="refund", reference=f"({_PAYMENT})::text"
)
_FIGURES = f"""
INSERT INTO recognition_figures (booked_until, day, environment, currency, asset, product, sale_month, movement, coins,
  value_minor)
SELECT CAST(:begin AS timestamptz) + (n % {DAYS} + 1) * interval '1 day', DATE '2026-01-01' + n % {DAYS}, 'live', 'CNY',
  'coin', 'coins-' || n / {DAYS}, '2026-01', 'used', -10, -100 {_EACH}"""
_PROGRESS = "INSERT INTO recognition_progress (id, booked_until, rules) VALUES (1, :until, '{}')"


@contextlib.contextmanager
def engine_for(url: str) -> Iterator[Engine]:
    made = prepare(create_engine(url, **engine_options(url)), durable=False)
    try:
        yield made
    finally:
        made.dispose()


def fill(engine: Engine, rows: int) -> None:
    with engine.begin() as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        connection.execute(text(_ACCOUNTS))
        for statement in (_ORDERS, _PAYMENTS, _SOLD, _RETURNED, _FIGURES):
            given = {"begin": BEGIN, "rows": rows}
            wanted = text(statement)
            connection.execute(wanted, {name: given[name] for name in wanted.compile().params})
        connection.execute(text(_PROGRESS), {"until": BEGIN + timedelta(days=DAYS + 5)})
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("SET statement_timeout = 0"))
        connection.execute(text("VACUUM ANALYZE"))
        connection.execute(text("RESET statement_timeout"))


@dataclass(frozen=True)
class Written:
    seconds: float
    peak_mib: float
    lines: int
    mib: float

    def __str__(self) -> str:
        return f"{self.lines:,} lines, {self.mib:.0f} MiB: {self.seconds:.0f} s, peak memory {self.peak_mib:.0f} MiB"


def write_report(url: str, name: str, form: ReportFormat, folder: Path) -> Written:
    """To be run in a fresh process: the peak is that of the whole process."""
    file, count = folder / f"{name}.{form}", 0
    span = Span(BEGIN, BEGIN + timedelta(days=DAYS))
    with engine_for(url) as engine:
        clock = FixedClock(NOW)
        core = Core(
            OneDatabase(sessionmaker(engine)), Registry({}), NumberSource(lambda: int(NOW.timestamp() * 1000)), clock
        )

        def write(table: ReportTable) -> int:
            if form is ReportFormat.XLSX:
                return write_workbook(table, file, UTC)
            lines = 0
            with file.open("w", encoding="utf-8", newline="") as stream:
                for line in csv_lines(table):
                    stream.write(line)
                    lines += 1
            return lines - 1

        started = time.perf_counter()
        count = core.whole.read(lambda tx: write(draw_report(tx, name, ReportWanted(span))), snapshot=True)
        seconds = time.perf_counter() - started
    size = file.stat().st_size / 2**20
    file.unlink()
    return Written(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, count, size)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rows", type=int, default=100_000)
    options.add_argument("--reports", default=",".join(NAMES), help="Some of them, with commas between.")
    given = options.parse_args()
    with databases.postgres_database() as url, engine_for(url) as engine, tempfile.TemporaryDirectory() as folder:
        Base.metadata.create_all(engine)
        started = time.perf_counter()
        fill(engine, given.rows)
        print(f"{given.rows:,} rows: filled in {time.perf_counter() - started:.0f} s", flush=True)
        for name in given.reports.split(","):
            for form in ReportFormat:
                with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
                    written = pool.submit(write_report, url, name, form, Path(folder)).result()
                print(f"{name} as {form}: {written}", flush=True)


if __name__ == "__main__":
    main()
