"""Writes checkpoints: what every account had come to at the end of an hour, so that a balance of the house needs no
more than the last checkpoint and the legs since.

An hour is closed when it is over for longer than any transaction should last. One that commits later all the same is
missed at first; so an hour later it is counted again how many transfers there are, and what turns out to be incomplete
is taken back and written anew. Everything here may be repeated, by any number of workers at once, and can be derived
from the transfers again at any time.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import structlog
from sqlalchemy import delete, func, select

from app.domain.trial_balance import Heading, Sums, Totals, added
from app.models.base import AnyRow
from app.models.checkpoints import CHECKPOINTS
from app.services.base.transaction import Sessions, Transaction, read, transact
from app.services.base.upsert import insert_if_new
from app.services.ledger.counting import EPOCH, FOREVER, HOUR, busy_hours, count, transfers_between

C = CHECKPOINTS.c
MARGIN = timedelta(minutes=15)
"""An hour that is over for so long is closed. Statements end after 30 seconds (app/models/engine.py)."""
AGAIN = 2
"""For so many of the newest checkpoints it is counted again how many transfers there are."""
HOURS = 24
LEGS = 200_000
"""One round of the worker writes so many hours, or so many legs and the rest of that hour."""
_KEY = (C.until_at, C.of_users, C.code, C.asset, C.environment)
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Everything that was booked before `until`."""

    until: datetime
    totals: Totals

    @property
    def legs(self) -> int:
        return sum(sums.legs for sums in self.totals.values())


NOTHING = Checkpoint(EPOCH, {})


def closed_until(now: datetime) -> datetime:
    """The end of the last hour that is closed."""
    return (now - MARGIN).replace(minute=0, second=0, microsecond=0)


def settled_until(now: datetime) -> datetime:
    """Up to here checkpoints can be relied on: the worker has had an hour to count them a second time."""
    return closed_until(now) - HOUR


def latest(session: Transaction, until: datetime) -> Checkpoint:
    """The last checkpoint that is not later than that; NOTHING if there is none."""
    found = session.scalar(select(func.max(C.until_at)).where(C.until_at <= until))
    return NOTHING if found is None else at(session, found)


def at(session: Transaction, until: datetime, *, lock: bool = False) -> Checkpoint:
    """What is stored for that moment."""
    wanted = select(CHECKPOINTS).where(C.until_at == until).order_by(*_KEY)
    rows = session.execute(wanted.with_for_update() if lock else wanted)
    return Checkpoint(until, {heading_of(row): sums_of(row) for row in rows})


def write_due(sessions: Sessions, *, now: datetime, recheck: bool = True, hours: int = HOURS, legs: int = LEGS) -> int:
    """One bounded round: write the checkpoints of closed hours that are missing, oldest first.

    How many there were; 0: none is left. `recheck` first takes back the newest that have become incomplete; once for
    each hour that closes is enough. A clock that went back finds nothing to do.
    """
    if recheck:
        forget_incomplete(sessions)
    closed = closed_until(now)
    done = counted = 0
    while done < hours and counted < legs:
        step = read(sessions, partial(_next, closed=closed), snapshot=True)
        if step is None:
            break
        base, fresh = step
        written = transact(sessions, partial(_write, base=base, fresh=fresh))
        _log.info("checkpoint", until=fresh.until.isoformat(), legs=fresh.legs - base.legs, written=written)
        done, counted = done + 1, counted + fresh.legs - base.legs
    return done


def forget_incomplete(sessions: Sessions) -> None:
    """Delete the first of the newest checkpoints that lacks transfers, and all later ones: they are written anew."""
    wrong = read(sessions, _first_incomplete, snapshot=True)
    if wrong is not None:
        _log.warning("checkpoints_taken_back", since=wrong.isoformat())
        transact(sessions, partial(forget, since=wrong))


def forget(session: Transaction, since: datetime) -> int:
    """Delete the checkpoints from that moment on; the worker writes them again. How many rows they were.

    They are locked first and deleted by a statement of its own, which then also sees what another worker, whom the
    lock had to wait for, has added to them meanwhile.
    """
    session.execute(select(C.until_at).where(C.until_at >= since).order_by(*_KEY).with_for_update())
    return len(session.execute(delete(CHECKPOINTS).where(C.until_at >= since).returning(C.until_at)).all())


def _next(session: Transaction, closed: datetime) -> tuple[Checkpoint, Checkpoint] | None:
    """The newest checkpoint, and the one to be written after it."""
    base = latest(session, FOREVER)
    for start, until in busy_hours(session, base.until, closed):
        return base, Checkpoint(until, added(base.totals, count(session, start, until)))
    return None


def _write(session: Transaction, base: Checkpoint, fresh: Checkpoint) -> bool:
    """False if another worker has written it, or has taken back the one that it was derived from."""
    if base is not NOTHING and at(session, base.until, lock=True) != base:
        return False
    rows = [_row(fresh.until, *item) for item in sorted(fresh.totals.items())]
    inserted = [insert_if_new(session, CHECKPOINTS, row) for row in rows]
    return all(inserted)


def _first_incomplete(session: Transaction) -> datetime | None:
    """Where the newest checkpoints begin to differ from the hours and the numbers of transfers that there are.

    Only numbers are compared, for transfers are never changed: false sums are for the audit to find, not to be hidden.
    """
    newest = list(session.scalars(select(C.until_at).distinct().order_by(C.until_at.desc()).limit(AGAIN + 1)))
    if not newest:
        return None
    base = at(session, newest.pop()) if len(newest) > AGAIN else NOTHING
    stored: list[tuple[datetime, int]] = [(until, at(session, until).legs) for until in reversed(newest)]
    legs = base.legs
    for start, until in busy_hours(session, base.until, newest[0]):
        legs += 2 * transfers_between(session, start, until)
        if stored[0] != (until, legs):
            return min(until, stored[0][0])
        del stored[0]
    return stored[0][0] if stored else None


def heading_of(row: AnyRow) -> Heading:
    return Heading(row.asset, row.environment, bool(row.of_users), row.code)


def sums_of(row: AnyRow) -> Sums:
    return Sums(row.debits, row.credits, row.legs)


def _row(until: datetime, heading: Heading, sums: Sums) -> dict[str, Any]:
    return {
        "until_at": until,
        "of_users": heading.of_users,
        "code": heading.code,
        "asset": heading.asset,
        "environment": heading.environment,
        "debits": sums.debits,
        "credits": sums.credits,
        "legs": sums.legs,
    }
