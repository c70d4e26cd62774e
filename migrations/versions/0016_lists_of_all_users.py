"""orders and refunds of all users are listed by status and time, a page at a time"""

from __future__ import annotations

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_orders_listed", "orders", ["status", "created_at", "id"])
    op.create_index("ix_refunds_listed", "refunds", ["status", "created_at", "id"])


def downgrade() -> None:
    op.drop_index("ix_refunds_listed", table_name="refunds")
    op.drop_index("ix_orders_listed", table_name="orders")
