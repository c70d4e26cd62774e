"""What happened beside the state of orders and payments: calls to providers, facts that were told again, what people
did by hand. Nothing is decided by these rows; whoever looks into an order reads them.

They have no foreign keys: the check of one would wait for whoever has locked the payment, and the rows of calls go by
an age of their own.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, Index, Integer, PrimaryKeyConstraint, String, text
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, Big, Moment, slot_matches_id


class CallMade(Base):
    """One call to a provider that has ended, with or without an answer. Deleted after some months."""

    __tablename__ = "provider_calls"

    slot: Mapped[int] = mapped_column(Integer, primary_key=True)
    id: Mapped[int] = mapped_column(Big, primary_key=True)
    payment_id: Mapped[int | None] = mapped_column(Big)
    refund_id: Mapped[int | None] = mapped_column(Big)
    receipt_id: Mapped[int | None] = mapped_column(Big)
    agreement_id: Mapped[int | None] = mapped_column(Big)
    provider_account: Mapped[str] = mapped_column(String(32))
    verb: Mapped[str] = mapped_column(String(16))
    outcome: Mapped[str] = mapped_column(String(16))
    """How it ended (`services.calls.provider_call.CallEnd`)."""
    said: Mapped[str] = mapped_column(String(128))
    """Of an answer in facts: their kinds."""
    ms: Mapped[int] = mapped_column(Integer)
    problem: Mapped[str] = mapped_column(String(256))
    """Why there is no answer, in the provider's words."""
    at: Mapped[datetime] = mapped_column(Moment)
    """When it began."""

    __table_args__ = (
        slot_matches_id(),
        CheckConstraint(
            "payment_id IS NOT NULL OR receipt_id IS NOT NULL OR agreement_id IS NOT NULL", name="about_something"
        ),
        CheckConstraint("ms >= 0", name="ms"),
        Index(
            "ix_provider_calls_payment",
            "slot",
            "payment_id",
            "at",
            postgresql_where=text("payment_id IS NOT NULL"),
            sqlite_where=text("payment_id IS NOT NULL"),
        ),
        Index(
            "ix_provider_calls_receipt",
            "slot",
            "receipt_id",
            "at",
            postgresql_where=text("receipt_id IS NOT NULL"),
            sqlite_where=text("receipt_id IS NOT NULL"),
        ),
        Index(
            "ix_provider_calls_agreement",
            "slot",
            "agreement_id",
            "at",
            postgresql_where=text("agreement_id IS NOT NULL"),
            sqlite_where=text("agreement_id IS NOT NULL"),
        ),
    )


class Telling(Base):
    """The first time that a stored fact was told again by another road than the one that brought it."""

    __tablename__ = "tellings"

    slot: Mapped[int] = mapped_column(Integer)
    fact_id: Mapped[int] = mapped_column(Big)
    road: Mapped[str] = mapped_column(String(16))
    differs: Mapped[str] = mapped_column(String(256))
    """The fields in which it contradicted what was told first; empty where it said no other thing."""
    message_id: Mapped[str | None] = mapped_column(String(255))
    at: Mapped[datetime] = mapped_column(Moment)

    __table_args__ = (PrimaryKeyConstraint("slot", "fact_id", "road"),)


class Intervention(Base):
    """What a person did by hand about a payment, its refund, or a fact that is about no payment; who it was, and why.
    Never updated."""

    __tablename__ = "interventions"

    slot: Mapped[int] = mapped_column(Integer, primary_key=True)
    id: Mapped[int] = mapped_column(Big, primary_key=True)
    payment_id: Mapped[int | None] = mapped_column(Big)
    refund_id: Mapped[int | None] = mapped_column(Big)
    what: Mapped[str] = mapped_column(String(32))
    actor: Mapped[str] = mapped_column(String(160))
    reason: Mapped[str] = mapped_column(String(256))
    at: Mapped[datetime] = mapped_column(Moment)
    fact_id: Mapped[int | None] = mapped_column(Big)

    __table_args__ = (
        CheckConstraint("payment_id IS NOT NULL OR fact_id IS NOT NULL", name="about_something"),
        slot_matches_id(),
        CheckConstraint(
            "what IN ('payment_closed', 'refund_ended', 'question_ended', 'fulfilment_ended', 'fact_assigned',"
            " 'fact_ended')",
            name="what_known",
        ),
        CheckConstraint("length(actor) > 0", name="has_actor"),
        Index(None, "slot", "payment_id", "at"),
    )
