"""Each request has an id, which every log line of it bears, and leaves one line when it is answered. Every answer
leaves with the header fields that all answers bear.

The id is the caller's own (`X-Request-Id`) where that is short and plain, else a new one; the answer bears it, and so
does a problem document. This is the outermost layer, so what is refused before Flask sees it has an id, too.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import structlog
from werkzeug.wsgi import ClosingIterator

from app.web.answer_headers import ANSWER_FIELDS

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from app.web.access import Caller

ID_FIELD = "X-Request-Id"
LONGEST_REQUEST_ID = 128
_PLAIN = re.compile(rf"[A-Za-z0-9._:/+=@-]{{1,{LONGEST_REQUEST_ID}}}", re.ASCII)
_current: ContextVar[RequestRecord | None] = ContextVar("request_record", default=None)
_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class RequestRecord:
    """What is known of a request by and by."""

    id: str
    route: str | None = None
    """The rule that matched, without numbers and names of users."""
    admitted: Caller | None = None
    """Who calls, once that is known; for the pages of operators `caller` alone is."""
    caller: str | None = None
    code: str | None = None
    """Of the problem document that answered it."""
    status: int = 500
    has_line: bool = False
    """Whether a line of another kind tells of its end already."""
    fields: dict[str, str] = field(default_factory=dict)
    """Header fields that its answer bears, whoever makes the answer."""


class RequestLog:
    """The layer around the application."""

    def __init__(self, application: WSGIApplication, *, lines: bool) -> None:
        self._application, self._lines = application, lines

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        given = environ.get("HTTP_X_REQUEST_ID", "")
        found = RequestRecord(given if _PLAIN.fullmatch(given) else os.urandom(16).hex())
        _current.set(found)
        structlog.contextvars.bind_contextvars(request_id=found.id)

        def start(status: str, headers: list[tuple[str, str]], *error: Any) -> Any:
            found.status = int(status[:3])
            rule = getattr(environ.get("werkzeug.request"), "url_rule", None)  # Flask lets go of it after the answer
            found.route = None if rule is None else rule.rule
            said = {*map(str.lower, dict(headers))}
            for name, value in ANSWER_FIELDS:
                if name.lower() not in said:  # a page that says more about itself keeps what it says
                    headers.append((name, value))
            return start_response(status, [*headers, *found.fields.items(), (ID_FIELD, found.id)], *error)

        begun = time.perf_counter()
        try:
            body = self._application(environ, cast("StartResponse", start))
        finally:
            if self._lines and not found.has_line:
                _log.info(
                    "request",
                    method=environ["REQUEST_METHOD"],
                    route=found.route,
                    caller=found.caller,
                    status=found.status,
                    code=found.code,
                    ms=round((time.perf_counter() - begun) * 1000, 1),
                )
        return ClosingIterator(body, _forget)


def _forget() -> None:
    """The thread's next lines are about something else."""
    _current.set(None)
    structlog.contextvars.unbind_contextvars("request_id")


def request_record() -> RequestRecord:
    """The record of the request that this thread serves; one without an id where it serves none (a test of a part)."""
    return _current.get() or RequestRecord("")
