"""orders, facts, refunds and answers to keys bear seals, and so do credits that callers make"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

SEALED = ("orders", "facts", "refunds", "idempotency")


def upgrade() -> None:
    """What is there already gets no seal: it is older than the moment from which the audit wants one."""
    for table in SEALED:
        op.add_column(table, sa.Column("seal", sa.LargeBinary(), nullable=True))
    op.create_table(
        "grant_seals",
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("transfer_id", sa.Uuid(), nullable=False),
        sa.Column("seal", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("slot", "transfer_id", name=op.f("pk_grant_seals")),
    )
    for trigger in _on_sqlite() if op.get_bind().dialect.name == "sqlite" else _on_postgres():
        op.execute(trigger)


def downgrade() -> None:
    op.drop_table("grant_seals")
    for table in SEALED:
        op.drop_column(table, "seal")


def _on_postgres() -> list[str]:
    call = "EXECUTE FUNCTION tillbook_refuse()"
    return [
        f"CREATE TRIGGER grant_seals_no_update BEFORE UPDATE ON grant_seals FOR EACH ROW {call}",
        f"CREATE TRIGGER grant_seals_no_delete BEFORE DELETE ON grant_seals FOR EACH ROW {call}",
        f"CREATE TRIGGER grant_seals_no_truncate BEFORE TRUNCATE ON grant_seals FOR EACH STATEMENT {call}",
    ]


def _on_sqlite() -> list[str]:
    body = "BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END"
    return [
        f"CREATE TRIGGER grant_seals_no_update BEFORE UPDATE ON grant_seals {body}",
        f"CREATE TRIGGER grant_seals_no_delete BEFORE DELETE ON grant_seals {body}",
    ]
