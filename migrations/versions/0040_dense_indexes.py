"""dense indexes: what is looked up by a number that rises with time is ordered by it, and not by the slot first

Four indexes are built anew (docs/adr/0069 says how long that takes), while whoever writes these tables waits.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0040"
down_revision = "0039"
branch_labels = None
depends_on = None

OF_PURCHASES = {"postgresql_where": sa.text("payment <> ''"), "sqlite_where": sa.text("payment <> ''")}


def upgrade() -> None:
    op.drop_index("ix_payments_slot_order_id_attempt", "payments")
    op.create_index("ix_payments_order_id_attempt_slot", "payments", ["order_id", "attempt", "slot"], unique=True)
    op.drop_index("ix_facts_slot_payment_id", "facts")
    op.create_index("ix_facts_payment_id", "facts", ["payment_id"])
    op.drop_index("ix_orders_slot_user_id_id", "orders")
    op.create_index("ix_orders_user_id_id", "orders", ["user_id", "id"])
    op.drop_index("ix_lots_slot_payment", "lots")
    op.create_index("ix_lots_payment", "lots", ["payment"], **OF_PURCHASES)


def downgrade() -> None:
    op.drop_index("ix_lots_payment", "lots")
    op.create_index("ix_lots_slot_payment", "lots", ["slot", "payment"], **OF_PURCHASES)
    op.drop_index("ix_orders_user_id_id", "orders")
    op.create_index("ix_orders_slot_user_id_id", "orders", ["slot", "user_id", "id"])
    op.drop_index("ix_facts_payment_id", "facts")
    op.create_index("ix_facts_slot_payment_id", "facts", ["slot", "payment_id"])
    op.drop_index("ix_payments_order_id_attempt_slot", "payments")
    op.create_index("ix_payments_slot_order_id_attempt", "payments", ["slot", "order_id", "attempt"], unique=True)
