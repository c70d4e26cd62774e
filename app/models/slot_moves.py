"""Moves of slots from one database to another, as far as they have come. At home."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, Integer, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, Big, Moment


class SlotMoveRow(Base):
    """One move. Which slots are moved already, and which are on their way, the map of the slots says."""

    __tablename__ = "slot_moves"

    id: Mapped[int] = mapped_column(Big, primary_key=True)
    slots: Mapped[str] = mapped_column(Text)
    """`1024-1279`: those that are to be moved."""
    target: Mapped[str] = mapped_column(String(32))
    """The name of the database where they go."""
    running: Mapped[int | None] = mapped_column(Integer)
    """1 until the move has ended, and null then: so there is one move at a time."""
    holder: Mapped[str] = mapped_column(String(32))
    """The process that works at the move."""
    held_until: Mapped[datetime] = mapped_column(Moment)
    """When another process may go on."""
    started_at: Mapped[datetime] = mapped_column(Moment)
    ended_at: Mapped[datetime | None] = mapped_column(Moment)

    __table_args__ = (
        UniqueConstraint("running"),
        CheckConstraint("running = 1", name="running"),
        CheckConstraint("(running IS NULL) = (ended_at IS NOT NULL)", name="ended"),
    )


SLOT_MOVES = Base.metadata.tables["slot_moves"]
