"""The guard of the values: a statement is given one slot, and so is a transaction."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, Engine, bindparam, create_engine, select

from app.models.ledger import ACCOUNTS
from app.models.slot_watch import SlotsMixed, of_several_slots, watch_engine
from app.services.base.statements import Statement, Transaction

_A = ACCOUNTS.c
_BY_NAME = select(_A.id).where(_A.slot == bindparam("p_slot"))


@pytest.fixture
def connection() -> Iterator[Connection]:
    engine: Engine = create_engine("sqlite://")
    ACCOUNTS.create(engine)
    watch_engine(engine)
    with engine.connect() as made:
        yield made
    engine.dispose()


def test_a_statement_with_one_slot_passes_whoever_runs_it(connection: Connection) -> None:
    connection.execute(_BY_NAME, {"p_slot": 7})
    connection.execute(select(_A.id).where(_A.slot == 7))
    connection.exec_driver_sql("SELECT id FROM accounts WHERE slot = 7")
    assert Statement(_BY_NAME).rows(Transaction(connection), {"p_slot": 7}) == []


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT a.id FROM accounts a JOIN (VALUES (7)) AS w (slot) ON a.slot = w.slot",
        "SELECT id FROM accounts WHERE slot IN (1, 2)",
        "INSERT INTO accounts (slot, id) SELECT 7, id FROM accounts WHERE slot = 7",
        "WITH made AS (INSERT INTO accounts (slot) VALUES (7) RETURNING id) SELECT id FROM made",
        "UPDATE accounts SET slot = 8 WHERE slot = 7",
        "UPDATE accounts SET balance = random() WHERE slot = 7",
        "SELECT pg_advisory_xact_lock(1)",
        "INSERT INTO accounts (slot, id) VALUES (7, (SELECT max(id) FROM accounts))",
    ],
)
def test_statements_that_a_divided_engine_refuses_or_sends_everywhere_are_refused(
    connection: Connection, sql: str
) -> None:
    with pytest.raises(SlotsMixed):
        connection.exec_driver_sql(sql)


def test_a_list_of_slots_is_no_slot(connection: Connection) -> None:
    with pytest.raises(SlotsMixed):
        connection.execute(select(_A.id).where(_A.slot.in_([1, 2])))


def test_a_second_slot_in_a_transaction_is_refused_from_either_mechanism(connection: Connection) -> None:
    connection.execute(_BY_NAME, {"p_slot": 1})
    with pytest.raises(SlotsMixed, match="more than one slot in one transaction"):
        connection.execute(_BY_NAME, {"p_slot": 2})
    with pytest.raises(SlotsMixed, match="more than one slot in one transaction"):
        Statement(_BY_NAME).rows(Transaction(connection), {"p_slot": 2})


def test_the_next_transaction_may_be_of_another_slot_and_a_declared_one_of_several(connection: Connection) -> None:
    connection.execute(_BY_NAME, {"p_slot": 1})
    connection.rollback()
    connection.begin()
    of_several_slots(connection, "batch")
    connection.execute(_BY_NAME, {"p_slot": 2})
    connection.execute(_BY_NAME, {"p_slot": 3})
    connection.commit()
    connection.execute(_BY_NAME, {"p_slot": 4})
    with pytest.raises(SlotsMixed):  # the declaration ended with its transaction
        connection.execute(_BY_NAME, {"p_slot": 5})


def test_only_named_reasons_may_be_declared(connection: Connection) -> None:
    with pytest.raises(ValueError, match="no such reason"):
        of_several_slots(connection, "convenience")
