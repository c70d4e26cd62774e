"""intake: questions by the provider's number, receipts without their bodies, facts that are not ours, odd rows"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from app.models.base import Big, Moment

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

PARTIAL_INDEXES = (
    ("uq_asks_not_found", "asks", ["slot", "provider_account", "theirs", "refund"], "payment_id IS NULL"),
    ("ix_receipts_unsettled", "receipts", ["slot", "user_id"], "next_try_at IS NOT NULL"),
    ("ix_facts_not_ours", "facts", ["provider_account", "key"], "outcome = 'not_ours'"),
)
OUTCOMES = "outcome IN ('applied', 'noted', 'surplus', 'parked')"
SOURCES = "source IN ('notification', 'receipt')"
CHECKS_ADDED = (
    ("asks", "ck_asks_names_something", "payment_id IS NOT NULL OR length(theirs) > 0"),
    ("receipts", "ck_receipts_ended_has_no_body", "status = 'pending' OR length(body) = 0"),
)
CHECKS_WIDENED = (
    ("facts", "ck_facts_outcome_known", OUTCOMES, OUTCOMES[:-1] + ", 'not_ours')"),
    ("messages", "ck_messages_source_known", SOURCES, SOURCES[:-1] + ", 'scan')"),
)


def _columns() -> tuple[tuple[str, sa.Column[object]], ...]:
    return (
        ("asks", sa.Column("provider_account", sa.String(32), server_default="", nullable=False)),
        ("asks", sa.Column("theirs", sa.String(255), server_default="", nullable=False)),
        ("asks", sa.Column("message_id", Big, nullable=True)),
        ("asks", sa.Column("asked_at", Moment(timezone=True), nullable=True)),
        ("receipts", sa.Column("denials", sa.Integer(), server_default="0", nullable=False)),
        ("receipts", sa.Column("unproven", sa.Integer(), server_default="0", nullable=False)),
        ("scans", sa.Column("problem", sa.String(256), server_default="", nullable=False)),
        ("claims", sa.Column("newest_at", Moment(timezone=True), nullable=True)),
    )


def upgrade() -> None:
    for table, column in _columns():
        op.add_column(table, column)
    op.execute(
        "UPDATE /* sweep: operator */ asks SET provider_account = (SELECT p.provider_account FROM payments p"
        " WHERE p.slot = asks.slot AND p.id = asks.payment_id)"
    )
    empty = "x''" if _is_sqlite() else "''"
    op.execute(f"UPDATE /* sweep: operator */ receipts SET body = {empty} WHERE status <> 'pending'")  # noqa: S608 - no value of others
    _nullable("asks", "payment_id", before=False)
    for table, name, rule in CHECKS_ADDED:
        _add_check(table, name, rule)
    for table, name, before, after in CHECKS_WIDENED:
        _change_check(table, name, before, after)
    for name, table, columns, where in PARTIAL_INDEXES:
        condition = sa.text(where)
        unique = name.startswith("uq_")
        op.create_index(name, table, columns, unique=unique, postgresql_where=condition, sqlite_where=condition)
    op.create_index("ix_payments_theirs", "payments", ["provider_account", "theirs"])
    op.drop_index("ix_payments_slot_provider_account_theirs", "payments")


def downgrade() -> None:
    """Questions whose payment was not found, and messages about odd rows, go; facts that are not ours are parked."""
    op.execute("DELETE /* sweep: operator */ FROM asks WHERE payment_id IS NULL")
    op.execute("DELETE /* sweep: operator */ FROM messages WHERE source = 'scan'")
    op.execute("UPDATE /* sweep: operator */ facts SET outcome = 'parked' WHERE outcome = 'not_ours'")
    op.create_index("ix_payments_slot_provider_account_theirs", "payments", ["slot", "provider_account", "theirs"])
    op.drop_index("ix_payments_theirs", "payments")
    for name, table, _, _ in PARTIAL_INDEXES:
        op.drop_index(name, table)
    for table, name, before, after in CHECKS_WIDENED:
        _change_check(table, name, after, before)
    for table, name, rule in CHECKS_ADDED:
        _drop_check(table, name, rule)
    _nullable("asks", "payment_id", before=True)
    for table, column in reversed(_columns()):
        op.drop_column(table, column.name)


# --- SQLite changes no constraint: there the table is written anew, with its text changed ---


def _nullable(table: str, column: str, *, before: bool) -> None:
    if _is_sqlite():
        required, free = f"{column} INTEGER NOT NULL", f"{column} INTEGER"
        _rewrite(table, free if before else required, required if before else free)
    else:
        op.alter_column(table, column, existing_type=sa.BigInteger(), nullable=not before)


def _add_check(table: str, name: str, rule: str) -> None:
    if _is_sqlite():
        key = f"CONSTRAINT pk_{table} "
        _rewrite(table, key, f"CONSTRAINT {name} CHECK ({rule}), {key}")
    else:
        op.create_check_constraint(op.f(name), table, sa.text(rule))


def _drop_check(table: str, name: str, rule: str) -> None:
    if _is_sqlite():
        _rewrite(table, f"CONSTRAINT {name} CHECK ({rule}), ", "")
    else:
        op.drop_constraint(op.f(name), table)


def _change_check(table: str, name: str, before: str, after: str) -> None:
    if _is_sqlite():
        _rewrite(table, before, after)
    else:
        op.drop_constraint(op.f(name), table)
        op.create_check_constraint(op.f(name), table, sa.text(after))


def _rewrite(table: str, before: str, after: str) -> None:
    """Nothing refers to these tables, so that they may be dropped and made again."""
    connection = op.get_bind()
    made = sa.text("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = :name")
    text = str(connection.execute(made, {"name": table}).scalar_one())
    beside = sa.text("SELECT sql FROM sqlite_master WHERE type <> 'table' AND tbl_name = :name AND sql IS NOT NULL")
    indexes = connection.execute(beside, {"name": table}).scalars().all()
    if before not in text:
        raise RuntimeError(f"the table {table} is not as the migrations made it: {before} is missing")
    new = text.replace(before, after, 1)
    connection.exec_driver_sql(f"CREATE TABLE {table}_new {new[new.index('(') :]}")
    connection.exec_driver_sql(f"INSERT /* sweep: operator */ INTO {table}_new SELECT * FROM {table}")  # noqa: S608 - names of our own
    connection.exec_driver_sql(f"DROP TABLE {table}")
    connection.exec_driver_sql(f"ALTER TABLE {table}_new RENAME TO {table}")
    for index in indexes:
        connection.exec_driver_sql(index)


def _is_sqlite() -> bool:
    return bool(op.get_bind().dialect.name == "sqlite")
