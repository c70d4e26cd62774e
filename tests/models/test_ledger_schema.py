"""The migration makes what the models say, guards included; and the guards hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, inspect, text
from sqlalchemy.exc import DBAPIError

from app.models import schema
from app.models.base import Base
from app.models.guards import APPEND_ONLY, IMMUTABLE_COLUMNS
from tests.support import databases

TABLES = (
    "accounts",
    "transfers",
    "lots",
    "holds",
    "refusals",
    "marks",
    "freezes",
    "grant_seals",
    "gift_parts",
    "gift_arrivals",
    "recall_answers",
)
OBJECTS = {
    "sqlite": "SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL",
    "postgresql": (
        "SELECT 'trigger' AS type, tgname, pg_get_triggerdef(t.oid) FROM pg_trigger t WHERE NOT tgisinternal "
        "UNION ALL SELECT 'view', viewname, definition FROM pg_views WHERE schemaname = 'public' "
        "UNION ALL SELECT 'index', indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' "
        "UNION ALL SELECT 'function', proname, prosrc FROM pg_proc WHERE proname = 'tillbook_refuse' "
        "UNION ALL SELECT 'constraint', conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE contype <> 'n'"
    ),
}


def _facts(engine: Engine) -> dict[str, Any]:
    """Everything about the ledger that the catalogue knows."""
    inspector = inspect(engine)
    columns = {
        table: [(c["name"], str(c["type"]), c["nullable"]) for c in inspector.get_columns(table)] for table in TABLES
    }
    with engine.connect() as connection:
        rows = connection.execute(text("/* sweep: audit */ " + OBJECTS[engine.dialect.name])).all()
    wanted = [row for row in rows if any(table in f"{row[1]} {row[2]}" for table in (*TABLES, "postings", "tillbook"))]
    others = [(kind, name, " ".join(sql.replace('"', "").split())) for kind, name, sql in wanted if kind != "table"]
    checks = {table: sorted(c["sqltext"] for c in inspector.get_check_constraints(table)) for table in TABLES}
    keys = {table: sorted(str(key) for key in inspector.get_foreign_keys(table)) for table in TABLES}
    return {"columns": columns, "objects": sorted(others), "checks": checks, "keys": keys}


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def test_the_migration_makes_the_schema_of_the_models(kind: str, tmp_path: Path) -> None:
    if kind == "sqlite":
        urls = [f"sqlite:///{tmp_path}/{name}.sqlite3" for name in ("migrated", "modelled")]
        _compare(*urls)
        return
    with databases.postgres_database() as migrated, databases.postgres_database() as modelled:
        _compare(migrated, modelled)


def _compare(migrated: str, modelled: str) -> None:
    with databases.engine_for(migrated) as left, databases.engine_for(modelled) as right:
        schema.migrate(left)
        Base.metadata.create_all(right)
        assert _facts(left) == _facts(right)


def test_the_migration_can_be_undone(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path}/x.sqlite3")
    schema.migrate(engine)
    with engine.begin() as connection:
        from alembic import command

        command.downgrade(schema._config(connection), "0001")
    assert not set(TABLES) & set(inspect(engine).get_table_names())
    engine.dispose()


EDITS = [
    "UPDATE transfers SET amount = 1 WHERE slot = 1",
    "UPDATE transfers SET note = 'x' WHERE slot = 1",
    "DELETE FROM transfers WHERE slot = 1",
    "UPDATE transfers SET uses = NULL WHERE slot = 1",
    "UPDATE refusals SET code = 'x' WHERE slot = 1",
    "DELETE FROM refusals WHERE slot = 1",
    "UPDATE gift_arrivals SET amount = 1 WHERE slot = 1",
    "DELETE FROM gift_arrivals WHERE slot = 1",
    "UPDATE recall_answers SET taken = 1 WHERE slot = 1",
    "DELETE FROM recall_answers WHERE slot = 1",
    "UPDATE lots SET granted = granted + 1 WHERE slot = 1",
    "UPDATE lots SET expires_at = NULL WHERE slot = 1",
    "DELETE FROM lots WHERE slot = 1",
    "UPDATE accounts SET user_id = 'me' WHERE slot = 1",
    "DELETE FROM accounts WHERE slot = 1",
    "UPDATE holds SET amount = amount + 1 WHERE slot = 1",
    "DELETE FROM holds WHERE slot = 1",
    "UPDATE holds SET note = 'x' WHERE slot = 1",
    "UPDATE marks SET amount = 1 WHERE slot = 1",
    "DELETE FROM marks WHERE slot = 1",
    "UPDATE freezes SET actor = 'x' WHERE slot = 1",
    "DELETE FROM freezes WHERE slot = 1",
]


def test_every_table_of_the_books_has_its_guards() -> None:
    assert set(APPEND_ONLY) | set(IMMUTABLE_COLUMNS) == set(TABLES)


def test_the_database_itself_refuses_to_change_what_is_written(engine: Engine, one_of_each: None) -> None:
    for edit in EDITS:
        with pytest.raises(DBAPIError, match="append-only"), engine.begin() as connection:
            connection.execute(text(edit))


@pytest.mark.postgres
def test_postgresql_refuses_to_truncate() -> None:
    with databases.postgres_database() as url, databases.engine_for(url) as engine:
        Base.metadata.create_all(engine)
        for table in TABLES:
            with pytest.raises(DBAPIError, match="append-only"), engine.begin() as connection:
                connection.execute(text(f"TRUNCATE {table} CASCADE"))


@pytest.fixture
def one_of_each(engine: Engine) -> None:
    """A row in every table, all in slot 1."""
    when, number = "2026-01-01 00:00:00.000000", 4096 + 1
    uid = "00000000000080008000000000000001"
    blob = "sha256('x')" if engine.dialect.name == "postgresql" else "x'00'"
    rows = [
        f"INSERT INTO accounts VALUES (1, {number}, 'u', 'wallet', 'coin', 'live', {_false(engine)}, "
        f"3, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, {blob}, 1, {blob}, 0)",
        f"INSERT INTO transfers VALUES (1, 1, '{uid}', {number}, 5, {number}, 3, 3, 1, '{when}', NULL, {blob}, "
        "'grant', '', '', '', NULL, '[[1, 1], [2, 2]]')",
        f"INSERT INTO lots VALUES (1, {number}, 1, 3, 3, {_false(engine)}, '{when}', '', '', 0, '', '{when}')",
        f"INSERT INTO holds VALUES (1, '{uid}', {number}, 1, 0, 0, 'open', '{when}', '', '', '', '{when}', {blob}, "
        f"{_false(engine)})",
        f"INSERT INTO refusals VALUES (1, '{uid}', {blob}, 'x', '{{}}', '{when}')",
        f"INSERT INTO marks VALUES (1, {number}, 1, 'refused', '{uid}', 0, '{when}', {blob}, {blob})",
        f"INSERT INTO freezes VALUES (1, {number}, 'u', NULL, 'live', {_false(engine)}, 'r', 'a', NULL, '{when}', "
        "NULL)",
        f"INSERT INTO gift_arrivals VALUES (1, {number}, 'g', 'r', 'coin', 'live', 5, '', '', {_false(engine)}, "
        f"'frozen', '{when}', '{when}')",
        f"INSERT INTO recall_answers VALUES (1, {number}, {number}, 1, 'coin', 'live', 0, '[]', '{when}')",
    ]
    with engine.begin() as connection:
        for row in rows:
            connection.exec_driver_sql(row.replace("INSERT INTO", "/* sweep: audit */ INSERT INTO"))


def _false(engine: Engine) -> str:
    return "false" if engine.dialect.name == "postgresql" else "0"
