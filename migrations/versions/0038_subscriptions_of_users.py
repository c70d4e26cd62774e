"""subscriptions of users: one that goes over to another user of the same slot has a row for each of them"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0038"
down_revision = "0037"
branch_labels = None
depends_on = None

BEFORE = ["slot", "provider_account", "environment", "theirs"]


def upgrade() -> None:
    _index([*BEFORE, "user_id"])


def downgrade() -> None:
    """Raises an error where two users of one slot have had the same subscription."""
    _index(BEFORE)


def _index(columns: list[str]) -> None:
    op.drop_index("uq_agreements_theirs", "agreements")
    op.create_index(
        "uq_agreements_theirs",
        "agreements",
        columns,
        unique=True,
        postgresql_where=sa.text("by_store"),
        sqlite_where=sa.text("by_store"),
    )
