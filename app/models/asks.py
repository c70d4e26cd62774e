"""Questions that an authentic but unproven message raised, for the worker to put to the provider."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKeyConstraint, Index, Integer, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, Big, Moment, slot_matches_id


class Ask(Base):
    """A refund of one of our payments that a message names without proving it."""

    __tablename__ = "asks"

    slot: Mapped[int] = mapped_column(Integer, primary_key=True)
    id: Mapped[int] = mapped_column(Big, primary_key=True)
    payment_id: Mapped[int] = mapped_column(Big)
    refund: Mapped[str] = mapped_column(String(255))
    raised_at: Mapped[datetime] = mapped_column(Moment)
    next_try_at: Mapped[datetime | None] = mapped_column(Moment)
    tries: Mapped[int] = mapped_column(Integer, default=0)

    __table_args__ = (
        slot_matches_id(),
        ForeignKeyConstraint(["slot", "payment_id"], ["payments.slot", "payments.id"]),
        UniqueConstraint("slot", "payment_id", "refund"),
        Index(
            "ix_asks_due",
            "next_try_at",
            postgresql_where=text("next_try_at IS NOT NULL"),
            sqlite_where=text("next_try_at IS NOT NULL"),
        ),
    )
