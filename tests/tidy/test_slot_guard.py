"""The guard that every test engine carries: user data is only touched with its slot named."""

from __future__ import annotations

import pytest

from app import models
from app.models.base import Base
from app.models.slot_guard import SLOTTED, SWEEPS, SlotMissing, check_statement, sweep

NOT_BY_USER = {"claims"}
"""Partitioned by the hash of their own reference; `slot` there only says whose it is."""

BY_TIME = {"ix_transfers_created_at", "ix_transfers_effective_at", "ix_facts_at", "ix_refunds_done_at"}
"""For sweeps over all slots by time. On PostgreSQL they hold two moments for each megabyte (docs/adr/0015)."""

BY_THEIR_NUMBER = {"ix_payments_theirs", "ix_refunds_theirs", "ix_agreements_theirs"}
"""For the sweeps that find a payment, or its refunds, of which only the provider's number is told (docs/adr/0030,
docs/adr/0037)."""

BY_POSITION = {"ix_deliveries_position"}
"""For the list of an endpoint's deliveries, in the order of the feed (docs/adr/0039)."""

BY_NUMBER = {
    *("ix_payments_order_id_attempt_slot", "ix_facts_payment_id", "ix_lots_payment"),
    "ix_orders_user_id_id",
}
"""What begins with a number that rises with time, or with a user, is as selective without the slot in front, and its
pages are full (docs/adr/0069)."""

LISTED = {"ix_orders_listed", "ix_refunds_listed", "ix_agreements_listed"}
"""For the lists of all users, which are sweeps over all slots by status and time."""

ALLOWED = [
    "SELECT id FROM orders WHERE slot = 1 AND id = 2",
    "SELECT id FROM orders WHERE orders.slot = %(slot)s",
    "SELECT id FROM orders WHERE slot IN (1, 2)",
    'SELECT id FROM "orders" WHERE "orders".slot = ?',
    "UPDATE payments SET status = 'paid' WHERE payments.slot = ?",
    "DELETE FROM facts WHERE slot=?",
    "INSERT INTO facts (slot, id) VALUES (?, ?)",
    "INSERT INTO facts (id, slot) VALUES (?, ?) ON CONFLICT DO NOTHING",
    "SELECT * FROM products",
    "SELECT 1",
    "SELECT /* sweep: due_payments */ id FROM payments WHERE next_query_at <= ?",
    "CREATE TABLE orders (slot INTEGER)",
    "PRAGMA foreign_keys=ON",
]
REFUSED = [
    "SELECT id FROM orders WHERE id = 2",
    "SELECT slot FROM orders WHERE id = 2",
    "SELECT id FROM orders ORDER BY slot",
    "UPDATE payments SET status = 'paid' WHERE id = ?",
    "DELETE FROM facts WHERE id = ?",
    "DELETE FROM facts",
    "INSERT INTO facts (id) VALUES (?)",
    "SELECT p.id FROM products JOIN payments p ON p.way = products.sku",
    "SELECT /* sweep: everything */ id FROM payments",
    "SELECT id FROM ONLY orders WHERE id = 1",
    "select id from orders where id = 1",
]


@pytest.mark.parametrize("statement", ALLOWED)
def test_statements_with_their_slot_pass(statement: str) -> None:
    check_statement(statement)


@pytest.mark.parametrize("statement", REFUSED)
def test_statements_without_their_slot_are_refused(statement: str) -> None:
    with pytest.raises(SlotMissing):
        check_statement(statement)


def test_only_named_sweeps_may_be_made() -> None:
    for name in SWEEPS:
        check_statement(f"SELECT {sweep(name)} id FROM orders")
    with pytest.raises(ValueError, match="no such sweep"):
        sweep("everything")


def test_the_guard_knows_every_table_that_has_a_slot() -> None:
    assert models
    tables = {name for name, table in Base.metadata.tables.items() if "slot" in table.columns}
    missing = tables - NOT_BY_USER - SLOTTED
    assert missing == set(), "put these into SLOTTED"


def test_in_every_such_table_the_slot_comes_first_in_keys_and_most_indexes() -> None:
    for name in SLOTTED & set(Base.metadata.tables):
        table = Base.metadata.tables[name]
        assert next(iter(table.primary_key.columns)).name == "slot", name
        for key in table.foreign_keys:
            assert next(iter(key.constraint.columns)).name == "slot", name  # type: ignore[union-attr]
        for index in (
            index
            for index in table.indexes
            if index.name not in BY_TIME | BY_THEIR_NUMBER | BY_POSITION | BY_NUMBER | LISTED
        ):
            partial = any(index.dialect_options[dialect]["where"] is not None for dialect in ("postgresql", "sqlite"))
            assert partial or next(iter(index.columns)).name == "slot", index.name
