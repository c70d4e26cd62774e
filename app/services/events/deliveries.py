"""Deliveries: one row for each event and endpoint, written by the worker when the event has its position.

The request that makes an event writes none of this. The worker reads the feed on behalf of each endpoint, from the
endpoint's own position: rows and position are written in one transaction, so no event is left out or sent twice by it.
A delivery is open while it has a moment (`next_at`). It may be sent when no earlier one of its user is open.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from itertools import groupby
from operator import attrgetter
from typing import Any

import structlog
from sqlalchemy import Uuid, bindparam, delete, exists, func, or_, select, update
from sqlalchemy.exc import IntegrityError

from app.domain.delivery_schedule import DELIVERY_LEASE_SECONDS, DeliveryStatus
from app.domain.numbers import slot_of_user, slot_of_uuid
from app.models.base import AnyRow
from app.models.endpoints import DELIVERIES, ENDPOINTS, POSITIONS
from app.models.events import EVENTS, FEEDS
from app.models.slot_guard import sweep
from app.services.base.context import Core, Place, Tx
from app.services.base.errors import DomainError, NotFound
from app.services.base.leases import LeaseQueue
from app.services.base.sanitize import problem_text
from app.services.base.statements import RowInsert
from app.services.base.upsert import NumberTaken, insert_if_new
from app.services.events.endpoints import find_endpoint
from app.services.events.feed import FEED

PLANNED_AT_ONCE = 500
"""Events of the feed that one transaction turns into deliveries."""
MOST_LISTED = 200
DEFERRED = timedelta(minutes=5)
"""What is blocked is put off for so long at a time: not for as long as what blocks it, which may end at any moment."""
STILL_WRITTEN = timedelta(hours=1)
"""A round that began before an endpoint was removed may write deliveries for so long."""
LEASES = LeaseQueue(DELIVERIES, "next_at", "deliveries", counts="attempts", lease_seconds=DELIVERY_LEASE_SECONDS)
_d, _e, _q, _v, _n = DELIVERIES.c, ENDPOINTS.c, POSITIONS.c, EVENTS.c, FEEDS.c


_earlier = DELIVERIES.alias("earlier")
_log = structlog.get_logger(__name__)
_PLACED = select(func.coalesce(func.max(_n.placed), 0)).where(_n.name == FEED).scalar_subquery()
_ANY_OPEN = exists().where(_d.endpoint_id == _q.endpoint_id, _d.next_at <= bindparam("now"))
ANY_DELIVERY_DUE = (
    select(_q.endpoint_id)
    .prefix_with(sweep("deliveries"))
    .where(
        or_(_q.rests_until.is_(None), _q.rests_until <= bindparam("now")),
        or_(_q.planned < _PLACED, _ANY_OPEN),
    )
    .exists()
)
"""Whether anything can be planned or sent at the moment `now`."""
_ACTIVE = select(ENDPOINTS).where(_e.removed_at.is_(None), _e.paused_at.is_(None)).order_by(_e.name)
_POSITION = select(_q.planned, _PLACED.label("placed")).where(_q.endpoint_id == bindparam("endpoint"))
_HEADS = (
    select(_d.id)
    .prefix_with(sweep("deliveries"))
    .where(
        _d.endpoint_id == bindparam("endpoint"),
        _d.next_at <= bindparam("now"),
        # Money of nobody known has no order of its own.
        or_(
            _d.user_id == "",
            ~exists().where(
                _earlier.c.slot == _d.slot,
                _earlier.c.endpoint_id == _d.endpoint_id,
                _earlier.c.user_id == _d.user_id,
                _earlier.c.next_at.is_not(None),
                _earlier.c.position < _d.position,
            ),
        ),
    )
    .order_by(_d.next_at, _d.position)
    .limit(bindparam("most"))
)
_DEFER = (
    update(DELIVERIES)
    .prefix_with(sweep("deliveries"))
    .where(
        _d.endpoint_id == bindparam("endpoint"),
        _d.next_at <= bindparam("now"),
        _d.user_id != "",
        exists().where(
            _earlier.c.slot == _d.slot,
            _earlier.c.endpoint_id == _d.endpoint_id,
            _earlier.c.user_id == _d.user_id,
            _earlier.c.position < _d.position,
            _earlier.c.next_at > bindparam("now"),
            _earlier.c.status == DeliveryStatus.FAILED,
        ),
    )
    .values(next_at=bindparam("until"))
)


def _reopening(added: Any, *, only_ended: bool) -> Any:
    """Add a row, or open the one that is there."""
    said = ("status", "attempts", "next_at", "problem")
    return added.on_conflict_do_update(
        index_elements=["slot", "endpoint_id", "event_id"],
        set_={name: added.excluded[name] for name in said},
        where=_d.next_at.is_(None) if only_ended else None,
    )


_PLAN = RowInsert(DELIVERIES, lambda added: _reopening(added, only_ended=True))
_OPEN_ONE = RowInsert(DELIVERIES, lambda added: _reopening(added, only_ended=False))
_READ = (_v.slot, _v.id, _v.user_id, _v.type, _v.position)


@dataclass(frozen=True, slots=True)
class DeliveryPage:
    """A part of a list of deliveries. `following` is the `before` of the next page, None where the list ends; `missing`
    names the databases of which not everything is in it."""

    rows: list[AnyRow]
    following: int | None
    missing: tuple[str, ...]


class DeliveryEnded(DomainError):
    """The delivery is done or given up already."""

    code = "delivery_ended"
    remembered = False


def active_endpoints(tx: Tx) -> Sequence[AnyRow]:
    """Those that are neither paused nor removed."""
    return tx.execute(_ACTIVE).all()


def active_endpoint(tx: Tx, number: int) -> AnyRow | None:
    return tx.execute(_ACTIVE.where(_e.id == number)).one_or_none()


def plan_deliveries(place: Place, endpoint: AnyRow) -> int:
    """Write deliveries for what the endpoint has not seen of the feed of this database, a page of it; how many events
    these were.

    A position that a person has set back (`resend_since`) opens again what had ended.
    """
    if not place.read(partial(_is_behind, number=endpoint.id)):
        return 0

    def work(tx: Tx) -> int:
        tx.of_several_slots("events")
        insert_if_new(tx, POSITIONS, {"endpoint_id": endpoint.id, "planned": 0, "rests_until": None})
        at = tx.execute(_POSITION.with_for_update(of=POSITIONS), {"endpoint": endpoint.id}).one()
        wanted = select(*_READ).prefix_with(sweep("events")).where(_v.position > at.planned)
        found = tx.execute(wanted.order_by(_v.position).limit(PLANNED_AT_ONCE)).all()
        last = found[-1].position if found else at.placed
        if last <= at.planned:
            return 0
        rows = [_new(tx, endpoint.id, row) for row in found if not endpoint.types or row.type in endpoint.types]
        _insert(tx, _PLAN, rows)
        tx.execute(update(POSITIONS).where(_q.endpoint_id == endpoint.id).values(planned=last))
        _warn_of_gap(tx, endpoint, at.planned)
        return len(found)

    return place.transact(work)


def _is_behind(tx: Tx, *, number: int) -> bool:
    at = tx.execute(_POSITION, {"endpoint": number}).one_or_none()
    return at is None or at.planned < at.placed


def _warn_of_gap(tx: Tx, endpoint: AnyRow, planned: int) -> None:
    """An endpoint that was paused for longer than events are kept has missed some: a person has to know."""
    deleted = tx.scalar(select(func.max(_n.deleted)).where(_n.name == FEED)) or 0
    if planned < deleted:
        about = {"endpoint": endpoint.name, "after": planned, "kept_after": deleted}
        tx.once_committed(_log.error, "events_not_kept", **about)


def _new(tx: Tx, endpoint_id: int, event: AnyRow) -> dict[str, Any]:
    return {
        "slot": event.slot,
        "id": tx.core.numbers.next(event.slot),
        "endpoint_id": endpoint_id,
        "event_id": event.id,
        "user_id": event.user_id,
        "type": event.type,
        "position": event.position,
        "status": DeliveryStatus.WAITING,
        "attempts": 0,
        "next_at": tx.now,
        "code": None,
        "latency_ms": None,
        "problem": "",
        "answer": "",
        "tried_at": None,
    }


def _insert(tx: Tx, statement: RowInsert, rows: Sequence[dict[str, Any]]) -> None:
    try:
        statement.run(tx, rows)
    except IntegrityError:
        # The event is the target of the conflict, so what is taken is a number: again, with others.
        raise NumberTaken from None


def due_deliveries(place: Place, endpoint_id: int, limit: int) -> list[int]:
    """Numbers of what may be sent now: for each user the first that is open, if its moment is here."""
    values = {"endpoint": endpoint_id, "most": limit}
    return place.read(lambda tx: list(tx.scalars(_HEADS, {**values, "now": tx.now})))


def defer_blocked(place: Place, endpoint_id: int) -> None:
    """Put off what cannot be sent because an earlier one of its user has failed and rests: else every look for what is
    due would go through all of it. Whoever ends the earlier one wakes the others (`wake_user`)."""
    place.transact(lambda tx: tx.execute(_DEFER, {"endpoint": endpoint_id, "now": tx.now, "until": tx.now + DEFERRED}))


def wake_user(tx: Tx, row: AnyRow) -> None:
    """What was put off behind a delivery of that user may be sent."""
    his = (_d.slot == row.slot, _d.endpoint_id == row.endpoint_id, _d.user_id == row.user_id)
    tx.execute(
        update(DELIVERIES).where(*his, _d.status == DeliveryStatus.WAITING, _d.next_at > tx.now).values(next_at=tx.now)
    )


def find_delivery(tx: Tx, endpoint_id: int, event_id: uuid.UUID) -> AnyRow:
    """Raises NotFound."""
    mine = (_d.slot == slot_of_uuid(event_id), _d.endpoint_id == endpoint_id, _d.event_id == event_id)
    found = tx.execute(select(DELIVERIES).where(*mine)).one_or_none()
    if found is None:
        raise NotFound(event=str(event_id))
    return found


def list_deliveries(
    core: Core, name: str, *, status: str | None, user_id: str | None, before: int | None, limit: int
) -> DeliveryPage:
    """Those of an endpoint, the newest events first, at most `limit`. Raises NotFound.

    A delivery whose slot is moved has another place in each database, so none of that slot is listed until it is
    there. With a user only the database of that user is asked. Raises SlotsFrozen while that one is moved.
    """
    endpoint = core.home.read(lambda tx: find_endpoint(tx, name))
    wanted = select(DELIVERIES).prefix_with(sweep("deliveries")).where(_d.endpoint_id == endpoint.id)
    if status is not None:
        wanted = wanted.where(_d.status == status)
    if user_id is not None:
        core.of_user(user_id)  # which is refused while the user is moved
        wanted = wanted.where(_d.slot == slot_of_user(user_id), _d.user_id == user_id)
    elif frozen := core.databases.frozen:
        wanted = wanted.where(_d.slot.not_in(sorted(frozen)))
    most = min(limit, MOST_LISTED) + 1
    places = core.everywhere()
    asked = places if user_id is None else [place for place in places if place.holds(slot_of_user(user_id))]

    def newest(place: Place) -> Sequence[AnyRow]:
        # Positions are given in each database: a place in the list is a position and the number of its database.
        mine = wanted if before is None else wanted.where(_d.position < -(-(before - place.number) // len(places)))
        return place.read(lambda tx: tx.execute(mine.order_by(_d.position.desc()).limit(most)).all())

    def stands(one: tuple[int, AnyRow]) -> int:
        return int(one[1].position) * len(places) + one[0]

    parts = core.guarded(newest, places=asked)
    found = [(number, row) for number, rows in parts.items() for row in rows]
    found.sort(key=stands, reverse=True)
    shown = found[: most - 1]
    leaving = set() if user_id is not None else {core.databases.number_of(slot) for slot in core.databases.frozen}
    missing = {place.number for place in asked}.difference(parts) | leaving
    following = stands(shown[-1]) if len(found) >= most else None
    return DeliveryPage([row for _, row in shown], following, core.names_of(missing))


def resend_event(tx: Tx, endpoint: AnyRow, event_id: uuid.UUID) -> int:
    """Send an event there once more, or at last: whatever its delivery had come to, and whether or not its type is
    wanted. The delivery's number. Raises NotFound."""
    mine = (_v.slot == slot_of_uuid(event_id), _v.id == event_id, _v.position.is_not(None))
    event = tx.execute(select(*_READ).where(*mine)).one_or_none()
    if event is None:
        raise NotFound(event=str(event_id))
    _insert(tx, _OPEN_ONE, [_new(tx, endpoint.id, event)])
    row = find_delivery(tx, endpoint.id, event_id)
    wake_user(tx, row)
    return int(row.id)


