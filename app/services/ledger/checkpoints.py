"""Writes checkpoints: the sums of every account at the end of a day (UTC). A balance of the house then needs no more
than the last checkpoint and the legs since.

A day is closed a day after its end, when no transaction of that day can be open any more. What is booked into a closed
day all the same (a clock was wrong for a day) is found by the audit, and a person lets the days be recounted
(docs/adr/0029). Every step may be repeated, by any number of workers at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import partial
from typing import Any

import structlog
from sqlalchemy import delete, func, select

from app.domain.trial_balance import BalanceHeading, Sums, Totals, added
from app.models.base import AnyRow
from app.models.checkpoints import CHECKPOINTS
from app.services.base.transaction import Sessions, Transaction, read, transact
from app.services.base.upsert import insert_if_new
from app.services.ledger.leg_sums import DAY, EPOCH, FOREVER, busy_days, midnight, sums_between

C = CHECKPOINTS.c
WAIT = timedelta(days=1)
"""How long after its end a day is closed. A statement ends after 30 seconds (POSTGRES_STATEMENT_MS)."""
_KEY = (C.day, C.of_users, C.code, C.asset, C.environment)
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Everything that was booked until the end of `day`."""

    day: date
    totals: Totals

    @property
    def end(self) -> datetime:
        return datetime.combine(self.day, time(), EPOCH.tzinfo) + DAY


EMPTY_BOOKS = Checkpoint((EPOCH - DAY).date(), {})


def closed_until(now: datetime) -> datetime:
    """The end of the last day that is closed."""
    return midnight(now - WAIT)


def latest(tx: Transaction, until: datetime) -> Checkpoint:
    """The last checkpoint whose day ends at `until` or before; EMPTY_BOOKS if there is none."""
    found = tx.scalar(select(func.max(C.day)).where(C.day < until.date()))
    return EMPTY_BOOKS if found is None else of_day(tx, found)


def of_day(tx: Transaction, day: date, *, lock: bool = False) -> Checkpoint:
    """The stored checkpoint of that day, without rows if there is none."""
    wanted = select(CHECKPOINTS).where(C.day == day).order_by(*_KEY)
    rows = tx.execute(wanted.with_for_update() if lock else wanted)
    return Checkpoint(day, {heading_of(row): Sums(row.debits, row.credits) for row in rows})


def write_next(sessions: Sessions, *, now: datetime) -> bool:
    """Write the oldest missing checkpoint of a closed day. False if none is missing, or another worker wrote it."""
    step = read(sessions, partial(_next, closed=closed_until(now)), snapshot=True)
    if step is None or not transact(sessions, partial(_write, base=step[0], fresh=step[1])):
        return False
    _log.info("checkpoint", day=step[1].day.isoformat())
    return True


def recount(sessions: Sessions, since: date, *, now: datetime) -> int:
    """Delete the checkpoints from the day `since` on and write them anew. How many were written.

    If this is stopped between the two, the worker writes the rest.
    """
    _log.warning("checkpoints_recounted", since=since.isoformat())
    transact(sessions, partial(_delete, since=since))
    written = 0
    while write_next(sessions, now=now):
        written += 1
    return written


def heading_of(row: AnyRow) -> BalanceHeading:
    return BalanceHeading(row.asset, row.environment, bool(row.of_users), row.code)


def _next(tx: Transaction, closed: datetime) -> tuple[Checkpoint, Checkpoint] | None:
    """The newest checkpoint, and the one to be written after it."""
    base = latest(tx, FOREVER)
    for start, end in busy_days(tx, base.end, closed):
        return base, Checkpoint(start.date(), added(base.totals, sums_between(tx, start, end)))
    return None


def _write(tx: Transaction, base: Checkpoint, fresh: Checkpoint) -> bool:
    """False if another worker wrote this checkpoint first, or if its base was deleted or changed meanwhile."""
    if base is not EMPTY_BOOKS and of_day(tx, base.day, lock=True) != base:
        return False
    rows = [_row(fresh.day, *item) for item in sorted(fresh.totals.items())]
    return bool(rows) and all(insert_if_new(tx, CHECKPOINTS, row) for row in rows)


def _delete(tx: Transaction, since: date) -> None:
    """The rows are locked first. The deletion is then a statement of its own, which also sees the rows that a worker
    added while the lock had to wait for that worker."""
    tx.execute(select(C.day).where(C.day >= since).order_by(*_KEY).with_for_update())
    tx.execute(delete(CHECKPOINTS).where(C.day >= since))


def _row(day: date, heading: BalanceHeading, sums: Sums) -> dict[str, Any]:
    return {
        "day": day,
        "of_users": heading.of_users,
        "code": heading.code,
        "asset": heading.asset,
        "environment": heading.environment,
        "debits": sums.debits,
        "credits": sums.credits,
    }
