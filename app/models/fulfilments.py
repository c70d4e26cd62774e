"""What the app's backend is asked to fulfil: a row for each paid order of an external product, in the order's slot."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, Integer, String, text
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, Big, Json, Moment, slot_matches_id


class FulfilmentRow(Base):
    """The wishes about one order, how the backend answered them, and when the last one is told again. How the order
    stands is a column of the order."""

    __tablename__ = "fulfilments"

    slot: Mapped[int] = mapped_column(Integer, primary_key=True)
    id: Mapped[int] = mapped_column(Big, primary_key=True)
    """The order's number: an order is fulfilled once, and the backend knows the fulfilment by it."""
    user_id: Mapped[str] = mapped_column(String(128))
    payment_id: Mapped[int] = mapped_column(Big)
    """The payment that bought the order."""
    units: Mapped[list[dict[str, Any]]] = mapped_column(Json)
    """What the order granted, and what of it is due: [{asset, bonus, granted, due, expires_at}]."""
    wishes: Mapped[list[dict[str, Any]]] = mapped_column(Json)
    """One for each revision, from 1 on: {asks, answer}; an empty answer is none yet."""
    reason: Mapped[str] = mapped_column(String(255))
    """The backend's, of its last answer."""
    reference: Mapped[str] = mapped_column(String(128))
    """The backend's own, of its last answer."""
    actor: Mapped[str] = mapped_column(String(160))
    """Who gave the last answer."""
    created_at: Mapped[datetime] = mapped_column(Moment)
    asked_at: Mapped[datetime] = mapped_column(Moment)
    """When the last revision was made."""
    answered_at: Mapped[datetime | None] = mapped_column(Moment)
    delivered_at: Mapped[datetime | None] = mapped_column(Moment)
    """When the backend first said that it was delivered: from then on its money is revenue. Never changed again."""
    next_tell_at: Mapped[datetime | None] = mapped_column(Moment)
    """When the last revision is told again. Null: it is answered, or a person ended it."""
    tellings: Mapped[int] = mapped_column(Integer)
    """How often the last revision was told."""
    attention_at: Mapped[datetime | None] = mapped_column(Moment)
    """From when on a person should look at it. Null: nobody needs to."""
    alarmed_at: Mapped[datetime | None] = mapped_column(Moment)
    ended_by: Mapped[str | None] = mapped_column(String(160))
    """The person who ended the asking; the reason is with the interventions."""

    __table_args__ = (
        slot_matches_id(),
        ForeignKeyConstraint(["slot", "id"], ["orders.slot", "orders.id"]),
        CheckConstraint("tellings > 0", name="told"),
        Index(
            "ix_fulfilments_due",
            "next_tell_at",
            postgresql_where=text("next_tell_at IS NOT NULL"),
            sqlite_where=text("next_tell_at IS NOT NULL"),
        ),
        Index(
            "ix_fulfilments_attention",
            "attention_at",
            "id",
            postgresql_where=text("attention_at IS NOT NULL"),
            sqlite_where=text("attention_at IS NOT NULL"),
        ),
    )


FULFILMENTS = Base.metadata.tables["fulfilments"]
