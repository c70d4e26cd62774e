"""longer references: stores name a purchase by tokens of 150 characters and more"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

COLUMNS = (
    ("asks", "refund", False),
    ("claims", "reference", False),
    ("facts", "message_id", True),
    ("payments", "theirs", True),
    ("refunds", "number_there", True),
    ("refunds", "theirs", False),
    ("reports", "question", False),
)


def upgrade() -> None:
    _alter(before=128, after=255)


def downgrade() -> None:
    """Fails, changing nothing, if a longer one is there."""
    _alter(before=255, after=128)


def _alter(*, before: int, after: int) -> None:
    if op.get_bind().dialect.name == "sqlite":
        return  # SQLite keeps to no length, and could change a type only by writing the table anew
    for table, column, nullable in COLUMNS:
        op.alter_column(
            table,
            column,
            existing_type=sa.String(before),
            type_=sa.String(after),
            existing_nullable=nullable,
        )
