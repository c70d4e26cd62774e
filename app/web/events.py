"""The feed of events, for the app's backend only: no user's token has the scope."""

from __future__ import annotations

import re
import threading
import time
import uuid
from typing import Annotated, Any, Literal

from apiflask import APIBlueprint
from pydantic import Field, StringConstraints

from app.domain.event_types import ALL_TYPES, EventType
from app.domain.representations import plain
from app.services.events import feed
from app.web.access import needs
from app.web.context import core
from app.web.fields import At, PageSize, ShownAccount, ShownUser, Text, UserId
from app.web.schemas import PAGE, In, Out

LONGEST_WAIT_SECONDS = 20
LOOK_SECONDS = 0.25
"""A request that waits looks for new events so often."""
MOST_WAITING = 4
"""Requests of one process that may wait for events at one time: half of its threads (`app/serving.py`). Further ones
are answered at once, with what is there."""
_places = threading.BoundedSemaphore(MOST_WAITING)

blueprint = APIBlueprint("events", __name__, url_prefix="/v1", tag="Events")


_ONE_TYPE = "|".join(re.escape(name) for name in sorted(ALL_TYPES))
_SOME_TYPES = f"^({_ONE_TYPE})(,({_ONE_TYPE}))*$"


class FeedQuery(In):
    after: Annotated[Text, StringConstraints(max_length=64)] | None = Field(
        default=None,
        description="Cursor: the `next` of the page before. Not given: the oldest event that is kept.",
        examples=["MTow"],
    )
    types: Annotated[str, StringConstraints(max_length=1000, pattern=_SOME_TYPES)] | None = Field(
        default=None, description="Only these types, with commas between them.", examples=["order.paid,coins.spent"]
    )
    user: UserId | None = Field(default=None, description="Only events of this user.")
    wait: Annotated[int, Field(ge=0, le=LONGEST_WAIT_SECONDS)] = Field(
        default=0, description="Seconds to wait for an event, if there is none after the cursor.", examples=[20]
    )
    limit: PageSize = PAGE


class CauseOut(Out):
    by: Literal["fact", "caller", "rule", "test"] = Field(
        description="A provider's word, a caller or person, or a rule of the installation. `test`: nothing happened, "
        "it is an example for trying out a receiver.",
        examples=["fact"],
    )
    name: str | None = Field(default=None, description="The caller or person.", examples=["backend:game"])
    fact: str | None = Field(default=None, description="Number of the fact.", examples=["252286601203298480"])
    road: str | None = Field(
        default=None, description="How the fact came: notification, receipt, query, …", examples=["notification"]
    )
    provider_account: ShownAccount | None = Field(default=None, description="Whose fact it is.")


class EventOut(Out):
    id: uuid.UUID = Field(
        description="The same in the feed and in every delivery: apply an event once.",
        examples=["5c1f6a0e-77b2-8d41-9e03-2b8c4d5f6a10"],
    )
    type: EventType = Field(description="What happened.", examples=["order.paid"])
    timestamp: At = Field(description="When it happened.")
    version: int = Field(
        description="Greater in every later event of the user: an older state never replaces a newer.", examples=[3]
    )
    user: ShownUser | None = Field(description="Null for money that belongs to nobody known.")
    data: dict[str, Any] = Field(
        description="The thing as the API shows it, as it was after the change.",
        examples=[{"number": "252286601203298479", "status": "paid"}],
    )
    cause: CauseOut = Field(description="Why it happened.")


class EventsOut(Out):
    events: list[EventOut] = Field(description="In the order of the feed.")
    next: str = Field(
        description="Cursor: give it as `after` next time, also if there was no event.", examples=["MTow"]
    )
    more: bool = Field(description="There are more events now: ask again at once.", examples=[False])
    missing_databases: list[str] = Field(
        description="Where several databases share the users: those that do not answer. Their events come later, by "
        "the same cursor.",
        examples=[[]],
    )


@blueprint.get("/events")
@needs("events")
@blueprint.input(FeedQuery, location="query", arg_name="query")
@blueprint.output(EventsOut)
def list_events(query: FeedQuery) -> Any:
    """Everything that changed, in one order that never changes: who follows `next` misses nothing and reads nothing
    twice. Events of one user come in the order in which they happened."""
    types = [EventType(name) for name in query.types.split(",")] if query.types else []
    page = feed.read_feed(core(), query.after, limit=query.limit, types=types, user_id=query.user)
    if not page.events and query.wait and _places.acquire(blocking=False):
        try:
            page = _waited(query, types, page)
        finally:
            _places.release()
    return {
        "events": [_event(row) for row in page.events],
        "next": page.cursor,
        "more": page.more,
        "missing_databases": page.missing,
    }


@blueprint.get("/events/<uuid:event_id>")
@needs("events")
@blueprint.output(EventOut)
def show_event(event_id: uuid.UUID) -> Any:
    """One event, for as long as events are kept."""
    return _event(feed.find_event(core(), event_id))


def _waited(query: FeedQuery, types: list[EventType], page: feed.FeedPage) -> feed.FeedPage:
    until = time.monotonic() + query.wait
    while not page.events and time.monotonic() < until:
        time.sleep(LOOK_SECONDS)
        page = feed.read_feed(core(), page.cursor, limit=query.limit, types=types, user_id=query.user)
    return page


def _event(row: Any) -> dict[str, Any]:
    shown: dict[str, Any] = plain(feed.as_sent(row))
    return shown
