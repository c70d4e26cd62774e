"""which database holds which slots, in each of them"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None


def upgrade() -> None:
    json = sa.JSON(none_as_null=True).with_variant(
        postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), "postgresql"
    )
    op.create_table(
        "slot_map",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("document", json, nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_slot_map_one_row")),
        sa.CheckConstraint("version > 0", name=op.f("ck_slot_map_version")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_slot_map")),
    )


def downgrade() -> None:
    op.drop_table("slot_map")
