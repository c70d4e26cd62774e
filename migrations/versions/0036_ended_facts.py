"""a person ends a fact that is about no payment; a period that an earlier system sold is refunded"""

from __future__ import annotations

from collections.abc import Mapping

import sqlalchemy as sa
from alembic import op

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None

DEEDS = "what IN ('payment_closed', 'refund_ended', 'question_ended', 'fulfilment_ended', 'fact_assigned'"
KNOWN_BEFORE, KNOWN = f"{DEEDS})", f"{DEEDS}, 'fact_ended')"
STATES = "status IN ('due', 'paid', 'free', 'unpaid'"
STATES_BEFORE, STATES_NOW = f"{STATES})", f"{STATES}, 'refunded')"
ABOUT = "CONSTRAINT ck_interventions_about_something CHECK (payment_id IS NOT NULL OR fact_id IS NOT NULL), \n\t"
FIRST_CHECK = "CONSTRAINT ck_interventions_slot_in_id CHECK"


def upgrade() -> None:
    op.add_column(
        "interventions", sa.Column("fact_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True)
    )
    if op.get_bind().dialect.name == "sqlite":
        changes = {"payment_id INTEGER NOT NULL": "payment_id INTEGER", KNOWN_BEFORE: KNOWN}
        _change_text("interventions", changes | {FIRST_CHECK: ABOUT + FIRST_CHECK})
        _change_text("agreement_periods", {STATES_BEFORE: STATES_NOW})
        return
    op.alter_column("interventions", "payment_id", nullable=True)
    op.create_check_constraint(
        op.f("ck_interventions_about_something"), "interventions", "payment_id IS NOT NULL OR fact_id IS NOT NULL"
    )
    _change_check("interventions", "what_known", KNOWN)
    _change_check("agreement_periods", "status_known", STATES_NOW)


def downgrade() -> None:
    """What a person ended stays ended, and nobody knows who it was; what a refunded period made active is active."""
    op.execute("DELETE /* sweep: operator */ FROM interventions WHERE what = 'fact_ended'")
    op.execute("UPDATE /* sweep: operator */ agreement_periods SET status = 'free' WHERE status = 'refunded'")
    if op.get_bind().dialect.name == "sqlite":
        changes = {"payment_id INTEGER": "payment_id INTEGER NOT NULL", KNOWN: KNOWN_BEFORE, ABOUT: ""}
        _change_text("interventions", changes)
        _change_text("agreement_periods", {STATES_NOW: STATES_BEFORE})
    else:
        _change_check("agreement_periods", "status_known", STATES_BEFORE)
        _change_check("interventions", "what_known", KNOWN_BEFORE)
        op.drop_constraint(op.f("ck_interventions_about_something"), "interventions")
        op.alter_column("interventions", "payment_id", nullable=False)
    op.drop_column("interventions", "fact_id")


def _change_check(table: str, name: str, rule: str) -> None:
    op.drop_constraint(op.f(f"ck_{table}_{name}"), table)
    op.create_check_constraint(op.f(f"ck_{table}_{name}"), table, sa.text(rule))


def _change_text(table: str, changes: Mapping[str, str]) -> None:
    """SQLite changes no constraint. A rule that is only read may be rewritten where the schema is kept
    (sqlite.org/lang_altertable.html, section 7, seen 2026-11-28)."""
    connection = op.get_bind()
    kept = connection.exec_driver_sql("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = ?", (table,))
    text = str(kept.scalar_one())
    for before, after in changes.items():
        if before not in text:
            raise RuntimeError(f"the table {table} is not as the migrations made it: no {before!r}")
        text = text.replace(before, after)
    version = int(connection.exec_driver_sql("PRAGMA schema_version").scalar_one())
    connection.exec_driver_sql("PRAGMA writable_schema = ON")
    connection.exec_driver_sql("UPDATE sqlite_master SET sql = ? WHERE type = 'table' AND name = ?", (text, table))
    connection.exec_driver_sql(f"PRAGMA schema_version = {version + 1}")
    connection.exec_driver_sql("PRAGMA writable_schema = OFF")
