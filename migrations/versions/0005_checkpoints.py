"""checkpoints: what had been booked up to full hours, and the index that finds transfers by time"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from app.models.base import Moment

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "checkpoints",
        sa.Column("until_at", Moment(timezone=True), nullable=False),
        sa.Column("of_users", sa.Boolean(), nullable=False),
        sa.Column("code", sa.String(length=80), nullable=False),
        sa.Column("asset", sa.String(length=16), nullable=False),
        sa.Column("environment", sa.String(length=8), nullable=False),
        sa.Column("debits", sa.String(length=40), nullable=False),
        sa.Column("credits", sa.String(length=40), nullable=False),
        sa.Column("legs", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("environment IN ('live', 'sandbox')", name=op.f("ck_checkpoints_environment_known")),
        sa.CheckConstraint("legs > 0", name=op.f("ck_checkpoints_legs")),
        sa.CheckConstraint("debits <> '' AND trim(debits, '0123456789') = ''", name=op.f("ck_checkpoints_debits")),
        sa.CheckConstraint("credits <> '' AND trim(credits, '0123456789') = ''", name=op.f("ck_checkpoints_credits")),
        sa.PrimaryKeyConstraint("until_at", "of_users", "code", "asset", "environment", name=op.f("pk_checkpoints")),
    )
    op.create_index(
        "ix_transfers_created_at",
        "transfers",
        ["created_at"],
        postgresql_using="brin",
        postgresql_with={"autosummarize": "on"},
    )


def downgrade() -> None:
    op.drop_index("ix_transfers_created_at", table_name="transfers")
    op.drop_table("checkpoints")
