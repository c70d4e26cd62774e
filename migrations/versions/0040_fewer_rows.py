"""fewer rows: a transfer lists the lots that it used; indexes on what rises with time begin with it

The rows of `lot_uses` go into their transfers, and the table is dropped: a process of an older version cannot go on
beside this one. Five indexes are built anew. Whoever writes waits meanwhile (docs/adr/0069 says how long).
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0040"
down_revision = "0039"
branch_labels = None
depends_on = None

ASKED_FOR = {"postgresql_where": sa.text("request IS NOT NULL"), "sqlite_where": sa.text("request IS NOT NULL")}
OF_PURCHASES = {"postgresql_where": sa.text("payment <> ''"), "sqlite_where": sa.text("payment <> ''")}
# A row has one use and may list more; rows of before 2026-11-29 have one each, and `position` is their order.
PAIRS = """
'[' || lot || ', ' || amount || ']' || CASE WHEN coalesce(CAST(more AS TEXT), '[]') = '[]' THEN ''
  ELSE ', ' || substr(CAST(more AS TEXT), 2, length(CAST(more AS TEXT)) - 2) END"""
ON_POSTGRES = f"""
UPDATE /* sweep: operator */ transfers SET uses = used.pairs FROM (
  SELECT slot, account_id, version, CAST('[' || string_agg({PAIRS}, ', ' ORDER BY position) || ']' AS json) AS pairs
  FROM lot_uses GROUP BY slot, account_id, version) used
WHERE transfers.slot = used.slot AND transfers.book_id = used.account_id AND transfers.version = used.version"""  # noqa: S608 - constants
ON_SQLITE = f"""
UPDATE /* sweep: operator */ transfers SET uses = used.pairs FROM (
  SELECT slot, account_id, version, '[' || group_concat(pairs, ', ') || ']' AS pairs
  FROM (SELECT slot, account_id, version, {PAIRS} AS pairs FROM lot_uses ORDER BY slot, account_id, version, position)
  GROUP BY slot, account_id, version) used
WHERE transfers.slot = used.slot AND transfers.book_id = used.account_id AND transfers.version = used.version"""  # noqa: S608 - constants
BACK_ON_POSTGRES = """
INSERT INTO /* sweep: operator */ lot_uses (slot, account_id, version, lot, position, amount, more)
SELECT slot, book_id, version, CAST(uses->0->>0 AS bigint), 0, CAST(uses->0->>1 AS bigint),
  CAST(CAST(uses AS jsonb) - 0 AS json) FROM transfers WHERE uses IS NOT NULL"""
BACK_ON_SQLITE = """
INSERT INTO /* sweep: operator */ lot_uses (slot, account_id, version, lot, position, amount, more)
SELECT slot, book_id, version, json_extract(uses, '$[0][0]'), 0, json_extract(uses, '$[0][1]'),
  json_remove(uses, '$[0]') FROM transfers WHERE uses IS NOT NULL"""


def upgrade() -> None:
    op.add_column("transfers", sa.Column("uses", sa.JSON(none_as_null=True), nullable=True))
    _unguard("transfers", "no_update")
    op.execute(ON_POSTGRES if _is_postgres() else ON_SQLITE)
    _guard("transfers", "no_update")
    op.drop_table("lot_uses")
    op.drop_index("ix_payments_slot_order_id_attempt", "payments")
    op.create_index("ix_payments_order_id_attempt_slot", "payments", ["order_id", "attempt", "slot"], unique=True)
    op.drop_index("ix_payments_slot_request", "payments")
    op.create_index("ix_payments_slot_request", "payments", ["slot", "request"], unique=True, **ASKED_FOR)
    op.drop_index("ix_facts_slot_payment_id", "facts")
    op.create_index("ix_facts_payment_id", "facts", ["payment_id"])
    op.drop_index("ix_orders_slot_user_id_id", "orders")
    op.create_index("ix_orders_user_id_id", "orders", ["user_id", "id"])
    op.drop_index("ix_lots_slot_payment", "lots")
    op.create_index("ix_lots_payment", "lots", ["payment"], **OF_PURCHASES)


def downgrade() -> None:
    op.drop_index("ix_lots_payment", "lots")
    op.create_index("ix_lots_slot_payment", "lots", ["slot", "payment"], **OF_PURCHASES)
    op.drop_index("ix_orders_user_id_id", "orders")
    op.create_index("ix_orders_slot_user_id_id", "orders", ["slot", "user_id", "id"])
    op.drop_index("ix_facts_payment_id", "facts")
    op.create_index("ix_facts_slot_payment_id", "facts", ["slot", "payment_id"])
    op.drop_index("ix_payments_slot_request", "payments")
    op.create_index("ix_payments_slot_request", "payments", ["slot", "request"], unique=True)
    op.drop_index("ix_payments_order_id_attempt_slot", "payments")
    op.create_index("ix_payments_slot_order_id_attempt", "payments", ["slot", "order_id", "attempt"], unique=True)
    _make_lot_uses()
    op.execute(BACK_ON_POSTGRES if _is_postgres() else BACK_ON_SQLITE)
    op.drop_column("transfers", "uses")


def _make_lot_uses() -> None:
    op.create_table(
        "lot_uses",
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("lot", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.SmallInteger(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("more", sa.JSON(none_as_null=True), nullable=True),
        sa.CheckConstraint("amount > 0", name=op.f("ck_lot_uses_amount")),
        sa.ForeignKeyConstraint(
            ["slot", "account_id", "lot"],
            ["lots.slot", "lots.account_id", "lots.version"],
            name=op.f("fk_lot_uses_slot_account_id_lot_lots"),
        ),
        sa.ForeignKeyConstraint(
            ["slot", "account_id", "version"],
            ["transfers.slot", "transfers.book_id", "transfers.version"],
            name=op.f("fk_lot_uses_slot_account_id_version_transfers"),
        ),
        sa.PrimaryKeyConstraint("slot", "account_id", "version", "lot", name=op.f("pk_lot_uses")),
    )
    for refused in ("no_update", "no_delete", *(["no_truncate"] if _is_postgres() else [])):
        _guard("lot_uses", refused)


def _is_postgres() -> bool:
    return op.get_bind().dialect.name == "postgresql"


def _unguard(table: str, refused: str) -> None:
    op.execute(f"DROP TRIGGER {table}_{refused} ON {table}" if _is_postgres() else f"DROP TRIGGER {table}_{refused}")


def _guard(table: str, refused: str) -> None:
    """As `app.models.guards` has it."""
    when = f"{table}_{refused} BEFORE {refused.removeprefix('no_').upper()} ON {table}"
    if _is_postgres():
        each = "STATEMENT" if refused == "no_truncate" else "ROW"
        op.execute(f"CREATE TRIGGER {when} FOR EACH {each} EXECUTE FUNCTION tillbook_refuse()")
    else:
        op.execute(f"CREATE TRIGGER {when} BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END")
