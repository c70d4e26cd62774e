"""payments whose money is reserved and not captured yet; the fee of a dispute"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from app.models.base import Big

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

CHECK = "ck_payments_status_known"
BEFORE = "status IN ('created', 'pending', 'unknown', 'paid', 'failed', 'closed', 'held')"
AFTER = "status IN ('created', 'pending', 'unknown', 'authorized', 'paid', 'failed', 'closed', 'held')"


def upgrade() -> None:
    _change_check(BEFORE, AFTER)
    op.add_column("refunds", sa.Column("dispute_fee_minor", Big, nullable=True))
    op.add_column("refunds", sa.Column("dispute_fee_currency", sa.String(length=3), nullable=True))


def downgrade() -> None:
    """What is reserved counts as not decided; the version before parks what it is told about it."""
    op.drop_column("refunds", "dispute_fee_currency")
    op.drop_column("refunds", "dispute_fee_minor")
    op.execute("UPDATE /* sweep: operator */ payments SET status = 'pending' WHERE status = 'authorized'")
    _change_check(AFTER, BEFORE)


def _change_check(before: str, after: str) -> None:
    if op.get_bind().dialect.name == "sqlite":
        _change_text(before, after)
    else:
        op.drop_constraint(op.f(CHECK), "payments")
        op.create_check_constraint(op.f(CHECK), "payments", sa.text(after))


def _change_text(before: str, after: str) -> None:
    """SQLite changes no constraint, and other tables refer to this one, so that it cannot be made anew. A rule that is
    only read, and changes nothing in the file's pages, may be rewritten where the schema is kept
    (sqlite.org/lang_altertable.html, section 7, seen 2026-11-28)."""
    connection = op.get_bind()
    kept = connection.exec_driver_sql("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = 'payments'")
    text = str(kept.scalar_one())
    if before not in text:
        raise RuntimeError("the table payments is not as the migrations made it")
    version = int(connection.exec_driver_sql("PRAGMA schema_version").scalar_one())
    connection.exec_driver_sql("PRAGMA writable_schema = ON")
    connection.exec_driver_sql(
        "UPDATE sqlite_master SET sql = ? WHERE type = 'table' AND name = 'payments'", (text.replace(before, after),)
    )
    connection.exec_driver_sql(f"PRAGMA schema_version = {version + 1}")
    connection.exec_driver_sql("PRAGMA writable_schema = OFF")
