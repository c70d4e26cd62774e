"""providers' bills, as they came"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "bills",
        sa.Column("provider_account", sa.String(32), nullable=False),
        sa.Column("feed", sa.String(64), nullable=False),
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("since", moment, nullable=False),
        sa.Column("until", moment, nullable=False),
        sa.Column("fetched_at", moment, nullable=False),
        sa.CheckConstraint("length(sha256) = 64", name=op.f("ck_bills_sha256_whole")),
        sa.PrimaryKeyConstraint("provider_account", "feed", "name", "sha256", name=op.f("pk_bills")),
    )


def downgrade() -> None:
    op.drop_table("bills")
