"""questions about a payment's refunds are asked until they end; settled messages are found by their age"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Questions that had ended without a size are asked once more: an answer ends those that need no other."""
    op.add_column("asks", sa.Column("ended_by", sa.String(160), nullable=True))
    op.add_column("asks", sa.Column("end_reason", sa.String(256), server_default="", nullable=False))
    settled = sa.text("resolved_at IS NOT NULL")
    op.create_index("ix_messages_settled", "messages", ["resolved_at"], postgresql_where=settled, sqlite_where=settled)
    op.execute(
        "UPDATE /* sweep: operator */ asks SET next_try_at = raised_at, tries = 0"
        " WHERE payment_id IS NOT NULL AND refund = '' AND next_try_at IS NULL"
    )


def downgrade() -> None:
    op.drop_index("ix_messages_settled", "messages")
    op.drop_column("asks", "end_reason")
    op.drop_column("asks", "ended_by")
