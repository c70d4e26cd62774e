"""Providers' bills as they came. Not user data: a bill is of a provider account and a day."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, Moment


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


BILLS = Bill.__table__
