"""agreements of an earlier system, until when it credited their periods, and until when a plan's price is earned"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None


def upgrade() -> None:
    json = sa.JSON(none_as_null=True).with_variant(
        postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), "postgresql"
    )
    op.add_column("agreements", sa.Column("known_as", sa.String(length=255), nullable=True))
    op.add_column("agreements", sa.Column("imported", json, nullable=True))
    op.add_column("claims", sa.Column("imported_until", sa.DateTime(timezone=True), nullable=True))
    op.add_column("agreement_periods", sa.Column("earned_until", sa.DateTime(timezone=True), nullable=True))
    op.create_index(
        "ix_agreement_periods_earned",
        "agreement_periods",
        ["earned_until"],
        postgresql_where=sa.text("earned_until IS NOT NULL"),
        sqlite_where=sa.text("earned_until IS NOT NULL"),
    )
    # A store's period that was cut short by the next one keeps its cut end: how long it was sold for is not kept.
    op.execute(
        "/* sweep: operator */ UPDATE agreement_periods SET earned_until = ends_at WHERE payment_id IS NOT NULL"
        " AND EXISTS (SELECT 1 FROM orders WHERE orders.slot = agreement_periods.slot"
        " AND orders.id = agreement_periods.order_id AND orders.fulfilment = 'wallet'"
        " AND CAST(orders.grants AS TEXT) = '[]')"
    )


def downgrade() -> None:
    op.drop_index("ix_agreement_periods_earned", "agreement_periods")
    op.drop_column("agreement_periods", "earned_until")
    op.drop_column("claims", "imported_until")
    op.drop_column("agreements", "imported")
    op.drop_column("agreements", "known_as")
