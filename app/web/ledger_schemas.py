"""What callers of the ledger send and get besides spends and statements."""

from __future__ import annotations

import uuid
from typing import Annotated, Literal

from pydantic import Field, StrictBool, StringConstraints

from app.domain.spending import LONGEST_HOLD_SECONDS
from app.services.ledger.batches import MOST
from app.services.ledger.wallet_lists import HoldState
from app.web.fields import (
    Amount,
    Asset,
    At,
    Environment,
    MomentField,
    NewUser,
    Note,
    PositiveInt,
    Reason,
    Reference,
    ShownAsset,
    ShownUser,
    Sku,
    UserId,
)
from app.web.schemas import In, Out, PostedOut, SpendIn, UserQuery

Key = Annotated[
    str,
    StringConstraints(pattern=r"^[\x20-\x7e]{1,128}$"),
    Field(description="The idempotency key of this item.", examples=["monday-alice"]),
]


class BalanceAtQuery(UserQuery):
    asset: Asset = "coin"
    environment: Environment = "live"
    at: MomentField = Field(description="The moment, with its zone.")


class BalanceAtOut(Out):
    user: ShownUser
    asset: ShownAsset
    environment: Environment
    at: At = Field(description="The moment.")
    balance: int = Field(description="What the wallet held then.", examples=[435])


class GrantIn(In):
    user: UserId
    asset: Asset
    amount: Amount
    environment: Environment = "live"
    reason: Reason
    reference: Reference = ""
    expires_at: MomentField | None = Field(default=None, description="When what is left expires; not given: never.")
    product: Sku | None = Field(default=None, description="The product that the coins are as if bought with.")
    new_user: NewUser = None


class DebitIn(In):
    user: UserId
    asset: Asset
    amount: Amount
    environment: Environment = "live"
    reason: Reason
    reference: Reference = ""


class HoldIn(SpendIn):
    seconds: Annotated[int, Field(strict=True, gt=0, le=LONGEST_HOLD_SECONDS)] = Field(
        description="For how long.", examples=[600]
    )


class CaptureIn(In):
    amount: PositiveInt | None = Field(default=None, description="All that is left, if not given.", examples=[10])
    final: StrictBool = Field(default=False, description="Give the rest back at once.", examples=[True])
    reference: Reference = ""
    note: Note = ""


class HoldOut(Out):
    id: uuid.UUID = Field(description="The hold.", examples=["0b9e6a52-3f41-8c07-a2d5-6e1f7b90c830"])
    user: ShownUser
    asset: ShownAsset
    environment: Environment
    amount: int = Field(description="What it reserved at first.", examples=[25])
    captured: int = Field(description="What of it was spent.", examples=[10])
    released: int = Field(description="What of it was given back.", examples=[0])
    rest: int = Field(description="What is still reserved.", examples=[15])
    state: HoldState = Field(description="How the hold stands.", examples=["open"])
    expires_at: At = Field(description="When it gives back what is left, by itself.")
    repeated: bool = Field(description="This key had been used for it before.", examples=[False])


class ReverseIn(In):
    amount: PositiveInt | None = Field(default=None, description="All of it, if not given.", examples=[10])
    reason: Reason


class SpendItem(SpendIn):
    type: Literal["spend"] = Field(description="Take coins.", examples=["spend"])
    key: Key
    user: UserId


class GrantItem(GrantIn):
    type: Literal["grant"] = Field(description="Give bonus coins.", examples=["grant"])
    key: Key


class BatchIn(In):
    all_or_nothing: StrictBool = Field(description="Book nothing if one item is refused.", examples=[False])
    items: Annotated[
        list[Annotated[SpendItem | GrantItem, Field(discriminator="type")]], Field(min_length=1, max_length=MOST)
    ] = Field(description="What to book, each with a key of its own.")


class ItemOut(Out):
    code: str | None = Field(
        description="Why it was refused; null if it was booked (or could have been).", examples=["insufficient_funds"]
    )
    details: dict[str, int | str] = Field(
        default_factory=dict, description="What machines read besides the code.", examples=[{"available": 5}]
    )
    posted: PostedOut | None = Field(description="What was booked; null: nothing.")


class BatchOut(Out):
    applied: bool = Field(description="False: nothing was booked, because something was refused.", examples=[True])
    items: list[ItemOut] = Field(description="In the order of the request.")
