"""How an endpoint is: what answers and failures make of it.

After some failures in a row, of whatever users, the endpoint itself is taken to be down. From then on one delivery at a
time tries (`probe_at`), and its success lets all others go. An endpoint that takes nothing for days is paused.
"""

from __future__ import annotations

import random
from datetime import datetime, timedelta

import structlog
from sqlalchemy import bindparam, func, or_, select, update

from app.domain.delivery_schedule import (
    DELIVERY_LEASE_SECONDS,
    AnswerMeaning,
    is_to_be_paused,
    probe_pause,
    retry_pause,
)
from app.models.base import AnyRow, Moment
from app.models.endpoints import ENDPOINTS
from app.services.base.context import Core, Tx
from app.services.base.sanitize import problem_text

BY_RULE = "rule"
"""Who paused an endpoint that failed for long."""
_e = ENDPOINTS.c
_log = structlog.get_logger(__name__)
_HEALTHY = {"failures": 0, "failing_since": None, "probe_at": None}
_RECOVERED = (
    update(ENDPOINTS)
    .where(
        _e.id == bindparam("endpoint"),
        _e.failures > 0,
        # What was sent before the endpoint went down, or asked to be left alone, does not say that it is back.
        or_(bindparam("is_probe"), _e.probe_at.is_(None)),
    )
    .values(_HEALTHY)
)
_FAILED = (
    update(ENDPOINTS)
    .where(_e.id == bindparam("endpoint"))
    .values(failures=_e.failures + 1, failing_since=func.coalesce(_e.failing_since, bindparam("at", type_=Moment)))
    .returning(_e.failures, _e.failing_since)
)
_LOCKED = select(_e.paused_at, _e.probe_at).where(_e.id == bindparam("endpoint")).with_for_update()
_CLAIM_PROBE = (
    update(ENDPOINTS)
    .where(_e.id == bindparam("endpoint"), _e.probe_at <= bindparam("at"), _e.paused_at.is_(None))
    .values(probe_at=bindparam("until"))
)


def is_down(row: AnyRow) -> bool:
    """Whether one delivery at a time tries."""
    return row.probe_at is not None


def claim_probe(core: Core, row: AnyRow) -> bool:
    """Take the right to try a delivery at an endpoint that is down, for as long as a lease lasts."""
    now = core.clock.now()
    values = {"endpoint": row.id, "at": now, "until": now + timedelta(seconds=DELIVERY_LEASE_SECONDS)}
    return core.home.transact(lambda tx: tx.execute(_CLAIM_PROBE, values).rowcount == 1)


def note_success(core: Core, row: AnyRow) -> None:
    """The endpoint has taken something."""
    values = {"endpoint": row.id, "is_probe": is_down(row)}
    if core.home.transact(lambda tx: tx.execute(_RECOVERED, values).rowcount):
        _log.info("endpoint_recovered", endpoint=row.name)


def note_failure(
    core: Core, row: AnyRow, meaning: AnswerMeaning, problem: str, asked: timedelta | None = None
) -> datetime | None:
    """The endpoint has not taken something. When it is tried next, if it is taken to be down now; None if it is not,
    or if it is paused. An endpoint that asks to be left alone for some time is taken to be down for so long."""

    def work(tx: Tx) -> tuple[datetime | None, str]:
        before = tx.execute(_LOCKED, {"endpoint": row.id}).one_or_none()
        if before is None or before.paused_at is not None:
            return None, ""
        if before.probe_at is not None and not is_down(row) and meaning is not AnswerMeaning.GONE:
            # Sent at the same time as what has shown that the endpoint is down: no news, but for how long.
            return _put_off(tx, row.id, before.probe_at, asked), ""
        known = tx.execute(_FAILED, {"endpoint": row.id, "at": tx.now}).one()
        if meaning is AnswerMeaning.GONE:
            why = "the receiver answered 410 Gone: it wants nothing any more"
        elif is_to_be_paused(known.failing_since, tx.now):
            why = f"it has taken nothing since {known.failing_since:%Y-%m-%d %H:%M} UTC; the last time: {problem}"
        else:
            return _rest(tx, row.id, known.failures, asked), ""
        paused = {"paused_at": tx.now, "paused_why": problem_text(why), "paused_by": BY_RULE}
        tx.execute(update(ENDPOINTS).where(_e.id == row.id).values(paused))
        return None, why

    probe_at, why = core.home.transact(work)
    if why:
        # The alarm: from now on the backend is told nothing there until a person has resumed the endpoint.
        _log.error("endpoint_paused", endpoint=row.name, why=why)
    return probe_at


def _put_off(tx: Tx, number: int, probe_at: datetime, asked: timedelta | None) -> datetime:
    until = probe_at if asked is None else max(probe_at, tx.now + asked)
    if until != probe_at:
        tx.execute(update(ENDPOINTS).where(_e.id == number).values(probe_at=until))
    return until


def _rest(tx: Tx, number: int, failures: int, asked: timedelta | None) -> datetime | None:
    jitter = random.random()  # noqa: S311 - spreads repeats, keeps no secret
    pause = probe_pause(failures, jitter)
    if asked is not None:
        pause = max(asked, pause or retry_pause(AnswerMeaning.UNAVAILABLE, failures, jitter))
    if pause is None:
        return None
    probe_at = tx.now + pause
    tx.execute(update(ENDPOINTS).where(_e.id == number).values(probe_at=probe_at))
    return probe_at
