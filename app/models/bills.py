"""Providers' bills as they came, and what was read from them. Not user data: a bill is of a provider account and a
day."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    String,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, Big, Json, Moment


class Bill(Base):
    """One document of a provider. Written once and never changed: a bill that the provider makes anew is another row
    with the same name."""

    __tablename__ = "bills"

    provider_account: Mapped[str] = mapped_column(String(32), primary_key=True)
    feed: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(String(128), primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    """Of the bytes as they came, in hexadecimal digits."""
    size: Mapped[int] = mapped_column(BigInteger)
    """Bytes as they came."""
    content: Mapped[bytes] = mapped_column(LargeBinary)
    """The bytes, compressed by zlib."""
    since: Mapped[datetime] = mapped_column(Moment)
    until: Mapped[datetime] = mapped_column(Moment)
    """The window in which the bill was asked for."""
    fetched_at: Mapped[datetime] = mapped_column(Moment)

    __table_args__ = (CheckConstraint("length(sha256) = 64", name="sha256_whole"),)


class BillReading(Base):
    """What one document said when it was read. A bill that the provider made anew is read too, and its reading takes
    the place of the earlier one of that name."""

    __tablename__ = "bill_readings"

    provider_account: Mapped[str] = mapped_column(String(32), primary_key=True)
    id: Mapped[int] = mapped_column(Big, primary_key=True)
    feed: Mapped[str] = mapped_column(String(64))
    name: Mapped[str] = mapped_column(String(128))
    sha256: Mapped[str] = mapped_column(String(64))
    side: Mapped[str] = mapped_column(String(16))
    """What the bill proves (`app.domain.bill_lines.BillSide`)."""
    status: Mapped[str] = mapped_column(String(16))
    """reading: not all of its lines are there yet. read: its lines count. refused: the document fails its own checks.
    replaced: a later one of that name counts."""
    problem: Mapped[str] = mapped_column(String(255), default="")
    since: Mapped[datetime] = mapped_column(Moment)
    until: Mapped[datetime] = mapped_column(Moment)
    """The time that the bill covers, by its own word."""
    zone: Mapped[str] = mapped_column(String(64))
    """IANA name of the zone of the provider's days."""
    lines: Mapped[int] = mapped_column(Integer)
    """How many rows were read."""
    read_at: Mapped[datetime] = mapped_column(Moment)
    match_at: Mapped[datetime | None] = mapped_column(Moment)
    """When the days that it covers are to be compared with the books. Null: not by the worker."""
    booked_at: Mapped[datetime | None] = mapped_column(Moment)
    """When its fees, payouts and so on were in the books. Null: they may not be."""

    __table_args__ = (
        UniqueConstraint("provider_account", "feed", "name", "sha256", name="uq_bill_readings_document"),
        ForeignKeyConstraint(
            ["provider_account", "feed", "name", "sha256"],
            ["bills.provider_account", "bills.feed", "bills.name", "bills.sha256"],
        ),
        CheckConstraint("status IN ('reading', 'read', 'refused', 'replaced')", name="status"),
        CheckConstraint("side IN ('trades', 'funds', 'sales', 'proceeds')", name="side"),
        Index("ix_bill_readings_since", "provider_account", "since"),
        Index(
            "ix_bill_readings_match",
            "match_at",
            postgresql_where=text("match_at IS NOT NULL"),
            sqlite_where=text("match_at IS NOT NULL"),
        ),
        Index(
            "ix_bill_readings_unbooked",
            "provider_account",
            "id",
            postgresql_where=text("booked_at IS NULL AND status = 'read'"),
            sqlite_where=text("booked_at IS NULL AND status = 'read'"),
        ),
    )


class BillLineRow(Base):
    """One row of a bill, in neutral words (`app.domain.bill_lines.BillLine` says what each column means)."""

    __tablename__ = "bill_lines"

    provider_account: Mapped[str] = mapped_column(String(32), primary_key=True)
    reading_id: Mapped[int] = mapped_column(Big, primary_key=True)
    position: Mapped[int] = mapped_column(Integer, primary_key=True)
    """Its place in the bill, from 1."""
    key: Mapped[str] = mapped_column(String(128))
    kind: Mapped[str] = mapped_column(String(16))
    at: Mapped[datetime] = mapped_column(Moment)
    amount_minor: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str] = mapped_column(String(3))
    fee_minor: Mapped[int] = mapped_column(BigInteger, default=0)
    discount_minor: Mapped[int] = mapped_column(BigInteger, default=0)
    balance_minor: Mapped[int | None] = mapped_column(BigInteger)
    ours: Mapped[str | None] = mapped_column(String(128))
    theirs: Mapped[str | None] = mapped_column(String(128))
    refund: Mapped[str | None] = mapped_column(String(128))
    related: Mapped[str | None] = mapped_column(String(128))
    undecided: Mapped[bool] = mapped_column(Boolean, default=False)
    word: Mapped[str] = mapped_column(String(64), default="")
    note: Mapped[str] = mapped_column(String(255), default="")
    cell: Mapped[dict[str, Any] | None] = mapped_column(Json)
    """Of a store's report: product, territory, units, price_minor, price_currency."""

    __table_args__ = (
        ForeignKeyConstraint(
            ["provider_account", "reading_id"], ["bill_readings.provider_account", "bill_readings.id"]
        ),
        Index("ix_bill_lines_at", "provider_account", "at"),
        Index(
            "ix_bill_lines_theirs",
            "provider_account",
            "theirs",
            postgresql_where=text("theirs IS NOT NULL"),
            sqlite_where=text("theirs IS NOT NULL"),
        ),
    )


BILLS = Bill.__table__
BILL_READINGS = Base.metadata.tables["bill_readings"]
BILL_LINES = Base.metadata.tables["bill_lines"]
