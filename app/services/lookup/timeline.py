"""Everything that happened to an order or an agreement, in order, page by page.

Each source reads its own rows from a moment on, no more of them than a page has; the page is merged from them. The
cursor names the moment of the last entry, and how many entries of that moment were shown.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from app.domain.numbers import slot_of_number
from app.services.agreements import agreement_rows
from app.services.base.context import Core, Tx
from app.services.base.errors import NotACursor, NotFound
from app.services.lookup.agreement_entries import agreement_entries
from app.services.lookup.delivery_entries import tried_deliveries
from app.services.lookup.entries import TimelineEntry
from app.services.lookup.timeline_sources import SOURCES, Window, events_about, subject_of_order

MOST_ENTRIES = 200
"""Entries of one page."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CURSOR = re.compile(r"([0-9]{1,17})-([0-9]{1,4})", re.ASCII)
"""Microseconds since 1970, and how many entries of that moment were shown."""


@dataclass(frozen=True, slots=True)
class TimelinePage:
    entries: list[TimelineEntry]
    cursor: str | None
    """Give it back for the next page; None at the end."""


def timeline(core: Core, order_id: int, *, cursor: str | None = None, limit: int = MOST_ENTRIES) -> TimelinePage:
    """A page of the order's timeline, oldest first. Raises NotFound and NotACursor."""

    def of_order(tx: Tx, window: Window) -> list[TimelineEntry]:
        subject = subject_of_order(tx, slot_of_number(order_id), order_id)
        if subject is None:
            raise NotFound(order=str(order_id))
        found = [entry for source in SOURCES for entry in source(tx, subject, window)]
        return [*found, *tried_deliveries(tx, subject.slot, events_about(tx, subject), window)]

    return _page(core, order_id, of_order, cursor, limit)


def agreement_timeline(
    core: Core, number: int, *, cursor: str | None = None, limit: int = MOST_ENTRIES
) -> TimelinePage:
    """A page of the agreement's timeline, oldest first. Raises NotFound and NotACursor."""

    def of_agreement(tx: Tx, window: Window) -> list[TimelineEntry]:
        row = agreement_rows.find_agreement(tx, number)
        if row is None:
            raise NotFound(agreement=str(number))
        return list(agreement_entries(tx, row, window))

    return _page(core, number, of_agreement, cursor, limit)


def _page(
    core: Core, number: int, read: Callable[[Tx, Window], list[TimelineEntry]], cursor: str | None, limit: int
) -> TimelinePage:
    since, shown = _place(cursor)
    limit = max(1, min(limit, MOST_ENTRIES))

    def work(tx: Tx) -> list[TimelineEntry]:
        # Some entries of the first moment were shown before; one more than a page says whether there is a next.
        found = read(tx, Window(since, shown + limit + 1))
        return sorted((entry for entry in found if entry.at >= since), key=lambda entry: entry.place)

    entries = _without_shown(core.of_number(number).read(work, snapshot=True), since, shown)
    page = entries[:limit]
    return TimelinePage(page, _cursor(page, since, shown) if len(entries) > limit else None)


def _without_shown(entries: Sequence[TimelineEntry], since: datetime, shown: int) -> list[TimelineEntry]:
    there = sum(entry.at == since for entry in entries)
    return list(entries[min(shown, there) :])


def _cursor(page: Sequence[TimelineEntry], since: datetime, shown: int) -> str:
    last = page[-1].at
    count = sum(entry.at == last for entry in page) + (shown if last == since else 0)
    return f"{(last - _EPOCH) // timedelta(microseconds=1)}-{count}"


def _place(cursor: str | None) -> tuple[datetime, int]:
    if cursor is None:
        return _EPOCH, 0
    found = _CURSOR.fullmatch(cursor)
    try:
        if found is not None:
            return _EPOCH + timedelta(microseconds=int(found[1])), int(found[2])
    except OverflowError:
        pass
    raise NotACursor(field="cursor")
