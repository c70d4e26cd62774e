"""callers and their API keys, when each key was used, and what a caller may do at the most"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    moment, json = sa.DateTime(timezone=True), sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
    op.create_table(
        "callers",
        sa.Column("name", sa.String(32), nullable=False),
        sa.Column("made_by", sa.String(160), nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.CheckConstraint("length(name) > 0", name=op.f("ck_callers_name_not_empty")),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_callers")),
    )
    op.create_table(
        "caller_keys",
        sa.Column("name", sa.String(32), nullable=False),
        sa.Column("caller", sa.String(32), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("scopes", json, nullable=False),
        sa.Column("expires_at", moment, nullable=True),
        sa.Column("made_by", sa.String(160), nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("seal", sa.LargeBinary(), nullable=False),
        sa.Column("revoked_by", sa.String(160), nullable=True),
        sa.Column("revoked_at", moment, nullable=True),
        sa.CheckConstraint(
            "(revoked_by IS NULL) = (revoked_at IS NULL)", name=op.f("ck_caller_keys_revoked_by_somebody")
        ),
        sa.ForeignKeyConstraint(["caller"], ["callers.name"], name=op.f("fk_caller_keys_caller_callers")),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_caller_keys")),
        sa.UniqueConstraint("sha256", name=op.f("uq_caller_keys_sha256")),
    )
    op.create_table(
        "key_uses",
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("last_used_at", moment, nullable=False),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_key_uses")),
    )
    op.create_table(
        "caller_caps",
        sa.Column("caller", sa.String(32), nullable=False),
        sa.Column("verb", sa.String(8), nullable=False),
        sa.Column("unit", sa.String(16), nullable=False),
        sa.Column("per_call", sa.BigInteger(), nullable=True),
        sa.Column("per_day", sa.BigInteger(), nullable=True),
        sa.Column("set_by", sa.String(160), nullable=False),
        sa.Column("set_at", moment, nullable=False),
        sa.CheckConstraint("verb IN ('grants', 'debits', 'refunds')", name=op.f("ck_caller_caps_verb_known")),
        sa.CheckConstraint("per_call IS NOT NULL OR per_day IS NOT NULL", name=op.f("ck_caller_caps_caps_something")),
        sa.CheckConstraint("per_call >= 0 AND per_day >= 0", name=op.f("ck_caller_caps_not_negative")),
        sa.ForeignKeyConstraint(["caller"], ["callers.name"], name=op.f("fk_caller_caps_caller_callers")),
        sa.PrimaryKeyConstraint("caller", "verb", "unit", name=op.f("pk_caller_caps")),
    )
    op.create_table(
        "caller_days",
        sa.Column("caller", sa.String(40), nullable=False),
        sa.Column("verb", sa.String(8), nullable=False),
        sa.Column("unit", sa.String(16), nullable=False),
        sa.Column("environment", sa.String(8), nullable=False),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("used", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("used > 0", name=op.f("ck_caller_days_used_something")),
        sa.PrimaryKeyConstraint("caller", "verb", "unit", "environment", "day", name=op.f("pk_caller_days")),
    )


def downgrade() -> None:
    for table in ("caller_days", "caller_caps", "key_uses", "caller_keys", "callers"):
        op.drop_table(table)
