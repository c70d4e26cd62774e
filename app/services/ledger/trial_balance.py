"""Balances of system accounts, and the trial balance: the last checkpoint and the legs since, over all slots."""

from __future__ import annotations

from datetime import datetime, timedelta

from app.domain.trial_balance import Heading, Sums, TrialBalance, added, draw_up
from app.services.base.errors import Problem
from app.services.base.transaction import Transaction
from app.services.ledger import checkpoints
from app.services.ledger.counting import FOREVER, busy_hours, count, kept_by_users

MICROSECOND = timedelta(microseconds=1)


class CheckpointsBehind(Problem):
    code, status = "checkpoints_behind", 503
    title = "The worker has not added up enough of the past yet. Try again when it has."


def trial_balance(
    session: Transaction, *, now: datetime, at: datetime | None = None, most_hours: int | None = None
) -> TrialBalance:
    """Everything booked up to and including the moment `at`; at present, if that is None.

    At present the balances of users' accounts are those that the accounts keep, which is a proof of its own; for the
    past they are the sums of their legs, like those of system accounts. Call it in a snapshot (`read(…,
    snapshot=True)`). Raises CheckpointsBehind if more than `most_hours` would have to be added up.
    """
    totals = sums_of_legs(session, now=now, at=at, most_hours=most_hours)
    if at is None:
        return draw_up(now, totals, kept_by_users(session))
    return draw_up(at, totals)


def system_balances(session: Transaction, *, now: datetime, at: datetime | None = None) -> dict[Heading, Sums]:
    """What each account of the house has come to at that moment (None: at present). In a snapshot, like the above."""
    return {key: sums for key, sums in sums_of_legs(session, now=now, at=at).items() if not key.of_users}


def sums_of_legs(
    session: Transaction, *, now: datetime, at: datetime | None, most_hours: int | None = None
) -> dict[Heading, Sums]:
    """All legs up to and including that moment. At present, also those of accounts whose time is ahead of `now`."""
    settled = checkpoints.settled_until(now)
    base = checkpoints.latest(session, settled if at is None else min(at, settled))
    end = FOREVER if at is None or at == FOREVER else at + MICROSECOND
    totals = dict(base.totals)
    for number, (start, until) in enumerate(busy_hours(session, base.until, end), start=1):
        if most_hours is not None and number > most_hours:
            raise CheckpointsBehind
        totals = added(totals, count(session, start, until))
    return totals
