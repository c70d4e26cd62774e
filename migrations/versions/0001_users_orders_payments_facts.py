"""users, orders, payments, facts, receipts, products"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

import app.models.base

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "claims",
        sa.Column("cslot", sa.Integer(), nullable=False),
        sa.Column("provider_account", sa.String(length=32), nullable=False),
        sa.Column("environment", sa.String(length=8), nullable=False),
        sa.Column("reference", sa.String(length=128), nullable=False),
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.String(length=128), nullable=False),
        sa.Column("claimed_at", app.models.base.Moment(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("cslot", "provider_account", "environment", "reference", name=op.f("pk_claims")),
    )
    op.create_table(
        "idempotency",
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("caller", sa.String(length=200), nullable=False),
        sa.Column("key", sa.String(length=128), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("resource_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("created_at", app.models.base.Moment(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("slot", "caller", "key", name=op.f("pk_idempotency")),
    )
    op.create_table(
        "messages",
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("provider_account", sa.String(length=32), nullable=False),
        sa.Column("source", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.String(length=64), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column(
            "headers",
            sa.JSON(none_as_null=True).with_variant(
                postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), "postgresql"
            ),
            nullable=False,
        ),
        sa.Column("query_string", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("received_at", app.models.base.Moment(timezone=True), nullable=False),
        sa.Column("resolved_at", app.models.base.Moment(timezone=True), nullable=True),
        sa.CheckConstraint("source IN ('notification', 'receipt')", name=op.f("ck_messages_source_known")),
        sa.CheckConstraint("slot = (id & 4095)", name=op.f("ck_messages_slot_in_id")),
        sa.PrimaryKeyConstraint("slot", "id", name=op.f("pk_messages")),
    )
    op.create_index(
        "ix_messages_waiting",
        "messages",
        ["received_at"],
        unique=False,
        postgresql_where=sa.text("resolved_at IS NULL"),
        sqlite_where=sa.text("resolved_at IS NULL"),
    )
    op.create_table(
        "products",
        sa.Column("sku", sa.String(length=64), nullable=False),
        sa.Column("title", sa.String(length=128), nullable=False),
        sa.Column(
            "prices",
            sa.JSON(none_as_null=True).with_variant(
                postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), "postgresql"
            ),
            nullable=False,
        ),
        sa.Column(
            "grants",
            sa.JSON(none_as_null=True).with_variant(
                postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), "postgresql"
            ),
            nullable=False,
        ),
        sa.Column(
            "store_ids",
            sa.JSON(none_as_null=True).with_variant(
                postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), "postgresql"
            ),
            nullable=False,
        ),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("starts_at", app.models.base.Moment(timezone=True), nullable=True),
        sa.Column("ends_at", app.models.base.Moment(timezone=True), nullable=True),
        sa.Column("updated_at", app.models.base.Moment(timezone=True), nullable=False),
        sa.CheckConstraint("length(sku) > 0", name=op.f("ck_products_sku_not_empty")),
        sa.PrimaryKeyConstraint("sku", name=op.f("pk_products")),
    )
    op.create_table(
        "provider_keys",
        sa.Column("provider_account", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", app.models.base.Moment(timezone=True), nullable=True),
        sa.Column("stored_at", app.models.base.Moment(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("provider_account", "name", name=op.f("pk_provider_keys")),
    )
    op.create_table(
        "scans",
        sa.Column("provider_account", sa.String(length=32), nullable=False),
        sa.Column("feed", sa.String(length=64), nullable=False),
        sa.Column("since", app.models.base.Moment(timezone=True), nullable=False),
        sa.Column("until", app.models.base.Moment(timezone=True), nullable=False),
        sa.Column("cursor", sa.String(length=1024), nullable=True),
        sa.Column("next_at", app.models.base.Moment(timezone=True), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("provider_account", "feed", name=op.f("pk_scans")),
    )
    op.create_table(
        "users",
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(length=128), nullable=False),
        sa.Column("token", sa.Uuid(), nullable=False),
        sa.Column("consented_at", app.models.base.Moment(timezone=True), nullable=True),
        sa.Column("created_at", app.models.base.Moment(timezone=True), nullable=False),
        sa.CheckConstraint("length(id) > 0", name=op.f("ck_users_id_not_empty")),
        sa.CheckConstraint("slot BETWEEN 0 AND 4095", name=op.f("ck_users_slot_range")),
        sa.PrimaryKeyConstraint("slot", "id", name=op.f("pk_users")),
        sa.UniqueConstraint("slot", "token", name=op.f("uq_users_slot_token")),
    )
    op.create_table(
        "orders",
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("user_id", sa.String(length=128), nullable=False),
        sa.Column("environment", sa.String(length=8), nullable=False),
        sa.Column("sku", sa.String(length=64), nullable=False),
        sa.Column("title", sa.String(length=128), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("currency", sa.String(length=3), nullable=True),
        sa.Column(
            "grants",
            sa.JSON(none_as_null=True).with_variant(
                postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), "postgresql"
            ),
            nullable=False,
        ),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("paid_payment_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("created_at", app.models.base.Moment(timezone=True), nullable=False),
        sa.Column("expires_at", app.models.base.Moment(timezone=True), nullable=False),
        sa.Column("paid_at", app.models.base.Moment(timezone=True), nullable=True),
        sa.CheckConstraint("(status = 'paid') = (paid_at IS NOT NULL)", name=op.f("ck_orders_paid_at_a_moment")),
        sa.CheckConstraint(
            "(status = 'paid') = (paid_payment_id IS NOT NULL)", name=op.f("ck_orders_paid_by_a_payment")
        ),
        sa.CheckConstraint("environment IN ('live', 'sandbox')", name=op.f("ck_orders_environment_known")),
        sa.CheckConstraint("status IN ('open', 'paid', 'expired')", name=op.f("ck_orders_status_known")),
        sa.CheckConstraint("(amount_minor IS NULL) = (currency IS NULL)", name=op.f("ck_orders_amount_has_currency")),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_orders_amount_positive")),
        sa.CheckConstraint("quantity > 0", name=op.f("ck_orders_quantity_positive")),
        sa.CheckConstraint("slot = (id & 4095)", name=op.f("ck_orders_slot_in_id")),
        sa.ForeignKeyConstraint(
            ["slot", "user_id"], ["users.slot", "users.id"], name=op.f("fk_orders_slot_user_id_users")
        ),
        sa.PrimaryKeyConstraint("slot", "id", name=op.f("pk_orders")),
    )
    op.create_index(
        "ix_orders_open",
        "orders",
        ["expires_at"],
        unique=False,
        postgresql_where=sa.text("status = 'open'"),
        sqlite_where=sa.text("status = 'open'"),
    )
    op.create_index(op.f("ix_orders_slot_user_id_id"), "orders", ["slot", "user_id", "id"], unique=False)
    op.create_table(
        "receipts",
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("user_id", sa.String(length=128), nullable=False),
        sa.Column("provider_account", sa.String(length=32), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column(
            "purchases",
            sa.JSON(none_as_null=True).with_variant(
                postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), "postgresql"
            ),
            nullable=False,
        ),
        sa.Column("submitted_at", app.models.base.Moment(timezone=True), nullable=False),
        sa.Column("next_try_at", app.models.base.Moment(timezone=True), nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.CheckConstraint("(status = 'pending') = (next_try_at IS NOT NULL)", name=op.f("ck_receipts_pending_is_due")),
        sa.CheckConstraint("status IN ('pending', 'settled', 'given_up')", name=op.f("ck_receipts_status_known")),
        sa.CheckConstraint("slot = (id & 4095)", name=op.f("ck_receipts_slot_in_id")),
        sa.ForeignKeyConstraint(
            ["slot", "user_id"], ["users.slot", "users.id"], name=op.f("fk_receipts_slot_user_id_users")
        ),
        sa.PrimaryKeyConstraint("slot", "id", name=op.f("pk_receipts")),
        sa.UniqueConstraint(
            "slot",
            "user_id",
            "provider_account",
            "digest",
            name=op.f("uq_receipts_slot_user_id_provider_account_digest"),
        ),
    )
    op.create_index(
        "ix_receipts_due",
        "receipts",
        ["next_try_at"],
        unique=False,
        postgresql_where=sa.text("next_try_at IS NOT NULL"),
        sqlite_where=sa.text("next_try_at IS NOT NULL"),
    )
    op.create_table(
        "payments",
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("order_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("provider_account", sa.String(length=32), nullable=False),
        sa.Column("way", sa.String(length=32), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("theirs", sa.String(length=128), nullable=True),
        sa.Column(
            "intent",
            sa.JSON(none_as_null=True).with_variant(
                postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), "postgresql"
            ),
            nullable=False,
        ),
        sa.Column(
            "action",
            sa.JSON(none_as_null=True).with_variant(
                postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), "postgresql"
            ),
            nullable=True,
        ),
        sa.Column("problem", sa.String(length=256), nullable=False),
        sa.Column("created_at", app.models.base.Moment(timezone=True), nullable=False),
        sa.Column("expires_at", app.models.base.Moment(timezone=True), nullable=False),
        sa.Column("paid_at", app.models.base.Moment(timezone=True), nullable=True),
        sa.Column("next_query_at", app.models.base.Moment(timezone=True), nullable=True),
        sa.Column("last_query_at", app.models.base.Moment(timezone=True), nullable=True),
        sa.Column("hinted_at", app.models.base.Moment(timezone=True), nullable=True),
        sa.Column("queries", sa.Integer(), nullable=False),
        sa.CheckConstraint("(status = 'paid') = (paid_at IS NOT NULL)", name=op.f("ck_payments_paid_at_a_moment")),
        sa.CheckConstraint("status <> 'paid' OR theirs IS NOT NULL", name=op.f("ck_payments_paid_has_their_number")),
        sa.CheckConstraint(
            "status IN ('created', 'pending', 'unknown', 'paid', 'failed', 'closed', 'held')",
            name=op.f("ck_payments_status_known"),
        ),
        sa.CheckConstraint("slot = (id & 4095)", name=op.f("ck_payments_slot_in_id")),
        sa.ForeignKeyConstraint(
            ["slot", "order_id"], ["orders.slot", "orders.id"], name=op.f("fk_payments_slot_order_id_orders")
        ),
        sa.PrimaryKeyConstraint("slot", "id", name=op.f("pk_payments")),
    )
    op.create_index(
        "ix_payments_due",
        "payments",
        ["next_query_at"],
        unique=False,
        postgresql_where=sa.text("next_query_at IS NOT NULL"),
        sqlite_where=sa.text("next_query_at IS NOT NULL"),
    )
    op.create_index(op.f("ix_payments_slot_order_id"), "payments", ["slot", "order_id"], unique=False)
    op.create_index(
        op.f("ix_payments_slot_provider_account_theirs"),
        "payments",
        ["slot", "provider_account", "theirs"],
        unique=False,
    )
    op.create_table(
        "asks",
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("payment_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("refund", sa.String(length=128), nullable=False),
        sa.Column("raised_at", app.models.base.Moment(timezone=True), nullable=False),
        sa.Column("next_try_at", app.models.base.Moment(timezone=True), nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.CheckConstraint("slot = (id & 4095)", name=op.f("ck_asks_slot_in_id")),
        sa.ForeignKeyConstraint(
            ["slot", "payment_id"], ["payments.slot", "payments.id"], name=op.f("fk_asks_slot_payment_id_payments")
        ),
        sa.PrimaryKeyConstraint("slot", "id", name=op.f("pk_asks")),
        sa.UniqueConstraint("slot", "payment_id", "refund", name=op.f("uq_asks_slot_payment_id_refund")),
    )
    op.create_index(
        "ix_asks_due",
        "asks",
        ["next_try_at"],
        unique=False,
        postgresql_where=sa.text("next_try_at IS NOT NULL"),
        sqlite_where=sa.text("next_try_at IS NOT NULL"),
    )
    op.create_table(
        "facts",
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("provider_account", sa.String(length=32), nullable=False),
        sa.Column("environment", sa.String(length=8), nullable=False),
        sa.Column("key", sa.String(length=400), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("payment_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column(
            "content",
            sa.JSON(none_as_null=True).with_variant(
                postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), "postgresql"
            ),
            nullable=False,
        ),
        sa.Column(
            "raw",
            sa.JSON(none_as_null=True).with_variant(
                postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), "postgresql"
            ),
            nullable=False,
        ),
        sa.Column("road", sa.String(length=16), nullable=False),
        sa.Column("message_id", sa.String(length=128), nullable=True),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.String(length=64), nullable=False),
        sa.Column("booking", sa.String(length=16), nullable=False),
        sa.Column("from_suspense", sa.Boolean(), nullable=False),
        sa.Column("at", app.models.base.Moment(timezone=True), nullable=False),
        sa.Column("recorded_at", app.models.base.Moment(timezone=True), nullable=False),
        sa.CheckConstraint(
            "booking IN ('nothing', 'sale', 'surplus', 'suspense')", name=op.f("ck_facts_booking_known")
        ),
        sa.CheckConstraint("environment IN ('live', 'sandbox')", name=op.f("ck_facts_environment_known")),
        sa.CheckConstraint("outcome IN ('applied', 'noted', 'surplus', 'parked')", name=op.f("ck_facts_outcome_known")),
        sa.CheckConstraint(
            "road IN ('notification', 'receipt', 'query', 'reply', 'scan', 'bill')", name=op.f("ck_facts_road_known")
        ),
        sa.CheckConstraint("slot = (id & 4095)", name=op.f("ck_facts_slot_in_id")),
        sa.ForeignKeyConstraint(
            ["slot", "payment_id"], ["payments.slot", "payments.id"], name=op.f("fk_facts_slot_payment_id_payments")
        ),
        sa.PrimaryKeyConstraint("slot", "id", name=op.f("pk_facts")),
        sa.UniqueConstraint("slot", "provider_account", "environment", "key", name="uq_facts_key"),
    )
    op.create_index(op.f("ix_facts_slot_payment_id"), "facts", ["slot", "payment_id"], unique=False)
    op.create_index(
        "ix_facts_slot_waiting",
        "facts",
        ["slot"],
        unique=False,
        postgresql_where=sa.text("reason = 'before_payment'"),
        sqlite_where=sa.text("reason = 'before_payment'"),
    )
    op.create_index(
        "ix_facts_waiting",
        "facts",
        ["recorded_at"],
        unique=False,
        postgresql_where=sa.text("outcome IN ('parked', 'surplus')"),
        sqlite_where=sa.text("outcome IN ('parked', 'surplus')"),
    )
    op.create_table(
        "reports",
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("payment_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("about", sa.String(length=16), nullable=False),
        sa.Column("question", sa.String(length=128), nullable=False),
        sa.Column("asked_at", app.models.base.Moment(timezone=True), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("problem", sa.String(length=256), nullable=False),
        sa.Column("next_try_at", app.models.base.Moment(timezone=True), nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.CheckConstraint("(status = 'pending') = (next_try_at IS NOT NULL)", name=op.f("ck_reports_pending_is_due")),
        sa.CheckConstraint("about IN ('delivered', 'consumption')", name=op.f("ck_reports_about_known")),
        sa.CheckConstraint("status IN ('pending', 'sent', 'dropped')", name=op.f("ck_reports_status_known")),
        sa.CheckConstraint("slot = (id & 4095)", name=op.f("ck_reports_slot_in_id")),
        sa.ForeignKeyConstraint(
            ["slot", "payment_id"], ["payments.slot", "payments.id"], name=op.f("fk_reports_slot_payment_id_payments")
        ),
        sa.PrimaryKeyConstraint("slot", "id", name=op.f("pk_reports")),
        sa.UniqueConstraint(
            "slot", "payment_id", "about", "question", name=op.f("uq_reports_slot_payment_id_about_question")
        ),
    )
    op.create_index(
        "ix_reports_due",
        "reports",
        ["next_try_at"],
        unique=False,
        postgresql_where=sa.text("next_try_at IS NOT NULL"),
        sqlite_where=sa.text("next_try_at IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index(
        "ix_reports_due",
        table_name="reports",
        postgresql_where=sa.text("next_try_at IS NOT NULL"),
        sqlite_where=sa.text("next_try_at IS NOT NULL"),
    )
    op.drop_table("reports")
    op.drop_index(
        "ix_facts_waiting",
        table_name="facts",
        postgresql_where=sa.text("outcome IN ('parked', 'surplus')"),
        sqlite_where=sa.text("outcome IN ('parked', 'surplus')"),
    )
    op.drop_index(
        "ix_facts_slot_waiting",
        table_name="facts",
        postgresql_where=sa.text("reason = 'before_payment'"),
        sqlite_where=sa.text("reason = 'before_payment'"),
    )
    op.drop_index(op.f("ix_facts_slot_payment_id"), table_name="facts")
    op.drop_table("facts")
    op.drop_index(
        "ix_asks_due",
        table_name="asks",
        postgresql_where=sa.text("next_try_at IS NOT NULL"),
        sqlite_where=sa.text("next_try_at IS NOT NULL"),
    )
    op.drop_table("asks")
    op.drop_index(op.f("ix_payments_slot_provider_account_theirs"), table_name="payments")
    op.drop_index(op.f("ix_payments_slot_order_id"), table_name="payments")
    op.drop_index(
        "ix_payments_due",
        table_name="payments",
        postgresql_where=sa.text("next_query_at IS NOT NULL"),
        sqlite_where=sa.text("next_query_at IS NOT NULL"),
    )
    op.drop_table("payments")
    op.drop_index(
        "ix_receipts_due",
        table_name="receipts",
        postgresql_where=sa.text("next_try_at IS NOT NULL"),
        sqlite_where=sa.text("next_try_at IS NOT NULL"),
    )
    op.drop_table("receipts")
    op.drop_index(op.f("ix_orders_slot_user_id_id"), table_name="orders")
    op.drop_index(
        "ix_orders_open",
        table_name="orders",
        postgresql_where=sa.text("status = 'open'"),
        sqlite_where=sa.text("status = 'open'"),
    )
    op.drop_table("orders")
    op.drop_table("users")
    op.drop_table("scans")
    op.drop_table("provider_keys")
    op.drop_table("products")
    op.drop_index(
        "ix_messages_waiting",
        table_name="messages",
        postgresql_where=sa.text("resolved_at IS NULL"),
        sqlite_where=sa.text("resolved_at IS NULL"),
    )
    op.drop_table("messages")
    op.drop_table("idempotency")
    op.drop_table("claims")
