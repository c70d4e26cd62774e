"""what happened beside the state: calls to providers, facts told again, what people did by hand; found by any number"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from app.models.base import Moment

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def _big() -> sa.types.TypeEngine[int]:
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _index(name: str, table: str, *columns: str, where: str) -> None:
    op.create_index(name, table, list(columns), postgresql_where=sa.text(where), sqlite_where=sa.text(where))


def upgrade() -> None:
    op.create_table(
        "provider_calls",
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("id", _big(), nullable=False),
        sa.Column("payment_id", _big(), nullable=True),
        sa.Column("refund_id", _big(), nullable=True),
        sa.Column("receipt_id", _big(), nullable=True),
        sa.Column("provider_account", sa.String(length=32), nullable=False),
        sa.Column("verb", sa.String(length=16), nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("said", sa.String(length=128), nullable=False),
        sa.Column("ms", sa.Integer(), nullable=False),
        sa.Column("problem", sa.String(length=256), nullable=False),
        sa.Column("at", Moment(timezone=True), nullable=False),
        sa.CheckConstraint("slot = (id & 4095)", name=op.f("ck_provider_calls_slot_in_id")),
        sa.CheckConstraint(
            "payment_id IS NOT NULL OR receipt_id IS NOT NULL", name=op.f("ck_provider_calls_about_something")
        ),
        sa.CheckConstraint("ms >= 0", name=op.f("ck_provider_calls_ms")),
        sa.PrimaryKeyConstraint("slot", "id", name=op.f("pk_provider_calls")),
    )
    for name in ("payment", "receipt"):
        where = f"{name}_id IS NOT NULL"
        _index(f"ix_provider_calls_{name}", "provider_calls", "slot", f"{name}_id", "at", where=where)
    op.create_table(
        "tellings",
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("fact_id", _big(), nullable=False),
        sa.Column("road", sa.String(length=16), nullable=False),
        sa.Column("differs", sa.String(length=256), nullable=False),
        sa.Column("message_id", sa.String(length=255), nullable=True),
        sa.Column("at", Moment(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("slot", "fact_id", "road", name=op.f("pk_tellings")),
    )
    op.create_table(
        "interventions",
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("id", _big(), nullable=False),
        sa.Column("payment_id", _big(), nullable=False),
        sa.Column("refund_id", _big(), nullable=True),
        sa.Column("what", sa.String(length=32), nullable=False),
        sa.Column("actor", sa.String(length=160), nullable=False),
        sa.Column("reason", sa.String(length=256), nullable=False),
        sa.Column("at", Moment(timezone=True), nullable=False),
        sa.CheckConstraint("slot = (id & 4095)", name=op.f("ck_interventions_slot_in_id")),
        sa.CheckConstraint(
            "what IN ('payment_closed', 'refund_ended', 'question_ended')", name=op.f("ck_interventions_what_known")
        ),
        sa.CheckConstraint("length(actor) > 0", name=op.f("ck_interventions_has_actor")),
        sa.PrimaryKeyConstraint("slot", "id", name=op.f("pk_interventions")),
    )
    op.create_index(
        op.f("ix_interventions_slot_payment_id_at"), "interventions", ["slot", "payment_id", "at"], unique=False
    )
    op.add_column("messages", sa.Column("payment_id", _big(), nullable=True))
    _index("ix_messages_payment", "messages", "slot", "payment_id", "received_at", where="payment_id IS NOT NULL")
    op.create_index("ix_refunds_theirs", "refunds", ["theirs"])
    _index("ix_refunds_number_there", "refunds", "number_there", where="number_there IS NOT NULL")
    op.drop_index("ix_payments_theirs", "payments")
    op.create_index("ix_payments_theirs", "payments", ["theirs", "provider_account"])


def downgrade() -> None:
    op.drop_index("ix_payments_theirs", "payments")
    op.create_index("ix_payments_theirs", "payments", ["provider_account", "theirs"])
    op.drop_index("ix_refunds_number_there", "refunds")
    op.drop_index("ix_refunds_theirs", "refunds")
    op.drop_index("ix_messages_payment", "messages")
    op.drop_column("messages", "payment_id")
    op.drop_table("interventions")
    op.drop_table("tellings")
    op.drop_table("provider_calls")
