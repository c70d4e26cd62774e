"""The people who may sign in to the console. Nothing of it is a user's, so it lies in no slot."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, Json, Moment


class OperatorRow(Base):
    """A person, what the person may see, how the person proves who it is, and the one session that is open."""

    __tablename__ = "operators"

    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    roles: Mapped[list[str]] = mapped_column(Json)
    password: Mapped[str] = mapped_column(String(255))
    """Its Argon2id hash, with salt and parameters."""
    code_secret: Mapped[str] = mapped_column(String(255))
    """What the one-time codes are made from, encrypted with a key that is not in the database."""
    made_by: Mapped[str] = mapped_column(String(160))
    made_at: Mapped[datetime] = mapped_column(Moment)
    seal: Mapped[bytes] = mapped_column(LargeBinary)
    """Of all columns above (`app.domain.seals`): who can only write to the database cannot make an operator."""
    ended_by: Mapped[str | None] = mapped_column(String(160))
    ended_at: Mapped[datetime | None] = mapped_column(Moment)
    attempts: Mapped[int]
    """Wrong codes after the right password, since the last sign-in that succeeded."""
    refused_until: Mapped[datetime | None] = mapped_column(Moment)
    last_code: Mapped[int] = mapped_column(BigInteger)
    """The time step of the last code that was accepted: each code counts once."""
    session: Mapped[int] = mapped_column(BigInteger)
    """The number of the newest session: all earlier ones are over."""
    signed_in_at: Mapped[datetime | None] = mapped_column(Moment)

    __table_args__ = (
        CheckConstraint("length(name) > 0", name="name_not_empty"),
        CheckConstraint("(ended_by IS NULL) = (ended_at IS NULL)", name="ended_by_somebody"),
        CheckConstraint("attempts >= 0 AND session >= 0 AND last_code >= 0", name="not_negative"),
    )
