"""the ledger: accounts, transfers (and the view postings), lots, holds, refusals

Written by hand, like every text in it: what a migration did must not change with the models. A test compares the
schema that the migrations make with the one that the models make, triggers and view included.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from app.models.base import Moment

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

IMMUTABLE = {
    "transfers": "",
    "lot_uses": "",
    "refusals": "",
    "accounts": "slot, id, user_id, code, asset, environment",
    "lots": (
        "slot, account_id, version, granted, bonus, expires_at, payment, product, value_minor, currency, created_at"
    ),
    "holds": "slot, id, account_id, amount, expires_at, reference, created_at, fingerprint",
}
"""Tables that refuse DELETE, and the columns that refuse UPDATE (none named: all)."""

POSTINGS = """\
CREATE VIEW postings AS
SELECT slot, id AS transfer_id, debit_id AS account_id, -amount AS amount, kind, reference, created_at,
       CASE WHEN book_id = debit_id THEN version END AS version,
       CASE WHEN book_id = debit_id THEN balance END AS balance
FROM transfers
UNION ALL
SELECT slot, id, credit_id, amount, kind, reference, created_at,
       CASE WHEN book_id = credit_id THEN version END,
       CASE WHEN book_id = credit_id THEN balance END
FROM transfers"""

REFUSE = """\
CREATE OR REPLACE FUNCTION tillbook_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the ledger is append-only: % on %', TG_OP, TG_TABLE_NAME
  USING ERRCODE = 'integrity_constraint_violation';
