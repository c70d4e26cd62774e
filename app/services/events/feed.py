"""The feed: all events in one order that a reader can follow and miss nothing.

Transactions commit out of the order in which they began, so neither a clock nor a sequence can number events while they
are written: a reader would pass a number whose event is committed later. Positions are given after the commit, by
whoever holds the row of the feed, one batch after the other; so when a position can be seen, all smaller ones can be.
"""

from __future__ import annotations

import base64
import binascii
import uuid
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, Uuid, bindparam, delete, select, update

from app.domain.event_types import EventType
from app.domain.numbers import slot_of_user, slot_of_uuid
from app.models.events import EVENTS, FEEDS
from app.models.slot_guard import sweep
from app.services.base.context import Core, Tx
from app.services.base.errors import DomainError, NotACursor, NotFound
from app.services.base.statements import Flight, Statement
from app.services.base.upsert import insert_if_new

FEED = "all"
"""The name of the one feed of a database."""
PLACED_AT_ONCE = 500
"""Events that get their positions in one transaction."""
LARGEST_PAGE = 200
LONGEST_CURSOR_TEXT = 64
"""Characters of a cursor of the feed; real ones are shorter."""
_e, _n = EVENTS.c, FEEDS.c
_COLUMNS = (_e.slot, _e.id, _e.user_id, _e.type, _e.at, _e.version, _e.body, _e.position)
_LOCK = select(_n.placed).where(_n.name == FEED).with_for_update()
_UNPLACED = select(_e.slot, _e.id).prefix_with(sweep("events")).where(_e.position.is_(None))
_NEXT = _UNPLACED.order_by(_e.version, _e.id).limit(bindparam("most"))
ANY_UNPLACED = _UNPLACED.exists()
"""Whether any event waits for its position."""
_PLACE = Statement(
    update(EVENTS)
    .where(_e.slot == bindparam("at_slot"), _e.id == bindparam("at_id", type_=Uuid), _e.position.is_(None))
    .values(position=bindparam("place", type_=BigInteger))
)
_ONE = select(*_COLUMNS).where(_e.slot == bindparam("slot"), _e.id == bindparam("id", type_=Uuid))


class CursorTooOld(DomainError):
    """Events after this cursor are not kept any more. The member `oldest` is the cursor from which all are kept."""

    code = "cursor_too_old"


@dataclass(frozen=True, slots=True)
class FeedPage:
    """Events in the order of their positions. `cursor` is after the last of them; `more` says that others are there."""

    events: list[Any]
    cursor: str
    more: bool


def place_events(core: Core) -> int:
    """Give positions to what was committed since the last time; how many events got theirs. Safe to run by several."""

    def work(tx: Tx) -> int:
        tx.of_several_slots("events")
        placed = tx.scalar(_LOCK)
        if placed is None:
            insert_if_new(tx, FEEDS, {"name": FEED, "placed": 0, "deleted": 0})
            placed = tx.scalar(_LOCK)
        # Read after the lock: whatever another one has placed by now is seen as placed.
        found = tx.execute(_NEXT, {"most": PLACED_AT_ONCE}).all()
        flight = Flight(tx)
        for number, row in enumerate(found, placed + 1):
            flight.add(_PLACE, {"at_slot": row.slot, "at_id": row.id, "place": number})
        flight.land()
        if found:
            tx.execute(update(FEEDS).where(_n.name == FEED).values(placed=placed + len(found)))
        return len(found)

    return core.whole.transact(work)


