"""an attempt to pay is named after caller and key, so that a forgotten key makes no second one"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("payments", sa.Column("request", sa.Uuid(), nullable=True))
    op.create_index(op.f("ix_payments_slot_request"), "payments", ["slot", "request"], unique=True)


def downgrade() -> None:
    op.drop_index(op.f("ix_payments_slot_request"), table_name="payments")
    op.drop_column("payments", "request")
