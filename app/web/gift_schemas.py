"""What callers send and get about gifts."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from app.web.fields import (
    Amount,
    Asset,
    At,
    Environment,
    NewUser,
    Number,
    Reference,
    ShownAsset,
    ShownUser,
    Text,
    UserId,
)
from app.web.schemas import In, NextCursor, Out


class GiftIn(In):
    user: UserId | None = Field(default=None, description="Backend keys only: who gives.")
    receiver: UserId = Field(description="Who gets the coins.", examples=["bob"])
    asset: Asset
    amount: Amount
    environment: Environment = "live"
    message: Annotated[Text, StringConstraints(max_length=255)] = Field(
        default="", description="From the giver to the receiver: both statements show it.", examples=["Well played!"]
    )
    reference: Reference = Field(default="", description="The app's own.")
    new_user: NewUser = None


class GiftOut(Out):
    number: Number
    giver: ShownUser = Field(description="Who gave.")
    receiver: ShownUser = Field(description="Who gets the coins.", examples=["bob"])
    asset: ShownAsset
    environment: Environment
    amount: int = Field(description="How much of the asset.", examples=[25])
    message: str = Field(description="From the giver to the receiver.", examples=["Well played!"])
    reference: str = Field(description="The app's own.", examples=["match-12"])
    status: Literal["sent", "received", "returned"] = Field(
        description="`sent`: on its way; it ends by itself, as `received` or, with the coins back, as `returned`.",
        examples=["received"],
    )
    reason: Literal["", "receiver_frozen", "receiver_limit", "balance_overflow"] = Field(
        description="Why it was returned; empty for others.", examples=[""]
    )
    created_at: At
    ended_at: At | None = Field(description="When it ended; null: it is on its way.")


class GiftsOut(Out):
    gifts: list[GiftOut] = Field(description="Newest first.")
    next: NextCursor
