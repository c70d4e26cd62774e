"""Endpoints: where events are sent. Made by settings, by callers of the API, and by operators.

For each endpoint, each database keeps the position in its feed up to which deliveries have been written. While the
endpoint is paused nothing is written, and the positions stay: what happened meanwhile is sent afterwards, in order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import structlog
from sqlalchemy import bindparam, func, select, update

from app.domain import representations, webhook_signatures
from app.domain.endpoints import MOST_ENDPOINTS, MOST_SECRETS, BadAddress, DeclaredEndpoint, PushRules, checked_url
from app.domain.event_types import EventType
from app.domain.numbers import slot_of_reference
from app.models.base import AnyRow
from app.models.endpoints import DELIVERIES, ENDPOINTS, POSITIONS
from app.models.events import FEEDS
from app.models.slot_guard import sweep
from app.services.base.context import UNANSWERED, Core, Tx
from app.services.base.errors import AddressRefused, DomainError, NotACursor, NotFound
from app.services.base.sanitize import problem_text
from app.services.base.upsert import insert_if_new, insert_numbered_if_new
from app.services.events import feed

FROM_SETTINGS, BY_API, BY_OPERATOR = "settings", "api", "operator"
"""Who made an endpoint."""
MOST_COUNTED = 1000
"""Open deliveries of an endpoint are counted up to this number."""
NOT_NAMED = "the settings do not name it any more"
_e, _d, _q = ENDPOINTS.c, DELIVERIES.c, POSITIONS.c
_PLACED = select(func.coalesce(func.max(FEEDS.c.placed), 0)).where(FEEDS.c.name == feed.FEED).scalar_subquery()
_THERE = select(ENDPOINTS).where(_e.removed_at.is_(None))
_NAMED = _THERE.where(_e.name == bindparam("name"))
_log = structlog.get_logger(__name__)


class EndpointExists(DomainError):
    """An endpoint of that name is there already."""

    code = "endpoint_exists"
    remembered = False


class TooManyEndpoints(DomainError):
    code = "too_many_endpoints"
    remembered = False


class TooManySecrets(DomainError):
    """All secrets of the endpoint still sign. The member `until` says when the first of them ends."""

    code = "too_many_secrets"
    remembered = False


class EndpointInSettings(DomainError):
    """The settings name this endpoint, so they alone change or remove it."""

    code = "endpoint_in_settings"
    remembered = False


@dataclass(frozen=True, slots=True)
class NewEndpoint:
    """What is wanted. `after`: the cursor of the feed behind which events are sent; None: from now on."""

    name: str
    url: str
    types: Sequence[EventType]
    origin: str
    made_by: str
    after: str | None = None


def add_endpoint(tx: Tx, wanted: NewEndpoint) -> int:
    """The number of the new endpoint, which has one new secret. Raises AddressRefused, EndpointExists,
    TooManyEndpoints, NotACursor; what a database raises that does not answer, for it begins in the feed of each."""
    names = [row.name for row in tx.execute(_THERE.with_for_update())]
    if wanted.name in names:
        raise EndpointExists(endpoint=wanted.name)
    if len(names) >= MOST_ENDPOINTS:
        raise TooManyEndpoints(f"there are {MOST_ENDPOINTS} endpoints")
    try:
        url = checked_url(wanted.url, allow_private=tx.core.rules.push.allow_private)
    except BadAddress as error:
        raise AddressRefused(str(error), field="url") from None
    secrets = [{"secret": webhook_signatures.new_secret(), "until": None}]
    return _insert(tx, wanted, url, secrets)


def _insert(tx: Tx, wanted: NewEndpoint, url: str, secrets: list[dict[str, Any]]) -> int:
    row = {
        "name": wanted.name,
        "url": url,
        "types": sorted(wanted.types),
        "secrets": secrets,
        "origin": wanted.origin,
        "made_by": wanted.made_by,
        "made_at": tx.now,
        "failures": 0,
        "paused_why": "",
        "paused_by": "",
    }
    number = insert_numbered_if_new(tx, ENDPOINTS, tx.core.numbers, slot_of_reference(wanted.name), row)
    if number is None:
        raise EndpointExists(endpoint=wanted.name)  # another one was faster
    # All of them answer, and take the cursor, before a position is committed in any: nobody would find that one again.
    newest = [place.read(feed.newest_position) for place in tx.core.everywhere()]
    starts = newest if wanted.after is None else feed.positions_of(wanted.after, len(newest))
    if any(start > there for start, there in zip(starts, newest, strict=True)):
        raise NotACursor(field="after")
    tx.here_and_elsewhere(partial(_begin, endpoint=number, starts=starts))
    tx.once_committed(_log.info, "endpoint_added", endpoint=wanted.name, by=wanted.made_by, origin=wanted.origin)
    return number


def _begin(tx: Tx, *, number: int, endpoint: int, starts: Sequence[int]) -> None:
    """Where the endpoint begins in the feed of one database."""
    insert_if_new(tx, POSITIONS, {"endpoint_id": endpoint, "planned": starts[number], "rests_until": None})


def rotate_secret(tx: Tx, name: str, overlap: timedelta) -> int:
    """Make a new secret; those before it sign besides for so long. The endpoint's number. Raises NotFound,
    EndpointInSettings, TooManySecrets."""
    row = _changeable(tx, name)
    valid = [each for each in row.secrets if _is_valid(each, tx.now)]
    if len(valid) >= MOST_SECRETS:
        raise TooManySecrets(until=min(each["until"] for each in valid if each["until"] is not None))
    ends = (tx.now + overlap).isoformat()
    older = [{**each, "until": min(each["until"] or ends, ends)} for each in valid]
    secrets = [{"secret": webhook_signatures.new_secret(), "until": None}, *older]
    tx.execute(update(ENDPOINTS).where(_e.id == row.id).values(secrets=secrets))
    tx.once_committed(_log.info, "endpoint_secret_rotated", endpoint=name, until=ends)
    return int(row.id)


def pause_endpoint(tx: Tx, name: str, why: str, by: str) -> int:
    """Send nothing more there until it is resumed. The endpoint's number. Raises NotFound."""
    row = find_endpoint(tx, name, lock=True)
    if row.paused_at is None:
        _pause(tx, row.id, why, by)
        tx.once_committed(_log.info, "endpoint_paused_by_hand", endpoint=name, by=by, why=why)
    return int(row.id)


