"""Differences between a provider's bills and the books, and what was done about each. Not user data: a difference is of
a provider account and a day."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, Big, Moment

STATES = ("open", "in_work", "resolved", "matched", "written_off", "gone")
_LISTED = ", ".join(f"'{state}'" for state in STATES)


class DifferenceRow(Base):
    """One disagreement (`app.domain.differences.Difference` says what each column means). Found again it is this row,
    and it closes by itself when it is not found any more."""

    __tablename__ = "differences"

    provider_account: Mapped[str] = mapped_column(String(32), primary_key=True)
    id: Mapped[int] = mapped_column(Big, primary_key=True)
    """A hash of account, side, type and subject (`app.domain.differences.difference_number`)."""
    side: Mapped[str] = mapped_column(String(16))
    type: Mapped[str] = mapped_column(String(24))
    subject: Mapped[str] = mapped_column(String(600))
    at: Mapped[datetime] = mapped_column(Moment)
    """When it happened: by the bill, or by our fact where the bill has nothing."""
    zone: Mapped[str] = mapped_column(String(64))
    """IANA name of the zone of the provider's days."""
    ours_minor: Mapped[int | None] = mapped_column(Big)
    ours_currency: Mapped[str | None] = mapped_column(String(3))
    theirs_minor: Mapped[int | None] = mapped_column(Big)
    theirs_currency: Mapped[str | None] = mapped_column(String(3))
    ours: Mapped[str | None] = mapped_column(String(128))
    theirs: Mapped[str | None] = mapped_column(String(255))
    refund: Mapped[str | None] = mapped_column(String(255))
    payment_id: Mapped[int | None] = mapped_column(Big)
    refund_id: Mapped[int | None] = mapped_column(Big)
    line_key: Mapped[str | None] = mapped_column(String(128))
    state: Mapped[str] = mapped_column(String(16))
    owner: Mapped[str] = mapped_column(String(160), default="")
    """The person who works on it."""
    note: Mapped[str] = mapped_column(String(255), default="")
    written_off_by: Mapped[str] = mapped_column(String(160), default="")
    """The person who wants it written off. Another one has to agree."""
    matched_with: Mapped[int | None] = mapped_column(Big)
    """Its other side, where a person said that the two are one."""
    opened_at: Mapped[datetime] = mapped_column(Moment)
    """When it was found first."""
    changed_at: Mapped[datetime] = mapped_column(Moment)
    closed_at: Mapped[datetime | None] = mapped_column(Moment)

    __table_args__ = (
        CheckConstraint(f"state IN ({_LISTED})", name="state"),
        CheckConstraint("(state IN ('open', 'in_work')) = (closed_at IS NULL)", name="closed_at_a_moment"),
        Index("ix_differences_at", "provider_account", "at"),
        Index("ix_differences_listed", "at", "id"),
        Index("ix_differences_id", "id"),
    )


class DifferenceChange(Base):
    """What happened to a difference: who, when, what. Never updated."""

    __tablename__ = "difference_changes"

    provider_account: Mapped[str] = mapped_column(String(32), primary_key=True)
    id: Mapped[int] = mapped_column(Big, primary_key=True)
    difference_id: Mapped[int] = mapped_column(Big)
    at: Mapped[datetime] = mapped_column(Moment)
    actor: Mapped[str] = mapped_column(String(160))
    what: Mapped[str] = mapped_column(String(32))
    detail: Mapped[str] = mapped_column(String(255), default="")

    __table_args__ = (
        ForeignKeyConstraint(["provider_account", "difference_id"], ["differences.provider_account", "differences.id"]),
        CheckConstraint("length(actor) > 0", name="has_actor"),
        Index("ix_difference_changes_of", "provider_account", "difference_id", "id"),
    )


DIFFERENCES = Base.metadata.tables["differences"]
DIFFERENCE_CHANGES = Base.metadata.tables["difference_changes"]
