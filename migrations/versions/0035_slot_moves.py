"""moves of slots from one database to another; whoever moves a slot may delete what is copied"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None

REFUSE = """\
CREATE OR REPLACE FUNCTION tillbook_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' AND current_setting('tillbook.moves_slots', true) = 'yes' THEN
    RETURN OLD;
  END IF;
  RAISE EXCEPTION 'the ledger is append-only: % on %', TG_OP, TG_TABLE_NAME
  USING ERRCODE = 'integrity_constraint_violation';
END $$"""
REFUSE_BEFORE = """\
CREATE OR REPLACE FUNCTION tillbook_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the ledger is append-only: % on %', TG_OP, TG_TABLE_NAME
  USING ERRCODE = 'integrity_constraint_violation';
END $$"""


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "slot_moves",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("slots", sa.Text(), nullable=False),
        sa.Column("target", sa.String(length=32), nullable=False),
        sa.Column("running", sa.Integer(), nullable=True),
        sa.Column("holder", sa.String(length=32), nullable=False),
        sa.Column("held_until", moment, nullable=False),
        sa.Column("started_at", moment, nullable=False),
        sa.Column("ended_at", moment, nullable=True),
        sa.CheckConstraint("running = 1", name=op.f("ck_slot_moves_running")),
        sa.CheckConstraint("(running IS NULL) = (ended_at IS NOT NULL)", name=op.f("ck_slot_moves_ended")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_slot_moves")),
        sa.UniqueConstraint("running", name=op.f("uq_slot_moves_running")),
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute(REFUSE)


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute(REFUSE_BEFORE)
    op.drop_table("slot_moves")
