"""Deliveries: one row for each event and endpoint, written by the worker when the event has its position.

The request that makes an event writes none of this. The worker reads the feed on behalf of each endpoint, from the
endpoint's own position: rows and position are written in one transaction, so no event is left out or sent twice by it.
A delivery is open while it has a moment (`next_at`). It may be sent when no earlier one of its user is open.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from itertools import groupby
from operator import attrgetter
from typing import Any

import structlog
from sqlalchemy import Uuid, bindparam, delete, exists, func, or_, select, update
from sqlalchemy.exc import IntegrityError

from app.domain.delivery_schedule import DELIVERY_LEASE_SECONDS
from app.domain.numbers import slot_of_uuid
from app.models.base import AnyRow
from app.models.endpoints import DELIVERIES, ENDPOINTS
from app.models.events import EVENTS, FEEDS
from app.models.slot_guard import sweep
from app.services.base.context import Core, Tx
from app.services.base.errors import DomainError, NotFound
from app.services.base.leases import LeaseQueue
from app.services.base.sanitize import problem_text
from app.services.base.statements import RowInsert
from app.services.base.upsert import NumberTaken
from app.services.events.endpoints import find_endpoint
from app.services.events.feed import FEED

PLANNED_AT_ONCE = 500
"""Events of the feed that one transaction turns into deliveries."""
MOST_LISTED = 200
WAITING, FAILED, DONE, GIVEN_UP = "waiting", "failed", "done", "given_up"
DEFERRED = timedelta(minutes=5)
"""What is blocked is put off for so long at a time: not for as long as what blocks it, which may end at any moment."""
STATUSES = (WAITING, FAILED, DONE, GIVEN_UP)
LEASES = LeaseQueue(DELIVERIES, "next_at", "deliveries", counts="attempts", lease_seconds=DELIVERY_LEASE_SECONDS)
_d, _e, _v, _n = DELIVERIES.c, ENDPOINTS.c, EVENTS.c, FEEDS.c
_earlier = DELIVERIES.alias("earlier")
_log = structlog.get_logger(__name__)
_PLACED = select(func.coalesce(func.max(_n.placed), 0)).where(_n.name == FEED).scalar_subquery()
_ANY_OPEN = exists().where(_d.endpoint_id == _e.id, _d.next_at <= bindparam("now"))
_AWAKE = (_e.removed_at.is_(None), _e.paused_at.is_(None))
ANY_DELIVERY_DUE = (
    select(_e.id)
    .prefix_with(sweep("deliveries"))
    .where(
        *_AWAKE,
        or_(_e.probe_at.is_(None), _e.probe_at <= bindparam("now")),
        or_(_e.planned < _PLACED, _ANY_OPEN),
    )
    .exists()
)
"""Whether anything can be planned or sent at the moment `now`."""
_ACTIVE = select(ENDPOINTS, _PLACED.label("placed")).where(*_AWAKE).order_by(_e.name)
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
            _earlier.c.status == FAILED,
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


class DeliveryEnded(DomainError):
    """The delivery is done or given up already."""

    code = "delivery_ended"
    remembered = False


def active_endpoints(tx: Tx) -> Sequence[AnyRow]:
    """Those that are neither paused nor removed, each with the newest position of the feed (`placed`)."""
    return tx.execute(_ACTIVE).all()


def active_endpoint(tx: Tx, number: int) -> AnyRow | None:
    return tx.execute(_ACTIVE.where(_e.id == number)).one_or_none()


def plan_deliveries(core: Core, number: int) -> int:
    """Write deliveries for what the endpoint has not seen of the feed, a page of it; how many events these were.

    A position that a person has set back (`resend_since`) opens again what had ended.
    """

    def work(tx: Tx) -> int:
        tx.of_several_slots("events")
        endpoint = tx.execute(_ACTIVE.where(_e.id == number).with_for_update(of=ENDPOINTS)).one_or_none()
        if endpoint is None:
            return 0
        wanted = select(*_READ).prefix_with(sweep("events")).where(_v.position > endpoint.planned)
        found = tx.execute(wanted.order_by(_v.position).limit(PLANNED_AT_ONCE)).all()
        last = found[-1].position if found else endpoint.placed
        if last <= endpoint.planned:
            return 0
        rows = [_new(tx, endpoint.id, row) for row in found if not endpoint.types or row.type in endpoint.types]
        _insert(tx, _PLAN, rows)
        tx.execute(update(ENDPOINTS).where(_e.id == endpoint.id).values(planned=last))
        _warn_of_gap(tx, endpoint)
        return len(found)

    return core.whole.transact(work)


def _warn_of_gap(tx: Tx, endpoint: AnyRow) -> None:
    """An endpoint that was paused for longer than events are kept has missed some: a person has to know."""
    deleted = tx.scalar(select(func.max(_n.deleted)).where(_n.name == FEED)) or 0
    if endpoint.planned < deleted:
        _log.error("events_not_kept", endpoint=endpoint.name, after=endpoint.planned, kept_after=deleted)


def _new(tx: Tx, endpoint_id: int, event: AnyRow) -> dict[str, Any]:
    return {
        "slot": event.slot,
        "id": tx.core.numbers.next(event.slot),
        "endpoint_id": endpoint_id,
        "event_id": event.id,
        "user_id": event.user_id,
        "type": event.type,
        "position": event.position,
        "status": WAITING,
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


def due_deliveries(core: Core, endpoint_id: int, limit: int) -> list[int]:
    """Numbers of what may be sent now: for each user the first that is open, if its moment is here."""
    values = {"endpoint": endpoint_id, "now": core.clock.now(), "most": limit}
    return core.whole.read(lambda tx: list(tx.scalars(_HEADS, values)))


def defer_blocked(core: Core, endpoint_id: int) -> None:
    """Put off what cannot be sent because an earlier one of its user has failed and rests: else every look for what is
    due would go through all of it. Whoever ends the earlier one wakes the others (`wake_user`)."""
    now = core.clock.now()
    core.whole.transact(lambda tx: tx.execute(_DEFER, {"endpoint": endpoint_id, "now": now, "until": now + DEFERRED}))


def wake_user(tx: Tx, row: AnyRow) -> None:
    """What was put off behind a delivery of that user may be sent."""
    his = (_d.slot == row.slot, _d.endpoint_id == row.endpoint_id, _d.user_id == row.user_id)
    tx.execute(update(DELIVERIES).where(*his, _d.status == WAITING, _d.next_at > tx.now).values(next_at=tx.now))


def find_delivery(tx: Tx, endpoint_id: int, event_id: uuid.UUID) -> AnyRow:
    """Raises NotFound."""
    mine = (_d.slot == slot_of_uuid(event_id), _d.endpoint_id == endpoint_id, _d.event_id == event_id)
    found = tx.execute(select(DELIVERIES).where(*mine)).one_or_none()
    if found is None:
        raise NotFound(event=str(event_id))
    return found


def list_deliveries(
    tx: Tx, name: str, *, status: str | None, user_id: str | None, before: int | None, limit: int
) -> Sequence[AnyRow]:
    """Those of an endpoint, the newest events first, below the position `before`. Raises NotFound."""
    wanted = select(DELIVERIES).prefix_with(sweep("deliveries")).where(_d.endpoint_id == find_endpoint(tx, name).id)
    if status is not None:
        wanted = wanted.where(_d.status == status)
    if user_id is not None:
        wanted = wanted.where(_d.user_id == user_id)
    if before is not None:
        wanted = wanted.where(_d.position < before)
    return tx.execute(wanted.order_by(_d.position.desc()).limit(min(limit, MOST_LISTED + 1))).all()


def resend_event(tx: Tx, name: str, event_id: uuid.UUID) -> int:
    """Send an event there once more, or at last: whatever its delivery had come to, and whether or not its type is
    wanted. The delivery's number. Raises NotFound."""
    endpoint = find_endpoint(tx, name)
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

    Only the endpoint's position is set back. The worker goes on from there. Raises NotFound.
    """
    endpoint = find_endpoint(tx, name, lock=True)
    first = (
        select(_v.position)
        .prefix_with(sweep("events"))
        .where(_v.position.is_not(None), _v.at >= bindparam("since", type_=_v.at.type))
        .order_by(_v.position)
        .limit(1)
    )
    position = tx.scalar(first, {"since": since})
    if position is None or position > endpoint.planned:
        return 0
    tx.execute(update(ENDPOINTS).where(_e.id == endpoint.id).values(planned=position - 1))
    return int(endpoint.planned - position + 1)


def give_up_delivery(tx: Tx, name: str, event_id: uuid.UUID, by: str) -> int:
    """Send this event there no more, so that the next ones of its user are sent. The delivery's number. Raises
    NotFound, DeliveryEnded."""
    row = find_delivery(tx, find_endpoint(tx, name).id, event_id)
    if not end_delivery(tx, row, f"given up by {by}"):
        raise DeliveryEnded(event=str(event_id))
    _log.info("delivery_given_up", endpoint=name, delivery=row.id, by=by)
    return int(row.id)


def end_delivery(tx: Tx, row: AnyRow, why: str) -> bool:
    """Give an open delivery up; False if it is not open any more."""
    ended = {"status": GIVEN_UP, "next_at": None, "problem": problem_text(why)}
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
    slot, each in a transaction of its own; a removed endpoint goes when nothing of it is left."""
    deleted, endpoints = core.whole.read(_deletable)
    done = 0
    for endpoint in endpoints:
        over = core.whole.read(partial(_over, endpoint=endpoint, deleted=deleted, most=limit - done))
        for slot, rows in groupby(over, attrgetter("slot")):
            core.at(slot).transact(partial(_delete, slot=slot, ids=[row.id for row in rows]))
        done += len(over)
        if done >= limit:
            break
        if endpoint.removed_at is not None:
            core.home.transact(partial(_forget_endpoint, number=endpoint.id))
    return done


def _deletable(tx: Tx) -> tuple[int, list[AnyRow]]:
    """Up to which position events were deleted, and the endpoints."""
    deleted = tx.scalar(select(func.max(_n.deleted)).where(_n.name == FEED)) or 0
    return deleted, list(tx.execute(select(_e.id, _e.removed_at)))


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
