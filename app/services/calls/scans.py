"""Reads providers' histories in windows: what was missed while we, or they, were away is found here.

One odd row, one fact that cannot be applied, one document that cannot be read: the rest goes on, and the odd one is
kept for a person, who can have it read again (`tillbook messages replay`). A page that fails is tried again; one that
fails in one and the same way for most of a day is left, with the rest of its window. A provider that asks to wait, or
that cannot be reached, is waited for. One that refuses us (a merchant without permission for a bill) is asked again
when the feed would be due anyway: until a person has mended the settings, each question is one more alarm.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import structlog
from sqlalchemy import ColumnElement, and_, bindparam, false, or_, select, update

from app.domain.facts import Fact, content_of, fact_of
from app.domain.numbers import slot_of_reference
from app.domain.retries import Retried, is_over
from app.domain.status import Outcome
from app.models.base import AnyRow
from app.models.receipts import Scan
from app.providers.facts import Page
from app.providers.limits import LONGEST_CURSOR, fits
from app.providers.registry import ProviderAccount
from app.providers.verbs import Scans
from app.services.base.context import Core, Tx
from app.services.base.errors import NotFound
from app.services.base.leases import next_try
from app.services.base.reported_fact import ReportedFact
from app.services.base.sanitize import printable, problem_text
from app.services.base.upsert import insert_if_new
from app.services.bills.kept_bills import BillWindow, keep_bills
from app.services.calls.provider_call import CallEnd, call_provider
from app.services.facts import inbox
from app.services.facts.owner import tell
from app.services.facts.record import Applied

FIRST_WINDOW = timedelta(days=1)
OVERLAP = timedelta(minutes=15)
"""Windows overlap: what a provider writes down late is not missed, and a fact told twice changes nothing."""
PAGE_SECONDS = 30.0
LEASE = timedelta(minutes=5)
MOST_PAGES = 20
"""Pages read in one go, before other work gets its turn."""
MOST_PAGES_OF_RANGE = 10_000
"""Pages that a person's command reads."""
MOST_PROBLEMS = 100
"""Odd rows of one page that are kept one by one; the rest of them is counted in one more."""
ODD_ROW, ODD_FACT, ODD_WINDOW, SKIPPED = "unreadable_row", "fact_not_applied", "window_not_read", "window_skipped"
"""Why a message of a scan is kept."""
_MAY_BE_THE_DOCUMENT = frozenset({CallEnd.UNKNOWN, CallEnd.DECLINED})
_s = Scan.__table__.c
_log = structlog.get_logger(__name__)


def scan_due(core: Core, account: ProviderAccount, feed: str, every: timedelta) -> bool:
    """Read on in one feed, if it is due; False if it is not, or another worker has it."""
    row = core.home.transact(lambda tx: _take(tx, account.name, feed, every))
    if row is None or not isinstance(account.provider, Scans):
        return False
    for _ in range(MOST_PAGES):
        cursor = _read_page(core, account, row, every)
        if cursor is None:
            return True
        row = _go_on(core, row, cursor, lease=LEASE)
    _go_on(core, row, row.cursor, lease=timedelta(0))
    return True


def any_due(feeds: Sequence[tuple[str, str]]) -> ColumnElement[bool]:
    """Whether one of these feeds, each with its provider account, is due at the moment `now`."""
    named = or_(false(), *[and_(_s.provider_account == account, _s.feed == feed) for account, feed in feeds])
    return select(_s.feed).where(named, _s.next_at <= bindparam("now")).exists()


def list_feeds(tx: Tx) -> Sequence[AnyRow]:
    """Every feed, and how far it has been read, for the operator."""
    return tx.execute(select(*_s).order_by(_s.provider_account, _s.feed)).all()


