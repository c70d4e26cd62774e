"""What callers send and get about refunds and frozen wallets."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from app.domain.refunding import RefundStatus
from app.web.schemas import Asset, In, ListQuery, NextCursor, Number, Out, PositiveInt, TimedListQuery, UserId

Environment = Literal["live", "sandbox"]
Reason = Annotated[str, StringConstraints(min_length=1, max_length=255)]
Policy = Literal["debt", "forgive", "freeze"]


class RefundIn(In):
    payment: Number | None = None
    order: Number | None = Field(default=None, description="The payment that bought this order.")
    amount_minor: PositiveInt | None = Field(default=None, description="Minor units; all that is left if not given.")
    reason: Reason
    policy: Policy | None = Field(default=None, description="What becomes of coins that are spent already.")

    @model_validator(mode="after")
    def _names_something(self) -> RefundIn:
        if self.payment is None and self.order is None:
            raise ValueError("name the payment or the order")
        return self


class RefundsQuery(TimedListQuery):
    order: Number | None = Field(default=None, description="Only those of this order, oldest first.")
    status: RefundStatus | None = None


class CoinsOut(Out):
    asset: str
    taken: int = Field(description="Coins taken out of the wallet; negative: given back.")
    debt: int = Field(description="Coins that the user owes since: later credits repay first.")
    forgiven: int


class RefundOut(Out):
    number: Number
    order: Number
    payment: Number
    provider_account: str
    origin: Literal["asked", "automatic", "provider"]
    amount_minor: int | None
    currency: str | None
    undone_minor: int = Field(description="What of the amount the provider gave back to the merchant later.")
    dispute_fee_minor: int | None = Field(
        description="What the provider charges for the dispute that brought the refund; null if it told none."
    )
    dispute_fee_currency: str | None
    reason: str
    actor: str | None = Field(description="Who asked for it; empty if nobody of yours did, null for a user's token.")
    policy: Policy
    status: Literal["created", "pending", "unknown", "done", "declined", "undone"]
    problem: str = Field(description="Why it was declined or is unknown: the provider's words, or a person's.")
    coins: list[CoinsOut]
    created_at: datetime
    done_at: datetime | None


class RefundsOut(Out):
    refunds: list[RefundOut]
    next: NextCursor


class FreezeIn(In):
    user: UserId
    asset: Asset | None = Field(default=None, description="Every wallet of the environment if not given.")
    environment: Environment = "live"
    reason: Reason


class FreezesQuery(ListQuery):
    user: UserId


class FreezeOut(Out):
    number: Number
    user: str
    asset: str | None
    environment: Environment
    frozen: bool
    reason: str
    actor: str
    refund: Number | None
    at: datetime


class FreezesOut(Out):
    freezes: list[FreezeOut]
    next: NextCursor
