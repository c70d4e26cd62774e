"""Agreements to pay period after period, and their periods: in the slot of their user."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    ForeignKeyConstraint,
    Index,
    Integer,
    PrimaryKeyConstraint,
    String,
    Uuid,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, Big, Json, Moment, slot_matches_id

_DUE = text("next_work_at IS NOT NULL")
_EARNED = text("earned_until IS NOT NULL")


class AgreementRow(Base):
    """A payer's consent to be charged, by us or (a subscription) by a store."""

    __tablename__ = "agreements"

    slot: Mapped[int] = mapped_column(Integer, primary_key=True)
    id: Mapped[int] = mapped_column(Big, primary_key=True)
    """What the provider gets as our number of the agreement."""
    user_id: Mapped[str] = mapped_column(String(128))
    environment: Mapped[str] = mapped_column(String(8))
    provider_account: Mapped[str] = mapped_column(String(32))
    by_store: Mapped[bool] = mapped_column(Boolean)
    """The store charges, and tells us."""
    theirs: Mapped[str | None] = mapped_column(String(255))
    """The provider's number, once we know it."""
    known_as: Mapped[str | None] = mapped_column(String(255))
    """What the provider has as the merchant's number of an imported agreement. Null: `id`; of an imported one: none."""
    imported: Mapped[dict[str, Any] | None] = mapped_column(Json)
    """The line of the import that brought the agreement from an earlier system. Null: it began here."""
    way: Mapped[str] = mapped_column(String(32))
    status: Mapped[str] = mapped_column(String(16))
    sku: Mapped[str] = mapped_column(String(64))
    title: Mapped[str] = mapped_column(String(128))
    amount_minor: Mapped[int | None] = mapped_column(Big)
    """What a period costs; null where the store sets the price."""
    currency: Mapped[str | None] = mapped_column(String(3))
    most_minor: Mapped[int | None] = mapped_column(Big)
    """What the payer signed: no charge may be more."""
    first_minor: Mapped[int | None] = mapped_column(Big)
    """What period 0 costs, where that is less; 0: nothing."""
    unit: Mapped[str | None] = mapped_column(String(8))
    """A period is `length` of these long. Null where only the store knows."""
    length: Mapped[int | None] = mapped_column(Integer)
    zone: Mapped[str] = mapped_column(String(64))
    grants: Mapped[list[dict[str, Any]]] = mapped_column(Json)
    """Copied from the product, as entitlements are: a later catalogue does not change what was agreed."""
    fulfilment: Mapped[str] = mapped_column(String(8))
    """Who delivers what a period grants, as of orders."""
    entitlements: Mapped[list[str]] = mapped_column(Json)
    grace_days: Mapped[int] = mapped_column(Integer)
    terms: Mapped[dict[str, Any] | None] = mapped_column(Json)
    """The exact request, for identical repeats. Null for a store's."""
    action: Mapped[dict[str, Any] | None] = mapped_column(Json)
    """What the client was told to do next."""
    problem: Mapped[str] = mapped_column(String(256))
    replaces_id: Mapped[int | None] = mapped_column(Big)
    """The agreement that ends when this one is signed: an upgrade that the payer has to sign."""
    first_payment_id: Mapped[int | None] = mapped_column(Big)
    """The payment that is made by the same act of the payer as the agreement."""
    anchor_at: Mapped[datetime | None] = mapped_column(Moment)
    """When period `anchor_number` begins: the others are counted from there."""
    anchor_number: Mapped[int] = mapped_column(Integer)
    next_period: Mapped[int] = mapped_column(Integer)
    """The period that is to be paid next."""
    paid_until: Mapped[datetime | None] = mapped_column(Moment)
    grace_until: Mapped[datetime | None] = mapped_column(Moment)
    """Until when a store lets the payer go on while it tries to collect."""
    valid_until: Mapped[datetime | None] = mapped_column(Moment)
    """The end of the consent's validity, where the provider told one."""
    renews: Mapped[bool | None] = mapped_column(Boolean)
    """Whether the store will collect a further period. Null: not told."""
    price_increase: Mapped[str | None] = mapped_column(String(8))
    """A higher price of a store's subscription: `pending` until the payer has said yes (`accepted`)."""
    next_plan: Mapped[dict[str, Any] | None] = mapped_column(Json)
    """What the agreement is about from the next period on: {sku, title, amount_minor, grants, entitlements};
    of a store's subscription {sku, title}."""
    cancel_at: Mapped[datetime | None] = mapped_column(Moment)
    """When we end it, because somebody wants that. No charge is made any more."""
    cancel_by: Mapped[str] = mapped_column(String(160))
    signed_at: Mapped[datetime | None] = mapped_column(Moment)
    told_at: Mapped[datetime | None] = mapped_column(Moment)
    """The moment, by the provider's clock, of its newest word about how the agreement stands."""
    ended_at: Mapped[datetime | None] = mapped_column(Moment)
    ended_by: Mapped[str] = mapped_column(String(16))
    created_at: Mapped[datetime] = mapped_column(Moment)
    expires_at: Mapped[datetime] = mapped_column(Moment)
    """Until when it can be signed."""
    next_charge_at: Mapped[datetime | None] = mapped_column(Moment)
    asked_at: Mapped[datetime | None] = mapped_column(Moment)
    """When the provider was last asked how it stands, and answered."""
    next_work_at: Mapped[datetime | None] = mapped_column(Moment)
    tries: Mapped[int] = mapped_column(Integer)
    """How often the worker took it up since something about it changed."""
    request: Mapped[uuid.UUID | None] = mapped_column(Uuid)
    """Named after caller and idempotency key: the request is done once, also where its key is forgotten."""

    __table_args__ = (
        slot_matches_id(),
        ForeignKeyConstraint(["slot", "user_id"], ["users.slot", "users.id"]),
        CheckConstraint("environment IN ('live', 'sandbox')", name="environment_known"),
        CheckConstraint("fulfilment IN ('wallet', 'external')", name="fulfilment_known"),
        CheckConstraint("status IN ('signing', 'active', 'past_due', 'paused', 'ended')", name="status_known"),
        CheckConstraint("(status = 'ended') = (ended_at IS NOT NULL)", name="ended_at_a_moment"),
        CheckConstraint("(status = 'ended') = (ended_by <> '')", name="ended_somehow"),
        CheckConstraint("amount_minor >= 0", name="amount_not_negative"),
        CheckConstraint("amount_minor <= most_minor", name="no_more_than_signed"),
        CheckConstraint("first_minor >= 0", name="first_not_negative"),
        CheckConstraint("(amount_minor IS NULL) = (currency IS NULL)", name="amount_has_currency"),
        CheckConstraint("(unit IS NULL) = (length IS NULL)", name="length_is_whole"),
        CheckConstraint("unit IN ('day', 'month')", name="unit_known"),
        CheckConstraint("length > 0", name="length_positive"),
        CheckConstraint("by_store OR (amount_minor IS NOT NULL AND unit IS NOT NULL)", name="ours_has_terms"),
        CheckConstraint("NOT by_store OR theirs IS NOT NULL", name="stores_has_number"),
        CheckConstraint("next_period >= anchor_number AND anchor_number >= 0", name="periods_go_on"),
        Index(None, "slot", "user_id", "id"),
        Index(None, "slot", "request", unique=True),
        # One row for a store's subscription and each user who ever had it: two users may lie in one slot. Only stores'
        # numbers are unique from the first fact on.
        Index(
            "uq_agreements_theirs",
            "slot",
            "provider_account",
            "environment",
            "theirs",
            "user_id",
            unique=True,
            postgresql_where=text("by_store"),
            sqlite_where=text("by_store"),
        ),
        # Without the slot: for the list of all users' agreements, and for the number that a person reads out.
        Index("ix_agreements_listed", "status", "created_at", "id"),
        Index("ix_agreements_theirs", "theirs"),
        Index("ix_agreements_due", "next_work_at", postgresql_where=_DUE, sqlite_where=_DUE),
    )


