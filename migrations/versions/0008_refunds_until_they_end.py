"""refunds are asked about until they end: what came back of them, later questions, alarms, and who ended them"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from app.models.base import Moment

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    big = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.add_column("refunds", sa.Column("undone_minor", big, nullable=False, server_default="0"))
    op.add_column("refunds", sa.Column("recheck_at", Moment(timezone=True), nullable=True))
    op.add_column("refunds", sa.Column("rechecks", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("refunds", sa.Column("alarmed_at", Moment(timezone=True), nullable=True))
    op.add_column("refunds", sa.Column("ended_by", sa.String(length=160), nullable=True))
    op.create_index(
        "ix_refunds_recheck",
        "refunds",
        ["recheck_at"],
        postgresql_where=sa.text("recheck_at IS NOT NULL"),
        sqlite_where=sa.text("recheck_at IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_refunds_recheck", table_name="refunds")
    for column in ("ended_by", "alarmed_at", "rechecks", "recheck_at", "undone_minor"):
        op.drop_column("refunds", column)
