"""operators: the people who may sign in to the console"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0039"
down_revision = "0038"
branch_labels = None
depends_on = None


def upgrade() -> None:
    moment, json = sa.DateTime(timezone=True), sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
    op.create_table(
        "operators",
        sa.Column("name", sa.String(32), nullable=False),
        sa.Column("roles", json, nullable=False),
        sa.Column("password", sa.String(255), nullable=False),
        sa.Column("code_secret", sa.String(255), nullable=False),
        sa.Column("made_by", sa.String(160), nullable=False),
        sa.Column("made_at", moment, nullable=False),
        sa.Column("seal", sa.LargeBinary(), nullable=False),
        sa.Column("ended_by", sa.String(160)),
        sa.Column("ended_at", moment),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("refused_until", moment),
        sa.Column("last_code", sa.BigInteger(), nullable=False),
        sa.Column("session", sa.BigInteger(), nullable=False),
        sa.Column("signed_in_at", moment),
        sa.CheckConstraint("length(name) > 0", name=op.f("ck_operators_name_not_empty")),
        sa.CheckConstraint("(ended_by IS NULL) = (ended_at IS NULL)", name=op.f("ck_operators_ended_by_somebody")),
        sa.CheckConstraint("attempts >= 0 AND session >= 0 AND last_code >= 0", name=op.f("ck_operators_not_negative")),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_operators")),
    )


def downgrade() -> None:
    op.drop_table("operators")
