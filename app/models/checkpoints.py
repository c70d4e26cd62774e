"""The sums of all accounts at the end of a day. The worker derives them from the transfers, so that nobody has to add
up the whole history. They hold no user's data and no slot, and can be derived again at any time."""

from __future__ import annotations

from datetime import date

from sqlalchemy import Boolean, CheckConstraint, Date, PrimaryKeyConstraint, String
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

from app.models.base import Base


class WholeNumber(TypeDecorator[int]):
    """A whole number, not negative, of any size up to 40 digits: a sum of 63-bit amounts does not fit into 64 bits.

    Kept as decimal text. SQLite has no exact type for it, and what is never added up by the database needs none.
    """

    impl = String(40)
    cache_ok = True

    def process_bind_param(self, value: int | None, dialect: Dialect) -> str | None:
        return None if value is None else str(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> int | None:
        return None if value is None else int(value)


def _digits(column: str) -> CheckConstraint:
    return CheckConstraint(f"{column} <> '' AND trim({column}, '0123456789') = ''", name=column)


class CheckpointRow(Base):
    """One account of the house (or of all users together) in a checkpoint: its legs until the end of `day` (UTC).

    A checkpoint has a row for each account that was touched until then. Each day in which something was booked has one
    checkpoint, and no other day has.
    """

    __tablename__ = "checkpoints"
    __table_args__ = (
        PrimaryKeyConstraint("day", "of_users", "code", "asset", "environment"),
        CheckConstraint("environment IN ('live', 'sandbox')", name="environment_known"),
        _digits("debits"),
        _digits("credits"),
    )

    day: Mapped[date] = mapped_column(Date)
    of_users: Mapped[bool] = mapped_column(Boolean)
    """The sum over the accounts of that code of all users, not an account of the house."""
    code: Mapped[str] = mapped_column(String(80))
    asset: Mapped[str] = mapped_column(String(16))
    environment: Mapped[str] = mapped_column(String(8))
    debits: Mapped[int] = mapped_column(WholeNumber)
    credits: Mapped[int] = mapped_column(WholeNumber)


CHECKPOINTS = Base.metadata.tables["checkpoints"]