def read_feed(
    core: Core,
    after: str | None,
    *,
    limit: int,
    types: Collection[EventType] = (),
    user_id: str | None = None,
) -> FeedPage:
    """A page of events after the cursor; None is the oldest that is kept. Raises NotACursor and CursorTooOld.

    No reader has a cursor that is ahead of the feed, but after a backup was restored, or from another database: whoever
    read on from there would miss what gets the positions before.
    """
    start = None if after is None else position_of(after)
    wanted = (
        select(*_COLUMNS)
        .prefix_with(sweep("events"))
        .where(_e.position.is_not(None), _e.position > bindparam("start", type_=BigInteger))
    )
    if types:
        wanted = wanted.where(_e.type.in_(sorted(types)))
    if user_id is not None:
        wanted = wanted.where(_e.slot == slot_of_user(user_id), _e.user_id == user_id)
    page = wanted.order_by(_e.position).limit(min(limit, LARGEST_PAGE) + 1)

    def work(tx: Tx) -> FeedPage:
        feed = tx.execute(select(_n.placed, _n.deleted).where(_n.name == FEED)).one_or_none()
        placed, deleted = (0, 0) if feed is None else (feed.placed, feed.deleted)
        if start is not None and start < deleted:
            raise CursorTooOld(oldest=cursor_at(deleted))
        if start is not None and start > placed:
            raise NotACursor(field="after")
        rows = list(tx.execute(page, {"start": deleted if start is None else start}))
        if len(rows) > limit:
            return FeedPage(rows[:limit], cursor_at(rows[limit - 1].position), more=True)
        # Nothing else that is wanted lies before `placed`, so the reader need not look there again.
        return FeedPage(rows, cursor_at(placed), more=False)

    return core.whole.read(work, snapshot=True)


def newest_cursor(core: Core) -> str:
    """The cursor after everything that has its position by now."""
    return cursor_at(core.home.read(newest_position))


def newest_position(tx: Tx) -> int:
    """The last position that was given to an event."""
    return int(tx.scalar(select(_n.placed).where(_n.name == FEED)) or 0)


def known_position(tx: Tx, cursor: str) -> int:
    """The position of a cursor that this feed has given out. Raises NotACursor."""
    position = position_of(cursor)
    if position > newest_position(tx):
        raise NotACursor(field="after")
    return position


def find_event(core: Core, event_id: uuid.UUID) -> Any:
    """One event. Raises NotFound, also for one that is not kept any more."""
    slot = slot_of_uuid(event_id)
    values = {"slot": slot, "id": event_id}
    found = core.at(slot).read(lambda tx: tx.execute(_ONE, values).one_or_none())
    if found is None:
        raise NotFound(event=str(event_id))
    return found


def delete_old_events(core: Core, limit: int) -> int:
    """Delete events that are older than the setting `event_days`, oldest positions first; how many."""

    def work(tx: Tx) -> int:
        tx.of_several_slots("events")
        feed = tx.execute(select(_n.deleted).where(_n.name == FEED).with_for_update()).one_or_none()
        if feed is None:
            return 0
        before: datetime = tx.now - timedelta(days=core.rules.event_days)
        oldest = (
            select(_e.slot, _e.id, _e.at, _e.position)
            .prefix_with(sweep("events"))
            .where(_e.position > feed.deleted)
            .order_by(_e.position)
            .limit(limit)
        )
        over = []
        for row in tx.execute(oldest):
            if row.at >= before:
                break  # positions are given in the order of time, so the rest is younger, or soon will be deleted
            over.append(row)
        for row in over:
            tx.execute(delete(EVENTS).where(_e.slot == row.slot, _e.id == row.id))
        if over:
            tx.execute(update(FEEDS).where(_n.name == FEED).values(deleted=over[-1].position))
        return len(over)

    return core.whole.transact(work)


def as_sent(row: Any) -> dict[str, Any]:
    """An event as readers of the feed and endpoints get it."""
    return {
        "id": str(row.id),
        "type": row.type,
        "timestamp": row.at,
        "version": row.version,
        "user": row.user_id or None,
        "data": row.body["data"],
        "cause": row.body["cause"],
    }


def cursor_at(position: int) -> str:
    """A cursor is opaque to its reader."""
    return base64.urlsafe_b64encode(f"1:{position}".encode()).decode().rstrip("=")


def position_of(cursor: str) -> int:
    """The position behind which a reader with that cursor goes on. Raises Invalid for a text that is no cursor."""
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode("ascii")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        text = ""
    version, _, position = text.partition(":")
    if version != "1" or not position.isascii() or not position.isdecimal() or len(position) > 18:
        raise NotACursor(field="after")
    return int(position)
