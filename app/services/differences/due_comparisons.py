"""The worker's part: bills that were read are compared with the books, and again every day while their pool is open.

Three days after its day a bill is fetched once more: no provider says when a row may still come or a bill be made anew,
and one that differs takes the place of the first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import NamedTuple

import structlog
from sqlalchemy import func, select, update

from app.domain.settling import A_DAY, POOL
from app.models.base import AnyRow
from app.models.bills import BILL_LINES, BILL_READINGS
from app.providers.registry import ProviderAccount
from app.services.base.context import Core, Tx
from app.services.bills.counted_lines import THAT_COUNTS
from app.services.bills.kept_bills import BillWindow
from app.services.bills.readings import read_unread
from app.services.calls.scans import NotRead, read_range
from app.services.differences.comparisons import compare_account

MATCH_LEASE = timedelta(minutes=15)
"""What a dying worker was comparing is compared again after so long."""
BILLS_OF_A_DAY = 10
"""So many documents may come when a day is fetched again; further ones are read in the next round."""
_INSTANT = timedelta(microseconds=1)
_r, _l = BILL_READINGS.c, BILL_LINES.c
_log = structlog.get_logger(__name__)


def compare_due(core: Core, accounts: Iterable[ProviderAccount], most: int) -> int:
    """Compare the days of bills that were read, and again every day while the pool is open; how many bills."""
    known = {account.name: account for account in accounts}
    now = core.clock.now()
    wanted = select(*_r).where(_r.match_at <= now, _r.status == THAT_COUNTS, _r.provider_account.in_(list(known)))
    due = core.home.read(lambda tx: tx.execute(wanted.order_by(_r.match_at, _r.id).limit(most)).all())
    taken = [_take(core, known[reading.provider_account], reading) for reading in due]
    return sum(_compare_together(core, known, together) for together in _of_one_time(filter(None, taken)))


class _Taken(NamedTuple):
    """A bill that this worker compares, and the time of what its lines may be about."""

    reading: AnyRow
    leased_until: datetime
    since: datetime
    until: datetime


def _take(core: Core, account: ProviderAccount, reading: AnyRow) -> _Taken | None:
    """None if another worker has it."""
    lease = core.clock.now() + MATCH_LEASE
    if not core.home.transact(partial(_set_moment, reading=reading, before=reading.match_at, moment=lease)):
        return None
    if reading.match_at - A_DAY < reading.until + POOL <= reading.match_at:
        _fetch_again(core, account, reading)
    return _Taken(reading, lease, *core.home.read(partial(_times_of, reading=reading)))


def _of_one_time(taken: Iterable[_Taken]) -> Iterator[list[_Taken]]:
    """Bills of one account and time together: those of its trades and of its funds are compared at once."""
    together: list[_Taken] = []
    for one in sorted(taken, key=lambda one: (one.reading.provider_account, one.since, one.until)):
        is_of_account = together and together[0].reading.provider_account == one.reading.provider_account
        if not (is_of_account and one.since < max(other.until for other in together)):
            if together:
                yield together
            together = []
        together.append(one)
    if together:
        yield together


def _compare_together(core: Core, known: Mapping[str, ProviderAccount], together: Sequence[_Taken]) -> int:
    """How many bills were compared."""
    account = known[together[0].reading.provider_account]
    since, until = min(one.since for one in together), max(one.until for one in together)
    now = core.clock.now()
    try:
        compare_account(core, account, since, until)
    except Exception:  # one account's trouble is its own
        _log.exception("bill_not_compared", provider_account=account.name, name=together[0].reading.name)
        return 0
    done = 0
    for one in together:
        pool_is_open = now < one.reading.until + account.lag + 2 * A_DAY
        following = now + A_DAY if pool_is_open else None
        step = partial(_set_moment, reading=one.reading, before=one.leased_until, moment=following)
        done += core.home.transact(step)
    return done


def _fetch_again(core: Core, account: ProviderAccount, reading: AnyRow) -> None:
    """Only what the worker reads by itself."""
    if reading.feed not in account.scan:
        return
    window = BillWindow(account.name, reading.feed, reading.since, reading.until)
    try:
        read_range(core, account, window, _tell_page)
    except NotRead as error:
        _log.warning("bill_not_fetched_again", provider_account=account.name, name=reading.name, error=str(error))
    read_unread(core, [account], BILLS_OF_A_DAY)


def _tell_page(told: str) -> None:
    _log.info("bill_fetched_again", page=told)


def _times_of(tx: Tx, *, reading: AnyRow) -> tuple[datetime, datetime]:
    """The time that a bill covers, and that of the entries that its lines may be about: a late row is of an earlier
    day, which nobody compares any more. Lines of its earlier versions count as well: of what one of them said wrongly,
    there may be a difference at that time."""
    of_document = (_r.provider_account == reading.provider_account, _r.feed == reading.feed, _r.name == reading.name)
    versions = select(_r.id).where(*of_document)
    of_it = (_l.provider_account == reading.provider_account, _l.reading_id.in_(versions))
    told = tx.execute(select(func.min(_l.at).label("first"), func.max(_l.at).label("last")).where(*of_it)).one()
    if told.first is None:
        return reading.since, reading.until
    since = reading.since if told.first >= reading.since else told.first - POOL
    return since, max(reading.until, told.last + _INSTANT)


def _set_moment(tx: Tx, *, reading: AnyRow, before: datetime, moment: datetime | None) -> bool:
    of_it = (_r.provider_account == reading.provider_account, _r.id == reading.id, _r.match_at == before)
    return tx.execute(update(BILL_READINGS).where(*of_it).values(match_at=moment).returning(_r.id)).first() is not None
