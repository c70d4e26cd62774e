"""Reads kept bills into lines, each document once: what the plugin says a document tells is written down beside it.

A document is read in batches, each a transaction of its own, and the reading says how far it is: whoever dies, another
goes on behind the last batch, since a plugin reads the same bytes into the same lines. Of two who read one document at
once, one is refused its next batch and stops. Only the last step makes the lines count, and in the same transaction the
reading of an earlier version of the document stops counting.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from functools import partial
from itertools import islice
from typing import Any

import structlog
from sqlalchemy import ColumnElement, and_, delete, false, insert, or_, select, tuple_, update

from app import metrics
from app.domain.bill_lines import BillContent, BillLine
from app.domain.chart import HOUSE_SLOT
from app.domain.ledger import moment_of
from app.models.base import AnyRow
from app.models.bills import BILL_LINES, BILL_READINGS, BILLS
from app.providers.errors import UnreadableBill
from app.providers.registry import ProviderAccount
from app.providers.verbs import ReadsBills
from app.services.base.context import Core, Tx
from app.services.base.errors import NotFound
from app.services.base.list_pages import ListPage, ListPlace, page_of, place_at
from app.services.base.sanitize import storable_text
from app.services.base.upsert import insert_numbered_if_new
from app.services.bills.kept_bills import LONGEST_BILL_NAME, BillDamaged, BillWindow, bill_bytes, keep_bills

LINES_IN_BATCH = 5_000
"""So many lines are written in one transaction, and in memory, at a time."""
LONGEST_BILL_PROBLEM = 255
"""Characters of why a bill was refused that are kept."""
LONGEST_LINE_TEXT = {"word": 64, "note": 255}
_KEYS = ("provider_account", "feed", "name", "sha256")
_b, _r, _l = BILLS.c, BILL_READINGS.c, BILL_LINES.c
_DOCUMENT = and_(*(BILLS.c[key] == BILL_READINGS.c[key] for key in _KEYS))
_log = structlog.get_logger(__name__)


class ReadingStatus(StrEnum):
    """What became of a document."""

    READING = "reading"
    READ = "read"
    REFUSED = "refused"
    REPLACED = "replaced"
    """A later document of the same name counts."""


class NotReadable(ValueError):
    """The document is none that this provider account's plugin can read. The text says why."""


class _ReadElsewhere(Exception):
    """Another process reads the document now."""


@dataclass(frozen=True, slots=True)
class LineFilter:
    """Which lines are listed: those that count, of one account, by their own time."""

    provider_account: str
    feed: str | None = None
    since: datetime | None = None
    until: datetime | None = None


def bill_feeds_of(accounts: Iterable[ProviderAccount]) -> list[tuple[str, str]]:
    """The feeds of these accounts whose bills their plugins read, each with its provider account."""
    return [(account.name, feed) for account in accounts for feed in feeds_of(account)]


def feeds_of(account: ProviderAccount) -> tuple[str, ...]:
    return tuple(account.provider.bill_feeds) if isinstance(account.provider, ReadsBills) else ()


def read_unread(core: Core, accounts: Iterable[ProviderAccount], most: int) -> int:
    """Read bills that lie unread, oldest first, at most so many; how many were read or refused."""
    known = {account.name: account for account in accounts}
    feeds = bill_feeds_of(known.values())
    wanted = select(*(_b[key] for key in _KEYS), _b.since, _b.until, _b.fetched_at)
    wanted = wanted.where(_of_feeds(feeds), _is_unread()).order_by(_b.fetched_at, _b.since, _b.name, _b.sha256)
    bills = core.home.read(lambda tx: tx.execute(wanted.limit(most)).all())
    return sum(read_document(core, known[bill.provider_account], bill) for bill in bills)


