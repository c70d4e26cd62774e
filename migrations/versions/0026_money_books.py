"""when transfers are effective, closed months, journal entries, and which readings of bills are booked"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")
MOMENT = sa.DateTime(timezone=True)
TIMED = sa.text("effective_at IS NOT NULL")
UNBOOKED = sa.text("booked_at IS NULL AND status = 'read'")


def upgrade() -> None:
    op.add_column("transfers", sa.Column("effective_at", MOMENT, nullable=True))
    op.create_index(
        "ix_transfers_effective_at",
        "transfers",
        ["effective_at"],
        postgresql_using="brin",
        postgresql_with={"autosummarize": "on"},
        sqlite_where=TIMED,
    )
    op.add_column("bill_readings", sa.Column("booked_at", MOMENT, nullable=True))
    op.create_index(
        "ix_bill_readings_unbooked",
        "bill_readings",
        ["provider_account", "id"],
        postgresql_where=UNBOOKED,
        sqlite_where=UNBOOKED,
    )
    op.create_table(
        "closings",
        sa.Column("month", sa.String(7), nullable=False),
        sa.Column("zone", sa.String(64), nullable=False),
        sa.Column("until", MOMENT, nullable=False),
        sa.Column("booked_until", MOMENT, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("document", JSON, nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("despite", sa.String(255), nullable=False),
        sa.Column("proposed_by", sa.String(160), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("confirmed_by", sa.String(160), nullable=True),
        sa.Column("confirmed_at", MOMENT, nullable=True),
        sa.Column("seal", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("status IN ('proposed', 'closed')", name=op.f("ck_closings_status")),
        sa.CheckConstraint("(status = 'closed') = (confirmed_at IS NOT NULL)", name=op.f("ck_closings_confirmed")),
        sa.CheckConstraint("booked_until >= until", name=op.f("ck_closings_after_its_end")),
        sa.PrimaryKeyConstraint("month", name=op.f("pk_closings")),
    )
    op.create_table(
        "journal_entries",
        sa.Column("id", BIG, nullable=False),
        sa.Column("request", sa.String(64), nullable=False),
        sa.Column("document", sa.String(128), nullable=False),
        sa.Column("reason", sa.String(255), nullable=False),
        sa.Column("environment", sa.String(8), nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("lines", JSON, nullable=False),
        sa.Column("effective_at", MOMENT, nullable=True),
        sa.Column("reverses", BIG, nullable=True),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("proposed_by", sa.String(160), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("ended_by", sa.String(160), nullable=True),
        sa.Column("ended_at", MOMENT, nullable=True),
        sa.Column("booked", sa.Integer(), nullable=False),
        sa.Column("seal", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("status IN ('proposed', 'posted', 'withdrawn')", name=op.f("ck_journal_entries_status")),
        sa.CheckConstraint("(status = 'proposed') = (ended_at IS NULL)", name=op.f("ck_journal_entries_ended")),
        sa.CheckConstraint("(status = 'posted') = (booked > 0)", name=op.f("ck_journal_entries_booked_when_posted")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_journal_entries")),
        sa.UniqueConstraint("request", name=op.f("uq_journal_entries_request")),
        sa.UniqueConstraint("reverses", name=op.f("uq_journal_entries_reverses")),
    )
    op.create_index("ix_journal_entries_created_at", "journal_entries", ["created_at", "id"])


def downgrade() -> None:
    op.drop_table("journal_entries")
    op.drop_table("closings")
    op.drop_index("ix_bill_readings_unbooked", table_name="bill_readings")
    op.drop_column("bill_readings", "booked_at")
    op.drop_index("ix_transfers_effective_at", table_name="transfers")
    op.drop_column("transfers", "effective_at")
