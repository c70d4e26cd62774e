"""Pages of lists: rows in a fixed order, and the place where the next page begins.

A place is made of the columns that the list is ordered by, not of a count of rows: what is written while somebody reads
page by page makes no row come twice and hides none.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from heapq import merge
from itertools import groupby
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, Select, bindparam, select, tuple_, union_all

from app.domain.ledger import microseconds, moment_of
from app.models.base import Moment
from app.services.base.context import Core, Tx

ListPlace = tuple[int, ...]
"""Where a row stands in its list: the numbers that the list is ordered by; of a moment, its microseconds."""
PageRow = TypeVar("PageRow")


@dataclass(frozen=True, slots=True)
class ListPage(Generic[PageRow]):
    """A part of a list. `next` is the place of its last row; None where the list ends. `missing` names the databases
    that do not answer: their rows are not in it."""

    rows: Sequence[PageRow]
    next: ListPlace | None
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TimeSpan:
    """From `since` on, and before `until`. None: no bound."""

    since: datetime | None = None
    until: datetime | None = None

    def bounds(self) -> SpanBounds:
        return self.since is not None, self.until is not None

    def values(self) -> dict[str, datetime | None]:
        return {"since": self.since, "until": self.until}


SpanBounds = tuple[bool, bool]
"""Whether a time span has a beginning, and whether it has an end."""


def within(column: ColumnElement[datetime], bounds: SpanBounds) -> list[ColumnElement[bool]]:
    """That a moment lies in a time span with these bounds; the statement's values are the span's."""
    since, until = bounds
    conditions = [column >= bindparam("since", type_=Moment)] if since else []
    return [*conditions, column < bindparam("until", type_=Moment)] if until else conditions


def page_of(rows: Sequence[PageRow], most: int, place: Callable[[PageRow], ListPlace]) -> ListPage[PageRow]:
    """The first `most` rows. One row more was read, if there is one: it tells that there is another page."""
    return ListPage(rows[:most], place(rows[most - 1]) if len(rows) > most else None)


def page_everywhere(
    core: Core,
    read: Callable[[Tx], Sequence[PageRow]],
    most: int,
    place: Callable[[PageRow], ListPlace],
    *,
    newest_first: bool = True,
) -> ListPage[PageRow]:
    """A page of a list over all users. `read` gives the first rows of one database, in the order of their places. A row
    that is in two of them, because its slot is on its way, is listed once; none is missed, since rows come to one
    database before they go from the other, and that one is read first."""
    leaving = {core.databases.number_of(slot) for slot in core.databases.frozen}
    places = sorted(core.everywhere(), key=lambda each: each.number not in leaving)
    parts = core.guarded(lambda each: each.alone(read), places=places)
    merged = groupby(merge(*parts.values(), key=place, reverse=newest_first), place)
    rows = next(iter(parts.values())) if len(parts) == 1 else [next(same) for _, same in merged]
    return replace(page_of(rows, most, place), missing=core.names_missing(parts))


def beyond(
    moment: ColumnElement[datetime], number: ColumnElement[Any], *, newest_first: bool = True
) -> ColumnElement[bool]:
    """What stands behind the place `place_moment`, `place_number` in a list by moment and number."""
    here = tuple_(moment, number)
    place = tuple_(bindparam("place_moment", type_=Moment), bindparam("place_number", type_=number.type))
    return here < place if newest_first else here > place


def newest_of(parts: Sequence[Select[Any]]) -> Select[Any]:
    """The newest `most` rows of several lists, by `created_at` and `id`. Each list is read by its index, and no further
    than `most` rows: an index that begins with the status gives no order over all statuses."""
    read = []
    for part in parts:
        columns = part.selected_columns
        read.append(part.order_by(columns.created_at.desc(), columns.id.desc()).limit(bindparam("most")).subquery())
    found = union_all(*map(select, read)).subquery("found")
    return select(found).order_by(found.c.created_at.desc(), found.c.id.desc()).limit(bindparam("most"))


def place_at(moment: datetime, number: int) -> ListPlace:
    """The place of a row in a list by moment and number."""
    return microseconds(moment), number


def values_of(place: ListPlace | None, number_type: Callable[[int], Any] = int) -> dict[str, Any]:
    """The values for `beyond`; none for the first page, whose statement has no such condition."""
    if place is None:
        return {}
    us, number = place
    return {"place_moment": moment_of(us), "place_number": number_type(number)}


def uuid_of_number(number: int) -> uuid.UUID:
    """The UUID that stands in a place as this number."""
    return uuid.UUID(int=number)
