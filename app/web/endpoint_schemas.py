"""What callers send and get about endpoints and deliveries."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from app.domain.endpoints import LONGEST_URL, MOST_SECRETS
from app.domain.event_types import EventType
from app.services.events.feed import LONGEST_CURSOR_TEXT
from app.web.schemas import PAGE, In, Moment, Out, PageSize, UserId

MOST_OVERLAP_HOURS = 168
"""How long an old secret may go on signing."""
EndpointName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")]
DeliveryStatus = Literal["waiting", "failed", "done", "given_up"]


class EndpointIn(In):
    name: EndpointName
    url: Annotated[str, StringConstraints(max_length=LONGEST_URL, pattern=r"^https?://[\x21-\x7e]+$")]
    types: Annotated[list[EventType], Field(max_length=len(EventType))] = Field(
        default_factory=list, description="Types that are sent there. Empty: all."
    )
    after: Annotated[str, StringConstraints(max_length=LONGEST_CURSOR_TEXT)] | None = Field(
        default=None, description="Cursor of the feed: what comes behind it is sent. Not given: from now on."
    )


class RotateIn(In):
    overlap_hours: Annotated[int, Field(strict=True, ge=0, le=MOST_OVERLAP_HOURS)] = Field(
        default=24, description="How long the secrets that are there go on signing besides the new one."
    )


class PauseIn(In):
    reason: Annotated[str, StringConstraints(min_length=1, max_length=255)]


class ResendIn(In):
    since: Moment = Field(description="Everything that happened at that moment or later is sent again.")


class ResentOut(Out):
    events: int = Field(description="So many events of the feed are gone through again.")


class SecretOut(Out):
    ends_in: str = Field(description="The last characters of the secret.")
    until: datetime | None = Field(description="When it stops signing; null: not planned.")


class EndpointOut(Out):
    name: str
    url: str
    types: list[EventType] = Field(description="Empty: all.")
    origin: Literal["settings", "api", "operator"] = Field(description="Who made it. Settings alone change theirs.")
    status: Literal["active", "failing", "paused"]
    paused_at: datetime | None
    paused_by: str
    reason: str = Field(description="Why it is paused.")
    failing_since: datetime | None = Field(description="It has taken nothing since then.")
    failures: int = Field(description="Attempts that failed since the last one that was taken.")
    next_probe_at: datetime | None = Field(description="It is taken to be down: the next delivery tries then.")
    behind: int = Field(description="Events of the feed that are still to be looked at for it.")
    open_deliveries: int = Field(description="Deliveries that wait or have failed; counted up to 1000.")
    secrets: Annotated[list[SecretOut], Field(max_length=MOST_SECRETS)]
    made_by: str
    made_at: datetime


class EndpointWithSecretOut(EndpointOut):
    secret: str = Field(description="The newest secret, `whsec_…`: give it to the receiver.")


class EndpointsOut(Out):
    endpoints: list[EndpointOut]


class AttemptOut(Out):
    taken: bool
    code: int | None = Field(description="HTTP status of the answer; null: there was none.")
    latency_ms: int
    problem: str
    answer: str = Field(description="The first 1 KiB of the body.")


class DeliveriesQuery(In):
    status: DeliveryStatus | None = None
    user: UserId | None = None
    cursor: Annotated[int, Field(ge=1, le=2**63 - 1)] | None = Field(
        default=None, description="The `next` of the page before."
    )
    limit: PageSize = PAGE


class DeliveryOut(Out):
    event: uuid.UUID = Field(description="The event, which is also the `webhook-id` of every attempt.")
    type: EventType
    user: str | None
    status: DeliveryStatus
    attempts: int
    next_at: datetime | None = Field(description="When it may be sent, after all earlier ones of its user.")
    code: int | None = Field(description="HTTP status of the last answer; null: there was none.")
    latency_ms: int | None
    problem: str
    answer: str = Field(description="The first 1 KiB of the last answer's body.")
    tried_at: datetime | None


class DeliveriesOut(Out):
    deliveries: list[DeliveryOut]
    next: int | None = Field(description="Cursor of the next page; null at the end.")
