"""Who calls from the app's backend: callers, their keys, what they may do at the most, and what they did today.

Nothing of it is a user's, so it lies in no slot: a few rows for the whole installation, of which each process keeps a
copy.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, Json, Moment


class CallerRow(Base):
    """A backend that calls, by its name. Idempotency keys belong to it, whichever of its API keys it uses."""

    __tablename__ = "callers"

    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    made_by: Mapped[str] = mapped_column(String(160))
    created_at: Mapped[datetime] = mapped_column(Moment)

    __table_args__ = (CheckConstraint("length(name) > 0", name="name_not_empty"),)


class CallerKey(Base):
    """One API key of a caller; the key itself is kept nowhere."""

    __tablename__ = "caller_keys"

    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    caller: Mapped[str] = mapped_column(String(32), ForeignKey("callers.name"))
    sha256: Mapped[str] = mapped_column(String(64), unique=True)
    scopes: Mapped[list[str]] = mapped_column(Json)
    expires_at: Mapped[datetime | None] = mapped_column(Moment)
    made_by: Mapped[str] = mapped_column(String(160))
    created_at: Mapped[datetime] = mapped_column(Moment)
    seal: Mapped[bytes] = mapped_column(LargeBinary)
    """Of all columns above (`app.domain.seals`): who can only write to the database cannot make a key that counts."""
    revoked_by: Mapped[str | None] = mapped_column(String(160))
    revoked_at: Mapped[datetime | None] = mapped_column(Moment)

    __table_args__ = (CheckConstraint("(revoked_by IS NULL) = (revoked_at IS NULL)", name="revoked_by_somebody"),)


class KeyUse(Base):
    """When an API key was used last, to the minute; of a key in the settings, too."""

    __tablename__ = "key_uses"

    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    last_used_at: Mapped[datetime] = mapped_column(Moment)


class CallerCap(Base):
    """The most that a caller may grant, debit or refund of one asset or currency."""

    __tablename__ = "caller_caps"

    caller: Mapped[str] = mapped_column(String(32), ForeignKey("callers.name"), primary_key=True)
    verb: Mapped[str] = mapped_column(String(8), primary_key=True)
    unit: Mapped[str] = mapped_column(String(16), primary_key=True)
    """An asset or a currency; `*`: each one that has no cap of its own."""
    per_call: Mapped[int | None] = mapped_column(BigInteger)
    per_day: Mapped[int | None] = mapped_column(BigInteger)
    set_by: Mapped[str] = mapped_column(String(160))
    set_at: Mapped[datetime] = mapped_column(Moment)

    __table_args__ = (
        CheckConstraint("verb IN ('grants', 'debits', 'refunds')", name="verb_known"),
        CheckConstraint("per_call IS NOT NULL OR per_day IS NOT NULL", name="caps_something"),
        CheckConstraint("per_call >= 0 AND per_day >= 0", name="not_negative"),
    )


class CallerDay(Base):
    """What a caller with a cap for the day has moved in one day of the ledger's zone. The row is the lock, too."""

    __tablename__ = "caller_days"

    caller: Mapped[str] = mapped_column(String(40), primary_key=True)
    verb: Mapped[str] = mapped_column(String(8), primary_key=True)
    unit: Mapped[str] = mapped_column(String(16), primary_key=True)
    environment: Mapped[str] = mapped_column(String(8), primary_key=True)
    day: Mapped[int] = mapped_column(primary_key=True)
    """The day's number, as in the accounts' counters."""
    used: Mapped[int] = mapped_column(BigInteger)

    __table_args__ = (CheckConstraint("used > 0", name="used_something"),)
