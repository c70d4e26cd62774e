"""differences between bills and books"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime(timezone=True)
TO_MATCH = sa.text("match_at IS NOT NULL")
BY_TIME = {"postgresql_using": "brin", "postgresql_with": {"autosummarize": "on"}}
STATES = "state IN ('open', 'in_work', 'resolved', 'written_off', 'gone')"


def upgrade() -> None:
    op.add_column("bill_readings", sa.Column("match_at", MOMENT, nullable=True))
    op.create_index(
        "ix_bill_readings_match", "bill_readings", ["match_at"], postgresql_where=TO_MATCH, sqlite_where=TO_MATCH
    )
    op.create_index("ix_facts_at", "facts", ["at"], **BY_TIME)
    op.create_index("ix_refunds_done_at", "refunds", ["done_at"], **BY_TIME)
    op.create_table(
        "differences",
        sa.Column("provider_account", sa.String(32), nullable=False),
        sa.Column("id", BIG, nullable=False),
        sa.Column("side", sa.String(16), nullable=False),
        sa.Column("type", sa.String(24), nullable=False),
        sa.Column("subject", sa.String(600), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("zone", sa.String(64), nullable=False),
        sa.Column("ours_minor", BIG, nullable=True),
        sa.Column("ours_currency", sa.String(3), nullable=True),
        sa.Column("theirs_minor", BIG, nullable=True),
        sa.Column("theirs_currency", sa.String(3), nullable=True),
        sa.Column("ours", sa.String(128), nullable=True),
        sa.Column("theirs", sa.String(255), nullable=True),
        sa.Column("refund", sa.String(255), nullable=True),
        sa.Column("payment_id", BIG, nullable=True),
        sa.Column("refund_id", BIG, nullable=True),
        sa.Column("line_key", sa.String(128), nullable=True),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("owner", sa.String(160), nullable=False),
        sa.Column("note", sa.String(255), nullable=False),
        sa.Column("written_off_by", sa.String(160), nullable=False),
        sa.Column("opened_at", MOMENT, nullable=False),
        sa.Column("changed_at", MOMENT, nullable=False),
        sa.Column("closed_at", MOMENT, nullable=True),
        sa.CheckConstraint(STATES, name=op.f("ck_differences_state")),
        sa.CheckConstraint(
            "(state IN ('open', 'in_work')) = (closed_at IS NULL)", name=op.f("ck_differences_closed_at_a_moment")
        ),
        sa.PrimaryKeyConstraint("provider_account", "id", name=op.f("pk_differences")),
    )
    op.create_index("ix_differences_at", "differences", ["provider_account", "at"])
    op.create_index("ix_differences_listed", "differences", ["at", "id"])
    op.create_index("ix_differences_id", "differences", ["id"])
    op.create_table(
        "difference_changes",
        sa.Column("provider_account", sa.String(32), nullable=False),
        sa.Column("id", BIG, nullable=False),
        sa.Column("difference_id", BIG, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("actor", sa.String(160), nullable=False),
        sa.Column("what", sa.String(32), nullable=False),
        sa.Column("detail", sa.String(255), nullable=False),
        sa.CheckConstraint("length(actor) > 0", name=op.f("ck_difference_changes_has_actor")),
        sa.ForeignKeyConstraint(
            ["provider_account", "difference_id"],
            ["differences.provider_account", "differences.id"],
            name=op.f("fk_difference_changes_provider_account_difference_id_differences"),
        ),
        sa.PrimaryKeyConstraint("provider_account", "id", name=op.f("pk_difference_changes")),
    )
    op.create_index("ix_difference_changes_of", "difference_changes", ["provider_account", "difference_id", "id"])


def downgrade() -> None:
    op.drop_table("difference_changes")
    op.drop_table("differences")
    op.drop_index("ix_refunds_done_at", table_name="refunds")
    op.drop_index("ix_facts_at", table_name="facts")
    op.drop_index("ix_bill_readings_match", table_name="bill_readings")
    op.drop_column("bill_readings", "match_at")