def read_document(core: Core, account: ProviderAccount, bill: AnyRow) -> bool:
    """Read one kept document, or go on with it; False if another process does. What cannot be read is refused and
    alarmed, and says nothing."""
    try:
        content = _content_of(account, bill.feed, bill.name, core.home.read(partial(bill_bytes, bill=bill)))
    except (NotReadable, BillDamaged) as error:
        return core.home.transact(partial(_refuse, account=account, bill=bill, problem=str(error)))
    try:
        reading = core.home.transact(partial(_begin, bill=bill, content=content))
        if reading.status != ReadingStatus.READING:
            return False
        done: int = reading.lines
        left = islice(content.lines, done, None)
        try:
            while lines := list(islice(left, LINES_IN_BATCH)):
                core.home.transact(partial(_write, reading=reading, done=done, lines=lines))
                done += len(lines)
        except ValueError as error:  # UnreadableBill, too: a reader that is lazy finds some faults on its way
            return core.home.transact(partial(_refuse, account=account, bill=bill, problem=str(error)))
        core.home.transact(partial(_finish, reading=reading, bill=bill, done=done))
    except _ReadElsewhere:
        return False
    metrics.BILLS_READ.labels(account.name, ReadingStatus.READ).inc()
    _log.info("bill_read", provider_account=account.name, feed=bill.feed, name=bill.name, lines=done)
    return True


def read_bills_again(
    core: Core, account: ProviderAccount, name: str | None = None, *, refused_only: bool = False
) -> int:
    """Read the account's bills once more, all or those of one name, because their plugin was mended; how many. The
    lines of the earlier reading go."""
    feeds = [(account.name, feed) for feed in feeds_of(account)]
    wanted = select(BILL_READINGS.c.id, _b.fetched_at, *(_b[key] for key in _KEYS), _b.since, _b.until)
    wanted = wanted.select_from(BILLS.join(BILL_READINGS, _DOCUMENT)).where(_of_feeds(feeds))
    if name is not None:
        wanted = wanted.where(_b.name == name)
    if refused_only:
        wanted = wanted.where(_r.status == ReadingStatus.REFUSED)
    rows = core.home.read(lambda tx: tx.execute(wanted.order_by(_b.fetched_at, _b.name, _b.sha256)).all())
    for row in rows:
        core.home.transact(partial(_forget, account=account.name, reading_id=row.id))
        read_document(core, account, row)
    return len(rows)


def import_bill(core: Core, account: ProviderAccount, feed: str, name: str, content: bytes) -> BillContent:
    """Keep a file that a person brought, and read it as if it had been fetched. Raises NotReadable; then nothing is
    kept."""
    told = _content_of(account, feed, name, content)
    keep_bills(core, BillWindow(account.name, feed, told.since, told.until), [(name, content)])
    read_unread_named(core, account, feed, name)
    return told


def read_unread_named(core: Core, account: ProviderAccount, feed: str, name: str) -> None:
    """Read the documents of that name that lie unread."""
    wanted = select(*(_b[key] for key in _KEYS), _b.since, _b.until, _b.fetched_at).where(
        _b.provider_account == account.name,
        _b.feed == feed,
        _b.name == storable_text(name, LONGEST_BILL_NAME),
        _is_unread(),
    )
    for bill in core.home.read(lambda tx: tx.execute(wanted.order_by(_b.fetched_at, _b.sha256)).all()):
        read_document(core, account, bill)


def list_readings(tx: Tx, account: str | None = None, status: str | None = None) -> Sequence[AnyRow]:
    """What became of each document, by account, time and name."""
    wanted = select(*_r).order_by(_r.provider_account, _r.since, _r.feed, _r.name, _r.id)
    if account is not None:
        wanted = wanted.where(_r.provider_account == account)
    if status is not None:
        wanted = wanted.where(_r.status == status)
    return tx.execute(wanted).all()


def page_of_readings(core: Core, account: str | None, place: ListPlace | None, limit: int) -> ListPage[Any]:
    """A page of what became of the documents, by the time that they cover."""
    wanted = select(*_r).order_by(_r.since, _r.id).limit(limit + 1)
    if account is not None:
        wanted = wanted.where(_r.provider_account == account)
    if place is not None:
        wanted = wanted.where(tuple_(_r.since, _r.id) > (moment_of(place[0]), place[1]))
    rows = core.home.read(lambda tx: tx.execute(wanted).all())
    return page_of(rows, limit, lambda row: place_at(row.since, row.id))


