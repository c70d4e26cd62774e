"""Users, orders, payments, facts, kept messages, idempotency keys: one user's payments, all in one slot."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any, cast

from sqlalchemy import (
    CheckConstraint,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, Big, HexBytes, Json, Moment, RawBytes, SoldGrants, ToldJson, slot_matches_id


def _one_of(column: str, *words: str) -> CheckConstraint:
    listed = ", ".join(f"'{word}'" for word in words)
    return CheckConstraint(f"{column} IN ({listed})", name=f"{column}_known")


class User(Base):
    __tablename__ = "users"

    slot: Mapped[int] = mapped_column(Integer, primary_key=True)
    id: Mapped[str] = mapped_column(String(128), primary_key=True)
    token: Mapped[uuid.UUID] = mapped_column(Uuid)
    """Opaque account token for providers; its low 12 bits are the slot."""
    consented_at: Mapped[datetime | None] = mapped_column(Moment)
    """Since when the user agrees that providers are told how much of a purchase was used. Null: does not."""
    created_at: Mapped[datetime] = mapped_column(Moment)

    __table_args__ = (
        UniqueConstraint("slot", "token"),
        CheckConstraint("slot BETWEEN 0 AND 4095", name="slot_range"),
        CheckConstraint("length(id) > 0", name="id_not_empty"),
    )


class Order(Base):
    __tablename__ = "orders"

    slot: Mapped[int] = mapped_column(Integer, primary_key=True)
    id: Mapped[int] = mapped_column(Big, primary_key=True)
    user_id: Mapped[str] = mapped_column(String(128))
    environment: Mapped[str] = mapped_column(String(8))
    sku: Mapped[str] = mapped_column(String(64))
    title: Mapped[str] = mapped_column(String(128))
    quantity: Mapped[int]
    amount_minor: Mapped[int | None] = mapped_column(Big)
    """For the whole quantity; null where the store sets the price."""
    currency: Mapped[str | None] = mapped_column(String(3))
    grants: Mapped[list[dict[str, Any]]] = mapped_column(SoldGrants)
    """Copied from the product for one piece: a later price list does not change what was sold."""
    fulfilment: Mapped[str] = mapped_column(String(8), default="wallet", server_default="wallet")
    """Copied from the product: where the coins are."""
    fulfilment_status: Mapped[str | None] = mapped_column(String(16))
    """The backend's last word about a paid order that it fulfils. Null for any other order."""
    status: Mapped[str] = mapped_column(String(16))
    paid_payment_id: Mapped[int | None] = mapped_column(Big)
    """The payment whose money bought it. Others that were paid too are surplus."""
    created_at: Mapped[datetime] = mapped_column(Moment)
    expires_at: Mapped[datetime] = mapped_column(Moment)
    paid_at: Mapped[datetime | None] = mapped_column(Moment)
    seal: Mapped[bytes | None] = mapped_column(LargeBinary)
    """Of its terms (`app.domain.seals`). Null in rows that are older than seals."""
    agreement_id: Mapped[int | None] = mapped_column(Big)
    """The agreement for a period of which it is the charge. Null for others, and for what a store charges."""
    period_number: Mapped[int | None] = mapped_column(Integer)

    __table_args__ = (
        slot_matches_id(),
        ForeignKeyConstraint(["slot", "user_id"], ["users.slot", "users.id"]),
        CheckConstraint("quantity > 0", name="quantity_positive"),
        CheckConstraint("amount_minor > 0", name="amount_positive"),
        CheckConstraint("(amount_minor IS NULL) = (currency IS NULL)", name="amount_has_currency"),
        CheckConstraint("(status = 'paid') = (paid_payment_id IS NOT NULL)", name="paid_by_a_payment"),
        CheckConstraint("(status = 'paid') = (paid_at IS NOT NULL)", name="paid_at_a_moment"),
        CheckConstraint(
            "(status = 'paid' AND fulfilment = 'external') = (fulfilment_status IS NOT NULL)",
            name="fulfilled_when_paid",
        ),
        _one_of("status", "open", "paid", "expired"),
        _one_of("environment", "live", "sandbox"),
        _one_of("fulfilment", "wallet", "external"),
        _one_of("fulfilment_status", "waiting", "delivered", "refused", "taken_back"),
        Index(None, "user_id", "id"),  # the user's name stands for the slot
        # One order for a period, ever: nobody is charged twice for it.
        Index(
            "uq_orders_period",
            "slot",
            "agreement_id",
            "period_number",
            unique=True,
            postgresql_where=text("agreement_id IS NOT NULL"),
            sqlite_where=text("agreement_id IS NOT NULL"),
        ),
        # Without the slot: for the list of all users' orders, which is a sweep over all slots.
        Index("ix_orders_listed", "status", "created_at", "id"),
        Index(
            "ix_orders_open",
            "expires_at",
            postgresql_where=text("status = 'open'"),
            sqlite_where=text("status = 'open'"),
        ),
    )


