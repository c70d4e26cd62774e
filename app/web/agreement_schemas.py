"""What callers send and get about agreements and entitlements."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StrictBool, StringConstraints

from app.domain.agreements import AgreementStatus
from app.web.fields import (
    AccountField,
    At,
    Currency,
    Environment,
    Number,
    ShownAccount,
    ShownCurrency,
    ShownSku,
    ShownUser,
    Sku,
    UserId,
)
from app.web.schemas import In, MissingDatabases, NextCursor, Out, PayByIn, TimedListQuery


class AgreementIn(PayByIn):
    product: Sku
    currency: Currency | None = Field(
        default=None, description="The currency to pay in; not given: one that product and provider account share."
    )
    zone: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_+/-]{1,64}$")] | None = Field(
        default=None,
        description="The user's time zone, whose calendar and hours count; not given: that of the settings.",
        examples=["Asia/Shanghai"],
    )
    pay_now: StrictBool = Field(
        default=False,
        description="The payer pays the first period by the same act. Only some ways can do that.",
        examples=[False],
    )
    replaces: Number | None = Field(
        default=None,
        description="An agreement of the user's whose place this one takes: it ends when this one is signed. Without "
        "`pay_now` the first period begins when what is paid under that one is over.",
        examples=["253064183808000006"],
    )
    user: UserId | None = Field(default=None, description="Backend keys only: who signs.")


class AgreementsQuery(TimedListQuery):
    status: AgreementStatus | None = Field(default=None, description="Only those that stand so.", examples=["past_due"])
    provider_account: AccountField | None = Field(default=None, description="Only those with this provider account.")
    product: Sku | None = Field(default=None, description="Only those about this product.")


class CancelAgreementIn(In):
    at_once: StrictBool = Field(
        default=False,
        description="True: ended at the provider now. False: with the period that is paid. In either case no charge is "
        "made any more, and what is paid stays active.",
        examples=[False],
    )


class ChangePlanIn(In):
    product: Sku


class PeriodLengthOut(Out):
    unit: Literal["day", "month"] = Field(description="What is counted.", examples=["month"])
    count: int = Field(description="How many of them a period lasts.", examples=[1])


class AgreementOut(Out):
    number: Number
    user: ShownUser
    product: ShownSku
    title: str = Field(description="For people.", examples=["VIP, a month"])
    environment: Environment
    provider_account: ShownAccount
    provider_number: str | None = Field(
        description="The provider's own number, once it is known.", examples=["20265001000000000001"]
    )
    by_store: bool = Field(
        description="A store charges, and only the payer can change it there. Else we charge.", examples=[False]
    )
    way: str = Field(description="The way of signing.", examples=["page"])
    status: Literal["signing", "active", "past_due", "paused", "ended"] = Field(
        description="`past_due`: the period that is due is not paid.", examples=["active"]
    )
    action: dict[str, Any] | None = Field(
        description="What the client does next to sign; `type` tells how to read the rest.",
        examples=[{"type": "page", "url": "https://pay.example/sign/1"}],
    )
    amount_minor: int | None = Field(
        description="What a period costs, in minor units; null where a store sets the price.", examples=[1500]
    )
    currency: ShownCurrency | None
    period: PeriodLengthOut | None = Field(description="How long a period is; null where only the store knows.")
    zone: str = Field(description="Whose calendar and hours count.", examples=["Asia/Shanghai"])
    entitlements: list[str] = Field(description="What is active while a period is paid.", examples=[["vip"]])
    paid_until: At | None = Field(description="The end of the last paid period; null: none was paid.")
    grace_until: At | None = Field(description="Until when a store lets the payer go on while it tries to collect.")
    next_charge_at: At | None = Field(description="When we charge next; null: not planned.")
    replaces: Number | None = Field(description="The agreement that ended, or will end, when this one is signed.")
    next_product: ShownSku | None = Field(description="What it is about from the next period on, where that changes.")
    renews: bool | None = Field(
        description="Whether a store will collect a further period; null: not told.", examples=[None]
    )
    price_increase: Literal["pending", "accepted"] | None = Field(
        description="A higher price that a store asks from the next period on. `pending`: the payer has not said yes.",
        examples=[None],
    )
    cancel_at: At | None = Field(description="When it is ended because somebody wants that.")
    signed_at: At | None = Field(description="When it came into force.")
    ended_at: At | None = Field(description="When it ended.")
    ended_by: Literal["", "payer", "us", "time", "unpaid", "provider", "never_signed"] = Field(
        description="How it ended; empty while it has not.", examples=[""]
    )
    created_at: At
    expires_at: At = Field(description="Until when it can be signed.")


class AgreementsOut(Out):
    agreements: list[AgreementOut] = Field(description="Newest first.")
    next: NextCursor
    missing_databases: MissingDatabases


class PeriodOut(Out):
    number: int = Field(description="0, 1, 2 …", examples=[0])
    starts_at: At
    ends_at: At
    status: Literal["due", "paid", "free", "unpaid", "refunded"] = Field(
        description="`unpaid`: all attempts are over. `refunded`: an earlier system sold it, and all of its money went"
        " back.",
        examples=["paid"],
    )
    order: Number | None = Field(description="The order of its charge; null: not charged yet, or free.")
    refusal: str = Field(description="Why the last charge was refused.", examples=["no_money"])
    next_try_at: At | None = Field(description="When the charge is tried again after a refusal.")


class PeriodsOut(Out):
    periods: list[PeriodOut] = Field(description="Newest first.")
    next: NextCursor


class EntitlementOut(Out):
    name: str = Field(description="What is active.", examples=["vip"])
    environment: Environment
    until: At = Field(description="Until when, as far as it is known now.")
    agreement: Number
    product: ShownSku
    provider_account: ShownAccount
    status: Literal["active", "past_due", "paused", "ended", "signing"] = Field(
        description="How the agreement stands that makes it active.", examples=["active"]
    )


class EntitlementsOut(Out):
    entitlements: list[EntitlementOut] = Field(description="Each name once in each environment, in alphabetical order.")
