"""two differences end together because a person says that they are one"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
STATE = "ck_differences_state"
BEFORE = "state IN ('open', 'in_work', 'resolved', 'written_off', 'gone')"
AFTER = "state IN ('open', 'in_work', 'resolved', 'matched', 'written_off', 'gone')"


def upgrade() -> None:
    op.add_column("differences", sa.Column("matched_with", BIG))
    _change_check(BEFORE, AFTER)


def downgrade() -> None:
    """What a person matched is open again: the version before knows no such state."""
    op.execute("UPDATE differences SET state = 'open', closed_at = NULL WHERE state = 'matched'")
    _change_check(AFTER, BEFORE)
    op.drop_column("differences", "matched_with")


def _change_check(before: str, after: str) -> None:
    if op.get_bind().dialect.name == "sqlite":
        _change_text(before, after)
    else:
        op.drop_constraint(op.f(STATE), "differences")
        op.create_check_constraint(op.f(STATE), "differences", sa.text(after))


def _change_text(before: str, after: str) -> None:
    """SQLite changes no constraint. A rule that is only read may be rewritten where the schema is kept
    (sqlite.org/lang_altertable.html, section 7, seen 2026-11-28)."""
    connection = op.get_bind()
    kept = connection.exec_driver_sql("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = 'differences'")
    text = str(kept.scalar_one())
    if before not in text:
        raise RuntimeError("the table differences is not as the migrations made it")
    version = int(connection.exec_driver_sql("PRAGMA schema_version").scalar_one())
    connection.exec_driver_sql("PRAGMA writable_schema = ON")
    connection.exec_driver_sql(
        "UPDATE sqlite_master SET sql = ? WHERE type = 'table' AND name = 'differences'",
        (text.replace(before, after),),
    )
    connection.exec_driver_sql(f"PRAGMA schema_version = {version + 1}")
    connection.exec_driver_sql("PRAGMA writable_schema = OFF")
