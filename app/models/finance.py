"""What finance decides by hand: months that are closed, and journal entries. Not user data."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, Index, Integer, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, Big, Json, Moment


class Closing(Base):
    """A month whose reports stand, or that is proposed to be closed."""

    __tablename__ = "closings"

    month: Mapped[str] = mapped_column(String(7), primary_key=True)
    """As 2026-01."""
    zone: Mapped[str] = mapped_column(String(64))
    """The zone of the rules by which it begins and ends."""
    until: Mapped[datetime] = mapped_column(Moment)
    """When the month after it begins."""
    booked_until: Mapped[datetime] = mapped_column(Moment)
    """What is booked from that moment on does not count in it any more."""
    status: Mapped[str] = mapped_column(String(16))
    document: Mapped[dict[str, Any]] = mapped_column(Json)
    """The trial balance at the end of the month, by accounting time."""
    sha256: Mapped[str] = mapped_column(String(64))
    """Of the document."""
    despite: Mapped[str] = mapped_column(String(255), default="")
    """Why it is closed though something is open."""
    proposed_by: Mapped[str] = mapped_column(String(160))
    created_at: Mapped[datetime] = mapped_column(Moment)
    """When it was proposed."""
    confirmed_by: Mapped[str | None] = mapped_column(String(160))
    confirmed_at: Mapped[datetime | None] = mapped_column(Moment)
    seal: Mapped[bytes] = mapped_column(LargeBinary)

    __table_args__ = (
        CheckConstraint("status IN ('proposed', 'closed')", name="status"),
        CheckConstraint("(status = 'closed') = (confirmed_at IS NOT NULL)", name="confirmed"),
        CheckConstraint("booked_until >= until", name="after_its_end"),
    )


class JournalEntryRow(Base):
    """One journal entry with its lines. Its transfers lie in the slot of the house."""

    __tablename__ = "journal_entries"

    id: Mapped[int] = mapped_column(Big, primary_key=True)
    request: Mapped[str] = mapped_column(String(64), unique=True)
    """SHA-256 of whose request it was and its key: a repeat finds the entry."""
    document: Mapped[str] = mapped_column(String(128))
    reason: Mapped[str] = mapped_column(String(255))
    environment: Mapped[str] = mapped_column(String(8))
    currency: Mapped[str] = mapped_column(String(3))
    lines: Mapped[list[dict[str, Any]]] = mapped_column(Json)
    effective_at: Mapped[datetime | None] = mapped_column(Moment)
    reverses: Mapped[int | None] = mapped_column(Big, unique=True)
    """The entry that it takes back: each is taken back once."""
    status: Mapped[str] = mapped_column(String(16))
    proposed_by: Mapped[str] = mapped_column(String(160))
    created_at: Mapped[datetime] = mapped_column(Moment)
    ended_by: Mapped[str | None] = mapped_column(String(160))
    """Who confirmed or withdrew it; of an entry that needed no second person, who posted it."""
    ended_at: Mapped[datetime | None] = mapped_column(Moment)
    booked: Mapped[int] = mapped_column(Integer, default=0)
    """How many transfers it has made."""
    seal: Mapped[bytes] = mapped_column(LargeBinary)

    __table_args__ = (
        CheckConstraint("status IN ('proposed', 'posted', 'withdrawn')", name="status"),
        CheckConstraint("(status = 'proposed') = (ended_at IS NULL)", name="ended"),
        CheckConstraint("(status = 'posted') = (booked > 0)", name="booked_when_posted"),
        Index("ix_journal_entries_created_at", "created_at", "id"),
    )


CLOSINGS = Base.metadata.tables["closings"]
JOURNAL_ENTRIES = Base.metadata.tables["journal_entries"]
