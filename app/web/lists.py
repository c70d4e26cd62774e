"""How every list is answered: a page as JSON with the cursor of the next one, or everything from the cursor on as CSV.

A cursor is a place in its list, as text that only this module reads. A CSV file is sent while it is read: a page of
rows is in memory at a time, each page is a statement of its own, and between two pages no connection to the database
is held, however slowly the file is taken. The number of files at a time is limited, for each keeps a thread busy.
"""

from __future__ import annotations

import hashlib
import json
import threading
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import attrgetter, itemgetter
from typing import Any, TypeVar

import structlog
from flask import Response, request

from app.domain.csv_text import csv_line
from app.domain.ledger import microseconds
from app.domain.numbers import MAX_NUMBER
from app.services.base.errors import DatabaseUnavailable, DomainError, NotACursor
from app.services.base.list_pages import ListPage, ListPlace
from app.web.access import caller
from app.web.schemas import ListQuery

ROWS_AT_ONCE = 1000
"""So many rows of a CSV file are read, and in memory, at a time."""
MOST_DOWNLOADS = 2
"""CSV files that one process sends to the app's backend at the same time. It has eight threads, and a reader may take
its time."""
MOST_DOWNLOADS_OF_USERS = 1
"""CSV files that one process sends to users at the same time: slow ones must not take the places of the backend."""
MOMENT = microseconds(datetime(9999, 12, 31, tzinfo=UTC))
NUMBER = MAX_NUMBER
UUID = 2**128 - 1
"""The largest of each kind of number that a place is made of."""
SUBJECT_DIGITS = 12
"""Hexadecimal digits that tell one account's lists from another's."""
FORMATS = ("application/json", "text/csv")
_TAKES_JSON = frozenset({"", "*/*", FORMATS[0]})
CSV_EXAMPLE = "number,user,status\r\n252286601203298479,alice,paid\r\n"
CSV_RESPONSE: Any = {200: {"content": {"text/csv": {"schema": {"type": "string"}, "example": CSV_EXAMPLE}}}}
"""What the OpenAPI document says of an answer that may be CSV."""
ShownRow = TypeVar("ShownRow")
Read = Callable[[ListPlace | None, int], ListPage[ShownRow]]
_downloads = threading.BoundedSemaphore(MOST_DOWNLOADS)
_downloads_of_users = threading.BoundedSemaphore(MOST_DOWNLOADS_OF_USERS)
_log = structlog.get_logger(__name__)


class TooManyDownloads(DomainError):
    code = "too_many_downloads"
    remembered = False


