"""What callers of the ledger send and get besides spends and statements."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from app.domain.spending import LONGEST_HOLD_SECONDS
from app.services.ledger.batches import MOST
from app.web.schemas import Asset, In, Moment, Name, Out, PositiveInt, PostedOut, SpendIn, UserId, UserQuery

Reason = Annotated[str, StringConstraints(min_length=1, max_length=255)]
Reference = Annotated[str, StringConstraints(max_length=128)]
Environment = Literal["live", "sandbox"]
Key = Annotated[str, StringConstraints(pattern=r"^[\x20-\x7e]{1,128}$")]


class BalanceAtQuery(UserQuery):
    asset: Asset = "coin"
    environment: Environment = "live"
    at: Moment


class BalanceAtOut(Out):
    asset: str
    environment: Environment
    at: datetime
    balance: int


class GrantIn(In):
    user: UserId
    asset: Asset
    amount: PositiveInt
    environment: Environment = "live"
    reason: Reason
    reference: Reference = ""
    expires_at: Moment | None = None
    product: Name | None = None
    new_user: bool | None = Field(
        default=None,
        exclude=True,
        description="Whether the user may be one that nobody has seen. If not given: only where no Tillbook-Actor is "
        "named, since people mistype. No part of what the Idempotency-Key stands for.",
    )


class DebitIn(In):
    user: UserId
    asset: Asset
    amount: PositiveInt
    environment: Environment = "live"
    reason: Reason
    reference: Reference = ""


class HoldIn(SpendIn):
    seconds: Annotated[int, Field(strict=True, gt=0, le=LONGEST_HOLD_SECONDS)]


class CaptureIn(In):
    amount: PositiveInt | None = Field(default=None, description="All that is left, if not given.")
    final: bool = Field(default=False, description="Give the rest back at once.")
    reference: Reference = ""
    note: Annotated[str, StringConstraints(max_length=255)] = ""


class HoldOut(Out):
    id: uuid.UUID
    amount: int
    captured: int
    released: int
    rest: int = Field(description="What is still reserved.")
    state: Literal["open", "captured", "released", "expired"]
    expires_at: datetime
    repeated: bool


class ReverseIn(In):
    amount: PositiveInt | None = Field(default=None, description="All of it, if not given.")
    reason: Reason


class SpendItem(SpendIn):
    type: Literal["spend"]
    key: Key
    user: UserId


class GrantItem(GrantIn):
    type: Literal["grant"]
    key: Key


class BatchIn(In):
    all_or_nothing: bool
    items: Annotated[
        list[Annotated[SpendItem | GrantItem, Field(discriminator="type")]], Field(min_length=1, max_length=MOST)
    ]


class ItemOut(Out):
    code: str | None = Field(description="Why it was refused; null if it was booked (or could have been).")
    details: dict[str, int | str] = Field(default_factory=dict)
    posted: PostedOut | None


class BatchOut(Out):
    applied: bool = Field(description="False: nothing was booked, because something was refused.")
    items: list[ItemOut] = Field(description="In the order of the request.")
