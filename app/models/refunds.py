"""Refunds, and who froze which wallet: user data, in the slot of the payment."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    String,
    UniqueConstraint,
    Uuid,
    event,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, Big, Json, Moment, slot_matches_id
from app.models.guards import guard


class Refund(Base):
    """Money of one payment that goes back, or went back. Its number is the one that the provider gets, in every try."""

    __tablename__ = "refunds"

    slot: Mapped[int] = mapped_column(Integer, primary_key=True)
    id: Mapped[int] = mapped_column(Big, primary_key=True)
    order_id: Mapped[int] = mapped_column(Big)
    payment_id: Mapped[int] = mapped_column(Big)
    provider_account: Mapped[str] = mapped_column(String(32))
    theirs: Mapped[str] = mapped_column(String(255))
    """The provider's number of the trade: one of our payment numbers may have been paid twice."""
    number_there: Mapped[str | None] = mapped_column(String(255))
    """The provider's number of a refund that it, and not we, decided."""
    origin: Mapped[str] = mapped_column(String(16))
    amount_minor: Mapped[int | None] = mapped_column(Big)
    """Null where a store tells no amount."""
    currency: Mapped[str | None] = mapped_column(String(3))
    undone_minor: Mapped[int] = mapped_column(Big, default=0)
    """What of the amount came back to us later."""
    reason: Mapped[str] = mapped_column(String(256), default="")
    policy: Mapped[str] = mapped_column(String(16))
    status: Mapped[str] = mapped_column(String(16))
    caller: Mapped[str] = mapped_column(String(160), default="")
    problem: Mapped[str] = mapped_column(String(256), default="")
    coins: Mapped[list[dict[str, Any]]] = mapped_column(Json)
    """What was taken when it was done, by asset: coins, and what became debt or was forgiven."""
    created_at: Mapped[datetime] = mapped_column(Moment)
    done_at: Mapped[datetime | None] = mapped_column(Moment)
    next_query_at: Mapped[datetime | None] = mapped_column(Moment)
    last_query_at: Mapped[datetime | None] = mapped_column(Moment)
    queries: Mapped[int] = mapped_column(Integer, default=0)
    recheck_at: Mapped[datetime | None] = mapped_column(Moment)
    """When a refund that its provider called failed is asked about again: it may still succeed."""
    rechecks: Mapped[int] = mapped_column(Integer, default=0)
    alarmed_at: Mapped[datetime | None] = mapped_column(Moment)
    """When the alarm was given that it has been open for too long."""
    ended_by: Mapped[str | None] = mapped_column(String(160))
    """The person who ended it by hand; `problem` says why."""
    seal: Mapped[bytes | None] = mapped_column(LargeBinary)
    """Of what was asked for (`app.domain.seals`). Null in rows that are older than seals."""
    dispute_fee_minor: Mapped[int | None] = mapped_column(Big)
    """What the provider charges for the dispute that brought the refund, on top of the money that went back."""
    dispute_fee_currency: Mapped[str | None] = mapped_column(String(3))

    __table_args__ = (
        slot_matches_id(),
        ForeignKeyConstraint(["slot", "order_id"], ["orders.slot", "orders.id"]),
        ForeignKeyConstraint(["slot", "payment_id"], ["payments.slot", "payments.id"]),
        UniqueConstraint("slot", "payment_id", "theirs", "number_there"),
        CheckConstraint("amount_minor > 0", name="amount_positive"),
        CheckConstraint("(amount_minor IS NULL) = (currency IS NULL)", name="amount_has_currency"),
        CheckConstraint("(origin = 'provider') = (number_there IS NOT NULL)", name="numbered_by_one_side"),
        CheckConstraint("origin = 'provider' OR amount_minor IS NOT NULL", name="ours_has_amount"),
        CheckConstraint("origin IN ('asked', 'automatic', 'provider')", name="origin_known"),
        CheckConstraint("policy IN ('debt', 'forgive', 'freeze')", name="policy_known"),
        CheckConstraint(
            "status IN ('created', 'pending', 'unknown', 'done', 'declined', 'undone')", name="status_known"
        ),
        CheckConstraint(
            "(status IN ('created', 'pending', 'unknown')) = (next_query_at IS NOT NULL)", name="open_is_due"
        ),
        CheckConstraint("status <> 'done' OR done_at IS NOT NULL", name="done_at_a_moment"),
        Index(None, "slot", "payment_id"),
        Index(None, "slot", "order_id"),
        # Without the slot: for the list of all users' refunds, which is a sweep over all slots.
        Index("ix_refunds_listed", "status", "created_at", "id"),
        # Without the slot: bills are compared with the refunds of some days, in all slots.
        Index("ix_refunds_done_at", "done_at", postgresql_using="brin", postgresql_with={"autosummarize": "on"}),
        # Without the slot, for the number that a person reads out: the provider's of the refund, or of the trade.
        Index("ix_refunds_theirs", "theirs"),
        Index(
            "ix_refunds_number_there",
            "number_there",
            postgresql_where=text("number_there IS NOT NULL"),
            sqlite_where=text("number_there IS NOT NULL"),
        ),
        Index(
            "ix_refunds_due",
            "next_query_at",
            postgresql_where=text("next_query_at IS NOT NULL"),
            sqlite_where=text("next_query_at IS NOT NULL"),
        ),
        Index(
            "ix_refunds_recheck",
            "recheck_at",
            postgresql_where=text("recheck_at IS NOT NULL"),
            sqlite_where=text("recheck_at IS NOT NULL"),
        ),
    )


class Freeze(Base):
    """One freezing or unfreezing of wallets: who did it, and why. Never updated."""

    __tablename__ = "freezes"

    slot: Mapped[int] = mapped_column(Integer, primary_key=True)
    id: Mapped[int] = mapped_column(Big, primary_key=True)
    user_id: Mapped[str] = mapped_column(String(128))
    asset: Mapped[str | None] = mapped_column(String(16))
    """Null: every wallet that the user had in this environment."""
    environment: Mapped[str] = mapped_column(String(8))
    frozen: Mapped[bool] = mapped_column(Boolean)
    reason: Mapped[str] = mapped_column(String(255))
    actor: Mapped[str] = mapped_column(String(160))
    refund_id: Mapped[int | None] = mapped_column(Big)
    """The refund whose policy froze it."""
    at: Mapped[datetime] = mapped_column(Moment)
    request: Mapped[uuid.UUID | None] = mapped_column(Uuid)
    """Named after caller and idempotency key: the request is done once, also where its key is forgotten."""

    __table_args__ = (
        slot_matches_id(),
        ForeignKeyConstraint(["slot", "refund_id"], ["refunds.slot", "refunds.id"]),
        CheckConstraint("length(reason) > 0", name="has_reason"),
        CheckConstraint("length(actor) > 0", name="has_actor"),
        CheckConstraint("environment IN ('live', 'sandbox')", name="environment_known"),
        Index(None, "slot", "user_id", "id"),
        Index(None, "slot", "request", unique=True),
    )


FREEZES = Base.metadata.tables["freezes"]
event.listen(FREEZES, "after_create", guard)
