"""What the worker worked out about unspent coins: the movements of the contract liability by day, and how far it is.

They hold no user's data and no slot, and can be worked out again from the ledger."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import BigInteger, CheckConstraint, Date, Index, PrimaryKeyConstraint, SmallInteger, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, Moment


class RecognitionFigure(Base):
    """One movement of one day, added up over all purchases of a product and a month of sale.

    `value_minor` is the effect on the contract liability, `coins` that on unspent coins. Figures of coins that were
    bought for a price that nobody told have no currency and no value.
    """

    __tablename__ = "recognition_figures"
    __table_args__ = (
        PrimaryKeyConstraint(
            "booked_until", "day", "environment", "currency", "asset", "product", "sale_month", "movement"
        ),
        CheckConstraint("environment IN ('live', 'sandbox')", name="environment_known"),
        CheckConstraint("currency <> '' OR value_minor = 0", name="value_has_a_currency"),
        Index("ix_recognition_figures_day", "day"),
    )

    booked_until: Mapped[datetime] = mapped_column(Moment)
    """The end of the day in which it was booked."""
    day: Mapped[date] = mapped_column(Date)
    """The day in whose reports it counts; earlier than the day of booking for what was told late."""
    environment: Mapped[str] = mapped_column(String(8))
    currency: Mapped[str] = mapped_column(String(16))
    asset: Mapped[str] = mapped_column(String(16))
    product: Mapped[str] = mapped_column(String(128))
    sale_month: Mapped[str] = mapped_column(String(7))
    movement: Mapped[str] = mapped_column(String(16))
    coins: Mapped[int] = mapped_column(BigInteger)
    value_minor: Mapped[int] = mapped_column(BigInteger)


class RecognitionProgress(Base):
    """How far the worker is: a single row."""

    __tablename__ = "recognition_progress"
    __table_args__ = (CheckConstraint("id = 1", name="single"),)

    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    booked_until: Mapped[datetime] = mapped_column(Moment)
    """Everything that was booked before is in the figures."""
    rules: Mapped[str] = mapped_column(Text)
    """The settings by which the figures were worked out."""


FIGURES = Base.metadata.tables["recognition_figures"]
PROGRESS = Base.metadata.tables["recognition_progress"]
