"""Proofs of purchase that clients handed in, and how far the histories of providers have been read."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, Integer, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, Big, Json, Moment, slot_matches_id


class Receipt(Base):
    """One submission, kept before anything is done with it: an outage of the provider loses no purchase."""

    __tablename__ = "receipts"

    slot: Mapped[int] = mapped_column(Integer, primary_key=True)
    id: Mapped[int] = mapped_column(Big, primary_key=True)
    user_id: Mapped[str] = mapped_column(String(128))
    provider_account: Mapped[str] = mapped_column(String(32))
    digest: Mapped[str] = mapped_column(String(64))
    """SHA-256 of what is proved, whatever the bytes around it: a user's proof is one row, ever."""
    body: Mapped[bytes]
    """Only while something is still to be asked: empty once the receipt is settled or given up."""
    status: Mapped[str] = mapped_column(String(16))
    purchases: Mapped[list[dict[str, Any]]] = mapped_column(Json)
    """What each purchase in it became, as the client was told."""
    submitted_at: Mapped[datetime] = mapped_column(Moment)
    next_try_at: Mapped[datetime | None] = mapped_column(Moment)
    tries: Mapped[int] = mapped_column(Integer, default=0)
    denials: Mapped[int] = mapped_column(Integer, default=0)
    """How often the provider said that it knows nothing by the numbers that still wait."""
    unproven: Mapped[int] = mapped_column(Integer, default=0)
    """How many numbers wait that came without any proof."""

    __table_args__ = (
        slot_matches_id(),
        ForeignKeyConstraint(["slot", "user_id"], ["users.slot", "users.id"]),
        UniqueConstraint("slot", "user_id", "provider_account", "digest"),
        CheckConstraint("status IN ('pending', 'settled', 'given_up')", name="status_known"),
        CheckConstraint("(status = 'pending') = (next_try_at IS NOT NULL)", name="pending_is_due"),
        CheckConstraint("status = 'pending' OR length(body) = 0", name="ended_has_no_body"),
        Index(
            "ix_receipts_unsettled",
            "slot",
            "user_id",
            postgresql_where=text("next_try_at IS NOT NULL"),
            sqlite_where=text("next_try_at IS NOT NULL"),
        ),
        Index(
            "ix_receipts_due",
            "next_try_at",
            postgresql_where=text("next_try_at IS NOT NULL"),
            sqlite_where=text("next_try_at IS NOT NULL"),
        ),
    )


class Scan(Base):
    """How far one feed of one provider account has been read. Not user data: one row a feed."""

    __tablename__ = "scans"

    provider_account: Mapped[str] = mapped_column(String(32), primary_key=True)
    feed: Mapped[str] = mapped_column(String(64), primary_key=True)
    since: Mapped[datetime] = mapped_column(Moment)
    until: Mapped[datetime] = mapped_column(Moment)
    """The window that is being read, or was read last."""
    cursor: Mapped[str | None] = mapped_column(String(1024))
    """Where to go on inside the window; null at its start and when it is complete."""
    next_at: Mapped[datetime] = mapped_column(Moment)
    tries: Mapped[int] = mapped_column(Integer, default=0)
    """How often the page at the cursor has failed in the way of `problem`."""
    problem: Mapped[str] = mapped_column(String(256), default="")
    """Why the last reading failed; empty after one that did not."""