def resend_since(tx: Tx, name: str, since: datetime) -> int:
    """Send everything there again that happened at that moment or later; how many events of the feed these are.

    Only the endpoint's positions are set back. The worker goes on from there. Raises NotFound.
    """
    endpoint = find_endpoint(tx, name, lock=True)

    def set_back(tx: Tx, *, number: int) -> int:
        del number
        return _set_back(tx, endpoint.id, since)

    return sum(tx.here_and_elsewhere(set_back))


def _set_back(tx: Tx, endpoint: int, since: datetime) -> int:
    first = (
        select(_v.position)
        .prefix_with(sweep("events"))
        .where(_v.position.is_not(None), _v.at >= bindparam("since", type_=_v.at.type))
        .order_by(_v.position)
        .limit(1)
    )
    position = tx.scalar(first, {"since": since})
    planned = tx.scalar(select(_q.planned).where(_q.endpoint_id == endpoint).with_for_update())
    if position is None or planned is None or position > planned:
        return 0
    tx.execute(update(POSITIONS).where(_q.endpoint_id == endpoint).values(planned=position - 1))
    return int(planned - position + 1)


def give_up_delivery(tx: Tx, endpoint: AnyRow, event_id: uuid.UUID, by: str) -> int:
    """Send this event there no more, so that the next ones of its user are sent. The delivery's number. Raises
    NotFound, DeliveryEnded."""
    row = find_delivery(tx, endpoint.id, event_id)
    if not end_delivery(tx, row, f"given up by {by}"):
        raise DeliveryEnded(event=str(event_id))
    tx.once_committed(_log.info, "delivery_given_up", endpoint=endpoint.name, delivery=row.id, by=by)
    return int(row.id)


