"""a question about a payment's refunds is asked until a refund is told, or a person ends it by name"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Questions that had ended without a size are asked once more: an answer ends those that need no other."""
    op.add_column("asks", sa.Column("ended_by", sa.String(160), nullable=True))
    op.add_column("asks", sa.Column("end_reason", sa.String(256), server_default="", nullable=False))
    op.execute(
        "UPDATE /* sweep: operator */ asks SET next_try_at = raised_at, tries = 0"
        " WHERE payment_id IS NOT NULL AND refund = '' AND next_try_at IS NULL"
    )


def downgrade() -> None:
    op.drop_column("asks", "end_reason")
    op.drop_column("asks", "ended_by")
