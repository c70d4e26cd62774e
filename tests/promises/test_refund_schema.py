"""The migration makes the tables of refunds and freezes that the models say, and the database keeps their promises."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine, inspect, text
from sqlalchemy.exc import IntegrityError

from app.models import schema
from app.models.base import Base
from tests.support import databases
from tests.support.buyer import Buyer
from tests.support.world import World

pytestmark = pytest.mark.one_database

TABLES = ("refunds", "freezes")


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def test_the_migration_makes_the_tables_of_the_models(kind: str, tmp_path: Path) -> None:
    if kind == "sqlite":
        _compare(f"sqlite:///{tmp_path}/migrated.sqlite3", f"sqlite:///{tmp_path}/modelled.sqlite3")
        return
    with databases.postgres_database() as migrated, databases.postgres_database() as modelled:
        _compare(migrated, modelled)


def _compare(migrated: str, modelled: str) -> None:
    with databases.engine_for(migrated) as left, databases.engine_for(modelled) as right:
        schema.migrate(left)
        Base.metadata.create_all(right)
        with left.connect() as connection:
            context = MigrationContext.configure(connection, opts={"compare_type": databases.type_differs})
            found = compare_metadata(context, Base.metadata)
        assert [change for change in found if any(table in str(change) for table in (*TABLES, "facts"))] == []
        assert _checks(left) == _checks(right)
        assert _indexes(left) == _indexes(right)


def _checks(engine: Engine) -> dict[str, Any]:
    inspector = inspect(engine)
    return {
        table: sorted((c["name"], c["sqltext"]) for c in inspector.get_check_constraints(table)) for table in TABLES
    }


def _indexes(engine: Engine) -> list[tuple[str, str]]:
    """Partial ones with their conditions."""
    catalogue = {
        "sqlite": "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL",
        "postgresql": "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'",
    }
    with engine.connect() as connection:
        rows = connection.execute(text("/* sweep: audit */ " + catalogue[engine.dialect.name]))
        named = [(row[0], " ".join(row[1].replace('"', "").split())) for row in rows]
    return sorted(row for row in named if any(table in row[0] for table in (*TABLES, "ix_facts_slot_waiting")))


@pytest.mark.parametrize(
    "change",
    [
        "amount_minor = 0",
        "currency = NULL",
        "status = 'lost'",
        "status = 'declined'",  # and yet due
        "undone_minor = NULL",
        "next_query_at = NULL",  # open, and yet not due
        "number_there = 'x'",  # numbered by both sides
        "policy = 'perhaps'",
        "payment_id = payment_id + 4096",
    ],
)
def test_the_database_refuses_a_refund_that_cannot_be(world: World, change: str) -> None:
    buyer = Buyer(world)
    buyer.pay()
    refund = buyer.ask(100)
    statement = text(f"UPDATE refunds SET {change} WHERE slot = :slot AND id = :id")
    with world.core.whole.sessions() as session, pytest.raises(IntegrityError):
        session.execute(statement, {"slot": buyer.slot, "id": refund})
