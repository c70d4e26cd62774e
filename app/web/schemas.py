"""What callers send and get, as pydantic models: the source of validation and of the OpenAPI document alike."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Annotated, Any, Literal

from flask import request
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationInfo,
    field_validator,
    model_validator,
)

from app.domain.status import OrderStatus
from app.providers.limits import UNSTORABLE, is_usable_moment
from app.services.base.errors import DomainError
from app.services.payments.orders import MOST_PIECES

LONGEST_KEY = 128
MOST_EXTRA = 16
DEEPEST = 16
"""Levels of lists and objects in a body; nothing that is asked for needs more."""
PAGE = 50
MOST_PAGE = 200

UserId = Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{1,128}$")]
Number = Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]{0,18}$")]
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
Asset = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,15}$")]
PositiveInt = Annotated[int, Field(strict=True, gt=0, le=2**63 - 1)]


def _usable(moment: datetime) -> datetime:
    if not is_usable_moment(moment):
        raise ValueError("out of range")
    return moment


Moment = Annotated[AwareDatetime, AfterValidator(_usable)]
"""With a zone, and far enough from the ends of the calendar to be reckoned with."""
PageSize = Annotated[int, Field(gt=0, le=MOST_PAGE)]


class KeyMissing(DomainError):
    code = "idempotency_key_missing"


class In(BaseModel):
    """A request body: unknown members are refused, and so is text that no database can keep."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _storable(cls, data: Any) -> Any:
        _check_text(data)
        return data


class Out(BaseModel):
    model_config = ConfigDict(from_attributes=True)


def _check_text(value: Any, depth: int = 0) -> None:
    if depth > DEEPEST:
        raise ValueError(f"nested more than {DEEPEST} deep")
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
NextCursor = Annotated[Cursor | None, Field(description="The `cursor` of the next page; null at the end.")]


class ListQuery(UserQuery):
    """How a list is read: a page as JSON, or as CSV everything from the cursor on."""

    cursor: Cursor | None = Field(default=None, description="The `next` of the page before.")
    limit: PageSize = Field(default=PAGE, description="Entries of a page. A CSV file has all that there are.")
    format: Literal["json", "csv"] | None = Field(
        default=None, description="If not given, what the header `Accept` prefers: `application/json` or `text/csv`."
    )


class TimedListQuery(ListQuery):
    since: Moment | None = Field(default=None, description="Only what was made at that moment or later.")
    until: Moment | None = Field(default=None, description="Only what was made before that moment.")

    @field_validator("until")
    @classmethod
    def _after_since(cls, until: datetime | None, info: ValidationInfo) -> datetime | None:
        since = info.data.get("since")
        if until is not None and since is not None and until <= since:
            raise ValueError("not later than `since`")
        return until


class OrdersQuery(TimedListQuery):
    status: OrderStatus | None = None
    before: Cursor | None = Field(
        default=None,
        description="Older name of `cursor`. It takes the number of one of the user's orders, too.",
        json_schema_extra={"deprecated": True},
    )


class PayByIn(In):
    provider_account: Name
    way: Annotated[str, StringConstraints(min_length=1, max_length=32)]
    extra: dict[str, Any] = Field(default_factory=dict, max_length=MOST_EXTRA, description="What this way needs.")
    return_url: Annotated[str, StringConstraints(max_length=512, pattern=r"^(https?://[\x21-\x7e]+)?$")] = ""


class OrderIn(PayByIn):
    product: Name
    quantity: Annotated[int, Field(strict=True, ge=1, le=MOST_PIECES)] = 1
    currency: Currency | None = None
    user: UserId | None = None


class PaymentIn(PayByIn):
    user: UserId | None = None


class GrantOut(Out):
    asset: str
    amount: int
    bonus: bool
    valid_days: int | None = None


class ProductOut(Out):
    sku: str
    title: str
    prices: dict[str, int] = Field(description="Minor units by currency.")
    grants: list[GrantOut]
    store_ids: dict[str, str]


