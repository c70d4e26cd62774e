"""products whose coins are with the app's backend: how their orders stand, and what the backend is asked for"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")
MOMENT = sa.DateTime(timezone=True)
KNOWN = "CHECK (fulfilment IN ('wallet', 'external'))"
STATUS_KNOWN = "CHECK (fulfilment_status IN ('waiting', 'delivered', 'refused', 'taken_back'))"
WHEN_PAID = "CHECK ((status = 'paid' AND fulfilment = 'external') = (fulfilment_status IS NOT NULL))"
DEEDS = "ck_interventions_what_known"
BEFORE = "what IN ('payment_closed', 'refund_ended', 'question_ended')"
AFTER = "what IN ('payment_closed', 'refund_ended', 'question_ended', 'fulfilment_ended')"


def upgrade() -> None:
    # As text: SQLite takes the CHECK of a new column with the column only, and Alembic writes it apart.
    for table in ("products", "orders"):
        op.execute(
            f"ALTER TABLE {table} ADD COLUMN fulfilment VARCHAR(8) DEFAULT 'wallet' NOT NULL"
            f" CONSTRAINT ck_{table}_fulfilment_known {KNOWN}"
        )
    op.execute(
        "ALTER TABLE orders ADD COLUMN fulfilment_status VARCHAR(16)"
        f" CONSTRAINT ck_orders_fulfilment_status_known {STATUS_KNOWN}"
        f" CONSTRAINT ck_orders_fulfilled_when_paid {WHEN_PAID}"
    )
    op.create_table(
        "fulfilments",
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("id", BIG, nullable=False),
        sa.Column("user_id", sa.String(length=128), nullable=False),
        sa.Column("payment_id", BIG, nullable=False),
        sa.Column("units", JSON, nullable=False),
        sa.Column("wishes", JSON, nullable=False),
        sa.Column("reason", sa.String(length=255), nullable=False),
        sa.Column("reference", sa.String(length=128), nullable=False),
        sa.Column("actor", sa.String(length=160), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("asked_at", MOMENT, nullable=False),
        sa.Column("answered_at", MOMENT, nullable=True),
        sa.Column("next_tell_at", MOMENT, nullable=True),
        sa.Column("tellings", sa.Integer(), nullable=False),
        sa.Column("attention_at", MOMENT, nullable=True),
        sa.Column("alarmed_at", MOMENT, nullable=True),
        sa.Column("ended_by", sa.String(length=160), nullable=True),
        sa.CheckConstraint("slot = (id & 4095)", name=op.f("ck_fulfilments_slot_in_id")),
        sa.CheckConstraint("tellings > 0", name=op.f("ck_fulfilments_told")),
        sa.ForeignKeyConstraint(
            ["slot", "id"], ["orders.slot", "orders.id"], name=op.f("fk_fulfilments_slot_id_orders")
        ),
        sa.PrimaryKeyConstraint("slot", "id", name=op.f("pk_fulfilments")),
    )
    for name, columns in (("due", ["next_tell_at"]), ("attention", ["attention_at", "id"])):
        there = sa.text(f"{columns[0]} IS NOT NULL")
        op.create_index(f"ix_fulfilments_{name}", "fulfilments", columns, postgresql_where=there, sqlite_where=there)
    _change_check(BEFORE, AFTER)


def downgrade() -> None:
    """What a person ended is forgotten: the version before knows no such deed."""
    op.execute("DELETE /* sweep: operator */ FROM interventions WHERE what = 'fulfilment_ended'")
    _change_check(AFTER, BEFORE)
    op.drop_table("fulfilments")
    op.execute("ALTER TABLE orders DROP COLUMN fulfilment_status")
    for table in ("orders", "products"):
        op.execute(f"ALTER TABLE {table} DROP COLUMN fulfilment")


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