def list_lines(core: Core, wanted: LineFilter, place: ListPlace | None, limit: int) -> ListPage[Any]:
    """A page of the lines that count, bill by bill, each with feed, name and side of its bill."""
    query = (
        select(*_l, _r.feed, _r.name, _r.side)
        .join_from(BILL_LINES, BILL_READINGS, _of_reading())
        .where(_l.provider_account == wanted.provider_account, _r.status == ReadingStatus.READ)
    )
    if wanted.feed is not None:
        query = query.where(_r.feed == wanted.feed)
    if wanted.since is not None:
        query = query.where(_l.at >= wanted.since)
    if wanted.until is not None:
        query = query.where(_l.at < wanted.until)
    if place is not None:
        query = query.where(tuple_(_l.reading_id, _l.position) > place)
    query = query.order_by(_l.reading_id, _l.position).limit(limit + 1)
    rows = core.home.read(lambda tx: tx.execute(query).all())
    return page_of(rows, limit, lambda row: (row.reading_id, row.position))


def account_named(core: Core, name: str, feed: str | None = None) -> ProviderAccount:
    """A provider account whose plugin reads bills, of that feed if one is given. Raises NotFound."""
    account = core.registry.get(name)
    if account is None:
        raise NotFound(f"no provider account {name!r}")
    feeds = feeds_of(account)
    if not feeds or (feed is not None and feed not in feeds):
        raise NotFound(f"{name} has no bills of a feed {feed!r}; it has: {', '.join(feeds) or 'none'}")
    return account


# --- one document ---


def _content_of(account: ProviderAccount, feed: str, name: str, content: bytes) -> BillContent:
    """What the plugin reads in it. Raises NotReadable."""
    provider = account.provider
    if not isinstance(provider, ReadsBills) or feed not in provider.bill_feeds:
        raise NotReadable(f"{account.name} has no bills of a feed {feed!r}")
    try:
        told = provider.read_bill(feed, name, content)
    except UnreadableBill as error:
        raise NotReadable(str(error)) from None
    except Exception as error:  # a plugin's defect in one document must not stop the others
        _log.exception("bill_reader_failed", provider_account=account.name, feed=feed, name=name)
        raise NotReadable(f"the reader failed: {type(error).__name__}") from None
    if told.account is not None and told.account != provider.account:
        raise NotReadable("the bill of another merchant")
    if told.problems:
        raise NotReadable(f"{len(told.problems)} rows cannot be read: {told.problems[0]}")
    return told


def _begin(tx: Tx, *, bill: AnyRow, content: BillContent) -> AnyRow:
    """The reading of that document, made if there is none."""
    side, span = content.side, (content.since, content.until)
    _insert_reading(tx, _new_reading(tx, bill, ReadingStatus.READING, side.value, span, content.zone))
    return _reading_of(tx, bill)


def _new_reading(
    tx: Tx, bill: AnyRow, status: str, side: str, span: tuple[datetime, datetime], zone: str, problem: str = ""
) -> dict[str, Any]:
    document = {key: getattr(bill, key) for key in _KEYS}
    state = {"status": status, "problem": problem, "lines": 0, "read_at": tx.now, "match_at": None}
    times = {"since": span[0], "until": span[1], "zone": zone}
    return {**document, "side": side, **times, **state}


def _insert_reading(tx: Tx, row: dict[str, Any]) -> None:
    insert_numbered_if_new(tx, BILL_READINGS, tx.core.numbers, HOUSE_SLOT, row)


def _reading_of(tx: Tx, bill: AnyRow) -> AnyRow:
    return tx.execute(select(*_r).where(*(_r[key] == getattr(bill, key) for key in _KEYS))).one()


def _write(tx: Tx, *, reading: AnyRow, done: int, lines: Sequence[BillLine]) -> None:
    """One batch. Raises _ReadElsewhere if the reading is not where this process left it."""
    _move(tx, reading, done, lines=done + len(lines))
    rows = [_row(reading, position, line) for position, line in enumerate(lines, start=done + 1)]
    tx.execute(insert(BILL_LINES), rows)


