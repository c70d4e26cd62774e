"""what providers' bills say, line by line"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")
MOMENT = sa.DateTime(timezone=True)
HAS_THEIRS = sa.text("theirs IS NOT NULL")


def upgrade() -> None:
    op.create_table(
        "bill_readings",
        sa.Column("provider_account", sa.String(32), nullable=False),
        sa.Column("id", BIG, nullable=False),
        sa.Column("feed", sa.String(64), nullable=False),
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("side", sa.String(16), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("problem", sa.String(255), nullable=False),
        sa.Column("since", MOMENT, nullable=False),
        sa.Column("until", MOMENT, nullable=False),
        sa.Column("zone", sa.String(64), nullable=False),
        sa.Column("lines", sa.Integer(), nullable=False),
        sa.Column("read_at", MOMENT, nullable=False),
        sa.CheckConstraint(
            "status IN ('reading', 'read', 'refused', 'replaced')", name=op.f("ck_bill_readings_status")
        ),
        sa.CheckConstraint("side IN ('trades', 'funds', 'sales', 'proceeds')", name=op.f("ck_bill_readings_side")),
        sa.ForeignKeyConstraint(
            ["provider_account", "feed", "name", "sha256"],
            ["bills.provider_account", "bills.feed", "bills.name", "bills.sha256"],
            name=op.f("fk_bill_readings_provider_account_feed_name_sha256_bills"),
        ),
        sa.PrimaryKeyConstraint("provider_account", "id", name=op.f("pk_bill_readings")),
        sa.UniqueConstraint("provider_account", "feed", "name", "sha256", name="uq_bill_readings_document"),
    )
    op.create_index("ix_bill_readings_since", "bill_readings", ["provider_account", "since"])
    op.create_table(
        "bill_lines",
        sa.Column("provider_account", sa.String(32), nullable=False),
        sa.Column("reading_id", BIG, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(128), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("fee_minor", sa.BigInteger(), nullable=False),
        sa.Column("discount_minor", sa.BigInteger(), nullable=False),
        sa.Column("balance_minor", sa.BigInteger(), nullable=True),
        sa.Column("ours", sa.String(128), nullable=True),
        sa.Column("theirs", sa.String(128), nullable=True),
        sa.Column("refund", sa.String(128), nullable=True),
        sa.Column("related", sa.String(128), nullable=True),
        sa.Column("undecided", sa.Boolean(), nullable=False),
        sa.Column("word", sa.String(64), nullable=False),
        sa.Column("note", sa.String(255), nullable=False),
        sa.Column("cell", JSON, nullable=True),
        sa.ForeignKeyConstraint(
            ["provider_account", "reading_id"],
            ["bill_readings.provider_account", "bill_readings.id"],
            name=op.f("fk_bill_lines_provider_account_reading_id_bill_readings"),
        ),
        sa.PrimaryKeyConstraint("provider_account", "reading_id", "position", name=op.f("pk_bill_lines")),
    )
    op.create_index("ix_bill_lines_at", "bill_lines", ["provider_account", "at"])
    op.create_index(
        "ix_bill_lines_theirs",
        "bill_lines",
        ["provider_account", "theirs"],
        postgresql_where=HAS_THEIRS,
        sqlite_where=HAS_THEIRS,
    )


def downgrade() -> None:
    op.drop_table("bill_lines")
    op.drop_table("bill_readings")
