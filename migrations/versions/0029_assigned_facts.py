"""a person assigns money that matched nothing to an order"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None

DEEDS = "ck_interventions_what_known"
BEFORE = "what IN ('payment_closed', 'refund_ended', 'question_ended', 'fulfilment_ended')"
AFTER = "what IN ('payment_closed', 'refund_ended', 'question_ended', 'fulfilment_ended', 'fact_assigned')"


def upgrade() -> None:
    _change_check(BEFORE, AFTER)


def downgrade() -> None:
    """What a person assigned is forgotten: the version before knows no such deed."""
    op.execute("DELETE /* sweep: operator */ FROM interventions WHERE what = 'fact_assigned'")
    _change_check(AFTER, BEFORE)


def _change_check(before: str, after: str) -> None:
    if op.get_bind().dialect.name == "sqlite":
        _change_text(before, after)
    else:
        op.drop_constraint(op.f(DEEDS), "interventions")
        op.create_check_constraint(op.f(DEEDS), "interventions", sa.text(after))


def _change_text(before: str, after: str) -> None:
    """SQLite changes no constraint. A rule that is only read may be rewritten where the schema is kept
    (sqlite.org/lang_altertable.html, section 7, seen 2026-11-28)."""
    connection = op.get_bind()
    kept = connection.exec_driver_sql("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = 'interventions'")
    text = str(kept.scalar_one())
    if before not in text:
        raise RuntimeError("the table interventions is not as the migrations made it")
    version = int(connection.exec_driver_sql("PRAGMA schema_version").scalar_one())
    connection.exec_driver_sql("PRAGMA writable_schema = ON")
    connection.exec_driver_sql(
        "UPDATE sqlite_master SET sql = ? WHERE type = 'table' AND name = 'interventions'",
        (text.replace(before, after),),
    )
    connection.exec_driver_sql(f"PRAGMA schema_version = {version + 1}")
    connection.exec_driver_sql("PRAGMA writable_schema = OFF")
