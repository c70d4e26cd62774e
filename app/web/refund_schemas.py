"""What callers send and get about refunds and frozen wallets."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, model_validator
from typing_extensions import TypeAliasType

from app.domain.refunding import RefundStatus
from app.web.fields import (
    Asset,
    At,
    Environment,
    Number,
    PositiveInt,
    Reason,
    ShownAccount,
    ShownAsset,
    ShownCurrency,
    ShownUser,
    UserId,
)
from app.web.schemas import In, ListQuery, MissingDatabases, NextCursor, Out, TimedListQuery

Policy = TypeAliasType(
    "Policy",
    Annotated[
        Literal["debt", "forgive", "freeze"],
        Field(description="What becomes of refunded coins that are spent already.", examples=["debt"]),
    ],
)


class RefundIn(In):
    """Name the payment or the order."""

    model_config = ConfigDict(
        json_schema_extra={
            "not": {"properties": {"payment": {"type": "null"}, "order": {"type": "null"}}},  # one of them is named
            "examples": [{"order": "252286601203298479", "amount_minor": 300, "reason": "asked by the user"}],
        }
    )

    payment: Number | None = Field(default=None, description="The payment.")
    order: Number | None = Field(default=None, description="The payment that bought this order.")
    amount_minor: PositiveInt | None = Field(
        default=None, description="Minor units; all that is left if not given.", examples=[300]
    )
    reason: Reason
    policy: Policy | None = Field(
        default=None, description="What becomes of coins that are spent already; not given: the setting says."
    )

    @model_validator(mode="after")
    def _names_something(self) -> RefundIn:
        if self.payment is None and self.order is None:
            raise ValueError("name the payment or the order")
        return self


class RefundsQuery(TimedListQuery):
    order: Number | None = Field(default=None, description="Only those of this order, oldest first.")
    status: RefundStatus | None = Field(default=None, description="Only those that stand so.", examples=["done"])


class CoinsOut(Out):
    asset: ShownAsset
    taken: int = Field(description="Coins taken out of the wallet; negative: given back.", examples=[30])
    debt: int = Field(description="Coins that the user owes since: later credits repay first.", examples=[0])
    forgiven: int = Field(description="Coins that could not be taken and are not owed.", examples=[0])


class RefundOut(Out):
    number: Number
    order: Number
    payment: Number
    user: ShownUser = Field(description="Whose order it is about.")
    provider_account: ShownAccount
    origin: Literal["asked", "automatic", "provider"] = Field(
        description="Who decided: a caller of ours, a policy of ours, or the provider.", examples=["asked"]
    )
    amount_minor: int | None = Field(description="Minor units; null: the provider did not say.", examples=[300])
    currency: ShownCurrency | None = Field(description="The currency; null: the provider did not say.")
    undone_minor: int = Field(
        description="What of the amount the provider gave back to the merchant later.", examples=[0]
    )
    dispute_fee_minor: int | None = Field(
        description="What the provider charges for the dispute that brought the refund; null if it told none.",
        examples=[1500],
    )
    dispute_fee_currency: ShownCurrency | None = Field(description="The currency of that fee.")
    reason: str = Field(description="Why, for people.", examples=["asked by the user"])
    actor: str | None = Field(
        description="Who asked for it; empty if nobody of yours did, null for a user's token.",
        examples=["backend:game"],
    )
    policy: Policy
    status: RefundStatus = Field(
        description="How far it has come. `unknown`: the provider did not say, and is asked again.", examples=["done"]
    )
    problem: str = Field(
        description="Why it was declined or is unknown: the provider's words, or a person's.", examples=[""]
    )
    coins: list[CoinsOut] = Field(description="What became of the coins, by asset.")
    created_at: At
    done_at: At | None = Field(description="When the provider had done it; null: it has not.")


class RefundsOut(Out):
    refunds: list[RefundOut] = Field(description="Newest first; those of one order oldest first.")
    next: NextCursor
    missing_databases: MissingDatabases


class FreezeIn(In):
    user: UserId
    asset: Asset | None = Field(default=None, description="Every wallet of the environment if not given.")
    environment: Environment = "live"
    reason: Reason


class FreezesQuery(ListQuery):
    user: UserId


class FreezeOut(Out):
    number: Number
    user: ShownUser
    asset: ShownAsset | None = Field(description="The wallet; null: every wallet of the environment.")
    environment: Environment
    frozen: bool = Field(description="True: frozen. False: spends are allowed again.", examples=[True])
    reason: str = Field(description="Why, for people.", examples=["a chargeback"])
    actor: str = Field(description="Who did it.", examples=["backend:game"])
    refund: Number | None = Field(description="The refund that froze the wallet; null: a person or program did.")
    at: At


class FreezesOut(Out):
    freezes: list[FreezeOut] = Field(description="Oldest first.")
    next: NextCursor