class AgreementPeriod(Base):
    """A period of an agreement, and whether it is paid."""

    __tablename__ = "agreement_periods"

    slot: Mapped[int] = mapped_column(Integer)
    agreement_id: Mapped[int] = mapped_column(BigInteger)
    number: Mapped[int] = mapped_column(Integer)
    """0, 1, 2 … from the anchor; of a store's subscription in the order in which they were told."""
    starts_at: Mapped[datetime] = mapped_column(Moment)
    ends_at: Mapped[datetime] = mapped_column(Moment)
    status: Mapped[str] = mapped_column(String(16))
    """`refunded`: an earlier system sold it, and all of its money went back."""
    order_id: Mapped[int | None] = mapped_column(Big)
    payment_id: Mapped[int | None] = mapped_column(Big)
    """The payment that paid it. Null for a free one."""
    earned_until: Mapped[datetime | None] = mapped_column(Moment)
    """Of a paid period without coins: until when its price is earned, as it was sold. Null where coins, or what the
    app's backend delivers, were sold."""
    entitlements: Mapped[list[str]] = mapped_column(Json)
    announced_at: Mapped[datetime | None] = mapped_column(Moment)
    next_try_at: Mapped[datetime | None] = mapped_column(Moment)
    """When the charge is tried again after a refusal."""
    refusal: Mapped[str] = mapped_column(String(16))
    """Why the last charge was refused."""
    created_at: Mapped[datetime] = mapped_column(Moment)

    __table_args__ = (
        PrimaryKeyConstraint("slot", "agreement_id", "number"),
        ForeignKeyConstraint(["slot", "agreement_id"], ["agreements.slot", "agreements.id"]),
        ForeignKeyConstraint(["slot", "order_id"], ["orders.slot", "orders.id"]),
        ForeignKeyConstraint(["slot", "payment_id"], ["payments.slot", "payments.id"]),
        CheckConstraint("number >= 0", name="number_not_negative"),
        CheckConstraint("ends_at > starts_at", name="has_a_length"),
        CheckConstraint("status IN ('due', 'paid', 'free', 'unpaid', 'refunded')", name="status_known"),
        CheckConstraint("(status = 'paid') = (payment_id IS NOT NULL)", name="paid_by_a_payment"),
        CheckConstraint("payment_id IS NULL OR order_id IS NOT NULL", name="payment_of_an_order"),
        Index(None, "slot", "order_id", unique=True),
        # Without the slot: for what each day earns.
        Index("ix_agreement_periods_earned", "earned_until", postgresql_where=_EARNED, sqlite_where=_EARNED),
    )


AGREEMENTS = Base.metadata.tables["agreements"]
PERIODS = Base.metadata.tables["agreement_periods"]