def _row(reading: AnyRow, position: int, line: BillLine) -> dict[str, Any]:
    told = {name: getattr(line, name) for name in _LINE_FIELDS}
    cut = {name: storable_text(told[name], most) for name, most in LONGEST_LINE_TEXT.items() if told[name]}
    place = {"provider_account": reading.provider_account, "reading_id": reading.id, "position": position}
    cell = None if line.cell is None else asdict(line.cell)
    return {**place, **told, **cut, "kind": line.kind.value, "cell": cell}


_LINE_FIELDS = tuple(column.name for column in _l if column.name not in ("provider_account", "reading_id", "position"))


def _finish(tx: Tx, *, reading: AnyRow, bill: AnyRow, done: int) -> None:
    """The lines count from now on; those of an earlier version of the document do not. Of two versions that are read
    out of order the one that was fetched later counts."""
    others = and_(
        _r.provider_account == bill.provider_account, _r.feed == bill.feed, _r.name == bill.name, _r.id != reading.id
    )
    later = select(_r.id).join_from(BILL_READINGS, BILLS, _DOCUMENT).where(others, _r.status == ReadingStatus.READ)
    is_old = tx.execute(later.where(_b.fetched_at > bill.fetched_at).limit(1)).first() is not None
    if not is_old:
        tx.execute(
            update(BILL_READINGS)
            .where(others, _r.status.in_((ReadingStatus.READ, ReadingStatus.REFUSED)))
            .values(status=ReadingStatus.REPLACED)
        )
    _move(
        tx,
        reading,
        done,
        status=ReadingStatus.REPLACED if is_old else ReadingStatus.READ,
        read_at=tx.now,
        match_at=None if is_old else tx.now,
    )


def _move(tx: Tx, reading: AnyRow, done: int, **values: Any) -> None:
    own = (_r.provider_account == reading.provider_account, _r.id == reading.id)
    step = (
        update(BILL_READINGS)
        .where(*own, _r.status == ReadingStatus.READING, _r.lines == done)
        .values(**values)
        .returning(_r.id)
    )
    if tx.execute(step).first() is None:
        raise _ReadElsewhere


def _refuse(tx: Tx, *, account: ProviderAccount, bill: AnyRow, problem: str) -> bool:
    provider, problem = account.provider, storable_text(problem, LONGEST_BILL_PROBLEM)
    side = provider.bill_feeds[bill.feed].value if isinstance(provider, ReadsBills) else "trades"
    _insert_reading(tx, _new_reading(tx, bill, ReadingStatus.REFUSED, side, (bill.since, bill.until), "UTC", problem))
    reading = _reading_of(tx, bill)
    if reading.status == ReadingStatus.READING:  # some of it was read
        tx.execute(delete(BILL_LINES).where(_l.provider_account == account.name, _l.reading_id == reading.id))
        own = (_r.provider_account == account.name, _r.id == reading.id)
        tx.execute(update(BILL_READINGS).where(*own).values(status=ReadingStatus.REFUSED, problem=problem, lines=0))
    tx.once_committed(metrics.BILLS_READ.labels(account.name, ReadingStatus.REFUSED).inc)
    about = {"provider_account": account.name, "feed": bill.feed, "name": bill.name, "error": problem}
    tx.once_committed(_log.error, "bill_refused", **about)
    return True


def _forget(tx: Tx, *, account: str, reading_id: int) -> None:
    """As if the document had not been read yet."""
    tx.execute(delete(BILL_LINES).where(_l.provider_account == account, _l.reading_id == reading_id))
    tx.execute(delete(BILL_READINGS).where(_r.provider_account == account, _r.id == reading_id))


# --- conditions ---


def _of_feeds(feeds: Sequence[tuple[str, str]]) -> ColumnElement[bool]:
    return or_(false(), *[and_(_b.provider_account == account, _b.feed == feed) for account, feed in feeds])


def _is_unread() -> ColumnElement[bool]:
    return ~select(_r.id).where(_DOCUMENT, _r.status != ReadingStatus.READING).exists()


def _of_reading() -> ColumnElement[bool]:
    return and_(_l.provider_account == _r.provider_account, _l.reading_id == _r.id)
