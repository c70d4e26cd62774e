"""What a provider is to be told about a purchase: that it was delivered, whose it is, or how much of it was used."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, Integer, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, Big, Moment, slot_matches_id


class ReportRow(Base):
    __tablename__ = "reports"

    slot: Mapped[int] = mapped_column(Integer, primary_key=True)
    id: Mapped[int] = mapped_column(Big, primary_key=True)
    payment_id: Mapped[int] = mapped_column(Big)
    about: Mapped[str] = mapped_column(String(16))
    question: Mapped[str] = mapped_column(String(255), default="")
    """The provider's number of its question, where it asked one."""
    asked_at: Mapped[datetime] = mapped_column(Moment)
    status: Mapped[str] = mapped_column(String(16))
    problem: Mapped[str] = mapped_column(String(256), default="")
    next_try_at: Mapped[datetime | None] = mapped_column(Moment)
    tries: Mapped[int] = mapped_column(Integer, default=0)

    __table_args__ = (
        slot_matches_id(),
        ForeignKeyConstraint(["slot", "payment_id"], ["payments.slot", "payments.id"]),
        UniqueConstraint("slot", "payment_id", "about", "question"),
        CheckConstraint("about IN ('delivered', 'consumption', 'owner')", name="about_known"),
        CheckConstraint("status IN ('pending', 'sent', 'dropped')", name="status_known"),
        CheckConstraint("(status = 'pending') = (next_try_at IS NOT NULL)", name="pending_is_due"),
        Index(
            "ix_reports_due",
            "next_try_at",
            postgresql_where=text("next_try_at IS NOT NULL"),
            sqlite_where=text("next_try_at IS NOT NULL"),
        ),
    )
