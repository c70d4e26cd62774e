"""What callers send and get, as pydantic models: the source of validation and of the OpenAPI document alike."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from flask import request
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationInfo, field_validator, model_validator

from app.domain.fulfilment import FulfilmentStatus
from app.domain.status import OrderStatus
from app.providers.limits import UNSTORABLE
from app.services.base.errors import DomainError
from app.services.payments.orders import MOST_PIECES
from app.web.fields import (
    AccountField,
    Amount,
    Asset,
    At,
    Currency,
    Environment,
    ExtraName,
    ExtraValue,
    MomentField,
    MoneyMinor,
    Name,
    Note,
    Number,
    PageSize,
    PositiveInt,
    Reason,
    Reference,
    ShownAccount,
    ShownAsset,
    ShownCurrency,
    ShownSku,
    ShownUser,
    Sku,
    Text,
    TransferId,
    UserId,
)

__all__ = [
    "AccountField",
    "Amount",
    "Asset",
    "At",
    "Currency",
    "Environment",
    "MomentField",
    "MoneyMinor",
    "Name",
    "Note",
    "Number",
    "PageSize",
    "PositiveInt",
    "Reason",
    "Reference",
    "ShownAccount",
    "ShownAsset",
    "ShownCurrency",
    "ShownSku",
    "ShownUser",
    "Sku",
    "Text",
    "TransferId",
    "UserId",
]

LONGEST_KEY = 128
MOST_EXTRA = 16
DEEPEST_BODY = 16
"""Levels of lists and objects in a body; nothing that is asked for needs more."""
PAGE = 50


class KeyMissing(DomainError):
    code = "idempotency_key_missing"


class EmptyTimeSpan(DomainError):
    code = "empty_time_span"


class In(BaseModel):
    """A request body: unknown members are refused, and so is text that no database can keep."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _storable(cls, data: Any) -> Any:
        _check_text(data)
        return data


class Out(BaseModel):
    """A part of an answer. Each member is always there: what has no value is null."""

    model_config = ConfigDict(from_attributes=True, json_schema_serialization_defaults_required=True)


def _check_text(value: Any, depth: int = 0) -> None:
    if depth > DEEPEST_BODY:
        raise ValueError(f"nested more than {DEEPEST_BODY} deep")
    if isinstance(value, str):
        if UNSTORABLE.search(value):
            raise ValueError("NUL characters and lone surrogates are not allowed")
    elif isinstance(value, dict):
        for name, item in value.items():
            _check_text(name)
            _check_text(item, depth + 1)
    elif isinstance(value, list):
        for item in value:
            _check_text(item, depth + 1)


def idempotency_key() -> str:
    """The request's key. Raises KeyMissing, also for one that is too long or not printable ASCII."""
    key = request.headers.get("Idempotency-Key", "")
    if not 0 < len(key) <= LONGEST_KEY or not (key.isascii() and key.isprintable()):
        raise KeyMissing
    return key


class UserQuery(In):
    user: UserId | None = Field(default=None, description="Backend keys only: whose.")


Cursor = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,200}$")]
_CURSOR = ["WyJvcmRlcnMiLDI1MjI4NjYwMTIwMzI5ODQ3OV0"]
NextCursor = Annotated[
    Cursor | None, Field(description="The `cursor` of the next page; null at the end.", examples=_CURSOR)
]


MissingDatabases = Annotated[
    list[str],
    Field(
        description="Where several databases share the users: those of which not everything is in this answer, because "
        "they do not answer, or because users are being moved from them to another one. Empty: it is whole.",
        examples=[[]],
    ),
]


class ListQuery(UserQuery):
    """How a list is read: a page as JSON, or as CSV everything from the cursor on."""

    cursor: Cursor | None = Field(default=None, description="The `next` of the page before.", examples=_CURSOR)
    limit: PageSize = Field(default=PAGE, description="Entries of a page. A CSV file has all that there are.")
    format: Literal["json", "csv"] | None = Field(
        default=None,
        description="If not given, what the header `Accept` prefers: `application/json` or `text/csv`.",
        examples=["json"],
    )


class TimedListQuery(ListQuery):
    since: MomentField | None = Field(default=None, description="Only what was made at that moment or later.")
    until: MomentField | None = Field(default=None, description="Only what was made before that moment.")

    @field_validator("until")
    @classmethod
    def _after_since(cls, until: datetime | None, info: ValidationInfo) -> datetime | None:
        since = info.data.get("since")
        if until is not None and since is not None and until <= since:
            raise EmptyTimeSpan
        return until


