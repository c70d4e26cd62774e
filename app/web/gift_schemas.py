"""What callers send and get about gifts."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from app.web.schemas import Asset, In, NextCursor, Number, Out, PositiveInt, UserId

Environment = Literal["live", "sandbox"]


class GiftIn(In):
    user: UserId | None = Field(default=None, description="Backend keys only: who gives.")
    receiver: UserId
    asset: Asset
    amount: PositiveInt
    environment: Environment = "live"
    message: Annotated[str, StringConstraints(max_length=255)] = Field(
        default="", description="From the giver to the receiver: both statements show it."
    )
    reference: Annotated[str, StringConstraints(max_length=128)] = Field(default="", description="The app's own.")


class GiftOut(Out):
    number: Number
    giver: str
    receiver: str
    asset: str
    environment: Environment
    amount: int
    message: str
    reference: str
    status: Literal["sent", "received", "returned"] = Field(
        description="`sent`: on its way; it ends by itself, as `received` or, with the coins back, as `returned`."
    )
    reason: Literal["", "receiver_frozen", "receiver_limit", "balance_overflow"] = Field(
        description="Why it was returned; empty for others."
    )
    created_at: datetime
    ended_at: datetime | None


class GiftsOut(Out):
    gifts: list[GiftOut]
    next: NextCursor
