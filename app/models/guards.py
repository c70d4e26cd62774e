"""Triggers that refuse to change or delete what is written. No code depends on them: an engine may lack them.

Who moves slots to another database deletes what was copied there (`models.slot_fence.moving`). The migrations carry
their own copies of these texts, and a test compares the two.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Table, text

APPEND_ONLY = (
    "transfers",
    "refusals",
    "marks",
    "freezes",
    "grant_seals",
    "gift_parts",
    "gift_arrivals",
    "recall_answers",
)
IMMUTABLE_COLUMNS = {
    "accounts": ("slot", "id", "user_id", "code", "asset", "environment"),
    "lots": (
        "slot",
        "account_id",
        "version",
        "granted",
        "bonus",
        "expires_at",
        "payment",
        "product",
        "value_minor",
        "currency",
        "created_at",
    ),
    "holds": (
        "slot",
        "id",
        "account_id",
        "amount",
        "expires_at",
        "reference",
        "note",
        "actor",
        "created_at",
        "fingerprint",
        "limited",
    ),
}

_REFUSE = """\
CREATE OR REPLACE FUNCTION tillbook_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' AND current_setting('tillbook.moves_slots', true) = 'yes' THEN
    RETURN OLD;
  END IF;
  RAISE EXCEPTION 'the ledger is append-only: % on %', TG_OP, TG_TABLE_NAME
  USING ERRCODE = 'integrity_constraint_violation';
END $$"""


def guards_on_postgres(table: str) -> list[str]:
    """The triggers of a table on PostgreSQL."""
    columns = IMMUTABLE_COLUMNS.get(table)
    update = "UPDATE" if columns is None else f"UPDATE OF {', '.join(columns)}"
    when = (
        "" if columns is None else " WHEN (" + " OR ".join(f"OLD.{c} IS DISTINCT FROM NEW.{c}" for c in columns) + ")"
    )
    call = "EXECUTE FUNCTION tillbook_refuse()"
    return [
        f"CREATE TRIGGER {table}_no_update BEFORE {update} ON {table} FOR EACH ROW{when} {call}",
        f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} FOR EACH ROW {call}",
        f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} FOR EACH STATEMENT {call}",
    ]


def guards_on_sqlite(table: str) -> list[str]:
    """The triggers of a table on SQLite."""
    columns = IMMUTABLE_COLUMNS.get(table)
    update = "UPDATE" if columns is None else f"UPDATE OF {', '.join(columns)}"
    when = "" if columns is None else " WHEN " + " OR ".join(f"OLD.{c} IS NOT NEW.{c}" for c in columns)
    body = "BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END"
    return [
        f"CREATE TRIGGER {table}_no_update BEFORE {update} ON {table}{when} {body}",
        f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} {body}",
    ]


def guard(table: Table, connection: Connection, **_: Any) -> None:
    """Runs after CREATE TABLE of each guarded table. Engines other than these two have the CHECK constraints only."""
    statements: list[str] = []
    if connection.dialect.name == "sqlite":
        statements = guards_on_sqlite(table.name)
    elif connection.dialect.name == "postgresql":
        statements = [_REFUSE, *guards_on_postgres(table.name)]
    for statement in statements:
        connection.execute(text(statement))
