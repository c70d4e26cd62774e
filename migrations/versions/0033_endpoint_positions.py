"""how far each endpoint has read the feed is kept in the database of that feed"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None


def upgrade() -> None:
    big = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "endpoint_positions",
        sa.Column("endpoint_id", big, primary_key=True),
        sa.Column("planned", sa.BigInteger(), nullable=False),
        sa.Column("rests_until", sa.DateTime(timezone=True), nullable=True),
    )
    op.execute("INSERT INTO endpoint_positions (endpoint_id, planned) SELECT id, planned FROM endpoints")
    op.drop_column("endpoints", "planned")


def downgrade() -> None:
    op.add_column("endpoints", sa.Column("planned", sa.BigInteger(), nullable=False, server_default="0"))
    op.execute(
        "UPDATE endpoints SET planned ="
        " COALESCE((SELECT p.planned FROM endpoint_positions p WHERE p.endpoint_id = endpoints.id), 0)"
    )
    if op.get_bind().dialect.name == "postgresql":
        op.alter_column("endpoints", "planned", server_default=None)
    op.drop_table("endpoint_positions")