class OrdersQuery(TimedListQuery):
    status: OrderStatus | None = Field(default=None, description="Only those that stand so.", examples=["paid"])
    before: Cursor | None = Field(
        default=None,
        description="Older name of `cursor`. It takes the number of one of the user's orders, too.",
        examples=["252286601203298479"],
        json_schema_extra={"deprecated": True},
    )


class PayByIn(In):
    provider_account: AccountField
    way: Annotated[Text, StringConstraints(min_length=1, max_length=32)] = Field(
        description="The way of paying, one of the provider account's.", examples=["page"]
    )
    extra: dict[ExtraName, ExtraValue] = Field(
        default_factory=dict,
        max_length=MOST_EXTRA,
        description="What this way needs: `GET /v1/providers` has its JSON Schema.",
        examples=[{}],
    )
    return_url: Annotated[str, StringConstraints(max_length=512, pattern=r"^(https?://[\x21-\x7e]+)?$")] = Field(
        default="", description="Where the provider sends the payer afterwards.", examples=["https://game.dev/shop"]
    )


class OrderIn(PayByIn):
    product: Sku
    quantity: Annotated[int, Field(strict=True, ge=1, le=MOST_PIECES)] = Field(
        default=1, description="How many of the product.", examples=[1]
    )
    currency: Currency | None = Field(
        default=None, description="The currency to pay in; not given: one that product and provider account share."
    )
    user: UserId | None = Field(default=None, description="Backend keys only: who buys.")


class PaymentIn(PayByIn):
    user: UserId | None = Field(default=None, description="Backend keys only: whose order.")


class GrantOut(Out):
    asset: ShownAsset
    amount: int = Field(description="How much of the asset one piece gives.", examples=[60])
    bonus: bool = Field(description="Given on top: not paid for.", examples=[False])
    valid_days: int | None = Field(default=None, description="Days until it expires; null: never.", examples=[30])


SHOWN_FULFILMENT = Field(
    description="`wallet`: the coins are in Tillbook. `external`: the app's backend delivers them.", examples=["wallet"]
)


class PlanOut(Out):
    unit: Literal["day", "month"] = Field(description="What a period is counted in.", examples=["month"])
    count: int = Field(description="How many of them it lasts.", examples=[1])
    first_prices: dict[str, int] = Field(description="What the first costs, where less.", examples=[{"CNY": 0}])
    grace_days: int = Field(description="Days that it stays active while it is charged.", examples=[1])


class ProductOut(Out):
    sku: ShownSku
    title: str = Field(description="For people.", examples=["60 coins"])
    prices: dict[str, int] = Field(description="Minor units by currency.", examples=[{"CNY": 600}])
    grants: list[GrantOut] = Field(description="What one piece gives.")
    fulfilment: Literal["wallet", "external"] = SHOWN_FULFILMENT
    store_ids: dict[str, str] = Field(
        description="The stores' ids of the product, by provider account.", examples=[{"store": "com.game.coins60"}]
    )
    plan: PlanOut | None = Field(description="That it is paid for period after period; null: it is not.")
    entitlements: list[str] = Field(description="What is active while a period is paid.", examples=[["vip"]])


class ProductsOut(Out):
    products: list[ProductOut] = Field(description="What is for sale now.")


class PaymentOut(Out):
    number: Number
    provider_account: ShownAccount
    way: str = Field(description="The way of paying.", examples=["page"])
    status: Literal["created", "pending", "unknown", "authorized", "paid", "failed", "closed", "held"] = Field(
        description="How far the payment has come. `unknown`: the provider did not say, and is asked again.",
        examples=["pending"],
    )
    action: dict[str, Any] | None = Field(
        description="What the client does next, while the payment is open. `type` says what the other members mean.",
        examples=[{"type": "redirect", "url": "https://pay.provider.dev/pay/77"}],
    )
    created_at: At
    paid_at: At | None = Field(description="When it was paid; null: it is not.")


class PaidPeriodOut(Out):
    number: Number = Field(description="The agreement.")
    period: int = Field(description="0, 1, 2 …", examples=[0])