def end_delivery(tx: Tx, row: AnyRow, why: str) -> bool:
    """Give an open delivery up; False if it is not open any more."""
    ended = {"status": DeliveryStatus.GIVEN_UP, "next_at": None, "problem": problem_text(why)}
    mine = (_d.slot == row.slot, _d.id == row.id, _d.next_at.is_not(None))
    is_open = tx.execute(update(DELIVERIES).where(*mine).values(ended)).rowcount == 1
    wake_user(tx, row)
    return is_open


def find_event_of(tx: Tx, row: AnyRow) -> AnyRow | None:
    """The event that a delivery carries; None if it is not kept any more."""
    return tx.execute(
        select(EVENTS).where(_v.slot == row.slot, _v.id == bindparam("event", type_=Uuid)), {"event": row.event_id}
    ).one_or_none()


def delete_old_deliveries(core: Core, limit: int) -> int:
    """Delete ended deliveries of events that are not kept any more, and all of removed endpoints; how many. Slot by
    slot, each in a transaction of its own; a removed endpoint goes when nothing of it is left anywhere."""
    endpoints = core.home.read(lambda tx: tx.execute(select(_e.id, _e.removed_at)).all())
    done = core.guarded(partial(_delete_old_deliveries, endpoints=endpoints, limit=limit))
    if len(done) == len(core.databases.all) and max(done.values()) < limit:
        for endpoint in endpoints:
            if _is_forgotten(core, endpoint):
                core.home.transact(partial(_forget_endpoint, number=endpoint.id))
    return sum(done.values())


