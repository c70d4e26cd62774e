"""What finance sends and gets: journal entries, and months to close."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StringConstraints
from pydantic.config import JsonDict

from app.domain.journal import MOST_JOURNAL_LINES
from app.web.fields import (
    At,
    Currency,
    Environment,
    MomentField,
    Number,
    PositiveInt,
    Reason,
    ShownAccount,
    ShownCurrency,
    ShownUser,
    Text,
)
from app.web.schemas import In, ListQuery, NextCursor, Out

_LINE: JsonDict = {"account": "suspense", "debit_minor": 600, "credit_minor": 0}
_OTHER_LINE: JsonDict = {"account": "bank:shop", "debit_minor": 0, "credit_minor": 600}
Document = Annotated[
    Text,
    StringConstraints(min_length=1, max_length=128),
    Field(description="The reference of the paper or file behind it.", examples=["2026-01-17"]),
]
MonthField = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9]{4}-(0[1-9]|1[0-2])$"),
    Field(description="A month of the zone of the rules.", examples=["2026-01"]),
]
LineAmount = Annotated[int, Field(strict=True, ge=0, le=2**63 - 1, description="In minor units.", examples=[600])]


class JournalLineIn(In):
    account: Annotated[Text, StringConstraints(min_length=1, max_length=80)] = Field(
        description="An account of the chart that may be used by hand.", examples=["suspense"]
    )
    debit_minor: LineAmount = 0
    credit_minor: LineAmount = 0


class JournalEntryIn(In):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "document": "2026-01-17",
                    "reason": "found its owner",
                    "currency": "CNY",
                    "lines": [_LINE, _OTHER_LINE],
                }
            ]
        }
    )

    document: Document
    reason: Reason
    currency: Currency
    environment: Environment = "live"
    lines: list[JournalLineIn] = Field(
        min_length=2,
        max_length=MOST_JOURNAL_LINES,
        description="Each has a debit or a credit; debits and credits are alike. An account stands in one line.",
        examples=[[_LINE, _OTHER_LINE]],
    )
    effective_at: MomentField | None = Field(
        default=None, description="When it happened; null: when it is booked. Never in the future."
    )


class ReversalOfEntryIn(In):
    document: Document
    reason: Reason


_PRICE = Field(
    default=None, description="The gross price of the purchase: needed where the store told none.", examples=[1500]
)


class RefundPriceQuery(In):
    price_minor: Annotated[int, Field(gt=0, le=2**63 - 1)] | None = _PRICE
    currency: Currency | None = Field(default=None, description="Of `price_minor`.")


class EndOfFactIn(In):
    reason: Reason
    price_minor: PositiveInt | None = _PRICE
    currency: Currency | None = Field(default=None, description="Of `price_minor`.")


class RefundOfImportOut(Out):
    number: Number
    state: Literal["open", "proposed", "ended"] = Field(
        description="`proposed`: its entry waits for a second person.", examples=["open"]
    )
    provider_account: ShownAccount
    provider_number: str = Field(description="The provider's number of the purchase.", examples=["2000000123456789"])
    user: ShownUser | None = Field(description="Whose agreement it is; null: it went over to another user.")
    agreement: Number | None = Field(description="The imported agreement; null: it went over to another user.")
    at: At = Field(description="When the money went back.")
    price_minor: int | None = Field(description="The gross price of the purchase; null: not told.", examples=[1500])
    currency: ShownCurrency | None = Field(description="Of all sums here.")
    refunded_minor: int | None = Field(
        description="What of it is gone by all refunds that were told; null: the price is not known.", examples=[1500]
    )
    booked_minor: int = Field(
        description="What is booked of that already. The rest is booked by the end: debit `opening`, credit `clearing`"
        " of the provider account.",
        examples=[0],
    )
    entry: Number | None = Field(description="The newest journal entry about the purchase.")


class JournalLineOut(Out):
    account: str = Field(description="Code of the account.", examples=["suspense"])
    debit_minor: LineAmount
    credit_minor: LineAmount


class JournalEntryOut(Out):
    number: Number
    status: Literal["proposed", "posted", "withdrawn"] = Field(
        description="`proposed`: it waits for a second person, and nothing is booked.", examples=["proposed"]
    )
    document: str = Field(description="The paper or file behind it.", examples=["2026-01-17"])
    reason: str = Field(description="Why, for people.", examples=["found its owner"])
    environment: Environment
    currency: ShownCurrency
    total_minor: LineAmount
    lines: list[JournalLineOut] = Field(description="Debits and credits.")
    effective_at: datetime | None = Field(
        description="When it happened; null: when it was booked.", examples=["2026-01-17T02:00:00Z"]
    )
    reverses: Number | None = Field(description="The entry that it takes back; null: none.")
    proposed_by: str = Field(description="Who proposed it.", examples=["backend:shop/mei"])
    proposed_at: At
    ended_by: str | None = Field(description="Who posted or withdrew it.", examples=["backend:shop/li"])
    ended_at: At | None = Field(description="When it was posted or withdrawn.")


class JournalEntriesOut(Out):
    entries: list[JournalEntryOut] = Field(description="The newest first.")
    next: NextCursor


class JournalQuery(ListQuery):
    status: Literal["proposed", "posted", "withdrawn"] | None = Field(
        default=None, description="Only these.", examples=["proposed"]
    )


class ClosingIn(In):
    month: MonthField
    despite: Annotated[Text, StringConstraints(max_length=255)] = Field(
        default="", description="Why it is closed though something is open.", examples=["the bank answers in May"]
    )


class ClosingOut(Out):
    month: MonthField
    status: Literal["proposed", "closed"] = Field(
        description="`proposed`: it waits for a second person.", examples=["closed"]
    )
    until: At = Field(description="When the month after it begins.")
    booked_until: At = Field(description="What is booked from then on counts when it is booked.")
    sha256: str = Field(description="Of the trial balance that is kept with it.", examples=["9f" * 32])
    despite: str = Field(description="Why it was closed though something was open.", examples=[""])
    proposed_by: str = Field(description="Who proposed it.", examples=["backend:shop/mei"])
    proposed_at: At
    confirmed_by: str | None = Field(description="Who confirmed it.", examples=["backend:shop/li"])
    confirmed_at: At | None = Field(description="When it was closed.")


class ClosingsOut(Out):
    closings: list[ClosingOut] = Field(description="In the order of time.")
