"""Gifts between users, and the recalls of given coins whose purchase was refunded.

Each row lies in the slot of the user whom it is about: a gift and its parts with the giver, its arrival with the
receiver, a recall with the buyer, its answers with those who had been given the coins.
"""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    SmallInteger,
    String,
    Uuid,
    event,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, Big, Json, Moment, slot_matches_id
from app.models.guards import guard

_DUE = text("next_try_at IS NOT NULL")
_BOUGHT = text("payment <> ''")


class GiftRow(Base):
    """A gift, in the giver's slot, and how far it has come."""

    __tablename__ = "gifts"

    slot: Mapped[int] = mapped_column(Integer, primary_key=True)
    id: Mapped[int] = mapped_column(Big, primary_key=True)
    giver: Mapped[str] = mapped_column(String(128))
    receiver: Mapped[str] = mapped_column(String(128))
    asset: Mapped[str] = mapped_column(String(16))
    environment: Mapped[str] = mapped_column(String(8))
    amount: Mapped[int] = mapped_column(BigInteger)
    message: Mapped[str] = mapped_column(String(255))
    """From the giver to the receiver; both statements show it."""
    reference: Mapped[str] = mapped_column(String(128))
    """The app's own."""
    actor: Mapped[str] = mapped_column(String(128))
    request: Mapped[uuid.UUID] = mapped_column(Uuid)
    """Named after caller and idempotency key: the request is done once, also where its key is forgotten."""
    status: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str] = mapped_column(String(40))
    """Why it came back."""
    created_at: Mapped[datetime] = mapped_column(Moment)
    ended_at: Mapped[datetime | None] = mapped_column(Moment)
    next_try_at: Mapped[datetime | None] = mapped_column(Moment)
    tries: Mapped[int] = mapped_column(Integer)
    seal: Mapped[bytes] = mapped_column(LargeBinary)

    __table_args__ = (
        slot_matches_id(),
        CheckConstraint("amount > 0", name="amount"),
        CheckConstraint("giver <> receiver", name="two_users"),
        CheckConstraint("status IN ('sent', 'received', 'returned')", name="status_known"),
        CheckConstraint("(status = 'sent') = (next_try_at IS NOT NULL)", name="sent_is_due"),
        CheckConstraint("(status = 'sent') = (ended_at IS NULL)", name="ended_at_a_moment"),
        CheckConstraint("(status = 'returned') = (reason <> '')", name="returned_for_a_reason"),
        Index(None, "slot", "giver", "id"),
        Index(None, "slot", "giver", "created_at"),
        Index(None, "slot", "request", unique=True),
        Index("ix_gifts_due", "next_try_at", postgresql_where=_DUE, sqlite_where=_DUE),
    )


class GiftPartRow(Base):
    """What a gift took from one lot of the giver, and what it is worth. Never changed."""

    __tablename__ = "gift_parts"
    __table_args__ = (
        PrimaryKeyConstraint("slot", "gift_id", "position"),
        ForeignKeyConstraint(["slot", "gift_id"], ["gifts.slot", "gifts.id"]),
        ForeignKeyConstraint(["slot", "account_id", "lot"], ["lots.slot", "lots.account_id", "lots.version"]),
        CheckConstraint("amount > 0", name="amount"),
        CheckConstraint("value_minor >= 0", name="value"),
        Index("ix_gift_parts_slot_payment", "slot", "payment", postgresql_where=_BOUGHT, sqlite_where=_BOUGHT),
    )

    slot: Mapped[int] = mapped_column(Integer)
    gift_id: Mapped[int] = mapped_column(BigInteger)
    position: Mapped[int] = mapped_column(SmallInteger)
    account_id: Mapped[int] = mapped_column(BigInteger)
    lot: Mapped[int] = mapped_column(BigInteger)
    amount: Mapped[int] = mapped_column(BigInteger)
    bonus: Mapped[bool] = mapped_column(Boolean)
    expires_at: Mapped[datetime | None] = mapped_column(Moment)
    payment: Mapped[str] = mapped_column(String(64))
    product: Mapped[str] = mapped_column(String(128))
    value_minor: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str] = mapped_column(String(3))


