"""What is for sale. Global: the same rows for every slot, copied into the order when it is made."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Boolean, CheckConstraint, String
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, Json, Moment


class Product(Base):
    __tablename__ = "products"

    sku: Mapped[str] = mapped_column(String(64), primary_key=True)
    title: Mapped[str] = mapped_column(String(128))
    prices: Mapped[dict[str, int]] = mapped_column(Json)
    """Minor units by currency."""
    grants: Mapped[list[dict[str, Any]]] = mapped_column(Json)
    """What one piece credits: [{asset, amount, bonus, valid_days}]."""
    fulfilment: Mapped[str] = mapped_column(String(8), default="wallet", server_default="wallet")
    """Where the coins are: `wallet` in our ledger, `external` with the app's backend."""
    store_ids: Mapped[dict[str, str]] = mapped_column(Json)
    """The provider's own product id by provider account."""
    active: Mapped[bool] = mapped_column(Boolean)
    starts_at: Mapped[datetime | None] = mapped_column(Moment)
    ends_at: Mapped[datetime | None] = mapped_column(Moment)
    updated_at: Mapped[datetime] = mapped_column(Moment)
    plan: Mapped[dict[str, Any] | None] = mapped_column(Json)
    """Of what is paid for period after period: {unit, count, first_prices, grace_days}."""
    entitlements: Mapped[list[str]] = mapped_column(Json, server_default="[]")
    """What is active while a period of it is paid."""

    __table_args__ = (
        CheckConstraint("length(sku) > 0", name="sku_not_empty"),
        CheckConstraint("fulfilment IN ('wallet', 'external')", name="fulfilment_known"),
    )


class ProviderKey(Base):
    """Public keys and certificates of providers, renewed by the worker and read by everybody."""

    __tablename__ = "provider_keys"

    provider_account: Mapped[str] = mapped_column(String(32), primary_key=True)
    name: Mapped[str] = mapped_column(String(128), primary_key=True)
    value: Mapped[bytes]
    expires_at: Mapped[datetime | None] = mapped_column(Moment)
    stored_at: Mapped[datetime] = mapped_column(Moment)


class Claim(Base):
    """Who owns a store purchase, for the whole service: one row per purchase, ever.

    Partitioned by the hash of its own reference (`cslot`), not by a user; written in a transaction of its own before
    anything is credited.
    """

    __tablename__ = "claims"

    cslot: Mapped[int] = mapped_column(primary_key=True)
    provider_account: Mapped[str] = mapped_column(String(32), primary_key=True)
    environment: Mapped[str] = mapped_column(String(8), primary_key=True)
    reference: Mapped[str] = mapped_column(String(255), primary_key=True)
    slot: Mapped[int]
    user_id: Mapped[str] = mapped_column(String(128))
    claimed_at: Mapped[datetime] = mapped_column(Moment)
    newest_at: Mapped[datetime | None] = mapped_column(Moment)
    """Of an agreement: when, by the provider's clock, the newest of its periods that is claimed was paid. The agreement
    goes over to another user only with a newer one. Null where that was not written down: then `claimed_at` counts."""
    imported_until: Mapped[datetime | None] = mapped_column(Moment)
    """Of an agreement that an earlier system brought: until when its periods were credited there. Null: it began
    here."""
