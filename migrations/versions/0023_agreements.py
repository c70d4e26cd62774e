"""agreements to pay period after period; plans and entitlements of products; orders that charge a period"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "agreements",
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("id", BIG, nullable=False),
        sa.Column("user_id", sa.String(length=128), nullable=False),
        sa.Column("environment", sa.String(length=8), nullable=False),
        sa.Column("provider_account", sa.String(length=32), nullable=False),
        sa.Column("by_store", sa.Boolean(), nullable=False),
        sa.Column("theirs", sa.String(length=255), nullable=True),
        sa.Column("way", sa.String(length=32), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("sku", sa.String(length=64), nullable=False),
        sa.Column("title", sa.String(length=128), nullable=False),
        sa.Column("amount_minor", BIG, nullable=True),
        sa.Column("currency", sa.String(length=3), nullable=True),
        sa.Column("most_minor", BIG, nullable=True),
        sa.Column("first_minor", BIG, nullable=True),
        sa.Column("unit", sa.String(length=8), nullable=True),
        sa.Column("length", sa.Integer(), nullable=True),
        sa.Column("zone", sa.String(length=64), nullable=False),
        sa.Column("grants", JSON, nullable=False),
        sa.Column("fulfilment", sa.String(length=8), nullable=False),
        sa.Column("entitlements", JSON, nullable=False),
        sa.Column("grace_days", sa.Integer(), nullable=False),
        sa.Column("terms", JSON, nullable=True),
        sa.Column("action", JSON, nullable=True),
        sa.Column("problem", sa.String(length=256), nullable=False),
        sa.Column("first_payment_id", BIG, nullable=True),
        sa.Column("anchor_at", MOMENT, nullable=True),
        sa.Column("anchor_number", sa.Integer(), nullable=False),
        sa.Column("next_period", sa.Integer(), nullable=False),
        sa.Column("paid_until", MOMENT, nullable=True),
        sa.Column("grace_until", MOMENT, nullable=True),
        sa.Column("valid_until", MOMENT, nullable=True),
        sa.Column("renews", sa.Boolean(), nullable=True),
        sa.Column("next_plan", JSON, nullable=True),
        sa.Column("cancel_at", MOMENT, nullable=True),
        sa.Column("cancel_by", sa.String(length=160), nullable=False),
        sa.Column("signed_at", MOMENT, nullable=True),
        sa.Column("told_at", MOMENT, nullable=True),
        sa.Column("ended_at", MOMENT, nullable=True),
        sa.Column("ended_by", sa.String(length=16), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.Column("next_charge_at", MOMENT, nullable=True),
        sa.Column("asked_at", MOMENT, nullable=True),
        sa.Column("next_work_at", MOMENT, nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("request", sa.Uuid(), nullable=True),
        sa.CheckConstraint(
            "(amount_minor IS NULL) = (currency IS NULL)", name=op.f("ck_agreements_amount_has_currency")
        ),
        sa.CheckConstraint("(status = 'ended') = (ended_at IS NOT NULL)", name=op.f("ck_agreements_ended_at_a_moment")),
        sa.CheckConstraint("(status = 'ended') = (ended_by <> '')", name=op.f("ck_agreements_ended_somehow")),
        sa.CheckConstraint("(unit IS NULL) = (length IS NULL)", name=op.f("ck_agreements_length_is_whole")),
        sa.CheckConstraint("NOT by_store OR theirs IS NOT NULL", name=op.f("ck_agreements_stores_has_number")),
        sa.CheckConstraint("amount_minor <= most_minor", name=op.f("ck_agreements_no_more_than_signed")),
        sa.CheckConstraint("amount_minor >= 0", name=op.f("ck_agreements_amount_not_negative")),
        sa.CheckConstraint(
            "by_store OR (amount_minor IS NOT NULL AND unit IS NOT NULL)", name=op.f("ck_agreements_ours_has_terms")
        ),
        sa.CheckConstraint("environment IN ('live', 'sandbox')", name=op.f("ck_agreements_environment_known")),
        sa.CheckConstraint("first_minor >= 0", name=op.f("ck_agreements_first_not_negative")),
        sa.CheckConstraint("fulfilment IN ('wallet', 'external')", name=op.f("ck_agreements_fulfilment_known")),
        sa.CheckConstraint("length > 0", name=op.f("ck_agreements_length_positive")),
        sa.CheckConstraint(
            "next_period >= anchor_number AND anchor_number >= 0", name=op.f("ck_agreements_periods_go_on")
        ),
        sa.CheckConstraint("slot = (id & 4095)", name=op.f("ck_agreements_slot_in_id")),
        sa.CheckConstraint(
            "status IN ('signing', 'active', 'past_due', 'paused', 'ended')", name=op.f("ck_agreements_status_known")
        ),
        sa.CheckConstraint("unit IN ('day', 'month')", name=op.f("ck_agreements_unit_known")),
        sa.ForeignKeyConstraint(
            ["slot", "user_id"], ["users.slot", "users.id"], name=op.f("fk_agreements_slot_user_id_users")
        ),
        sa.PrimaryKeyConstraint("slot", "id", name=op.f("pk_agreements")),
    )
    op.create_index(
        "ix_agreements_due",
        "agreements",
        ["next_work_at"],
        unique=False,
        postgresql_where=sa.text("next_work_at IS NOT NULL"),
        sqlite_where=sa.text("next_work_at IS NOT NULL"),
    )
    op.create_index("ix_agreements_listed", "agreements", ["status", "created_at", "id"], unique=False)
    op.create_index("ix_agreements_slot_request", "agreements", ["slot", "request"], unique=True)
    op.create_index("ix_agreements_slot_user_id_id", "agreements", ["slot", "user_id", "id"], unique=False)
    op.create_index("ix_agreements_theirs", "agreements", ["theirs"], unique=False)
    op.create_index(
        "uq_agreements_theirs",
        "agreements",
        ["slot", "provider_account", "environment", "theirs"],
        unique=True,
        postgresql_where=sa.text("by_store"),
        sqlite_where=sa.text("by_store"),
    )
    op.create_table(
        "agreement_periods",
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("agreement_id", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("starts_at", MOMENT, nullable=False),
        sa.Column("ends_at", MOMENT, nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("order_id", BIG, nullable=True),
        sa.Column("payment_id", BIG, nullable=True),
        sa.Column("entitlements", JSON, nullable=False),
        sa.Column("announced_at", MOMENT, nullable=True),
        sa.Column("next_try_at", MOMENT, nullable=True),
        sa.Column("refusal", sa.String(length=16), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.CheckConstraint(
            "(status = 'paid') = (payment_id IS NOT NULL)", name=op.f("ck_agreement_periods_paid_by_a_payment")
        ),
        sa.CheckConstraint("ends_at > starts_at", name=op.f("ck_agreement_periods_has_a_length")),
        sa.CheckConstraint("number >= 0", name=op.f("ck_agreement_periods_number_not_negative")),
        sa.CheckConstraint(
            "payment_id IS NULL OR order_id IS NOT NULL", name=op.f("ck_agreement_periods_payment_of_an_order")
        ),
        sa.CheckConstraint(
            "status IN ('due', 'paid', 'free', 'unpaid')", name=op.f("ck_agreement_periods_status_known")
        ),
        sa.ForeignKeyConstraint(
            ["slot", "order_id"], ["orders.slot", "orders.id"], name=op.f("fk_agreement_periods_slot_order_id_orders")
        ),
        sa.ForeignKeyConstraint(
            ["slot", "payment_id"],
            ["payments.slot", "payments.id"],
            name=op.f("fk_agreement_periods_slot_payment_id_payments"),
        ),
        sa.ForeignKeyConstraint(
            ["slot", "agreement_id"],
            ["agreements.slot", "agreements.id"],
            name=op.f("fk_agreement_periods_slot_agreement_id_agreements"),
        ),
        sa.PrimaryKeyConstraint("slot", "agreement_id", "number", name=op.f("pk_agreement_periods")),
    )
    op.create_index("ix_agreement_periods_slot_order_id", "agreement_periods", ["slot", "order_id"], unique=True)
    op.add_column("products", sa.Column("plan", JSON, nullable=True))
    op.add_column("products", sa.Column("entitlements", JSON, nullable=False, server_default="[]"))
    op.add_column("orders", sa.Column("agreement_id", BIG, nullable=True))
    op.add_column("orders", sa.Column("period_number", sa.Integer(), nullable=True))
    of_agreements = sa.text("agreement_id IS NOT NULL")
    op.create_index(
        "uq_orders_period",
        "orders",
        ["slot", "agreement_id", "period_number"],
        unique=True,
        postgresql_where=of_agreements,
        sqlite_where=of_agreements,
    )


def downgrade() -> None:
    op.drop_index("uq_orders_period", table_name="orders")
    op.drop_column("orders", "period_number")
    op.drop_column("orders", "agreement_id")
    op.drop_column("products", "entitlements")
    op.drop_column("products", "plan")
    op.drop_table("agreement_periods")
    op.drop_table("agreements")
