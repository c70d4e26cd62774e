"""Questions that an authentic but unproven message raised, for the worker to put to the provider."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, Integer, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, Big, Moment, slot_matches_id


class Ask(Base):
    """A payment, or a refund of one, that a message names without proving it.

    A message that tells our number, or a claimed purchase, is about a payment whose slot is known. One that tells only
    the provider's number lies in the slot of that number until the payment is found; then it ends, and a question about
    the payment takes its place.
    """

    __tablename__ = "asks"

    slot: Mapped[int] = mapped_column(Integer, primary_key=True)
    id: Mapped[int] = mapped_column(Big, primary_key=True)
    provider_account: Mapped[str] = mapped_column(String(32))
    payment_id: Mapped[int | None] = mapped_column(Big)
    """Null: no payment of that name has been found yet."""
    theirs: Mapped[str] = mapped_column(String(255), default="")
    """The provider's number of the payment, where the message told nothing else."""
    refund: Mapped[str] = mapped_column(String(255))
    message_id: Mapped[int | None] = mapped_column(Big)
    """The kept message that named it, shown to a person should nothing be found."""
    raised_at: Mapped[datetime] = mapped_column(Moment)
    """When a message named it last."""
    asked_at: Mapped[datetime | None] = mapped_column(Moment)
    """When the worker took it last."""
    next_try_at: Mapped[datetime | None] = mapped_column(Moment)
    tries: Mapped[int] = mapped_column(Integer, default=0)
    ended_by: Mapped[str | None] = mapped_column(String(160))
    """The person who ended it by hand. A message that names the payment later raises it again."""
    end_reason: Mapped[str] = mapped_column(String(256), default="", server_default="")

    __table_args__ = (
        slot_matches_id(),
        ForeignKeyConstraint(["slot", "payment_id"], ["payments.slot", "payments.id"]),
        UniqueConstraint("slot", "payment_id", "refund"),
        CheckConstraint("payment_id IS NOT NULL OR length(theirs) > 0", name="names_something"),
        Index(
            "uq_asks_not_found",
            "slot",
            "provider_account",
            "theirs",
            "refund",
            unique=True,
            postgresql_where=text("payment_id IS NULL"),
            sqlite_where=text("payment_id IS NULL"),
        ),
        Index(
            "ix_asks_due",
            "next_try_at",
            postgresql_where=text("next_try_at IS NOT NULL"),
            sqlite_where=text("next_try_at IS NOT NULL"),
        ),
    )