@dataclass(frozen=True, slots=True)
class ListShape:
    """What a list is called, what its places are made of, and the columns of its CSV file."""

    name: str
    """In its cursors, and of its file: lists that are in different orders have different names."""
    member: str
    """In the JSON answer."""
    place: tuple[int, ...]
    """The largest value of each number in a place."""
    columns: tuple[str, ...]
    subject: tuple[str, ...] = ()
    """What the list is about, where a place means something else in a list about another thing."""

    def about(self, *subject: str) -> ListShape:
        """The list of one account: its places are the account's own versions."""
        return ListShape(self.name, self.member, self.place, self.columns, subject)

    def _title(self) -> str:
        """The list's name in its cursors. The subject is hashed here, since most answers have no cursor."""
        if not self.subject:
            return self.name
        return f"{self.name}:{hashlib.sha256(json.dumps(self.subject).encode()).hexdigest()[:SUBJECT_DIGITS]}"

    def cursor(self, place: ListPlace) -> str:
        content = json.dumps([self._title(), *place], separators=(",", ":"))
        return urlsafe_b64encode(content.encode()).rstrip(b"=").decode()

    def place_of(self, cursor: str, field: str = "cursor") -> ListPlace:
        """Raises NotACursor for a text that this list never gave."""
        try:
            name, *place = json.loads(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        except (ValueError, TypeError, RecursionError):
            name, place = None, []
        fits = [type(part) is int and 0 <= part <= most for part, most in zip(place, self.place, strict=False)]
        if name != self._title() or len(place) != len(self.place) or not all(fits):
            raise NotACursor(field=field)
        return tuple(place)


def list_answer(
    shape: ListShape,
    query: ListQuery,
    read: Read[ShownRow],
    shown: Callable[[ShownRow], Any] | None = None,
    *,
    in_table: Callable[[ShownRow], Any] | None = None,
    place: ListPlace | None = None,
) -> Any:
    """A page of the list, or its CSV file. `shown` is an entry as JSON has it, if that is not the row; `in_table` has
    the columns of the file, as names of a dictionary or as fields, where that is something else. A file calls them, and
    `read`, after the request. `place` is where the answer begins if there is no cursor."""
    if query.cursor is not None:
        place = shape.place_of(query.cursor)
    if query.format == "csv" or (query.format is None and _prefers_csv()):
        return csv_answer(shape, place, read, in_table or shown)
    page = read(place, query.limit)
    return {
        shape.member: page.rows if shown is None else [shown(row) for row in page.rows],
        "next": None if page.next is None else shape.cursor(page.next),
        "missing_databases": page.missing,  # only lists of all users show it
    }


def _prefers_csv() -> bool:
    """What the header `Accept` says. Nearly every client sends one of those that need no parser, or none."""
    if request.environ.get("HTTP_ACCEPT", "") in _TAKES_JSON:
        return False
    return request.accept_mimetypes.best_match(FORMATS) == FORMATS[1]


def csv_answer(
    shape: ListShape, place: ListPlace | None, read: Read[ShownRow], entry: Callable[[ShownRow], Any] | None
) -> Response:
    """Everything from that place on. What goes wrong before the first line is sent is an error like any other; a file
    that cannot be read to its end is cut off, which a reader of HTTP notices. Raises TooManyDownloads."""
    permit = download_permit(for_user=caller().user_id is not None)
    try:
        first = _whole_page(read, place)
    except BaseException:
        permit.give_back()
        raise
    response = Response(_lines(shape, first, read, entry, permit), content_type="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="{shape.name}.csv"'
    response.call_on_close(permit.give_back)  # also where nobody took the first line
    return response


def _whole_page(read: Read[ShownRow], place: ListPlace | None) -> ListPage[ShownRow]:
    """A file has no place to say that something is missing. Raises DatabaseUnavailable."""
    page = read(place, ROWS_AT_ONCE)
    for name in page.missing:
        raise DatabaseUnavailable(f"The database {name!r} does not answer.")
    return page


def download_permit(*, for_user: bool = False) -> DownloadPermit:
    """A place for one file that is being sent, until the permit is given back. Raises TooManyDownloads."""
    downloads = _downloads_of_users if for_user else _downloads
    if not downloads.acquire(blocking=False):
        raise TooManyDownloads
    return DownloadPermit(downloads)


class DownloadPermit:
    """One of the downloads. Giving it back twice is harmless: a file may end, and then be closed."""

    def __init__(self, downloads: threading.BoundedSemaphore) -> None:
        self._downloads: threading.BoundedSemaphore | None = downloads
        self._lock = threading.Lock()

    def give_back(self) -> None:
        with self._lock:
            downloads, self._downloads = self._downloads, None
        if downloads is not None:
            downloads.release()


def _lines(
    shape: ListShape,
    page: ListPage[ShownRow],
    read: Read[ShownRow],
    entry: Callable[[ShownRow], Any] | None,
    permit: DownloadPermit,
) -> Iterator[str]:
    by_name, by_field = itemgetter(*shape.columns), attrgetter(*shape.columns)
    try:
        yield csv_line(shape.columns)
        while True:
            entries = page.rows if entry is None else map(entry, page.rows)
            yield "".join([csv_line(by_name(one) if isinstance(one, dict) else by_field(one)) for one in entries])
            if page.next is None:
                return
            page = _whole_page(read, page.next)
    except Exception as error:
        _log.error("csv_cut_off", file=shape.name, error=type(error).__name__, exc_info=error)
        raise
    finally:
        permit.give_back()
