"""checkpoints by day: the hourly ones go, and the worker derives those of days from the transfers"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from app.models.base import Moment

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_table("checkpoints")
    _create(sa.Column("day", sa.Date(), nullable=False))


def downgrade() -> None:
    op.drop_table("checkpoints")
    _create(
        sa.Column("until_at", Moment(timezone=True), nullable=False),
        sa.Column("legs", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("legs > 0", name=op.f("ck_checkpoints_legs")),
    )


def _create(moment: sa.Column[object], *more: sa.schema.SchemaItem) -> None:
    """The table is written anew: its rows are derived, and SQLite could not change its key."""
    op.create_table(
        "checkpoints",
        moment,
        sa.Column("of_users", sa.Boolean(), nullable=False),
        sa.Column("code", sa.String(length=80), nullable=False),
        sa.Column("asset", sa.String(length=16), nullable=False),
        sa.Column("environment", sa.String(length=8), nullable=False),
        sa.Column("debits", sa.String(length=40), nullable=False),
        sa.Column("credits", sa.String(length=40), nullable=False),
        *more,
        sa.CheckConstraint("environment IN ('live', 'sandbox')", name=op.f("ck_checkpoints_environment_known")),
        sa.CheckConstraint("debits <> '' AND trim(debits, '0123456789') = ''", name=op.f("ck_checkpoints_debits")),
        sa.CheckConstraint("credits <> '' AND trim(credits, '0123456789') = ''", name=op.f("ck_checkpoints_credits")),
        sa.PrimaryKeyConstraint(moment.name, "of_users", "code", "asset", "environment", name=op.f("pk_checkpoints")),
    )