class Payment(Base):
    __tablename__ = "payments"

    slot: Mapped[int] = mapped_column(Integer, primary_key=True)
    id: Mapped[int] = mapped_column(Big, primary_key=True)
    """What the provider gets as its merchant order number."""
    order_id: Mapped[int] = mapped_column(Big)
    attempt: Mapped[int] = mapped_column(Integer, default=1, server_default="1")
    """1, 2, 3 … within the order, given under its lock: the order of making, whatever the clocks say."""
    provider_account: Mapped[str] = mapped_column(String(32))
    way: Mapped[str] = mapped_column(String(32))
    status: Mapped[str] = mapped_column(String(16))
    theirs: Mapped[str | None] = mapped_column(String(255))
    """The provider's number, once we know it."""
    intent: Mapped[dict[str, Any]] = mapped_column(Json)
    """The exact request, for identical repeats; of a payment that has ended, only what a late fact is compared with."""
    action: Mapped[dict[str, Any] | None] = mapped_column(Json)
    """What the client was told to do next; empty once the payment has ended."""
    problem: Mapped[str] = mapped_column(String(256), default="")
    """Why it failed or is unknown, in the provider's words."""
    created_at: Mapped[datetime] = mapped_column(Moment)
    expires_at: Mapped[datetime] = mapped_column(Moment)
    paid_at: Mapped[datetime | None] = mapped_column(Moment)
    next_query_at: Mapped[datetime | None] = mapped_column(Moment)
    last_query_at: Mapped[datetime | None] = mapped_column(Moment)
    hinted_at: Mapped[datetime | None] = mapped_column(Moment)
    queries: Mapped[int] = mapped_column(Integer, default=0)
    request: Mapped[uuid.UUID | None] = mapped_column(Uuid)
    """Named after caller and idempotency key: the request makes one attempt, also where its key is forgotten. Null for
    what was bought in a store, and for charges under an agreement."""

    __table_args__ = (
        slot_matches_id(),
        ForeignKeyConstraint(["slot", "order_id"], ["orders.slot", "orders.id"]),
        CheckConstraint("(status = 'paid') = (paid_at IS NOT NULL)", name="paid_at_a_moment"),
        CheckConstraint("status <> 'paid' OR theirs IS NOT NULL", name="paid_has_their_number"),
        _one_of("status", "created", "pending", "unknown", "authorized", "paid", "failed", "closed", "held"),
        # Numbers rise with time and bear their slot. Where they come first the index grows at its end, and its pages
        # are full; the slot is there because a unique index of a cluster has to have it (docs/adr/0069).
        Index(None, "order_id", "attempt", "slot", unique=True),
        Index(
            None,
            "slot",
            "request",
            unique=True,
            postgresql_where=text("request IS NOT NULL"),
            sqlite_where=text("request IS NOT NULL"),
        ),
        # Without the slot: a message that names only the provider's number has to be found (docs/adr/0030), and so has
        # the number that a person reads out, whose provider account may not be configured any more (docs/adr/0037).
        # Nothing asks for an order or a part of the number, so on PostgreSQL a hash does: a third of the bytes.
        Index("ix_payments_theirs", "theirs", postgresql_using="hash"),
        Index(
            "ix_payments_due",
            "next_query_at",
            postgresql_where=text("next_query_at IS NOT NULL"),
            sqlite_where=text("next_query_at IS NOT NULL"),
        ),
    )


