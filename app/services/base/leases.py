"""Work that becomes due: rows with a moment at which somebody has to do something about them."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Table, bindparam, or_, select, update

from app.domain.numbers import slot_of_number
from app.domain.retries import Retried, pause_seconds
from app.domain.schedule import LEASE_SECONDS
from app.models.base import AnyRow
from app.models.slot_guard import sweep
from app.services.base.transaction import Transaction


class LeaseQueue:
    """The rows of one table whose `moment` is here, and the lease by which one worker takes one of them.

    A lease is a conditional UPDATE that moves the moment on, a minute if not said otherwise. Of any number of workers
    that try at once, the one whose UPDATE finds the row still due has it; the others get nothing. It promises no more
    than that nobody else takes the row within that time: a worker that dies leaves it due again, and one that is
    slower than its lease may meet a second one, so the work itself must be safe to repeat. Whoever has done the work
    sets the next moment.
    """

    def __init__(
        self,
        table: FromClause,
        moment: str,
        sweep_name: str,
        *,
        counts: str | None = None,
        stamps: str | None = None,
        gap_seconds: int = 0,
        lease_seconds: int = LEASE_SECONDS,
    ) -> None:
        """`counts` is the column that counts how often the work fell due and was taken, `stamps` the one that keeps
        when it was last taken: not again before `gap_seconds` have passed, even if asked to. `lease_seconds`
        is longer than the work takes."""
        if not isinstance(table, Table):
            raise TypeError(f"not a table: {table!r}")
        c = table.c
        self._stamps, self._gap = stamps is not None, timedelta(seconds=gap_seconds)
        self._lease = timedelta(seconds=lease_seconds)
        self.by_account = "provider_account" in c
        """Whether the rows say which provider account they are about."""
        self._account = c.provider_account if self.by_account else None
        due = select(c.id).prefix_with(sweep(sweep_name)).where(c[moment].is_not(None), c[moment] <= bindparam("now"))
        self.any_due: ColumnElement[bool] = due.exists()
        """Whether any row is due at the moment `now`."""
        self._due = due.order_by(c[moment]).limit(bindparam("most"))
        wanted = [c.slot == bindparam("at_slot"), c.id == bindparam("at_id"), c[moment].is_not(None)]
        changes: dict[str, ColumnElement[Any]] = {moment: bindparam("until")}
        if stamps is not None:
            # A stamp in the future was left by a worker whose clock was ahead, and counts as none.
            quiet = (c[stamps].is_(None), c[stamps] <= bindparam("quiet_since"), c[stamps] > bindparam("taken_at"))
            wanted.append(or_(*quiet))
            changes[stamps] = bindparam("taken_at")
        self._take_early = update(table).where(*wanted).values(changes).returning(*c)
        counted = {} if counts is None else {counts: c[counts] + 1}
        self._take = self._take_early.where(c[moment] <= bindparam("now")).values(changes | counted)

    def numbers(
        self, tx: Transaction, now: datetime, limit: int, *, only: Sequence[str] = (), never: Sequence[str] = ()
    ) -> list[int]:
        """What is due, the longest due first; of these provider accounts `only`, or of none of those that are `never`
        wanted. Reads without locks: somebody may be faster."""
        due = self._due
        if self._account is not None and only:
            due = due.where(self._account.in_(only))
        if self._account is not None and never:
            due = due.where(self._account.not_in(never))
        return list(tx.scalars(due, {"now": now, "most": limit}))

    def take(self, tx: Transaction, number: int, now: datetime) -> AnyRow | None:
        """Lease the row; as it is now, this taking counted. None if it is not due, or somebody else has it."""
        return tx.execute(self._take, {**self._values(number, now), "now": now}).one_or_none()

    def take_early(self, tx: Transaction, number: int, now: datetime) -> AnyRow | None:
        """Lease a row that somebody waits for before it is due; this is not counted. None: nothing is to be done."""
        return tx.execute(self._take_early, self._values(number, now)).one_or_none()

    def _values(self, number: int, now: datetime) -> dict[str, object]:
        values: dict[str, object] = {"at_slot": slot_of_number(number), "at_id": number, "until": now + self._lease}
        return values | {"taken_at": now, "quiet_since": now - self._gap} if self._stamps else values


def in_turns(numbers: Iterable[int]) -> list[int]:
    """These numbers in an order in which each slot has one before any slot has a second: a user with many rows does not
    keep the others waiting."""
    before = Counter[int]()
    ranked = list[tuple[int, int, int]]()
    for place, number in enumerate(numbers):
        slot = slot_of_number(number)
        ranked.append((before[slot], place, number))
        before[slot] += 1
    return [number for _, _, number in sorted(ranked)]


def next_try(now: datetime, why: Retried, number: int) -> datetime:
    """When the pause with that number (the first is 0) is over, if it begins now."""
    return now + timedelta(seconds=pause_seconds(why, number, random.random()))  # noqa: S311 - spreads, keeps no secret
