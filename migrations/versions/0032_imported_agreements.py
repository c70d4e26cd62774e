"""agreements that an earlier system brought, and until when their periods were credited there"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0032"
down_revision = "0029"
branch_labels = None
depends_on = None


def upgrade() -> None:
    json = sa.JSON(none_as_null=True).with_variant(
        postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), "postgresql"
    )
    op.add_column("agreements", sa.Column("known_as", sa.String(length=255), nullable=True))
    op.add_column("agreements", sa.Column("imported", json, nullable=True))
    op.add_column("claims", sa.Column("imported_until", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    op.drop_column("claims", "imported_until")
    op.drop_column("agreements", "imported")
    op.drop_column("agreements", "known_as")