class OrderOut(Out):
    number: Number
    user: ShownUser
    environment: Environment
    product: ShownSku
    title: str = Field(description="The product's title when it was ordered.", examples=["60 coins"])
    quantity: int = Field(description="How many of the product.", examples=[1])
    amount_minor: MoneyMinor | None = Field(description="The price in minor units; null: the store decides it.")
    currency: ShownCurrency | None = Field(description="The currency of the price; null: the store decides it.")
    grants: list[GrantOut] = Field(description="What one piece gives.")
    fulfilment: Literal["wallet", "external"] = SHOWN_FULFILMENT
    status: OrderStatus = Field(description="How the order stands.", examples=["open"])
    fulfilment_status: FulfilmentStatus | None = Field(
        description="What the app's backend said of its delivery; null: it is not paid, or the coins are in Tillbook.",
        examples=["delivered"],
    )
    created_at: At
    expires_at: At = Field(description="Until when it can be paid.")
    paid_at: At | None = Field(description="When it was paid; null: it is not.")
    payments: list[PaymentOut] = Field(description="Its payments, in the order in which they were made.")
    agreement: PaidPeriodOut | None = Field(
        description="The period of an agreement that it pays; null: it was bought by itself. An event about a period "
        "that a store has charged for says null, too: `agreement.renewed` names the order."
    )


class OrdersOut(Out):
    orders: list[OrderOut] = Field(description="Newest first.")
    next: NextCursor
    missing_databases: MissingDatabases


class WayOut(Out):
    way: str = Field(description="The way of paying.", examples=["page"])
    extra: dict[str, Any] = Field(description="JSON Schema of `extra`.", examples=[{"type": "object"}])


class ProviderOut(Out):
    name: ShownAccount
    live: bool = Field(description="False: a sandbox.", examples=[False])
    currencies: list[str] = Field(description="What can be paid in.", examples=[["CNY"]])
    capabilities: list[str] = Field(description="What the provider can do.", examples=[["refund"]])
    ways: list[WayOut] = Field(description="Its ways of paying.")
    agreement_ways: list[WayOut] = Field(description="Its ways of signing an agreement to be charged.")


class ProvidersOut(Out):
    providers: list[ProviderOut] = Field(description="The provider accounts of this installation.")


class BalanceOut(Out):
    asset: ShownAsset
    environment: Environment
    balance: int = Field(description="What the user has.", examples=[435])
    held: int = Field(description="What of the balance is reserved.", examples=[0])
    available: int = Field(description="What can be spent: balance less held.", examples=[435])
    frozen: bool = Field(description="Spends are refused.", examples=[False])


class DebtOut(Out):
    asset: ShownAsset
    environment: Environment
    amount: int = Field(description="Refunded coins that were spent: what comes in repays them.", examples=[10])


class WalletOut(Out):
    user: ShownUser
    balances: list[BalanceOut] = Field(description="By asset and environment.")
    debts: list[DebtOut] = Field(description="What the user owes.")


class StatementQuery(ListQuery):
    asset: Asset = "coin"
    environment: Environment = "live"
    order: Literal["oldest_first", "newest_first"] = Field(
        default="oldest_first", description="Which come first.", examples=["newest_first"]
    )


class LineOut(Out):
    version: int = Field(description="The wallet's version: 1, 2, … without gaps.", examples=[1])
    transfer: TransferId
    amount: int = Field(description="Signed: what the wallet gained.", examples=[60])
    balance: int = Field(description="What the wallet had then.", examples=[60])
    kind: str = Field(description="What kind of transfer: `purchase`, `spend`, …", examples=["purchase"])
    reference: str = Field(description="What the caller gave.", examples=["252286601203298479"])
    note: str = Field(description="For people.", examples=[""])
    other: str = Field(description="Code of the account on the other side.", examples=["issuance"])
    at: At
    actor: str | None = Field(
        description="Who asked for it; empty for the service itself, null for a user's token.",
        examples=["backend:game"],
    )


class StatementOut(Out):
    lines: list[LineOut] = Field(description="The postings of the wallet.")
    next: NextCursor


class SpendIn(In):
    user: UserId | None = Field(default=None, description="Backend keys only: who spends.")
    asset: Asset
    amount: Amount
    environment: Environment = "live"
    reference: Reference = ""
    note: Note = ""


class PostedOut(Out):
    id: TransferId
    amount: int = Field(description="How much moved.", examples=[25])
    balance: int = Field(description="What the wallet has after it.", examples=[35])
    version: int = Field(description="The wallet's version after it.", examples=[2])
    at: At
    repeated: bool = Field(description="This key had been used for it before.", examples=[False])
