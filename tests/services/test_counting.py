"""Transfers are found by time through their index, so that an hour costs the same in a large history."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine, text

from app.services.base.transaction import Sessions, read
from app.services.ledger import counting
from tests.services.checkpoint_world import HOUR, START

MANY = 20_000
FILL = f"""/* sweep: audit */
INSERT INTO transfers (slot, version, id, book_id, debit_id, credit_id, amount, balance, lot, created_at, hash, kind,
                       reference, note, actor)
SELECT n % 4096, n + 1, gen_random_uuid(), 1, 1, 2, 1, 1, 0, timestamptz '2026-03-01' + n * interval '1 minute',
       sha256('x'), 'spend', 'a reference of some length', '', ''
FROM generate_series(0, {MANY - 1}) AS n"""
ONE_HOUR = {"p_start": START + 200 * HOUR, "p_end": START + 201 * HOUR}


@pytest.mark.parametrize("database_url", [pytest.param("postgresql", marks=pytest.mark.postgres)], indirect=True)
@pytest.mark.parametrize("statement", [counting._SUMS, counting._ANY], ids=["sums", "anything"])
def test_postgresql_uses_the_index_of_page_ranges(engine: Engine, sessions: Sessions, statement: object) -> None:
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("SET session_replication_role = replica"))  # no accounts are needed here
        connection.execute(text(FILL))
        connection.execute(text("VACUUM ANALYZE transfers"))  # autovacuum does so by and by
        connection.execute(text("SET session_replication_role = DEFAULT"))
        sql = statement.compile(dialect=engine.dialect).string  # type: ignore[attr-defined]
        plan = "\n".join(connection.exec_driver_sql(f"EXPLAIN {sql}", ONE_HOUR).scalars())
        size = connection.execute(text("SELECT pg_relation_size('ix_transfers_created_at')")).scalar_one()
    assert "Bitmap Index Scan on ix_transfers_created_at" in plan
    assert "Seq Scan on transfers" not in plan
    assert size <= 5 * 8192
    assert read(sessions, lambda s: counting._next_busy(s, START, counting.FOREVER)) == START


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("statement", [counting._SUMS, counting._ANY], ids=["sums", "anything"])
def test_sqlite_uses_its_plain_index(engine: Engine, statement: object) -> None:
    with engine.connect() as connection:
        sql = f"EXPLAIN QUERY PLAN {statement}".replace(":p_start", "?").replace(":p_end", "?")
        values = ("2026-03-01", "2026-03-02") * (sql.count("?") // 2)
        plan = "\n".join(str(row) for row in connection.exec_driver_sql(sql, values))
    assert "USING INDEX ix_transfers_created_at" in plan or "COVERING INDEX ix_transfers_created_at" in plan
    assert "SCAN transfers" not in plan
