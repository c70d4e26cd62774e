"""the movements of the contract liability by day, and when orders of external products were delivered"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "recognition_figures",
        sa.Column("booked_until", MOMENT, nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("environment", sa.String(8), nullable=False),
        sa.Column("currency", sa.String(16), nullable=False),
        sa.Column("asset", sa.String(16), nullable=False),
        sa.Column("product", sa.String(128), nullable=False),
        sa.Column("sale_month", sa.String(7), nullable=False),
        sa.Column("movement", sa.String(16), nullable=False),
        sa.Column("coins", sa.BigInteger(), nullable=False),
        sa.Column("value_minor", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("environment IN ('live', 'sandbox')", name=op.f("ck_recognition_figures_environment_known")),
        sa.CheckConstraint(
            "currency <> '' OR value_minor = 0", name=op.f("ck_recognition_figures_value_has_a_currency")
        ),
        sa.PrimaryKeyConstraint(
            "booked_until",
            "day",
            "environment",
            "currency",
            "asset",
            "product",
            "sale_month",
            "movement",
            name=op.f("pk_recognition_figures"),
        ),
    )
    op.create_index("ix_recognition_figures_day", "recognition_figures", ["day"])
    op.create_table(
        "recognition_progress",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("booked_until", MOMENT, nullable=False),
        sa.Column("rules", sa.Text(), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_recognition_progress_single")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recognition_progress")),
    )
    op.add_column("fulfilments", sa.Column("delivered_at", MOMENT, nullable=True))
    # What is taken back by now was delivered before: the last answer is the best that is known of when.
    op.execute(
        "/* sweep: operator */ UPDATE fulfilments SET delivered_at = answered_at"
        " WHERE EXISTS (SELECT 1 FROM orders WHERE orders.slot = fulfilments.slot AND orders.id = fulfilments.id"
        " AND orders.fulfilment_status IN ('delivered', 'taken_back'))"
    )


def downgrade() -> None:
    op.drop_column("fulfilments", "delivered_at")
    op.drop_table("recognition_progress")
    op.drop_table("recognition_figures")
