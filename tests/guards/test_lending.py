"""A database that a test borrows is as good as a new one, whatever the test before did to it."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from app.models.base import Base
from tests.support import databases
from tests.support.buyer import Buyer
from tests.support.lending import Lender, LentDatabase
from tests.support.world import build_world

pytestmark = pytest.mark.postgres

CHANGES = (
    "ALTER TABLE transfers DISABLE TRIGGER transfers_no_update",
    "DROP TRIGGER transfers_no_update ON transfers",
    "ALTER TABLE orders ALTER COLUMN user_id DROP NOT NULL",
    "ALTER TABLE orders SET (fillfactor = 50)",
    "DROP VIEW postings",
    "CREATE TABLE notes (words text)",
    "CREATE INDEX here ON orders (user_id)",
    "CREATE OR REPLACE FUNCTION tillbook_refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
    "UPDATE alembic_version SET version_num = '0001'",
    "GRANT SELECT ON orders TO PUBLIC",
    "SELECT lo_create(0)",
    "ANALYZE alembic_version",
    "ALTER SEQUENCE endpoints_id_seq INCREMENT 2",
    "ALTER DATABASE {name} SET TimeZone = 'Asia/Shanghai'",
    "ALTER TABLE orders RENAME TO gone",
)
"""What a test can do that is not about rows."""


@pytest.fixture
def lender(postgres_lender: Lender) -> Iterator[Lender]:
    """One that has a single database to lend, so that it is known which one comes next."""
    lender = Lender(postgres_lender.template)
    yield lender
    lender.close()


def _ask(url: str, statement: str) -> object:
    with psycopg.connect(url, autocommit=True) as connection:
        answer = connection.execute(statement)
        row = answer.fetchone() if answer.description else None
        return row and row[0]


def _number_of(url: str) -> object:
    return _ask(url, "SELECT oid::bigint FROM pg_database WHERE datname = current_database()")


def _filled_tables(url: str) -> set[str]:
    return {name for name in Base.metadata.tables if _ask(url, f"SELECT EXISTS (SELECT FROM {name})")}


def test_a_database_is_lent_again_without_its_rows_sequences_sessions_and_name(lender: Lender) -> None:
    with lender.lend() as url:
        first = _number_of(url)
        with databases.engine_for(url) as engine:
            buyer = Buyer(build_world(engine, databases.sessions_for(engine)))
            buyer.pay()
            buyer.spend(20)
        assert _filled_tables(url) >= {"accounts", "events", "lots", "orders", "transfers"}
        assert _ask(url, "SELECT nextval('endpoints_id_seq')") == 1
        left_open = psycopg.connect(url)
        left_open.execute("SELECT pg_advisory_lock(1)")
        left_open.execute("LOCK TABLE orders")
    with pytest.raises(psycopg.OperationalError):
        left_open.execute("SELECT 1")
    left_open.close()
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(url)
    with lender.lend() as again:
        assert _number_of(again) == first
        assert _filled_tables(again) == set()
        assert _ask(again, "SELECT nextval('endpoints_id_seq')") == 1


def test_a_database_in_which_anything_but_rows_has_changed_is_not_as_new(lender: Lender) -> None:
    name = databases.new_database(lender.template)
    try:
        for change in CHANGES:
            lent = LentDatabase(name)
            _ask(databases.url_of(name), change.format(name=name))
            assert not lent.is_as_new(), change
            name = lent.name
        unchanged = LentDatabase(name)
        assert unchanged.is_as_new()
        name = unchanged.name
    finally:
        databases.drop_database(name)


def test_what_is_not_as_new_is_lent_to_nobody_else(lender: Lender) -> None:
    with lender.lend() as url:
        number = _number_of(url)
        _ask(url, CHANGES[0])
    with lender.lend() as url:
        assert _number_of(url) != number


def test_two_databases_that_are_lent_at_once_are_two(lender: Lender) -> None:
    with lender.lend() as one, lender.lend() as other:
        assert _number_of(one) != _number_of(other)