def skip(core: Core, account_name: str, feed: str, *, actor: str, reason: str) -> int | None:
    """Go on behind the window that is being read, because a person says so; the number of the message that keeps what
    was left, by whom and why. Raises NotFound where no window is being read."""
    wanted = select(*_s).where(_s.provider_account == account_name, _s.feed == feed)
    row = core.home.read(lambda tx: tx.execute(wanted).one_or_none())
    if row is None or row.cursor is None:
        raise NotFound(f"{account_name} {feed}: no window is being read")
    kept = _keep(core, row, SKIPPED, f"skipped by {actor}: {reason}", _window(row), aside=True)
    _close(core, row, next_at=core.clock.now())
    return kept


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
        "problem": "",
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
        if called.end in _MAY_BE_THE_DOCUMENT:
            _failed(core, row, called.problem or called.end, every)
        else:
            not_before = core.clock.now() + every if called.end is CallEnd.MISCONFIGURED else called.not_before
            _wait(core, row, called.problem or called.end, not_before)
        return None
    keep_bills(core, BillWindow(row.provider_account, row.feed, row.since, row.until), page.files)
    _apply_all(core, account, row, page.facts)
    _keep_problems(core, row, page.problems)
    if page.cursor is None:
        _close(core, row, next_at=core.clock.now() + every)
    elif not fits(page.cursor, LONGEST_CURSOR):
        _log.error("scan_failed", provider_account=account.name, feed=row.feed, error="the cursor cannot be kept")
        _failed(core, row, "the cursor cannot be kept", every)
        return None
    return page.cursor


class NotRead(Exception):
    """The provider gave no answer, or there was nothing to read; what came before is kept and applied. The text says
    why, and where it stopped."""


def read_range(core: Core, account: ProviderAccount, window: BillWindow, told: Callable[[str], None]) -> int:
    """Read a feed between two moments once more, or for the first time, because a person says so: bills are kept, facts
    applied, as ever; what the worker reads goes on where it was. How many facts there were. Raises NotRead.

    `told` gets a line after each page.
    """
    facts = 0
    for place, page, new in _pages(core, account, window, MOST_PAGES_OF_RANGE):
        _apply_all(core, account, place, page.facts)
        _keep_problems(core, place, page.problems)
        facts += len(page.facts)
        told(f"{place.cursor or 'the start'}: {len(page.facts)} facts, {new} new bills, {len(page.problems)} odd rows")
    return facts


def _pages(
    core: Core, account: ProviderAccount, window: BillWindow, most: int
) -> Iterator[tuple[BillWindow, Page, int]]:
    """The pages of a window, beginning at its cursor, each with its place and how many of its bills are new; they are
    kept before the page is given out. Raises NotRead."""
    provider = account.provider
    if not isinstance(provider, Scans):
        raise NotRead("this provider account has no histories")
    for _ in range(most):
        read = partial(provider.scan, window.feed, window.since, window.until, window.cursor)
        called = call_provider(core, account, "scan", read, seconds=PAGE_SECONDS, feed=window.feed)
        page = called.answer
        if page is None:
            raise NotRead(f"{called.problem or called.end} (at {window.cursor or 'the start'})")
        yield window, page, keep_bills(core, window, page.files)
        if page.cursor is None:
            return
        window = replace(window, cursor=page.cursor)
    raise NotRead(f"more than {most} pages: go on with a later day")


# --- what was kept, once more ---


def read_again(core: Core, account: ProviderAccount, reason: str, body: bytes) -> list[Applied]:
    """Apply a kept fact, or read a window that was left, because a person says so. Raises NotRead."""
    document = json.loads(body)
    if reason == ODD_FACT and "content" in document:
        at = datetime.fromisoformat(document["at"])
        facts: Iterable[Fact] = [fact_of(document["kind"], at, document["content"], document["raw"])]
    elif "cursor" in document:
        since, until = (datetime.fromisoformat(document[name]) for name in ("since", "until"))
        window = BillWindow(account.name, document["feed"], since, until, document["cursor"] or None)
        facts = (fact for _, page, _ in _pages(core, account, window, MOST_PAGES) for fact in page.facts)
    else:
        raise NotRead("a row that could not be read says nothing that could be applied")
    return [tell(core, ReportedFact(account, fact, "scan")) for fact in facts]


# --- what is on a page ---


def _apply_all(core: Core, account: ProviderAccount, row: Any, facts: Sequence[Fact]) -> None:
    """One line for what is not ours, however much it is."""
    not_ours = sum(_apply(core, account, row, fact) for fact in facts)
    if not_ours:
        _log.info("scan_lists_others", provider_account=account.name, feed=row.feed, facts=not_ours, of=len(facts))


