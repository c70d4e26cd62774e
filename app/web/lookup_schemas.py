"""What a search and a timeline answer: see `app.web.schemas`."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from app.services.lookup.search import LONGEST_SEARCHED
from app.services.lookup.timeline import MOST_ENTRIES
from app.web.schemas import In, Number, Out


class SearchQuery(In):
    number: Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_SEARCHED)] = Field(
        description="Any number: ours, a provider's, a store's transaction id, a UUID, or a user's id."
    )


class NamedOut(Out):
    kind: Literal[
        "order",
        "payment",
        "refund",
        "receipt",
        "fact",
        "message",
        "transfer",
        "hold",
        "purchase",
        "agreement",
        "user",
    ]
    number: str
    user: str | None
    status: str | None = Field(description="As the thing itself shows it; of a transfer its kind.")
    order: Number | None = Field(description="The order that it belongs to.")
    provider_account: str | None
    environment: Literal["live", "sandbox"] | None
    theirs: str | None = Field(description="The provider's own number of it.")
    at: datetime | None
    link: str | None = Field(description="Where the thing is read; null for what only the command line shows.")
    timeline: str | None = Field(description="Where everything that happened to its order is read.")


class SearchOut(Out):
    found: list[NamedOut]


class TimelineQuery(In):
    cursor: Annotated[str, StringConstraints(pattern=r"^[0-9]{1,17}-[0-9]{1,4}$")] | None = Field(
        default=None, description="The `next` of the page before."
    )
    limit: Annotated[int, Field(gt=0, le=MOST_ENTRIES)] = 50


class EntryOut(Out):
    at: datetime = Field(description="When it was written down here; of a call, when it began.")
    kind: Literal[
        "order_made",
        "payment_made",
        "receipt",
        "call",
        "call_unfinished",
        "message",
        "fact",
        "told_again",
        "transfer",
        "refund_made",
        "refund_done",
        "freeze",
        "unfreeze",
        "intervention",
        "event",
        "message_settled",
        "order_expired",
    ]
    number: str = Field(description="Of the thing itself.")
    payment: Number | None
    refund: str | None = Field(description="Its number: ours, or the provider's where the provider decided it.")
    provider_account: str | None
    what: str = Field(description="Product, way, verb, kind of fact or transfer, reason of a message, act of a person.")
    road: str | None = Field(description="How a fact or a message reached us.")
    outcome: str | None
    detail: str
    happened_at: datetime | None = Field(description="Of a fact: when it happened, by the provider's clock.")
    ms: int | None = Field(description="How long a call took.")
    amount: int | None = Field(description="Minor units of a currency, or coins.")
    asset: str | None
    actor: str | None = Field(description="Who did it.")
    reason: str | None
    text: str = Field(description="The entry in plain words. For people: it may change.")


class TimelineOut(Out):
    entries: list[EntryOut]
    next: str | None = Field(description="Cursor of the next page; null at the end.")
