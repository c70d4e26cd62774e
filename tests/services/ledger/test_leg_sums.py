"""Transfers are found by time through their index, so that a day costs the same in a large history."""

from __future__ import annotations

import itertools
from datetime import timedelta

import pytest
from sqlalchemy import Engine, event, text

from app.services.base.transaction import Sessions, read
from app.services.ledger import leg_sums
from tests.support.books import DAY, HOUR, START, Books

MANY = 20_000
FILL = f"""/* sweep: audit */
INSERT INTO transfers (slot, version, id, book_id, debit_id, credit_id, amount, balance, lot, created_at, hash, kind,
                       reference, note, actor, effective_at)
SELECT n % 4096, n + 1, gen_random_uuid(), 1, 1, 2, 1, 1, 0, timestamptz '2026-03-01' + n * interval '1 minute',
       sha256('x'), 'payment', 'a reference of some length', '', '',
       timestamptz '2026-03-01' + n * interval '59 seconds'
FROM generate_series(0, {MANY - 1}) AS n"""
ONE_HOUR = {"p_start": START + 200 * HOUR, "p_end": START + 201 * HOUR}
BEFORE = {"p_since": START, "p_until": START + 200 * HOUR}


@pytest.mark.parametrize("database_url", [pytest.param("postgresql", marks=pytest.mark.postgres)], indirect=True)
@pytest.mark.parametrize(
    ("statement", "index"),
    [(leg_sums._SUMS, "created_at"), (leg_sums._ANY, "created_at"), (leg_sums._LATE_SUMS, "effective_at")],
    ids=["sums", "anything", "late"],
)
def test_postgresql_uses_the_index_of_page_ranges(
    engine: Engine, sessions: Sessions, statement: object, index: str
) -> None:
    later = {"p_start": START + 200 * HOUR, "p_end": START + 270 * DAY}
    span = ONE_HOUR if index == "created_at" else {**BEFORE, **later}
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("SET session_replication_role = replica"))  # no accounts are needed here
        connection.execute(text(FILL))
        connection.execute(text("VACUUM ANALYZE transfers"))  # autovacuum does so by and by
        connection.execute(text("SET session_replication_role = DEFAULT"))
        sql = statement.compile(dialect=engine.dialect).string  # type: ignore[attr-defined]
        plan = "\n".join(connection.exec_driver_sql(f"EXPLAIN {sql}", span).scalars())
        size = connection.execute(text(f"SELECT pg_relation_size('ix_transfers_{index}')")).scalar_one()
    assert f"Bitmap Index Scan on ix_transfers_{index}" in plan
    assert "Seq Scan on transfers" not in plan
    assert size <= 5 * 8192
    first = read(sessions, lambda s: next(leg_sums.busy_days(s, leg_sums.EPOCH, leg_sums.FOREVER)))
    assert first == (START, START + DAY)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("statement", [leg_sums._SUMS, leg_sums._ANY], ids=["sums", "anything"])
def test_sqlite_uses_its_plain_index(engine: Engine, statement: object) -> None:
    with engine.connect() as connection:
        sql = f"EXPLAIN QUERY PLAN {statement}".replace(":p_start", "?").replace(":p_end", "?")
        values = ("2026-03-01", "2026-03-02") * (sql.count("?") // 2)
        plan = "\n".join(str(row) for row in connection.exec_driver_sql(sql, values))
    assert "USING INDEX ix_transfers_created_at" in plan or "COVERING INDEX ix_transfers_created_at" in plan
    assert "SCAN transfers" not in plan


@pytest.mark.parametrize(("seconds", "statements"), [(0.1, 3), (5.0, 6)], ids=["quick", "slow"])
def test_a_quiet_day_takes_few_statements_and_a_busy_day_more(
    engine: Engine, sessions: Sessions, seconds: float, statements: int
) -> None:
    books, sent, clock = Books(sessions), [], itertools.count(0, seconds)
    for hours in range(26):
        books.issue(1 + hours, START + hours * HOUR)

    def note(_c: object, _cursor: object, statement: str, *_: object) -> None:
        sent.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    found = read(sessions, lambda s: leg_sums.sums_between(s, START, START + DAY, clock=lambda: next(clock)))
    event.remove(engine, "before_cursor_execute", note)
    assert found == books.naive(START + DAY - timedelta(microseconds=1))
    assert len([one for one in sent if "sweep" in one]) == statements
