"""calls about agreements, prices that a store raises, owners that a store is told, agreements that replace others"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

ABOUT_SOMETHING = (
    "ck_provider_calls_about_something",
    "payment_id IS NOT NULL OR receipt_id IS NOT NULL",
    "payment_id IS NOT NULL OR receipt_id IS NOT NULL OR agreement_id IS NOT NULL",
)
ABOUT_KNOWN = (
    "ck_reports_about_known",
    "about IN ('delivered', 'consumption')",
    "about IN ('delivered', 'consumption', 'owner')",
)


def upgrade() -> None:
    big = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.add_column("provider_calls", sa.Column("agreement_id", big, nullable=True))
    op.create_index(
        "ix_provider_calls_agreement",
        "provider_calls",
        ["slot", "agreement_id", "at"],
        postgresql_where=sa.text("agreement_id IS NOT NULL"),
        sqlite_where=sa.text("agreement_id IS NOT NULL"),
    )
    op.add_column("agreements", sa.Column("price_increase", sa.String(length=8), nullable=True))
    op.add_column("agreements", sa.Column("replaces_id", big, nullable=True))
    for table, (name, before, after) in (("provider_calls", ABOUT_SOMETHING), ("reports", ABOUT_KNOWN)):
        _change_check(table, name, before, after)


def downgrade() -> None:
    """What the version before cannot tell is forgotten."""
    op.execute("DELETE /* sweep: operator */ FROM reports WHERE about = 'owner'")
    op.execute("DELETE /* sweep: operator */ FROM provider_calls WHERE payment_id IS NULL AND receipt_id IS NULL")
    for table, (name, before, after) in (("provider_calls", ABOUT_SOMETHING), ("reports", ABOUT_KNOWN)):
        _change_check(table, name, after, before)
    for column in ("replaces_id", "price_increase"):
        op.execute(f"ALTER TABLE agreements DROP COLUMN {column}")
    op.drop_index("ix_provider_calls_agreement", "provider_calls")
    op.execute("ALTER TABLE provider_calls DROP COLUMN agreement_id")


def _change_check(table: str, name: str, before: str, after: str) -> None:
    if op.get_bind().dialect.name == "sqlite":
        _change_text(table, before, after)
    else:
        op.drop_constraint(op.f(name), table)
        op.create_check_constraint(op.f(name), table, sa.text(after))


def _change_text(table: str, before: str, after: str) -> None:
    """SQLite changes no constraint. A rule that is only read may be rewritten where the schema is kept
    (sqlite.org/lang_altertable.html, section 7, seen 2026-11-28)."""
    connection = op.get_bind()
    kept = connection.exec_driver_sql("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = ?", (table,))
    text = str(kept.scalar_one())
    if f"({before})" not in text:
        raise RuntimeError(f"the table {table} is not as the migrations made it")
    version = int(connection.exec_driver_sql("PRAGMA schema_version").scalar_one())
    connection.exec_driver_sql("PRAGMA writable_schema = ON")
    connection.exec_driver_sql(
        "UPDATE sqlite_master SET sql = ? WHERE type = 'table' AND name = ?",
        (text.replace(f"({before})", f"({after})"), table),
    )
    connection.exec_driver_sql(f"PRAGMA schema_version = {version + 1}")
    connection.exec_driver_sql("PRAGMA writable_schema = OFF")