class ProductsOut(Out):
    products: list[ProductOut]


class PaymentOut(Out):
    number: Number
    provider_account: str
    way: str
    status: Literal["created", "pending", "unknown", "authorized", "paid", "failed", "closed", "held"]
    action: dict[str, Any] | None = Field(description="What the client does next, while the payment is open.")
    created_at: datetime
    paid_at: datetime | None


class OrderOut(Out):
    number: Number
    user: str
    environment: Literal["live", "sandbox"]
    product: str
    title: str
    quantity: int
    amount_minor: int | None
    currency: str | None
    grants: list[GrantOut]
    status: Literal["open", "paid", "expired"]
    created_at: datetime
    expires_at: datetime
    paid_at: datetime | None
    payments: list[PaymentOut]


class OrdersOut(Out):
    orders: list[OrderOut]
    next: NextCursor


class WayOut(Out):
    way: str
    extra: dict[str, Any] = Field(description="JSON Schema of `extra`.")


class ProviderOut(Out):
    name: str
    live: bool
    currencies: list[str]
    capabilities: list[str]
    ways: list[WayOut]


class ProvidersOut(Out):
    providers: list[ProviderOut]


class ProblemOut(Out):
    type: str
    title: str
    status: int
    code: str
    request_id: str = Field(description="Of this request, as in the header X-Request-Id and in the service's log.")
    detail: str | None = None
    errors: list[dict[str, Any]] | None = None
    field: str | None = Field(default=None, description="The field at fault, or the one that differs.")
    retry_after: int | None = Field(default=None, description="Seconds to wait, as in the header Retry-After.")


class AccountTokenOut(Out):
    token: str = Field(description="A UUID.")


class ConsentIn(In):
    user: UserId | None = None
    consented: Annotated[bool, Field(strict=True)]


class ConsentOut(Out):
    user: str
    consented: bool


class ReceiptIn(BaseModel):
    """The proof as the provider's plugin wants it (`docs/api.md`): a JSON object."""

    model_config = ConfigDict(extra="allow")


class PurchaseOut(Out):
    transaction: str
    status: Literal["credited", "refunded", "pending", "held", "not_yours", "unknown"]
    finish: bool = Field(description="The client may tell the store that it was delivered.")
    product: str | None
    order: Number | None


class ReceiptOut(Out):
    receipt: Number
    status: Literal["pending", "settled", "given_up"]
    purchases: list[PurchaseOut]


class BalanceOut(Out):
    asset: str
    environment: Literal["live", "sandbox"]
    balance: int
    held: int
    available: int
    frozen: bool


class DebtOut(Out):
    asset: str
    environment: Literal["live", "sandbox"]
    amount: int = Field(description="Refunded coins that were spent: whatever comes in repays them first.")


class WalletOut(Out):
    user: str
    balances: list[BalanceOut]
    debts: list[DebtOut]


class StatementQuery(ListQuery):
    asset: Asset = "coin"
    environment: Literal["live", "sandbox"] = "live"
    order: Literal["oldest_first", "newest_first"] = "oldest_first"


class LineOut(Out):
    version: int
    transfer: uuid.UUID
    amount: int = Field(description="Signed: what the wallet gained.")
    balance: int
    kind: str
    reference: str
    note: str
    other: str = Field(description="Code of the account on the other side.")
    at: datetime
    actor: str | None = Field(description="Who asked for it; empty for the service itself, null for a user's token.")


class StatementOut(Out):
    lines: list[LineOut]
    next: NextCursor


class SpendIn(In):
    user: UserId | None = None
    asset: Asset
    amount: PositiveInt
    environment: Literal["live", "sandbox"] = "live"
    reference: Annotated[str, StringConstraints(max_length=128)] = ""
    note: Annotated[str, StringConstraints(max_length=255)] = ""


class PostedOut(Out):
    id: uuid.UUID
    amount: int
    balance: int
    version: int
    at: datetime
    repeated: bool = Field(description="This key had been used for it before.")
