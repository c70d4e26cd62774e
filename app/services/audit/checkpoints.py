"""The proof of the checkpoints: every one is derived again from the transfers, leg by leg.

No sum comes from the database, and no day is skipped because it seems empty. Each checkpoint is proved as of one moment
and its transfers are read in a stream, so memory does not grow with their number.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import date, datetime
from functools import partial

from sqlalchemy import and_, func, select

from app.domain.report_tables import asset_written
from app.domain.trial_balance import BalanceHeading, Sums, Totals, added
from app.models.checkpoints import CHECKPOINTS
from app.models.ledger import ACCOUNTS, TRANSFERS
from app.models.slot_guard import sweep
from app.services.audit.orders import Finding, Progress
from app.services.base.transaction import Sessions, Transaction, read
from app.services.ledger.checkpoints import Checkpoint, of_day

C, T = CHECKPOINTS.c, TRANSFERS.c
ACCOUNT = ("user_id", "code", "asset", "environment")
CHECKPOINTS_AT_ONCE = 2000
"""The database sends this many transfers at a time."""
DAWN = Checkpoint(date.min, {})
_FROM, _TO = ACCOUNTS.alias("debited"), ACCOUNTS.alias("credited")

# A leg whose account is missing is left out here; the proof of the ledger names that leg.
_TRANSFERS = (
    select(T.created_at, T.amount, *(side.c[name] for side in (_FROM, _TO) for name in ACCOUNT))
    .prefix_with(sweep("audit"))
    .outerjoin(_FROM, and_(_FROM.c.slot == T.slot, _FROM.c.id == T.debit_id))
    .outerjoin(_TO, and_(_TO.c.slot == T.slot, _TO.c.id == T.credit_id))
)


def audit_checkpoints(sessions: Sessions, progress: Progress | None = None) -> Iterator[Finding]:
    """The first checkpoint that is not what the transfers say, if there is one.

    Missing newest checkpoints are no fault: the worker writes them. A transfer that was booked into a day after the day
    was closed makes the checkpoint of that day wrong, and so is found here.
    """
    try:
        yield from _first_wrong(sessions, progress)
    except (ValueError, TypeError, OverflowError) as error:  # a text that is no time or no number
        yield Finding("checkpoint", f"a row that has to be read for it cannot be read: {error}")


def _first_wrong(sessions: Sessions, progress: Progress | None) -> Iterator[Finding]:
    proved = DAWN
    while (step := read(sessions, partial(_next, proved=proved), snapshot=True)) is not None:
        proved, wrong = step
        if wrong:
            remedy = f"after the cause is found, `tillbook recount-checkpoints {proved.day}`"
            yield Finding("checkpoint", f"{proved.day} {wrong}; {remedy}")
            return
        if progress is not None:
            progress(f"checkpoints: up to {proved.day}")


def _next(tx: Transaction, proved: Checkpoint) -> tuple[Checkpoint, str] | None:
    """The next checkpoint as it must be, and how the stored one differs (empty: not at all). None at the end."""
    day: date | None = tx.scalar(select(func.min(C.day)).where(C.day > proved.day))
    if day is None:
        return None
    stored = of_day(tx, day)
    booked = _legs_by_day(tx, proved.end, stored.end)
    first = min(booked.keys() | {day})
    due = Checkpoint(first, added(proved.totals, booked.get(first, {})))
    if first != day:
        return due, "is missing"
    if day not in booked:
        return due, "must not be: nothing was booked on that day"
    return due, _difference(stored.totals, due.totals)


def _legs_by_day(tx: Transaction, start: datetime, end: datetime) -> dict[date, Totals]:
    """The legs of each day in which something was booked."""
    days: dict[date, dict[BalanceHeading, Sums]] = defaultdict(lambda: defaultdict(Sums))
    wanted = _TRANSFERS.where(T.created_at >= start, T.created_at < end)
    for at, amount, *names in tx.connection().execute(wanted, execution_options={"yield_per": CHECKPOINTS_AT_ONCE}):
        totals = days[at.date()]
        _count(totals, names[: len(ACCOUNT)], Sums(debits=amount))
        _count(totals, names[len(ACCOUNT) :], Sums(credits=amount))
    return {day: dict(totals) for day, totals in days.items()}


def _count(totals: dict[BalanceHeading, Sums], account: list[str], leg: Sums) -> None:
    user_id, code, asset, environment = account
    if code is not None:
        totals[BalanceHeading(asset, environment, user_id != "", code)] += leg


def _difference(stored: Totals, due: Totals) -> str:
    for heading in sorted(stored.keys() | due.keys()):
        if stored.get(heading) != due.get(heading):
            whose = "users'" if heading.of_users else "the house's"
            about = f"{whose} {heading.code} in {heading.asset} {heading.environment}"
            return f"{about}: {_shown(stored.get(heading), heading)}, must be {_shown(due.get(heading), heading)}"
    return ""


def _shown(sums: Sums | None, heading: BalanceHeading) -> str:
    if sums is None:
        return "no row"
    written = (asset_written(total, heading.asset, heading.code) for total in (sums.debits, sums.credits))
    went_out, came_in = (text.removesuffix(f" {heading.asset}") for text in written)
    return f"{went_out} out and {came_in} in"
