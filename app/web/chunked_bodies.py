"""Bodies that come in chunks become bodies of a known length before the application sees them.

A server reads chunks while the application reads the body, so an error in the middle of them would come up wherever
that happens to be. Here there is one place for it, and one answer: 400.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import structlog

from app.web.errors import outside_application
from app.web.request_log import request_record

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_NOT_READABLE = outside_application("bad_request")
_log = structlog.get_logger(__name__)


class ChunkedBodies:
    """Reads a chunked body as a whole, up to one byte more than is allowed: who counts then finds it too large."""

    def __init__(self, application: WSGIApplication, largest: int) -> None:
        self._application, self._largest = application, largest

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if "HTTP_TRANSFER_ENCODING" in environ:
            try:
                body = environ["wsgi.input"].read(self._largest + 1)
            except Exception as error:  # whatever the server raises: the bytes are the sender's
                request_record().has_line = True
                _log.warning("body_not_readable", path=environ.get("PATH_INFO", ""), error=type(error).__name__)
                return _NOT_READABLE(environ, start_response)
            _replace_body(environ, body)
        return self._application(environ, start_response)


def _replace_body(environ: dict[str, Any], body: bytes) -> None:
    del environ["HTTP_TRANSFER_ENCODING"]
    environ["CONTENT_LENGTH"] = str(len(body))
    environ["wsgi.input"] = io.BytesIO(body)