class FactRow(Base):
    """One verified statement by a provider, and what became of it. Never updated but for its outcome."""

    __tablename__ = "facts"

    slot: Mapped[int] = mapped_column(Integer, primary_key=True)
    id: Mapped[int] = mapped_column(Big, primary_key=True)
    provider_account: Mapped[str] = mapped_column(String(32))
    environment: Mapped[str] = mapped_column(String(8))
    key: Mapped[str] = mapped_column(String(400))
    kind: Mapped[str] = mapped_column(String(16))
    payment_id: Mapped[int | None] = mapped_column(Big)
    """The payment it is about, if there is one here."""
    content: Mapped[dict[str, Any]] = mapped_column(ToldJson)
    raw: Mapped[bytes] = mapped_column(RawBytes)
    """The provider's words (`app.domain.raw_documents`)."""
    road: Mapped[str] = mapped_column(String(16))
    message_id: Mapped[str | None] = mapped_column(String(255))
    outcome: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str] = mapped_column(String(64), default="")
    booking: Mapped[str] = mapped_column(String(16))
    """Where its money was booked to. The audit recomputes the transfers from this."""
    from_suspense: Mapped[bool] = mapped_column(default=False)
    """The money was booked to suspense before the payment was known, and went on from there. Where the fact has no
    payment, the money was given to a payment in another slot, and the fact is told again there."""
    at: Mapped[datetime] = mapped_column(Moment)
    recorded_at: Mapped[datetime] = mapped_column(Moment)
    seal: Mapped[bytes | None] = mapped_column(LargeBinary)
    """Of what was told (`app.domain.seals`). Null in rows that are older than seals."""

    __table_args__ = (
        slot_matches_id(),
        ForeignKeyConstraint(["slot", "payment_id"], ["payments.slot", "payments.id"]),
        UniqueConstraint("slot", "provider_account", "environment", "key", name="uq_facts_key"),
        _one_of("environment", "live", "sandbox"),
        _one_of("outcome", "applied", "noted", "surplus", "parked", "not_ours"),
        _one_of("booking", "nothing", "sale", "surplus", "suspense"),
        _one_of("road", "notification", "receipt", "query", "reply", "scan", "bill"),
        Index(None, "payment_id"),  # without the slot: see the one on payments.order_id
        Index(
            "ix_facts_slot_waiting",
            "slot",
            postgresql_where=text("reason = 'before_payment'"),
            sqlite_where=text("reason = 'before_payment'"),
        ),
        Index(
            "ix_facts_waiting",
            "recorded_at",
            postgresql_where=text("outcome IN ('parked', 'surplus')"),
            sqlite_where=text("outcome IN ('parked', 'surplus')"),
        ),
        # Without the slot: bills are compared with the books of some days, in all slots. Facts come in the order of
        # time: on PostgreSQL two moments for each megabyte tell where a day is (docs/adr/0029 measured such an index).
        Index("ix_facts_at", "at", postgresql_using="brin", postgresql_with={"autosummarize": "on"}),
        Index(
            "ix_facts_not_ours",
            "provider_account",
            "key",
            postgresql_where=text("outcome = 'not_ours'"),
            sqlite_where=text("outcome = 'not_ours'"),
        ),
    )


class KeptMessage(Base):
    """A message that could not simply be applied: kept raw, with the reason, so that it can be replayed."""

    __tablename__ = "messages"

    slot: Mapped[int] = mapped_column(Integer, primary_key=True)
    id: Mapped[int] = mapped_column(Big, primary_key=True)
    payment_id: Mapped[int | None] = mapped_column(Big)
    """The payment of this slot that it is about, as far as that was known when it was kept."""
    provider_account: Mapped[str] = mapped_column(String(32))
    source: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str] = mapped_column(String(64))
    detail: Mapped[str] = mapped_column(Text)
    headers: Mapped[dict[str, str]] = mapped_column(Json)
    query_string: Mapped[str] = mapped_column(Text)
    body: Mapped[bytes]
    received_at: Mapped[datetime] = mapped_column(Moment)
    resolved_at: Mapped[datetime | None] = mapped_column(Moment)

    __table_args__ = (
        slot_matches_id(),
        _one_of("source", "notification", "receipt", "scan"),
        Index(
            "ix_messages_waiting",
            "received_at",
            postgresql_where=text("resolved_at IS NULL"),
            sqlite_where=text("resolved_at IS NULL"),
        ),
        Index(
            "ix_messages_payment",
            "slot",
            "payment_id",
            "received_at",
            postgresql_where=text("payment_id IS NOT NULL"),
            sqlite_where=text("payment_id IS NOT NULL"),
        ),
        Index(
            "ix_messages_settled",
            "resolved_at",
            postgresql_where=text("resolved_at IS NOT NULL"),
            sqlite_where=text("resolved_at IS NOT NULL"),
        ),
    )


class IdempotencyKey(Base):
    """What a caller's key stands for. Written in the transaction of the change itself."""

    __tablename__ = "idempotency"

    slot: Mapped[int] = mapped_column(Integer, primary_key=True)
    caller: Mapped[str] = mapped_column(String(200), primary_key=True)
    """Who asked, and for whom: a backend's keys are apart for each of its users."""
    key: Mapped[str] = mapped_column(String(128), primary_key=True)
    fingerprint: Mapped[str] = mapped_column(HexBytes)
    """SHA-256 of the request, as hexadecimal digits for whoever reads it."""
    fields: Mapped[bytes | None] = mapped_column(RawBytes)
    """A short hash of each field, to say which one differs (`app.domain.request_digests`). Null in the oldest rows."""
    resource_id: Mapped[int] = mapped_column(Big)
    """0 where there is none: a refusal, or a batch, whose items have keys of their own."""
    refusal: Mapped[dict[str, Any] | None] = mapped_column(Json)
    """The definite no that the request met: {code, detail, members}."""
    created_at: Mapped[datetime] = mapped_column(Moment)
    seal: Mapped[bytes | None] = mapped_column(LargeBinary)
    """Of the answer (`app.domain.seals`). Null in rows that are older than seals."""


IDEMPOTENCY = cast(Table, IdempotencyKey.__table__)
FACTS = cast(Table, FactRow.__table__)
