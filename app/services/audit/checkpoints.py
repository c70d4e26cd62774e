"""The proof of the checkpoints: every one is derived again from the transfers, leg by leg.

Nothing is shared with what wrote them: no sum comes from the database, and no hour is skipped because it seems empty.
Read piece by piece, each as of one moment, so memory does not grow with the number of transfers.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import groupby

from sqlalchemy import and_, func, select

from app.domain.trial_balance import Heading, Sums, Totals, added
from app.models.checkpoints import CHECKPOINTS
from app.models.ledger import ACCOUNTS, TRANSFERS
from app.models.slot_guard import sweep
from app.services.audit.orders import Finding, Progress
from app.services.base.transaction import Sessions, Transaction, read
from app.services.ledger.checkpoints import heading_of, sums_of

C, T = CHECKPOINTS.c, TRANSFERS.c
ACCOUNT = ("user_id", "code", "asset", "environment")
AT_ONCE = 2000
CHECKPOINTS_AT_ONCE = 24
HOUR = timedelta(hours=1)
DAWN = datetime.min.replace(tzinfo=UTC)
_FROM, _TO = ACCOUNTS.alias("debited"), ACCOUNTS.alias("credited")

# A leg whose account is missing is left out here; the proof of the ledger names it.
_TRANSFERS = (
    select(T.created_at, T.amount, *(side.c[name] for side in (_FROM, _TO) for name in ACCOUNT))
    .prefix_with(sweep("audit"))
    .outerjoin(_FROM, and_(_FROM.c.slot == T.slot, _FROM.c.id == T.debit_id))
    .outerjoin(_TO, and_(_TO.c.slot == T.slot, _TO.c.id == T.credit_id))
)
_STORED = select(CHECKPOINTS).order_by(C.until_at)


def audit_checkpoints(sessions: Sessions, progress: Progress | None = None) -> Iterator[Finding]:
    """The first checkpoint that is not what the transfers say, if there is one.

    That the newest are missing is not found, and no fault: the worker writes them, again if need be.
    """
    try:
        yield from _first_wrong(sessions, progress)
    except (ValueError, TypeError) as error:  # a text that is no time or no number
        yield Finding("checkpoint", f"a row that has to be read for it cannot be read: {error}")


def _first_wrong(sessions: Sessions, progress: Progress | None) -> Iterator[Finding]:
    totals: Totals = {}
    for start, end in _spans(sessions):
        wrong, totals = read(sessions, partial(_check, start=start, end=end, totals=totals), snapshot=True)
        if wrong:
            yield Finding("checkpoint", wrong)
            return
        if progress is not None:
            progress(f"checkpoints: up to {end:%Y-%m-%d %H:%M}")


def _spans(sessions: Sessions) -> Iterator[tuple[datetime, datetime]]:
    """All time up to the last checkpoint, without gaps, in pieces of so many checkpoints."""
    start, end = DAWN, read(sessions, partial(_some_later, moment=DAWN))
    while end is not None:
        yield start, end
        start, end = end, read(sessions, partial(_some_later, moment=end))


def _some_later(session: Transaction, moment: datetime) -> datetime | None:
    """The end of the piece that begins there; None if there is no later checkpoint."""
    later = select(C.until_at).where(C.until_at > moment).distinct().order_by(C.until_at).limit(CHECKPOINTS_AT_ONCE)
    found: datetime | None = session.scalar(select(func.max(later.subquery().c.until_at)))
    return found


def _check(session: Transaction, start: datetime, end: datetime, totals: Totals) -> tuple[str, Totals]:
    """What is wrong with the first wrong checkpoint of that piece (empty: none is), and the totals after it."""
    stored = _stored(session, start, end)
    hours = _legs_by_hour(session, start, end)
    for until in sorted(stored.keys() | hours.keys()):
        if until not in stored:
            return f"{until.isoformat()} is missing", totals
        if until not in hours:
            return f"{until.isoformat()} must not be: nothing was booked in its hour", totals
        totals = added(totals, hours[until])
        if stored[until] != totals:
            return f"{until.isoformat()}: {_difference(stored[until], totals)}", totals
    return "", totals


def _stored(session: Transaction, start: datetime, end: datetime) -> dict[datetime, Totals]:
    rows = session.execute(_STORED.where(C.until_at > start, C.until_at <= end))
    return {
        until: {heading_of(row): sums_of(row) for row in group}
        for until, group in groupby(rows, lambda row: row.until_at)
    }


def _legs_by_hour(session: Transaction, start: datetime, end: datetime) -> dict[datetime, Totals]:
    """The legs of each hour in which something was booked, by the end of the hour."""
    hours: dict[datetime, dict[Heading, Sums]] = defaultdict(lambda: defaultdict(Sums))
    wanted = _TRANSFERS.where(T.created_at >= start, T.created_at < end)
    for row in session.connection().execute(wanted, execution_options={"yield_per": AT_ONCE}):
        at, amount, *names = row
        totals = hours[at.replace(minute=0, second=0, microsecond=0) + HOUR]
        _count(totals, names[: len(ACCOUNT)], Sums(debits=amount, legs=1))
        _count(totals, names[len(ACCOUNT) :], Sums(credits=amount, legs=1))
    return {until: dict(totals) for until, totals in hours.items()}


def _count(totals: dict[Heading, Sums], account: list[str], leg: Sums) -> None:
    user_id, code, asset, environment = account
    if code is not None:
        totals[Heading(asset, environment, user_id != "", code)] += leg


def _difference(stored: Totals, due: Totals) -> str:
    for heading in sorted(stored.keys() | due.keys()):
        if stored.get(heading) != due.get(heading):
            whose = "users'" if heading.of_users else "the house's"
            about = f"{whose} {heading.code} in {heading.asset} {heading.environment}"
            return f"{about}: {_shown(stored.get(heading))}, must be {_shown(due.get(heading))}"
    return ""


def _shown(sums: Sums | None) -> str:
    return "no row" if sums is None else f"{sums.debits} out and {sums.credits} in by {sums.legs} legs"
