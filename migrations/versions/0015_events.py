"""events for the app's backend, and the order in which a reader gets them"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")


def upgrade() -> None:
    op.create_table(
        "events",
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.String(length=128), nullable=False),
        sa.Column("type", sa.String(length=32), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("body", JSON, nullable=False),
        sa.Column("position", BIG, nullable=True),
        sa.PrimaryKeyConstraint("slot", "id", name=op.f("pk_events")),
    )
    op.create_index(op.f("ix_events_slot_user_id_version"), "events", ["slot", "user_id", "version"])
    for name, column, where in (
        ("ix_events_unplaced", "version", "position IS NULL"),
        ("ix_events_position", "position", "position IS NOT NULL"),
    ):
        op.create_index(name, "events", [column], postgresql_where=sa.text(where), sqlite_where=sa.text(where))
    op.create_table(
        "event_feeds",
        sa.Column("name", sa.String(length=16), nullable=False),
        sa.Column("placed", sa.BigInteger(), nullable=False),
        sa.Column("deleted", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_event_feeds")),
    )


def downgrade() -> None:
    op.drop_table("event_feeds")
    op.drop_table("events")
