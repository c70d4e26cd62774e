"""What a search and a timeline answer: see `app.web.schemas`."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from app.services.lookup.search import LONGEST_SEARCHED
from app.services.lookup.timeline import MOST_ENTRIES
from app.web.fields import Text
from app.web.schemas import PAGE, In, MissingDatabases, Out

_ORDER, _PAYMENT, _AT = "252286601203298479", "252286601203302575", "2026-11-28T09:30:00Z"


class SearchQuery(In):
    number: Annotated[Text, StringConstraints(min_length=1, max_length=LONGEST_SEARCHED)] = Field(
        description="Any number: ours, a provider's, a store's transaction id, a UUID, or a user's id.",
        examples=[_PAYMENT],
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
        "gift",
        "purchase",
        "agreement",
        "user",
    ] = Field(description="What it is; a `purchase` is a store's.", examples=["payment"])
    number: str = Field(description="Its number; of a user the id.", examples=[_PAYMENT])
    user: str | None = Field(description="Whose it is.", examples=["alice"])
    status: str | None = Field(description="As the thing itself shows it; of a transfer its kind.", examples=["paid"])
    order: str | None = Field(description="The order that it belongs to.", examples=[_ORDER])
    provider_account: str | None = Field(description="The provider account.", examples=["sandbox"])
    environment: str | None = Field(description="`live` or `sandbox`.", examples=["live"])
    theirs: str | None = Field(description="The provider's own number of it.", examples=["sbx_1"])
    at: datetime | None = Field(description="When it was made, or first told of.", examples=[_AT])
    link: str | None = Field(
        description="Where the thing is read; null for what only the command line shows.",
        examples=[f"/v1/orders/{_ORDER}"],
    )
    timeline: str | None = Field(
        description="Where everything that happened to it or to its order is read.",
        examples=[f"/v1/orders/{_ORDER}/timeline"],
    )


class SearchOut(Out):
    found: list[NamedOut] = Field(description="Each thing once. Empty if the number names nothing.")
    missing_databases: MissingDatabases


class TimelineQuery(In):
    cursor: Annotated[str, StringConstraints(pattern=r"^[0-9]{1,17}-[0-9]{1,4}$")] | None = Field(
        default=None, description="The `next` of the page before.", examples=["1795858200000000-2"]
    )
    limit: Annotated[int, Field(gt=0, le=MOST_ENTRIES)] = Field(
        default=PAGE, description="Entries of a page.", examples=[PAGE]
    )


class EntryOut(Out):
    at: datetime = Field(description="When it was written down here; of a call, when it began.", examples=[_AT])
    kind: Literal[
        "agreement_made",
        "period",
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
        "delivery",
        "message_settled",
        "order_expired",
        "agreement_ended",
    ] = Field(description="What kind of thing happened.", examples=["call"])
    number: str = Field(description="Of the thing itself.", examples=[_PAYMENT])
    payment: str | None = Field(description="The payment that it is about.", examples=[_PAYMENT])
    refund: str | None = Field(
        description="The refund's number: ours, or the provider's where the provider decided it.", examples=[None]
    )
    provider_account: str | None = Field(description="The provider account.", examples=["sandbox"])
    what: str = Field(
        description="Product, way, verb, kind of fact or transfer, type of event, why a message is kept, or an act.",
        examples=["query"],
    )
    road: str | None = Field(description="How a fact or a message reached us.", examples=["notification"])
    outcome: str | None = Field(description="What became of it.", examples=["answered"])
    detail: str = Field(description="More, in the words of the log.", examples=["paid"])
    happened_at: datetime | None = Field(
        description="Of a fact: when it happened, by the provider's clock.", examples=[_AT]
    )
    ms: int | None = Field(description="How long a call took, in milliseconds.", examples=[85])
    amount: int | None = Field(description="Minor units of a currency, or coins.", examples=[600])
    asset: str | None = Field(description="The currency or asset of the amount.", examples=["CNY"])
    actor: str | None = Field(description="Who did it.", examples=["operator:kim"])
    reason: str | None = Field(description="Why that person did it.", examples=["asked by the user"])
    text: str = Field(
        description="The entry in plain words. For people: it may change.",
        examples=[f"sandbox was called: query about payment {_PAYMENT}: answered in 85 ms (paid)"],
    )


class TimelineOut(Out):
    entries: list[EntryOut] = Field(description="Oldest first.")
    next: str | None = Field(description="Cursor of the next page; null at the end.", examples=["1795858200000000-2"])
