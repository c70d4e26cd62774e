"""What callers send and get about endpoints and deliveries."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from app.domain.endpoints import LONGEST_URL, MOST_SECRETS
from app.domain.event_types import EventType
from app.services.events.feed import LONGEST_CURSOR_TEXT
from app.web.fields import MomentField, PageSize, Text, UserId
from app.web.schemas import PAGE, In, MissingDatabases, Out

MOST_OVERLAP_HOURS = 168
"""How long an old secret may go on signing."""
EndpointName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")]
DeliveryStatus = Literal["waiting", "failed", "done", "given_up"]


class EndpointIn(In):
    name: EndpointName = Field(description="Your name for it.", examples=["game"])
    url: Annotated[str, StringConstraints(max_length=LONGEST_URL, pattern=r"^https?://[\x21-\x7e]+$")] = Field(
        description="Where events are sent: https, on the public internet.",
        examples=["https://game.example.com/tillbook"],
    )
    types: Annotated[list[EventType], Field(max_length=len(EventType))] = Field(
        default_factory=list, description="Types that are sent there. Empty: all.", examples=[["order.paid"]]
    )
    after: Annotated[Text, StringConstraints(max_length=LONGEST_CURSOR_TEXT)] | None = Field(
        default=None,
        description="Cursor of the feed: what comes behind it is sent. Not given: from now on.",
        examples=["MTow"],
    )


class RotateIn(In):
    overlap_hours: Annotated[int, Field(strict=True, ge=0, le=MOST_OVERLAP_HOURS)] = Field(
        default=24, description="How long the secrets that are there go on signing besides the new one.", examples=[24]
    )


class PauseIn(In):
    reason: Annotated[Text, StringConstraints(min_length=1, max_length=255)] = Field(
        description="Why, for whoever looks at it later.", examples=["the receiver moves"]
    )


class ResendIn(In):
    since: MomentField = Field(
        description="Everything that happened at that moment or later is sent again.", examples=["2026-12-01T00:00:00Z"]
    )


class ResentOut(Out):
    events: int = Field(
        description="So many events of the feed are to be gone through for the endpoint now.", examples=[120]
    )


class SecretOut(Out):
    ends_in: str = Field(description="The last characters of the secret.", examples=["b3A="])
    until: datetime | None = Field(
        description="When it stops signing; null: not planned.", examples=["2026-12-02T00:00:00Z"]
    )


class EndpointOut(Out):
    name: str = Field(description="Your name for it.", examples=["game"])
    url: str = Field(description="Where events are sent.", examples=["https://game.example.com/tillbook"])
    types: list[EventType] = Field(description="Types that are sent there. Empty: all.", examples=[["order.paid"]])
    origin: Literal["settings", "api", "operator"] = Field(
        description="Who made it. Settings alone change theirs.", examples=["api"]
    )
    status: Literal["active", "failing", "paused"] = Field(description="How it is.", examples=["active"])
    paused_at: datetime | None = Field(description="Nothing is sent since then.", examples=[None])
    paused_by: str = Field(description="Who paused it; `rule`: it failed for too long.", examples=[""])
    reason: str = Field(description="Why it is paused.", examples=[""])
    failing_since: datetime | None = Field(description="It has taken nothing since then.", examples=[None])
    failures: int = Field(description="Attempts that failed since the last one that was taken.", examples=[0])
    next_probe_at: datetime | None = Field(
        description="It is taken to be down: the next delivery tries then.", examples=[None]
    )
    behind: int = Field(description="Events of the feed that are still to be looked at for it.", examples=[0])
    open_deliveries: int = Field(description="Deliveries that wait or have failed; counted up to 1000.", examples=[3])
    secrets: Annotated[list[SecretOut], Field(max_length=MOST_SECRETS)] = Field(
        description="What signs at present, the newest first."
    )
    made_by: str = Field(description="The caller or person.", examples=["backend:game"])
    made_at: datetime = Field(description="When it was made.", examples=["2026-12-01T08:30:00Z"])


class OneEndpointOut(EndpointOut):
    missing_databases: MissingDatabases


class EndpointWithSecretOut(OneEndpointOut):
    secret: str = Field(
        description="The newest secret, `whsec_…`: give it to the receiver.",
        examples=["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
    )


class EndpointsOut(Out):
    endpoints: list[EndpointOut] = Field(description="By name.")
    missing_databases: MissingDatabases


class AttemptOut(Out):
    taken: bool = Field(description="Whether an event would count as taken.", examples=[True])
    code: int | None = Field(description="HTTP status of the answer; null: there was none.", examples=[204])
    latency_ms: int = Field(description="Milliseconds until the answer.", examples=[12])
    problem: str = Field(description="What went wrong; empty: nothing.", examples=[""])
    answer: str = Field(description="The first 1 KiB of the body.", examples=[""])


class DeliveriesQuery(In):
    status: DeliveryStatus | None = Field(default=None, description="Only these.", examples=["failed"])
    user: UserId | None = Field(default=None, description="Only those of this user.", examples=["alice"])
    cursor: Annotated[int, Field(ge=1, le=2**63 - 1)] | None = Field(
        default=None, description="The `next` of the page before.", examples=[1200]
    )
    limit: PageSize = PAGE


class DeliveryOut(Out):
    event: uuid.UUID = Field(
        description="The event, which is also the `webhook-id` of every attempt.",
        examples=["019ad91f-2a40-7abc-8000-000000000abc"],
    )
    type: EventType = Field(description="Type of the event.", examples=["order.paid"])
    user: str | None = Field(description="Whose event; null for money of nobody known.", examples=["alice"])
    status: DeliveryStatus = Field(
        description="`waiting`: not tried yet; `failed`: tried, and to be tried again; `done`: taken; `given_up`.",
        examples=["done"],
    )
    attempts: int = Field(description="Begun since it was last asked for.", examples=[1])
    next_at: datetime | None = Field(
        description="When it may be sent, after all earlier ones of its user.", examples=["2026-12-01T08:30:05Z"]
    )
    code: int | None = Field(description="HTTP status of the last answer; null: there was none.", examples=[204])
    latency_ms: int | None = Field(description="Milliseconds until the last answer.", examples=[12])
    problem: str = Field(description="What went wrong the last time; empty: nothing.", examples=["HTTP 500"])
    answer: str = Field(description="The first 1 KiB of the last answer's body.", examples=[""])
    tried_at: datetime | None = Field(description="When the last attempt ended.", examples=["2026-12-01T08:30:00Z"])


class DeliveriesOut(Out):
    deliveries: list[DeliveryOut] = Field(description="The newest events first.")
    next: int | None = Field(description="Cursor of the next page; null at the end.", examples=[1200])
    missing_databases: MissingDatabases