END $$"""


def upgrade() -> None:
    op.create_table(
        "accounts",
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("user_id", sa.String(length=128), nullable=False),
        sa.Column("code", sa.String(length=80), nullable=False),
        sa.Column("asset", sa.String(length=16), nullable=False),
        sa.Column("environment", sa.String(length=8), nullable=False),
        sa.Column("frozen", sa.Boolean(), nullable=False),
        sa.Column("balance", sa.BigInteger(), nullable=False),
        sa.Column("held", sa.BigInteger(), nullable=False),
        sa.Column("floor", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("changed_us", sa.BigInteger(), nullable=False),
        sa.Column("open_lot", sa.BigInteger(), nullable=False),
        sa.Column("open_left", sa.BigInteger(), nullable=False),
        sa.Column("open_rank", sa.BigInteger(), nullable=False),
        sa.Column("open_order", sa.SmallInteger(), nullable=False),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("day_spent", sa.BigInteger(), nullable=False),
        sa.Column("month", sa.Integer(), nullable=False),
        sa.Column("month_spent", sa.BigInteger(), nullable=False),
        sa.Column("head", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("balance - held >= floor", name=op.f("ck_accounts_above_floor")),
        sa.CheckConstraint("floor <= 0", name=op.f("ck_accounts_floor")),
        sa.CheckConstraint("held >= 0", name=op.f("ck_accounts_held")),
        sa.CheckConstraint("open_left >= 0", name=op.f("ck_accounts_open_left")),
        sa.CheckConstraint("slot = (id & 4095)", name=op.f("ck_accounts_slot_in_id")),
        sa.PrimaryKeyConstraint("slot", "id", name=op.f("pk_accounts")),
        sa.UniqueConstraint(
            "slot",
            "user_id",
            "code",
            "asset",
            "environment",
            name=op.f("uq_accounts_slot_user_id_code_asset_environment"),
        ),
    )
    op.create_table(
        "refusals",
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("code", sa.String(length=40), nullable=False),
        sa.Column("details", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("slot", "id", name=op.f("pk_refusals")),
    )
    op.create_table(
        "holds",
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("captured", sa.BigInteger(), nullable=False),
        sa.Column("released", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("expires_at", Moment(), nullable=False),
        sa.Column("reference", sa.String(length=128), nullable=False),
        sa.Column("note", sa.String(length=255), nullable=False),
        sa.Column("actor", sa.String(length=128), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("(state = 'open') = (captured + released < amount)", name=op.f("ck_holds_open_while_rest")),
        sa.CheckConstraint("amount > 0", name=op.f("ck_holds_amount")),
        sa.CheckConstraint(
            "captured >= 0 AND released >= 0 AND captured + released <= amount", name=op.f("ck_holds_rest")
        ),
        sa.ForeignKeyConstraint(
            ["slot", "account_id"], ["accounts.slot", "accounts.id"], name=op.f("fk_holds_slot_account_id_accounts")
        ),
        sa.PrimaryKeyConstraint("slot", "id", name=op.f("pk_holds")),
    )
    op.create_index(
        "ix_holds_due",
        "holds",
        ["expires_at"],
        unique=False,
        postgresql_where=sa.text("state = 'open'"),
        sqlite_where=sa.text("state = 'open'"),
    )
    op.create_index("ix_holds_slot_account_id", "holds", ["slot", "account_id"], unique=False)
    op.create_table(
        "lots",
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("granted", sa.BigInteger(), nullable=False),
        sa.Column("remaining", sa.BigInteger(), nullable=False),
        sa.Column("bonus", sa.Boolean(), nullable=False),
        sa.Column("expires_at", Moment(), nullable=True),
        sa.Column("payment", sa.String(length=64), nullable=False),
        sa.Column("product", sa.String(length=128), nullable=False),
        sa.Column("value_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.CheckConstraint("granted > 0", name=op.f("ck_lots_granted")),
        sa.CheckConstraint("remaining BETWEEN 0 AND granted", name=op.f("ck_lots_remaining")),
        sa.CheckConstraint("value_minor >= 0", name=op.f("ck_lots_value")),
        sa.ForeignKeyConstraint(
            ["slot", "account_id"], ["accounts.slot", "accounts.id"], name=op.f("fk_lots_slot_account_id_accounts")
        ),
        sa.PrimaryKeyConstraint("slot", "account_id", "version", name=op.f("pk_lots")),
    )
    op.create_index(
        "ix_lots_due",
        "lots",
        ["expires_at"],
        unique=False,
        postgresql_where=sa.text("remaining > 0 AND expires_at IS NOT NULL"),
        sqlite_where=sa.text("remaining > 0 AND expires_at IS NOT NULL"),
    )
    op.create_index(
        "ix_lots_slot_account_id_left",
        "lots",
        ["slot", "account_id"],
        unique=False,
        postgresql_where=sa.text("remaining > 0"),
        sqlite_where=sa.text("remaining > 0"),
    )
    op.create_index(
        "ix_lots_slot_payment",
        "lots",
        ["slot", "payment"],
        unique=False,
        postgresql_where=sa.text("payment <> ''"),
        sqlite_where=sa.text("payment <> ''"),
    )
    op.create_table(
        "transfers",
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("book_id", sa.BigInteger(), nullable=False),
        sa.Column("debit_id", sa.BigInteger(), nullable=False),
        sa.Column("credit_id", sa.BigInteger(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("balance", sa.BigInteger(), nullable=False),
        sa.Column("lot", sa.BigInteger(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("cause_id", sa.Uuid(), nullable=True),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("reference", sa.String(length=128), nullable=False),
        sa.Column("note", sa.String(length=255), nullable=False),
        sa.Column("actor", sa.String(length=128), nullable=False),
        sa.CheckConstraint("amount > 0", name=op.f("ck_transfers_amount")),
        sa.CheckConstraint("debit_id <> credit_id", name=op.f("ck_transfers_two_accounts")),
        sa.CheckConstraint("version > 0", name=op.f("ck_transfers_version")),
        sa.ForeignKeyConstraint(
            ["slot", "book_id"], ["accounts.slot", "accounts.id"], name=op.f("fk_transfers_slot_book_id_accounts")
        ),
        sa.PrimaryKeyConstraint("slot", "id", name=op.f("pk_transfers")),
        sa.UniqueConstraint("slot", "book_id", "version", name=op.f("uq_transfers_slot_book_id_version")),
    )
    op.create_index(
        "ix_transfers_slot_cause_id",
        "transfers",
        ["slot", "cause_id"],
        unique=False,
        postgresql_where=sa.text("cause_id IS NOT NULL"),
        sqlite_where=sa.text("cause_id IS NOT NULL"),
    )
    op.create_table(
        "lot_uses",
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("lot", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.SmallInteger(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
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

    op.execute(POSTINGS)
    if op.get_bind().dialect.name == "postgresql":
        op.execute(REFUSE)
    for table, columns in IMMUTABLE.items():
        _guard(table, columns)


def downgrade() -> None:
    op.execute("DROP VIEW postings")
    for table in ("lot_uses", "transfers", "lots", "holds", "refusals", "accounts"):
        op.drop_table(table)
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION tillbook_refuse()")


def _guard(table: str, columns: str) -> None:
    """Triggers, where the engine is known to have them."""
    of = f" OF {columns}" if columns else ""
    if op.get_bind().dialect.name == "postgresql":
        changed = [f"OLD.{column} IS DISTINCT FROM NEW.{column}" for column in columns.split(", ") if column]
        when = f" WHEN ({' OR '.join(changed)})" if changed else ""
        call = "EXECUTE FUNCTION tillbook_refuse()"
        op.execute(f"CREATE TRIGGER {table}_no_update BEFORE UPDATE{of} ON {table} FOR EACH ROW{when} {call}")
        op.execute(f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} FOR EACH ROW {call}")
        op.execute(f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} FOR EACH STATEMENT {call}")
    elif op.get_bind().dialect.name == "sqlite":
        changed = [f"OLD.{column} IS NOT NEW.{column}" for column in columns.split(", ") if column]
        when = f" WHEN {' OR '.join(changed)}" if changed else ""
        body = "BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END"
        op.execute(f"CREATE TRIGGER {table}_no_update BEFORE UPDATE{of} ON {table}{when} {body}")
        op.execute(f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} {body}")
