"""The trial balance: the last checkpoint and the legs since, over all slots."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from app.domain.accounting_time import TICK, ClosedMonth, Span, late_at
from app.domain.trial_balance import Totals, TrialBalance, added, draw_up
from app.services.base.errors import DomainError
from app.services.base.transaction import Transaction
from app.services.ledger import checkpoints
from app.services.ledger.leg_sums import DAY, FOREVER, balances_of_users, busy_days, midnight, sums_between


class CheckpointsBehind(DomainError):
    code = "checkpoints_behind"


def trial_balance(
    tx: Transaction,
    *,
    now: datetime,
    at: datetime | None = None,
    most_days: int | None = None,
    closed: Sequence[ClosedMonth] | None = None,
) -> TrialBalance:
    """Everything booked up to and including the moment `at`; at present, if that is None.

    With `closed` (the closed months in their order, maybe none) by accounting time: everything that counts up to and
    including that moment. At present that is the same, for nothing counts after it was booked.

    At present the balances of users' accounts are those that the accounts keep, a second source that must agree with
    the legs. For the past they are the sums of their legs, like those of system accounts. Call it in a snapshot
    (`read(…, snapshot=True)`). Raises CheckpointsBehind if more than `most_days` would have to be added up.
    """
    totals = _sums_of_legs(tx, now=now, at=at, most_days=most_days)
    if at is None:
        return draw_up(now, totals, balances_of_users(tx))
    if closed is not None:
        totals = added(totals, late_sums(tx, at, closed, now=now))
    return draw_up(at, totals)


def late_sums(tx: Transaction, at: datetime, closed: Sequence[ClosedMonth], *, now: datetime) -> Totals:
    """The legs that were booked after that moment and count at the moment or before. The checkpoints know nothing of
    accounting time: these few are what is missing in them."""
    totals: Totals = {}
    if at >= now:
        return totals
    newest = midnight(now) + 2 * DAY  # another worker's clock may be ahead
    for late in late_at(at, closed):
        until = newest if late.booked_until is None else min(late.booked_until, newest)
        told = Span(late.since, late.until)
        totals = added(totals, sums_between(tx, at + TICK, until, effective=told))
    return totals


def _sums_of_legs(tx: Transaction, *, now: datetime, at: datetime | None, most_days: int | None) -> Totals:
    """All legs up to and including that moment. At present, also those of accounts whose time is ahead of `now`.

    A checkpoint of a day that is still open was written by a worker whose clock was ahead, so it is passed over.
    """
    closed = checkpoints.closed_until(now)
    base = checkpoints.latest(tx, closed if at is None else min(at, closed))
    end = FOREVER if at is None or at == FOREVER else at + TICK
    totals = base.totals
    for number, (start, until) in enumerate(busy_days(tx, base.end, end), start=1):
        if most_days is not None and number > most_days:
            raise CheckpointsBehind
        totals = added(totals, sums_between(tx, start, until))
    return totals
