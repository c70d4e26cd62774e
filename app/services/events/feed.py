"""The feed: all events in one order that a reader can follow and miss nothing.

Transactions commit out of the order in which they began, so neither a clock nor a sequence can number events while they
are written: a reader would pass a number whose event is committed later. Positions are given after the commit, by
whoever holds the row of the feed, one batch after the other; so when a position can be seen, all smaller ones can be.
Each database has a feed of its own; a reader's cursor says how far they have got in every one.
"""

from __future__ import annotations

import base64
import binascii
import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from heapq import merge
from itertools import chain
from typing import Any

from sqlalchemy import BigInteger, Select, Uuid, bindparam, delete, select, update

from app.domain.event_types import EventType
from app.domain.numbers import slot_of_user, slot_of_uuid
from app.models.events import EVENTS, FEEDS
from app.models.slot_guard import sweep
from app.services.base.context import Core, Place, Tx
from app.services.base.errors import DomainError, NotACursor, NotFound
from app.services.base.statements import Statement
from app.services.base.upsert import insert_if_new

FEED = "all"
"""The name of the one feed of a database."""
PLACED_AT_ONCE = 500
"""Events that get their positions in one transaction."""
LARGEST_PAGE = 200
LONGEST_POSITION = 18
"""Digits."""
LONGEST_CURSOR_TEXT = 512
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
    missing: tuple[str, ...] = ()
    """Names of databases that do not answer: their events come later, for the cursor waits there."""


def place_events(core: Core) -> int:
    """Give positions to what was committed since the last time; how many events got theirs. Safe to run by several."""
    return sum(core.guarded(_place_events).values())


def _place_events(place: Place) -> int:
    def work(tx: Tx) -> int:
        tx.of_several_slots("events")
        placed = tx.scalar(_LOCK)
        if placed is None:
            insert_if_new(tx, FEEDS, {"name": FEED, "placed": 0, "deleted": 0})
            placed = tx.scalar(_LOCK)
        # Read after the lock: whatever another one has placed by now is seen as placed.
        found = tx.execute(_NEXT, {"most": PLACED_AT_ONCE}).all()
        for number, row in enumerate(found, placed + 1):
            tx.later(_PLACE, {"at_slot": row.slot, "at_id": row.id, "place": number})
        if found:
            tx.execute(update(FEEDS).where(_n.name == FEED).values(placed=placed + len(found)))
        return len(found)

    return place.transact(work)


@dataclass(frozen=True, slots=True)
class _Part:
    """What the feed of one database has after a position: rows, one more than a page where there are more."""

    rows: list[Any]
    start: int
    placed: int
    deleted: int


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

    Several databases have a feed each, and the page has some of every one: the events of a user are in the order in
    which they happened, those of different users nearly so. The feed of a database that is down waits where the reader
    left it, and the others go on.
    """
    places = core.everywhere()
    starts = [None] * len(places) if after is None else list(positions_of(after, len(places)))
    page = _page_after(types, user_id)
    wanted = places if user_id is None else [place for place in places if place.holds(slot_of_user(user_id))]
    found = core.guarded(lambda place: _part_of(place, page, starts[place.number], limit + 1), places=wanted)
    parts = [found.get(place.number) for place in places]
    if after is not None and any(part is not None and part.start < part.deleted for part in parts):
        oldest = [max(start or 0, part.deleted if part else 0) for start, part in zip(starts, parts, strict=True)]
        raise CursorTooOld(oldest=cursor_at(*oldest))
    if any(part is not None and part.start > part.placed for part in parts):
        raise NotACursor(field="after")
    missing = core.names_of({place.number for place in wanted}.difference(found))
    return replace(_page_of(parts, [start or 0 for start in starts], limit), missing=missing)


def _page_after(types: Collection[EventType], user_id: str | None) -> Select[Any]:
    wanted = (
        select(*_COLUMNS)
        .prefix_with(sweep("events"))
        .where(_e.position.is_not(None), _e.position > bindparam("start", type_=BigInteger))
    )
    if types:
        wanted = wanted.where(_e.type.in_(sorted(types)))
    if user_id is not None:
        wanted = wanted.where(_e.slot == slot_of_user(user_id), _e.user_id == user_id)
    return wanted.order_by(_e.position).limit(bindparam("most"))


def _part_of(place: Place, page: Select[Any], start: int | None, most: int) -> _Part:
    def work(tx: Tx) -> _Part:
        feed = tx.execute(select(_n.placed, _n.deleted).where(_n.name == FEED)).one_or_none()
        placed, deleted = (0, 0) if feed is None else (feed.placed, feed.deleted)
        begin = deleted if start is None else start
        rows = list(tx.execute(page, {"start": begin, "most": most})) if deleted <= begin <= placed else []
        return _Part(rows, begin, placed, deleted)

    return place.read(work, snapshot=True)


def _page_of(parts: Sequence[_Part | None], starts: Sequence[int], limit: int) -> FeedPage:
    """The first rows of all parts together, each part in its own order."""
    numbered = [[(number, row) for row in part.rows] for number, part in enumerate(parts) if part is not None]
    every = list(merge(*numbered, key=lambda one: one[1].at)) if len(numbered) > 1 else list(chain(*numbered))
    shown = every[:limit]
    last = {number: row.position for number, row in shown}
    left = {number for number, _ in every[limit:]}
    cursor = []
    for number, part in enumerate(parts):
        if part is None:
            cursor.append(starts[number])
        elif number in left:
            cursor.append(last.get(number, part.start))
        else:
            # Nothing else that is wanted lies before `placed`, so the reader need not look there again.
            cursor.append(part.placed)
    return FeedPage([row for _, row in shown], cursor_at(*cursor), more=bool(left))


def newest_cursor(core: Core) -> str:
    """The cursor after everything that has its position by now."""
    return cursor_at(*(place.read(newest_position) for place in core.everywhere()))


def newest_position(tx: Tx) -> int:
    """The last position that was given to an event of this database."""
    return int(tx.scalar(select(_n.placed).where(_n.name == FEED)) or 0)


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
    return sum(core.guarded(partial(_delete_old_events, limit=limit)).values())


def _delete_old_events(place: Place, *, limit: int) -> int:
    def work(tx: Tx) -> int:
        tx.of_several_slots("events")
        feed = tx.execute(select(_n.deleted).where(_n.name == FEED).with_for_update()).one_or_none()
        if feed is None:
            return 0
        before: datetime = tx.now - timedelta(days=tx.core.rules.event_days)
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

    return place.transact(work)


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


def cursor_at(*positions: int) -> str:
    """A cursor is opaque to its reader: the position in the feed of each database, home first."""
    text = f"1:{positions[0]}" if len(positions) == 1 else f"2:{'.'.join(map(str, positions))}"
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def positions_of(cursor: str, databases: int) -> tuple[int, ...]:
    """The positions behind which a reader with that cursor goes on. A database that came later than the cursor is read
    from its beginning. Raises NotACursor for a text that is no cursor."""
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode("ascii")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        text = ""
    version, _, given = text.partition(":")
    positions = given.split(".") if version == "2" else [given]
    if version not in ("1", "2") or len(positions) > databases or not all(map(_is_position, positions)):
        raise NotACursor(field="after")
    return (*map(int, positions), *(0 for _ in range(databases - len(positions))))


def _is_position(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= LONGEST_POSITION