def _apply(core: Core, account: ProviderAccount, row: Any, fact: Fact) -> bool:
    """Whether the fact is not ours. One that cannot be applied is kept whole, to be told again by a person; where even
    that fails, the database is away, and the page is read again."""
    try:
        return tell(core, ReportedFact(account, fact, "scan")).outcome is Outcome.NOT_OURS
    except Exception as error:
        _log.exception("scanned_fact_not_applied", provider_account=account.name, feed=row.feed)
        _keep(core, row, ODD_FACT, type(error).__name__, _document(fact))
        return False


def _document(fact: Fact) -> dict[str, object]:
    """The whole fact; its numbers where a defect of the plugin keeps it from being written down."""
    try:
        return {"kind": fact.kind, "at": fact.at.isoformat(), "content": content_of(fact), "raw": printable(fact.raw)}
    except Exception:
        return {"problem": "a fact that cannot be written down", "ref": repr(fact.ref)}


def _keep_problems(core: Core, row: Any, problems: Sequence[str]) -> None:
    for problem in problems[:MOST_PROBLEMS]:
        _keep(core, row, ODD_ROW, problem, {"problem": problem_text(problem)})
    if len(problems) > MOST_PROBLEMS:
        more = f"{len(problems) - MOST_PROBLEMS} more rows of the page at {row.cursor or 'the start'}"
        _keep(core, row, ODD_ROW, more, _window(row))


def _keep(
    core: Core, row: Any, reason: str, detail: str, document: dict[str, object], *, aside: bool = False
) -> int | None:
    """Keep it for a person, once: windows overlap, and a page may be read again. Its number, if it is new."""
    body = json.dumps({"feed": row.feed, **document}, sort_keys=True, default=str).encode()
    told = inbox.Scanned(slot_of_reference(body.decode()), row.provider_account, reason, f"{row.feed}: {detail}", body)
    number = core.at(told.slot).transact(lambda tx: inbox.keep_scanned(tx, told, aside=aside))
    if number is not None and not aside:
        _log.warning("scan_keeps", provider_account=row.provider_account, feed=row.feed, reason=reason)
    return number


def _window(row: Any) -> dict[str, object]:
    return {"since": row.since.isoformat(), "until": row.until.isoformat(), "cursor": row.cursor}


# --- how far the feed has been read ---


def _go_on(core: Core, row: AnyRow, cursor: str, *, lease: timedelta) -> AnyRow:
    """Remember the cursor, so that a worker that dies goes on from here."""
    return _set(core, row, cursor=cursor, next_at=core.clock.now() + lease, tries=0, problem="")


def _close(core: Core, row: AnyRow, *, next_at: datetime) -> None:
    """The window is complete, or left: the next reading opens the one behind it."""
    _set(core, row, cursor=None, next_at=next_at, tries=0, problem="")


def _wait(core: Core, row: AnyRow, problem: str, not_before: datetime | None) -> None:
    """Nothing is wrong with the page: again soon, or when the provider wants it."""
    again = next_try(core.clock.now(), Retried.HISTORY, 0)
    moment = again if not_before is None else max(not_before, again)
    _set(core, row, next_at=moment, problem=problem_text(problem))


def _failed(core: Core, row: AnyRow, problem: str, every: timedelta) -> None:
    """Try the page again later; after too many failures of one kind keep the window for a person, and go on behind."""
    problem, now = problem_text(problem), core.clock.now()
    tries = row.tries + 1 if problem == row.problem else 1
    if is_over(Retried.HISTORY, pauses=tries - 1):
        _log.error("scan_window_left", provider_account=row.provider_account, feed=row.feed, error=problem)
        _keep(core, row, ODD_WINDOW, problem, _window(row))
        _close(core, row, next_at=now + every)
        return
    _set(core, row, next_at=next_try(now, Retried.HISTORY, tries - 1), tries=tries, problem=problem)


def _set(core: Core, row: AnyRow, **values: object) -> AnyRow:
    change = (
        update(Scan)
        .where(_s.provider_account == row.provider_account, _s.feed == row.feed)
        .values(**values)
        .returning(*_s)
    )
    return core.home.transact(lambda tx: tx.execute(change).one())
