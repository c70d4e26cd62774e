"""Where events are sent, and what became of each sending."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Index, Integer, String, UniqueConstraint, Uuid, text
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, Big, Json, Moment, slot_matches_id

_IS_OPEN = text("next_at IS NOT NULL")
_IS_THERE = text("removed_at IS NULL")


class EndpointRow(Base):
    """One place where the app's backend is told. Not user data: a handful of rows."""

    __tablename__ = "endpoints"

    id: Mapped[int] = mapped_column(Big, primary_key=True)
    name: Mapped[str] = mapped_column(String(32))
    url: Mapped[str] = mapped_column(String(1024))
    types: Mapped[list[str]] = mapped_column(Json)
    """The types that are wanted; empty: all."""
    secrets: Mapped[list[dict[str, Any]]] = mapped_column(Json)
    """[{secret, until}], the newest first. They are kept because they sign. Empty where the settings name them."""
    origin: Mapped[str] = mapped_column(String(16))
    made_by: Mapped[str] = mapped_column(String(160))
    made_at: Mapped[datetime] = mapped_column(Moment)
    failures: Mapped[int] = mapped_column(Integer, default=0)
    """Attempts that failed since the last one that was taken."""
    failing_since: Mapped[datetime | None] = mapped_column(Moment)
    probe_at: Mapped[datetime | None] = mapped_column(Moment)
    """Set while the endpoint is taken to be down: nothing is sent before that moment, and then one delivery."""
    paused_at: Mapped[datetime | None] = mapped_column(Moment)
    paused_why: Mapped[str] = mapped_column(String(256), default="")
    paused_by: Mapped[str] = mapped_column(String(160), default="")
    removed_at: Mapped[datetime | None] = mapped_column(Moment)
    """The row goes when its deliveries have been deleted."""

    __table_args__ = (
        CheckConstraint("origin IN ('settings', 'api', 'operator')", name="origin_known"),
        CheckConstraint("failures >= 0", name="failures_counted"),
        Index("uq_endpoints_name", "name", unique=True, postgresql_where=_IS_THERE, sqlite_where=_IS_THERE),
    )


class EndpointPosition(Base):
    """How far the feed of this database has been read for an endpoint. No row: from its beginning."""

    __tablename__ = "endpoint_positions"

    endpoint_id: Mapped[int] = mapped_column(Big, primary_key=True)
    planned: Mapped[int] = mapped_column(BigInteger)
    """The position in the feed up to which deliveries have been written."""
    rests_until: Mapped[datetime | None] = mapped_column(Moment)
    """Nothing is planned or sent before that moment: the endpoint is paused, gone, or taken to be down. Nobody needs to
    look for work there."""


class DeliveryRow(Base):
    """One event for one endpoint, with the last attempt. In the slot of the event's user."""

    __tablename__ = "deliveries"

    slot: Mapped[int] = mapped_column(Integer, primary_key=True)
    id: Mapped[int] = mapped_column(Big, primary_key=True)
    endpoint_id: Mapped[int] = mapped_column(BigInteger)
    event_id: Mapped[uuid.UUID] = mapped_column(Uuid)
    user_id: Mapped[str] = mapped_column(String(128))
    type: Mapped[str] = mapped_column(String(32))
    position: Mapped[int] = mapped_column(BigInteger)
    """That of the event: the order in which the events of a user are sent."""
    status: Mapped[str] = mapped_column(String(16))
    attempts: Mapped[int] = mapped_column(Integer)
    """Counted when an attempt begins: one whose process died counts."""
    next_at: Mapped[datetime | None] = mapped_column(Moment)
    """When it may be sent, after all earlier ones of its user. Null once it has ended."""
    code: Mapped[int | None] = mapped_column(Integer)
    """HTTP status of the last answer. Null: there was none."""
    latency_ms: Mapped[int | None] = mapped_column(Integer)
    problem: Mapped[str] = mapped_column(String(256))
    answer: Mapped[str] = mapped_column(String(1024))
    """The beginning of the last answer's body."""
    tried_at: Mapped[datetime | None] = mapped_column(Moment)

    __table_args__ = (
        slot_matches_id(),
        UniqueConstraint("slot", "endpoint_id", "event_id"),
        CheckConstraint("status IN ('waiting', 'failed', 'done', 'given_up')", name="status_known"),
        CheckConstraint("(status IN ('waiting', 'failed')) = (next_at IS NOT NULL)", name="open_is_due"),
        Index("ix_deliveries_due", "endpoint_id", "next_at", postgresql_where=_IS_OPEN, sqlite_where=_IS_OPEN),
        Index(
            "ix_deliveries_of_user",
            "slot",
            "endpoint_id",
            "user_id",
            "position",
            postgresql_where=_IS_OPEN,
            sqlite_where=_IS_OPEN,
        ),
        Index("ix_deliveries_position", "endpoint_id", "position"),
    )


ENDPOINTS = Base.metadata.tables["endpoints"]
POSITIONS = Base.metadata.tables["endpoint_positions"]
DELIVERIES = Base.metadata.tables["deliveries"]
