"""attempts of an order are counted; a key keeps a refusal and a hash of each field, a freeze its request"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

JSON = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")


def upgrade() -> None:
    op.add_column("payments", sa.Column("attempt", sa.Integer(), server_default="1", nullable=False))
    op.execute(
        "UPDATE /* sweep: operator */ payments SET attempt = (SELECT count(*) FROM payments earlier"
        " WHERE earlier.slot = payments.slot"
        " AND earlier.order_id = payments.order_id AND earlier.id <= payments.id)"
        " WHERE EXISTS (SELECT 1 FROM payments earlier WHERE earlier.slot = payments.slot"
        " AND earlier.order_id = payments.order_id AND earlier.id < payments.id)"
    )
    op.create_index(op.f("ix_payments_slot_order_id_attempt"), "payments", ["slot", "order_id", "attempt"], unique=True)
    op.drop_index(op.f("ix_payments_slot_order_id"), table_name="payments")
    op.add_column("idempotency", sa.Column("fields", JSON, nullable=True))
    op.add_column("idempotency", sa.Column("refusal", JSON, nullable=True))
    op.add_column("freezes", sa.Column("request", sa.Uuid(), nullable=True))
    op.create_index(op.f("ix_freezes_slot_request"), "freezes", ["slot", "request"], unique=True)


def downgrade() -> None:
    """Keys that stand for a refusal are free again."""
    op.execute("DELETE /* sweep: operator */ FROM idempotency WHERE refusal IS NOT NULL")
    op.drop_index(op.f("ix_freezes_slot_request"), table_name="freezes")
    op.drop_column("freezes", "request")
    op.drop_column("idempotency", "refusal")
    op.drop_column("idempotency", "fields")
    op.create_index(op.f("ix_payments_slot_order_id"), "payments", ["slot", "order_id"], unique=False)
    op.drop_index(op.f("ix_payments_slot_order_id_attempt"), table_name="payments")
    op.drop_column("payments", "attempt")
