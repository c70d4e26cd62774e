"""gifts between users, and recalls of given coins whose purchase was refunded"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

APPEND_ONLY = ("gift_parts", "gift_arrivals", "recall_answers")
BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "gift_arrivals",
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("gift_id", sa.BigInteger(), nullable=False),
        sa.Column("giver", sa.String(length=128), nullable=False),
        sa.Column("receiver", sa.String(length=128), nullable=False),
        sa.Column("asset", sa.String(length=16), nullable=False),
        sa.Column("environment", sa.String(length=8), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("message", sa.String(length=255), nullable=False),
        sa.Column("reference", sa.String(length=128), nullable=False),
        sa.Column("accepted", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.String(length=40), nullable=False),
        sa.Column("sent_at", MOMENT, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.CheckConstraint("accepted = (reason = '')", name=op.f("ck_gift_arrivals_refused_for_a_reason")),
        sa.PrimaryKeyConstraint("slot", "gift_id", name=op.f("pk_gift_arrivals")),
    )
    op.create_index(
        op.f("ix_gift_arrivals_slot_receiver_at"), "gift_arrivals", ["slot", "receiver", "at"], unique=False
    )
    op.create_index(
        op.f("ix_gift_arrivals_slot_receiver_gift_id"), "gift_arrivals", ["slot", "receiver", "gift_id"], unique=False
    )
    op.create_table(
        "gifts",
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("id", BIG, nullable=False),
        sa.Column("giver", sa.String(length=128), nullable=False),
        sa.Column("receiver", sa.String(length=128), nullable=False),
        sa.Column("asset", sa.String(length=16), nullable=False),
        sa.Column("environment", sa.String(length=8), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("message", sa.String(length=255), nullable=False),
        sa.Column("reference", sa.String(length=128), nullable=False),
        sa.Column("actor", sa.String(length=128), nullable=False),
        sa.Column("request", sa.Uuid(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.String(length=40), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("ended_at", MOMENT, nullable=True),
        sa.Column("next_try_at", MOMENT, nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("seal", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("(status = 'returned') = (reason <> '')", name=op.f("ck_gifts_returned_for_a_reason")),
        sa.CheckConstraint("(status = 'sent') = (ended_at IS NULL)", name=op.f("ck_gifts_ended_at_a_moment")),
        sa.CheckConstraint("(status = 'sent') = (next_try_at IS NOT NULL)", name=op.f("ck_gifts_sent_is_due")),
        sa.CheckConstraint("status IN ('sent', 'received', 'returned')", name=op.f("ck_gifts_status_known")),
        sa.CheckConstraint("amount > 0", name=op.f("ck_gifts_amount")),
        sa.CheckConstraint("giver <> receiver", name=op.f("ck_gifts_two_users")),
        sa.CheckConstraint("slot = (id & 4095)", name=op.f("ck_gifts_slot_in_id")),
        sa.PrimaryKeyConstraint("slot", "id", name=op.f("pk_gifts")),
    )
    op.create_index(
        "ix_gifts_due",
        "gifts",
        ["next_try_at"],
        unique=False,
        postgresql_where=sa.text("next_try_at IS NOT NULL"),
        sqlite_where=sa.text("next_try_at IS NOT NULL"),
    )
    op.create_index(op.f("ix_gifts_slot_giver_created_at"), "gifts", ["slot", "giver", "created_at"], unique=False)
    op.create_index(op.f("ix_gifts_slot_giver_id"), "gifts", ["slot", "giver", "id"], unique=False)
    op.create_index(op.f("ix_gifts_slot_request"), "gifts", ["slot", "request"], unique=True)
    op.create_table(
        "recall_answers",
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("recall_id", sa.BigInteger(), nullable=False),
        sa.Column("gift_id", sa.BigInteger(), nullable=False),
        sa.Column("round", sa.SmallInteger(), nullable=False),
        sa.Column("asset", sa.String(length=16), nullable=False),
        sa.Column("environment", sa.String(length=8), nullable=False),
        sa.Column("taken", sa.BigInteger(), nullable=False),
        sa.Column("onward", JSON, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.CheckConstraint("taken >= 0", name=op.f("ck_recall_answers_taken")),
        sa.PrimaryKeyConstraint("slot", "recall_id", "gift_id", "round", name=op.f("pk_recall_answers")),
    )
    op.create_table(
        "gift_parts",
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("gift_id", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.SmallInteger(), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("lot", sa.BigInteger(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("bonus", sa.Boolean(), nullable=False),
        sa.Column("expires_at", MOMENT, nullable=True),
        sa.Column("payment", sa.String(length=64), nullable=False),
        sa.Column("product", sa.String(length=128), nullable=False),
        sa.Column("value_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.CheckConstraint("amount > 0", name=op.f("ck_gift_parts_amount")),
        sa.CheckConstraint("value_minor >= 0", name=op.f("ck_gift_parts_value")),
        sa.ForeignKeyConstraint(
            ["slot", "account_id", "lot"],
            ["lots.slot", "lots.account_id", "lots.version"],
            name=op.f("fk_gift_parts_slot_account_id_lot_lots"),
        ),
        sa.ForeignKeyConstraint(
            ["slot", "gift_id"], ["gifts.slot", "gifts.id"], name=op.f("fk_gift_parts_slot_gift_id_gifts")
        ),
        sa.PrimaryKeyConstraint("slot", "gift_id", "position", name=op.f("pk_gift_parts")),
    )
    op.create_index(
        "ix_gift_parts_slot_payment",
        "gift_parts",
        ["slot", "payment"],
        unique=False,
        postgresql_where=sa.text("payment <> ''"),
        sqlite_where=sa.text("payment <> ''"),
    )
    op.create_table(
        "recalls",
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("id", BIG, nullable=False),
        sa.Column("payment_id", BIG, nullable=False),
        sa.Column("theirs", sa.String(length=255), nullable=False),
        sa.Column("grant_id", sa.Uuid(), nullable=False),
        sa.Column("asset", sa.String(length=16), nullable=False),
        sa.Column("environment", sa.String(length=8), nullable=False),
        sa.Column("bonus", sa.Boolean(), nullable=False),
        sa.Column("wanted", sa.BigInteger(), nullable=False),
        sa.Column("taken", sa.BigInteger(), nullable=False),
        sa.Column("places", JSON, nullable=False),
        sa.Column("asked", JSON, nullable=False),
        sa.Column("round", sa.SmallInteger(), nullable=False),
        sa.Column("policy", sa.String(length=16), nullable=False),
        sa.Column("reference", sa.String(length=128), nullable=False),
        sa.Column("note", sa.String(length=255), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("done_at", MOMENT, nullable=True),
        sa.Column("next_try_at", MOMENT, nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.CheckConstraint("(status = 'open') = (done_at IS NULL)", name=op.f("ck_recalls_done_at_a_moment")),
        sa.CheckConstraint("(status = 'open') = (next_try_at IS NOT NULL)", name=op.f("ck_recalls_open_is_due")),
        sa.CheckConstraint("status IN ('open', 'done')", name=op.f("ck_recalls_status_known")),
        sa.CheckConstraint("slot = (id & 4095)", name=op.f("ck_recalls_slot_in_id")),
        sa.CheckConstraint("wanted > 0 AND taken >= 0 AND taken <= wanted", name=op.f("ck_recalls_taken")),
        sa.ForeignKeyConstraint(
            ["slot", "payment_id"], ["payments.slot", "payments.id"], name=op.f("fk_recalls_slot_payment_id_payments")
        ),
        sa.PrimaryKeyConstraint("slot", "id", name=op.f("pk_recalls")),
    )
    op.create_index(
        "ix_recalls_due",
        "recalls",
        ["next_try_at"],
        unique=False,
        postgresql_where=sa.text("next_try_at IS NOT NULL"),
        sqlite_where=sa.text("next_try_at IS NOT NULL"),
    )
    op.create_index(op.f("ix_recalls_slot_payment_id"), "recalls", ["slot", "payment_id"], unique=False)
    on_sqlite = op.get_bind().dialect.name == "sqlite"
    for table in APPEND_ONLY:
        for trigger in _on_sqlite(table) if on_sqlite else _on_postgres(table):
            op.execute(trigger)


def downgrade() -> None:
    for table in ("recall_answers", "recalls", "gift_arrivals", "gift_parts", "gifts"):
        op.drop_table(table)


def _on_postgres(table: str) -> list[str]:
    call = "EXECUTE FUNCTION tillbook_refuse()"
    return [
        f"CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} FOR EACH ROW {call}",
        f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} FOR EACH ROW {call}",
        f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} FOR EACH STATEMENT {call}",
    ]


def _on_sqlite(table: str) -> list[str]:
    body = "BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END"
    return [
        f"CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} {body}",
        f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} {body}",
    ]