class GiftArrival(Base):
    """What the receiver's slot decided about a gift, once and for all."""

    __tablename__ = "gift_arrivals"
    __table_args__ = (
        PrimaryKeyConstraint("slot", "gift_id"),
        CheckConstraint("accepted = (reason = '')", name="refused_for_a_reason"),
        Index(None, "slot", "receiver", "gift_id"),
        Index(None, "slot", "receiver", "at"),
    )

    slot: Mapped[int] = mapped_column(Integer)
    gift_id: Mapped[int] = mapped_column(BigInteger)
    """The gift's number: it says in which slot the giver is."""
    giver: Mapped[str] = mapped_column(String(128))
    receiver: Mapped[str] = mapped_column(String(128))
    asset: Mapped[str] = mapped_column(String(16))
    environment: Mapped[str] = mapped_column(String(8))
    amount: Mapped[int] = mapped_column(BigInteger)
    message: Mapped[str] = mapped_column(String(255))
    reference: Mapped[str] = mapped_column(String(128))
    accepted: Mapped[bool] = mapped_column(Boolean)
    reason: Mapped[str] = mapped_column(String(40))
    sent_at: Mapped[datetime] = mapped_column(Moment)
    at: Mapped[datetime] = mapped_column(Moment)


class Recall(Base):
    """Coins of a refunded purchase that were given away, and are asked for where they are now."""

    __tablename__ = "recalls"

    slot: Mapped[int] = mapped_column(Integer, primary_key=True)
    id: Mapped[int] = mapped_column(Big, primary_key=True)
    payment_id: Mapped[int] = mapped_column(Big)
    theirs: Mapped[str] = mapped_column(String(255))
    """The provider's number of the trade: one of our payment numbers may have been paid twice."""
    grant_id: Mapped[uuid.UUID] = mapped_column(Uuid)
    """The transfer that credited the coins to the buyer."""
    asset: Mapped[str] = mapped_column(String(16))
    environment: Mapped[str] = mapped_column(String(8))
    bonus: Mapped[bool] = mapped_column(Boolean)
    wanted: Mapped[int] = mapped_column(BigInteger)
    taken: Mapped[int] = mapped_column(BigInteger)
    places: Mapped[list[str]] = mapped_column(Json)
    """Numbers of the gifts whose receivers are still to be asked, in this order."""
    asked: Mapped[list[str]] = mapped_column(Json)
    round: Mapped[int] = mapped_column(SmallInteger)
    """1: coins of the refunded kind (paid or bonus) are asked for; 2: the purchase's others."""
    policy: Mapped[str] = mapped_column(String(16))
    reference: Mapped[str] = mapped_column(String(128))
    note: Mapped[str] = mapped_column(String(255))
    status: Mapped[str] = mapped_column(String(16))
    created_at: Mapped[datetime] = mapped_column(Moment)
    done_at: Mapped[datetime | None] = mapped_column(Moment)
    next_try_at: Mapped[datetime | None] = mapped_column(Moment)
    tries: Mapped[int] = mapped_column(Integer)

    __table_args__ = (
        slot_matches_id(),
        ForeignKeyConstraint(["slot", "payment_id"], ["payments.slot", "payments.id"]),
        CheckConstraint("wanted > 0 AND taken >= 0 AND taken <= wanted", name="taken"),
        CheckConstraint("status IN ('open', 'done')", name="status_known"),
        CheckConstraint("(status = 'open') = (next_try_at IS NOT NULL)", name="open_is_due"),
        CheckConstraint("(status = 'open') = (done_at IS NULL)", name="done_at_a_moment"),
        Index(None, "slot", "payment_id"),
        Index("ix_recalls_due", "next_try_at", postgresql_where=_DUE, sqlite_where=_DUE),
    )


class RecallAnswer(Base):
    """What the receiver of a gift gave up for a recall, once and for all, and to whom coins had gone on from there."""

    __tablename__ = "recall_answers"
    __table_args__ = (
        PrimaryKeyConstraint("slot", "recall_id", "gift_id", "round"),
        CheckConstraint("taken >= 0", name="taken"),
    )

    slot: Mapped[int] = mapped_column(Integer)
    recall_id: Mapped[int] = mapped_column(BigInteger)
    gift_id: Mapped[int] = mapped_column(BigInteger)
    round: Mapped[int] = mapped_column(SmallInteger)
    asset: Mapped[str] = mapped_column(String(16))
    environment: Mapped[str] = mapped_column(String(8))
    taken: Mapped[int] = mapped_column(BigInteger)
    onward: Mapped[list[str]] = mapped_column(Json)
    """Numbers of the gifts by which this user had given coins of that purchase on."""
    at: Mapped[datetime] = mapped_column(Moment)


GIFTS = Base.metadata.tables["gifts"]
GIFT_PARTS = Base.metadata.tables["gift_parts"]
GIFT_ARRIVALS = Base.metadata.tables["gift_arrivals"]
RECALLS = Base.metadata.tables["recalls"]
RECALL_ANSWERS = Base.metadata.tables["recall_answers"]

for _table in (GIFT_PARTS, GIFT_ARRIVALS, RECALL_ANSWERS):
    event.listen(_table, "after_create", guard)