def _pause(tx: Tx, number: int, why: str, by: str) -> None:
    paused = {"paused_at": tx.now, "paused_why": problem_text(why), "paused_by": by}
    tx.execute(update(ENDPOINTS).where(_e.id == number, _e.paused_at.is_(None)).values(paused))


def resume_endpoint(tx: Tx, name: str) -> int:
    """Send again, at once, and everything since the pause. The endpoint's number. Raises NotFound.

    What had failed in a database that does not answer at this moment is tried when its own pause is over: nobody else's
    events wait for that database.
    """
    row = find_endpoint(tx, name, lock=True)
    healthy = {"failures": 0, "failing_since": None, "probe_at": None}
    tx.execute(update(ENDPOINTS).where(_e.id == row.id).values(paused_at=None, paused_why="", paused_by="", **healthy))
    wake = partial(_wake, endpoint=row.id)
    tx.core.guarded(lambda place: place.transact(wake), places=tx.core.everywhere()[1:], least=0)
    wake(tx)
    tx.once_committed(_log.info, "endpoint_resumed", endpoint=name)
    return int(row.id)


def _wake(tx: Tx, *, endpoint: int) -> None:
    """What had failed rests for up to a day, and what is behind it. Whoever resumes an endpoint has repaired it."""
    tx.execute(
        update(DELIVERIES)
        .prefix_with(sweep("deliveries"))
        .where(_d.endpoint_id == endpoint, _d.next_at > tx.now)
        .values(next_at=tx.now)
    )
    tx.execute(update(POSITIONS).where(_q.endpoint_id == endpoint).values(rests_until=None))


def remove_endpoint(tx: Tx, name: str) -> None:
    """Send nothing there any more, for ever. The worker deletes what is kept about it. Raises NotFound,
    EndpointInSettings."""
    row = _changeable(tx, name)
    tx.execute(update(ENDPOINTS).where(_e.id == row.id).values(removed_at=tx.now, secrets=[]))
    tx.once_committed(_log.info, "endpoint_removed", endpoint=name)


def find_endpoint(tx: Tx, name: str, *, lock: bool = False) -> AnyRow:
    """Raises NotFound."""
    row = tx.execute(_NAMED.with_for_update() if lock else _NAMED, {"name": name}).one_or_none()
    if row is None:
        raise NotFound(endpoint=name)
    return row


