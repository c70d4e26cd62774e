"""refunds, and who froze which wallet"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from app.models.base import Moment

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def _big() -> sa.types.TypeEngine[int]:
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _json() -> sa.types.TypeEngine[object]:
    return sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")


def upgrade() -> None:
    op.create_table(
        "refunds",
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("id", _big(), nullable=False),
        sa.Column("order_id", _big(), nullable=False),
        sa.Column("payment_id", _big(), nullable=False),
        sa.Column("provider_account", sa.String(length=32), nullable=False),
        sa.Column("theirs", sa.String(length=128), nullable=False),
        sa.Column("number_there", sa.String(length=128), nullable=True),
        sa.Column("origin", sa.String(length=16), nullable=False),
        sa.Column("amount_minor", _big(), nullable=True),
        sa.Column("currency", sa.String(length=3), nullable=True),
        sa.Column("reason", sa.String(length=256), nullable=False),
        sa.Column("policy", sa.String(length=16), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("caller", sa.String(length=160), nullable=False),
        sa.Column("problem", sa.String(length=256), nullable=False),
        sa.Column("coins", _json(), nullable=False),
        sa.Column("created_at", Moment(timezone=True), nullable=False),
        sa.Column("done_at", Moment(timezone=True), nullable=True),
        sa.Column("next_query_at", Moment(timezone=True), nullable=True),
        sa.Column("last_query_at", Moment(timezone=True), nullable=True),
        sa.Column("queries", sa.Integer(), nullable=False),
        sa.CheckConstraint("slot = (id & 4095)", name=op.f("ck_refunds_slot_in_id")),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_refunds_amount_positive")),
        sa.CheckConstraint("(amount_minor IS NULL) = (currency IS NULL)", name=op.f("ck_refunds_amount_has_currency")),
        sa.CheckConstraint(
            "(origin = 'provider') = (number_there IS NOT NULL)", name=op.f("ck_refunds_numbered_by_one_side")
        ),
        sa.CheckConstraint("origin = 'provider' OR amount_minor IS NOT NULL", name=op.f("ck_refunds_ours_has_amount")),
        sa.CheckConstraint("origin IN ('asked', 'automatic', 'provider')", name=op.f("ck_refunds_origin_known")),
        sa.CheckConstraint("policy IN ('debt', 'forgive', 'freeze')", name=op.f("ck_refunds_policy_known")),
        sa.CheckConstraint(
            "status IN ('created', 'pending', 'unknown', 'done', 'declined', 'undone')",
            name=op.f("ck_refunds_status_known"),
        ),
        sa.CheckConstraint(
            "(status IN ('created', 'pending', 'unknown')) = (next_query_at IS NOT NULL)",
            name=op.f("ck_refunds_open_is_due"),
        ),
        sa.CheckConstraint("status <> 'done' OR done_at IS NOT NULL", name=op.f("ck_refunds_done_at_a_moment")),
        sa.ForeignKeyConstraint(
            ["slot", "order_id"], ["orders.slot", "orders.id"], name=op.f("fk_refunds_slot_order_id_orders")
        ),
        sa.ForeignKeyConstraint(
            ["slot", "payment_id"], ["payments.slot", "payments.id"], name=op.f("fk_refunds_slot_payment_id_payments")
        ),
        sa.PrimaryKeyConstraint("slot", "id", name=op.f("pk_refunds")),
        sa.UniqueConstraint(
            "slot", "payment_id", "theirs", "number_there", name=op.f("uq_refunds_slot_payment_id_theirs_number_there")
        ),
    )
    op.create_index(op.f("ix_refunds_slot_payment_id"), "refunds", ["slot", "payment_id"])
    op.create_index(op.f("ix_refunds_slot_order_id"), "refunds", ["slot", "order_id"])
    op.create_index(
        "ix_refunds_due",
        "refunds",
        ["next_query_at"],
        postgresql_where=sa.text("next_query_at IS NOT NULL"),
        sqlite_where=sa.text("next_query_at IS NOT NULL"),
    )
    op.create_table(
        "freezes",
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("id", _big(), nullable=False),
        sa.Column("user_id", sa.String(length=128), nullable=False),
        sa.Column("asset", sa.String(length=16), nullable=True),
        sa.Column("environment", sa.String(length=8), nullable=False),
        sa.Column("frozen", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.String(length=255), nullable=False),
        sa.Column("actor", sa.String(length=160), nullable=False),
        sa.Column("refund_id", _big(), nullable=True),
        sa.Column("at", Moment(timezone=True), nullable=False),
        sa.CheckConstraint("slot = (id & 4095)", name=op.f("ck_freezes_slot_in_id")),
        sa.CheckConstraint("length(reason) > 0", name=op.f("ck_freezes_has_reason")),
        sa.CheckConstraint("length(actor) > 0", name=op.f("ck_freezes_has_actor")),
        sa.CheckConstraint("environment IN ('live', 'sandbox')", name=op.f("ck_freezes_environment_known")),
        sa.ForeignKeyConstraint(
            ["slot", "refund_id"], ["refunds.slot", "refunds.id"], name=op.f("fk_freezes_slot_refund_id_refunds")
        ),
        sa.PrimaryKeyConstraint("slot", "id", name=op.f("pk_freezes")),
    )
    op.create_index(op.f("ix_freezes_slot_user_id_id"), "freezes", ["slot", "user_id", "id"])


def downgrade() -> None:
    op.drop_table("freezes")
    op.drop_table("refunds")