def _is_forgotten(core: Core, endpoint: AnyRow) -> bool:
    """Whether nothing can be written for a removed endpoint any more by a round that began before."""
    return endpoint.removed_at is not None and endpoint.removed_at <= core.clock.now() - STILL_WRITTEN


def _delete_old_deliveries(place: Place, *, endpoints: Sequence[AnyRow], limit: int) -> int:
    deleted = place.read(lambda tx: tx.scalar(select(func.max(_n.deleted)).where(_n.name == FEED)) or 0)
    done = 0
    for endpoint in endpoints:
        over = place.read(partial(_over, endpoint=endpoint, deleted=deleted, most=limit - done))
        for slot, rows in groupby(over, attrgetter("slot")):
            place.core.at(slot).transact(partial(_delete, slot=slot, ids=[row.id for row in rows]))
        done += len(over)
        if done >= limit:
            break
    gone = [endpoint.id for endpoint in endpoints if _is_forgotten(place.core, endpoint)]
    if gone and done < limit:
        place.transact(lambda tx: tx.execute(delete(POSITIONS).where(_q.endpoint_id.in_(gone))))
    return done


def _over(tx: Tx, *, endpoint: AnyRow, deleted: int, most: int) -> list[AnyRow]:
    """Deliveries there that nobody needs any more, in the order of their slots."""
    over = select(_d.slot, _d.id).prefix_with(sweep("deliveries")).where(_d.endpoint_id == endpoint.id)
    if endpoint.removed_at is None:
        over = over.where(_d.position <= deleted, _d.next_at.is_(None))
    rows: list[AnyRow] = list(tx.execute(over.order_by(_d.position).limit(most)))
    return sorted(rows, key=attrgetter("slot"))


def _delete(tx: Tx, *, slot: int, ids: list[int]) -> None:
    tx.execute(delete(DELIVERIES).where(_d.slot == slot, _d.id.in_(ids)))


def _forget_endpoint(tx: Tx, *, number: int) -> None:
    tx.execute(delete(ENDPOINTS).where(_e.id == number))
