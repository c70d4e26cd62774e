"""endpoints of the app's backend, and what became of each event that was sent there"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "endpoints",
        sa.Column("id", BIG, nullable=False),
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("url", sa.String(length=1024), nullable=False),
        sa.Column("types", JSON, nullable=False),
        sa.Column("secrets", JSON, nullable=False),
        sa.Column("origin", sa.String(length=16), nullable=False),
        sa.Column("made_by", sa.String(length=160), nullable=False),
        sa.Column("made_at", MOMENT, nullable=False),
        sa.Column("planned", sa.BigInteger(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("failing_since", MOMENT, nullable=True),
        sa.Column("probe_at", MOMENT, nullable=True),
        sa.Column("paused_at", MOMENT, nullable=True),
        sa.Column("paused_why", sa.String(length=256), nullable=False),
        sa.Column("paused_by", sa.String(length=160), nullable=False),
        sa.Column("removed_at", MOMENT, nullable=True),
        sa.CheckConstraint("origin IN ('settings', 'api', 'operator')", name=op.f("ck_endpoints_origin_known")),
        sa.CheckConstraint("failures >= 0", name=op.f("ck_endpoints_failures_counted")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_endpoints")),
    )
    there = sa.text("removed_at IS NULL")
    op.create_index("uq_endpoints_name", "endpoints", ["name"], unique=True, postgresql_where=there, sqlite_where=there)
    op.create_table(
        "deliveries",
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("id", BIG, nullable=False),
        sa.Column("endpoint_id", sa.BigInteger(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.String(length=128), nullable=False),
        sa.Column("type", sa.String(length=32), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", MOMENT, nullable=True),
        sa.Column("code", sa.Integer(), nullable=True),
        sa.Column("latency_ms", sa.Integer(), nullable=True),
        sa.Column("problem", sa.String(length=256), nullable=False),
        sa.Column("answer", sa.String(length=1024), nullable=False),
        sa.Column("tried_at", MOMENT, nullable=True),
        sa.CheckConstraint("slot = (id & 4095)", name=op.f("ck_deliveries_slot_in_id")),
        sa.CheckConstraint(
            "status IN ('waiting', 'failed', 'done', 'given_up')", name=op.f("ck_deliveries_status_known")
        ),
        sa.CheckConstraint(
            "(status IN ('waiting', 'failed')) = (next_at IS NOT NULL)", name=op.f("ck_deliveries_open_is_due")
        ),
        sa.PrimaryKeyConstraint("slot", "id", name=op.f("pk_deliveries")),
        sa.UniqueConstraint("slot", "endpoint_id", "event_id", name=op.f("uq_deliveries_slot_endpoint_id_event_id")),
    )
    is_open = sa.text("next_at IS NOT NULL")
    op.create_index(
        "ix_deliveries_due",
        "deliveries",
        ["endpoint_id", "next_at"],
        postgresql_where=is_open,
        sqlite_where=is_open,
    )
    op.create_index(
        "ix_deliveries_of_user",
        "deliveries",
        ["slot", "endpoint_id", "user_id", "position"],
        postgresql_where=is_open,
        sqlite_where=is_open,
    )
    op.create_index("ix_deliveries_position", "deliveries", ["endpoint_id", "position"])


def downgrade() -> None:
    op.drop_table("deliveries")
    op.drop_table("endpoints")
