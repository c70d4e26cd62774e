"""Events for the app's backend: user data, in the slot of the user; and how far they have been put in order."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Index, Integer, String, Uuid, text
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, Big, Json, Moment


class EventRow(Base):
    """One change, written in the transaction that made it. Only its position is written later."""

    __tablename__ = "events"

    slot: Mapped[int] = mapped_column(Integer, primary_key=True)
    id: Mapped[uuid.UUID] = mapped_column(Uuid, primary_key=True)
    user_id: Mapped[str] = mapped_column(String(128))
    """Empty for money that belongs to nobody known."""
    type: Mapped[str] = mapped_column(String(32))
    at: Mapped[datetime] = mapped_column(Moment)
    version: Mapped[int] = mapped_column(BigInteger)
    """Greater than that of every event of the user that was committed before this one was written."""
    body: Mapped[dict[str, Any]] = mapped_column(Json)
    """{data, cause}: the thing as the API shows it, and what changed it."""
    position: Mapped[int | None] = mapped_column(Big)
    """Its place in the feed, given after the commit. Null until then."""

    __table_args__ = (
        Index(None, "slot", "user_id", "version"),
        Index(
            "ix_events_unplaced",
            "version",
            postgresql_where=text("position IS NULL"),
            sqlite_where=text("position IS NULL"),
        ),
        Index(
            "ix_events_position",
            "position",
            postgresql_where=text("position IS NOT NULL"),
            sqlite_where=text("position IS NOT NULL"),
        ),
    )


class EventFeed(Base):
    """How far the events of this database have been put in order, and how far they have been deleted. One row."""

    __tablename__ = "event_feeds"

    name: Mapped[str] = mapped_column(String(16), primary_key=True)
    placed: Mapped[int] = mapped_column(BigInteger)
    """The last position that was given."""
    deleted: Mapped[int] = mapped_column(BigInteger)
    """The last position whose event is not kept any more."""


EVENTS = Base.metadata.tables["events"]
FEEDS = Base.metadata.tables["event_feeds"]