def all_endpoints(tx: Tx) -> Sequence[AnyRow]:
    """By name."""
    return tx.execute(_THERE.order_by(_e.name)).all()


def signing_secrets(rules: PushRules, row: AnyRow, now: datetime) -> list[str]:
    """The secrets with which a message to that endpoint is signed now, the newest first."""
    if row.origin == FROM_SETTINGS:
        declared = rules.declared.get(row.name)
        return list(declared.secrets) if declared is not None else []
    return [each["secret"] for each in row.secrets if _is_valid(each, now)]


def follow_settings(core: Core) -> bool:
    """Make the endpoints of the settings what the settings say. One that they do not name any more is paused. False if
    a new one could not be added, because it begins in the feed of every database and one does not answer: do it again.
    """
    declared = core.rules.push.declared

    def work(tx: Tx) -> list[DeclaredEndpoint]:
        rows = {row.name: row for row in tx.execute(_THERE.with_for_update())}
        for row in rows.values():
            if row.name in declared:
                _follow(tx, declared[row.name], row)
            elif row.origin == FROM_SETTINGS:
                _pause(tx, row.id, NOT_NAMED, FROM_SETTINGS)
        return [each for each in declared.values() if each.name not in rows]

    return all(_add_declared(core, each) for each in core.house.transact(work))


def _add_declared(core: Core, declared: DeclaredEndpoint) -> bool:
    wanted = NewEndpoint(declared.name, declared.url, sorted(declared.types), FROM_SETTINGS, FROM_SETTINGS)
    try:
        core.house.transact(lambda tx: _insert(tx, wanted, declared.url, []))
    except EndpointExists:  # another worker was faster
        return True
    except UNANSWERED as error:
        _log.error("endpoint_not_added", endpoint=declared.name, error=type(error).__name__)
        return False
    return True


def _follow(tx: Tx, declared: DeclaredEndpoint, row: AnyRow) -> None:
    said: dict[str, Any] = {
        "url": declared.url,
        "types": sorted(declared.types),
        "origin": FROM_SETTINGS,
        "secrets": [],
    }
    if row.paused_at is not None and row.paused_by == FROM_SETTINGS:
        said |= {"paused_at": None, "paused_why": "", "paused_by": ""}
    if any(getattr(row, name) != value for name, value in said.items()):
        tx.execute(update(ENDPOINTS).where(_e.id == row.id).values(said))


def _changeable(tx: Tx, name: str) -> AnyRow:
    """The endpoint, locked, if the settings do not name it."""
    row = find_endpoint(tx, name, lock=True)
    if row.origin == FROM_SETTINGS and name in tx.core.rules.push.declared:
        raise EndpointInSettings(endpoint=name)
    return row


def _is_valid(secret: dict[str, Any], now: datetime) -> bool:
    return secret["until"] is None or datetime.fromisoformat(secret["until"]) > now


# --- what is shown ---


def shown_endpoints(tx: Tx) -> list[dict[str, Any]]:
    """All of them, as callers see them."""
    return [shown_endpoint(tx, row) for row in all_endpoints(tx)]


def shown_endpoint(tx: Tx, row: AnyRow) -> dict[str, Any]:
    """An endpoint as callers see it: how it is, and how much waits for it."""
    # The slots, and not their number: so those that are in two databases, because they are moved, can be left out.
    some_open = (
        select(_d.slot)
        .prefix_with(sweep("deliveries"))
        .where(_d.endpoint_id == row.id, _d.next_at.is_not(None))
        .limit(MOST_COUNTED)
    )
    behind = select(func.sum(_PLACED - _q.planned)).prefix_with(sweep("deliveries")).where(_q.endpoint_id == row.id)
    return representations.endpoint_data(
        row,
        behind=max(int(tx.scalar(behind) or 0), 0),
        open_deliveries=len(tx.scalars(some_open).all()),
        secrets=_secrets_of(tx, row),
    )


def newest_secret(tx: Tx, row: AnyRow) -> str:
    """What a receiver verifies with from now on. Empty for an endpoint that the settings have given up."""
    return next(iter(signing_secrets(tx.core.rules.push, row, tx.now)), "")


def _secrets_of(tx: Tx, row: AnyRow) -> list[tuple[str, str | None]]:
    if row.origin == FROM_SETTINGS:
        return [(secret, None) for secret in signing_secrets(tx.core.rules.push, row, tx.now)]
    return [(each["secret"], each["until"]) for each in row.secrets if _is_valid(each, tx.now)]
