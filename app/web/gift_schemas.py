"""What callers send and get about gifts."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from app.web.schemas import PAGE, Asset, In, Number, Out, PageSize, PositiveInt, UserId, UserQuery

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


class GiftsQuery(UserQuery):
    before: Number | None = Field(default=None, description="Cursor: the `next` of the page before.")
    limit: PageSize = PAGE


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
    next: Number | None = Field(description="Cursor of the next page; null at the end.")
