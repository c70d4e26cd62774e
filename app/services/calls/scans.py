"""Reads providers' histories in windows: what was missed while we, or they, were away is found here."""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog
from sqlalchemy import update

from app.models.base import AnyRow
from app.models.receipts import Scan
from app.providers.limits import LONGEST_CURSOR, fits
from app.providers.registry import ProviderAccount
from app.providers.verbs import Scans
from app.services.base.context import Core, Tx
from app.services.base.reported_fact import ReportedFact
from app.services.base.upsert import insert_if_new
from app.services.calls.provider_call import call_provider
from app.services.facts.owner import tell

FIRST_WINDOW = timedelta(days=1)
OVERLAP = timedelta(minutes=15)
"""Windows overlap: what a provider writes down late is not missed, and a fact told twice changes nothing."""
PAGE_SECONDS = 30.0
LEASE = timedelta(minutes=5)
FAILURE_PAUSE = timedelta(minutes=2)
MOST_PAGES = 20
"""Pages read in one go, before other work gets its turn."""
_s = Scan.__table__.c
_log = structlog.get_logger(__name__)


def scan_due(core: Core, account: ProviderAccount, feed: str, every: timedelta) -> bool:
    """Read on in one feed, if it is due; False if it is not, or another worker has it."""
    row = core.transact(lambda tx: _take(tx, account.name, feed, every))
    if row is None or not isinstance(account.provider, Scans):
        return False
    for _ in range(MOST_PAGES):
        cursor = _read_page(core, account, row, every)
        if cursor is None:
            return True
        row = _go_on(core, row, cursor, lease=LEASE)
    _go_on(core, row, row.cursor, lease=timedelta(0))
    return True


def _take(tx: Tx, name: str, feed: str, every: timedelta) -> AnyRow | None:
    """Lease the feed, opening its next window if the last one is complete."""
    now = tx.now
    first = {
        "provider_account": name,
        "feed": feed,
        "since": now - FIRST_WINDOW,
        "until": now,
        "cursor": "",
        "next_at": now,
        "tries": 0,
    }
    insert_if_new(tx, Scan.__table__, first)
    lease = (
        update(Scan)
        .where(_s.provider_account == name, _s.feed == feed, _s.next_at <= now)
        .values(next_at=now + LEASE)
        .returning(*_s)
    )
    row = tx.execute(lease).one_or_none()
    if row is None or row.cursor is not None:
        return row
    window = {"since": row.until - OVERLAP, "until": now, "cursor": ""}
    return tx.execute(
        update(Scan).where(_s.provider_account == name, _s.feed == feed).values(**window).returning(*_s)
    ).one()


def _read_page(core: Core, account: ProviderAccount, row: AnyRow, every: timedelta) -> str | None:
    """Read one page and apply it; the next cursor, None when the window is complete or the provider did not answer."""
    provider = account.provider
    if not isinstance(provider, Scans):
        return None
    called = call_provider(
        core,
        account,
        "scan",
        lambda: provider.scan(row.feed, row.since, row.until, row.cursor or None),
        seconds=PAGE_SECONDS,
        feed=row.feed,
    )
    page = called.answer
    if page is None:
        _later(core, row, called.not_before)
        return None
    for fact in page.facts:
        tell(core, ReportedFact(account, fact, "scan"))
    if page.cursor is None:
        _set(core, row, cursor=None, next_at=core.clock.now() + every, tries=0)
    elif not fits(page.cursor, LONGEST_CURSOR):
        _log.error("scan_failed", provider_account=account.name, feed=row.feed, error="the cursor cannot be kept")
        _later(core, row, None)
        return None
    return page.cursor


def _go_on(core: Core, row: AnyRow, cursor: str, *, lease: timedelta) -> AnyRow:
    """Remember the cursor, so that a worker that dies goes on from here."""
    return _set(core, row, cursor=cursor, next_at=core.clock.now() + lease, tries=0)


def _later(core: Core, row: AnyRow, not_before: datetime | None) -> None:
    """Try the same page again, not before the provider wants it."""
    moment = max(not_before or core.clock.now(), core.clock.now() + FAILURE_PAUSE)
    _set(core, row, next_at=moment, tries=row.tries + 1)


def _set(core: Core, row: AnyRow, **values: object) -> AnyRow:
    change = (
        update(Scan)
        .where(_s.provider_account == row.provider_account, _s.feed == row.feed)
        .values(**values)
        .returning(*_s)
    )
    return core.transact(lambda tx: tx.execute(change).one())
