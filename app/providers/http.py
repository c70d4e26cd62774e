"""The HTTP client that plugins are handed: bounded in time and size, pooled, without redirects or retries, and mute.

It logs method, host, path, status and milliseconds; never a query string, a header or a body, since those carry
signatures, tokens and people.
"""

from __future__ import annotations

import contextlib
import contextvars
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

import requests
import structlog
from urllib3.exceptions import ConnectTimeoutError, MaxRetryError, NameResolutionError, NewConnectionError

from app.providers.client_certificate import CertifiedAdapter, ClientCertificate
from app.providers.errors import Retryable, Unknown

CONNECT_SECONDS = 3.05
READ_SECONDS = 10.0
MAX_RESPONSE_BYTES = 4 * 1024 * 1024
MAX_DOWNLOAD_BYTES = 256 * 1024 * 1024
HTTP_POOL_SIZE = 16
_CHUNK = 64 * 1024
_NEVER_SENT = (ConnectTimeoutError, NewConnectionError, NameResolutionError)

_deadline: contextvars.ContextVar[Deadline | None] = contextvars.ContextVar("http_deadline", default=None)
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class HttpResponse:
    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes


class HttpClient(Protocol):
    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        max_bytes: int = MAX_RESPONSE_BYTES,
        certificate: ClientCertificate | None = None,
    ) -> HttpResponse:
        """One exchange; any status is an answer. Raises Retryable if nothing was sent, Unknown if it may have been.

        `certificate` is shown to a server that asks who we are. Raises Misconfigured if it cannot be used.
        """


@dataclass(slots=True)
class Deadline:
    """Until when requests may take, and how many were begun."""

    ends: float
    requests: int = 0


@contextlib.contextmanager
def deadline(seconds: float) -> Iterator[Deadline]:
    """Bound all requests inside to that many seconds together; inside another deadline, the earlier one holds."""
    ends = time.monotonic() + seconds
    outer = _deadline.get()
    bounds = Deadline(ends if outer is None else min(ends, outer.ends))
    token = _deadline.set(bounds)
    try:
        yield bounds
    finally:
        _deadline.reset(token)


def begin_request() -> float:
    """Every client calls this before a request: it is counted. How many seconds it may take. Raises Retryable."""
    bounds = _deadline.get()
    if bounds is None:
        return READ_SECONDS
    left = bounds.ends - time.monotonic()
    if left <= 0:
        raise Retryable("no time left for another request")
    bounds.requests += 1
    return min(left, READ_SECONDS)


class RequestsClient:
    """The client used in production. One per provider account; safe to share between threads."""

    def __init__(self, *, ca_file: str = "") -> None:
        """`ca_file`: certificate authorities to trust in place of the public ones, as a PEM file."""
        self._ca_file = ca_file
        self._sessions: dict[ClientCertificate | None, requests.Session] = {None: self._new_session(None)}
        self._lock = threading.Lock()

    def _new_session(self, certificate: ClientCertificate | None) -> requests.Session:
        session = requests.Session()
        session.trust_env = False  # no .netrc: it would add an Authorization header of its own
        session.verify = self._ca_file or True
        adapter = CertifiedAdapter(certificate, HTTP_POOL_SIZE)
        session.mount("https://", adapter)
        session.mount("http://", adapter)
        return session

    def _session(self, certificate: ClientCertificate | None) -> requests.Session:
        """One for each certificate, since a connection made with one must never serve a call made without it."""
        with self._lock:
            if certificate not in self._sessions:
                self._sessions[certificate] = self._new_session(certificate)
            return self._sessions[certificate]

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        max_bytes: int = MAX_RESPONSE_BYTES,
        certificate: ClientCertificate | None = None,
    ) -> HttpResponse:
        session = self._session(certificate)
        left = begin_request()
        started = time.monotonic()
        status: int | str = "no answer"
        try:
            response = _exchange(session, method, url, headers or {}, body, max_bytes, left)
            status = response.status
            return response
        finally:
            parts = urlsplit(url)
            spent = round((time.monotonic() - started) * 1000)
            _log.info("provider_http", method=method, host=parts.netloc, path=parts.path, status=status, ms=spent)


def _exchange(
    session: requests.Session,
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    max_bytes: int,
    left: float,
) -> HttpResponse:
    ends = time.monotonic() + left
    try:
        with session.request(
            method,
            url,
            headers=dict(headers),
            data=body,
            timeout=(min(CONNECT_SECONDS, left), left),
            allow_redirects=False,
            stream=True,
        ) as response:
            content = _read(response, max_bytes, ends)
    except requests.RequestException as error:
        raise _classified(error) from None
    return HttpResponse(response.status_code, {k.lower(): v for k, v in response.headers.items()}, content)


def _read(response: requests.Response, max_bytes: int, ends: float) -> bytes:
    """The body, as long as it is neither too large nor dripping past the deadline."""
    content = bytearray()
    for chunk in response.iter_content(_CHUNK):
        content += chunk
        if len(content) > max_bytes:
            raise Unknown(f"the answer is larger than {max_bytes} bytes")
        if time.monotonic() > ends:
            raise Unknown("the answer took too long")
    return bytes(content)


def _classified(error: requests.RequestException) -> Retryable | Unknown:
    """Nothing was sent (Retryable), or something may have been (Unknown). The texts name no URL: it carries a query."""
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return Retryable(f"no connection: {type(error).__name__}")
    inner = error.args[0] if error.args else None
    if isinstance(inner, MaxRetryError) and isinstance(inner.reason, _NEVER_SENT):
        return Retryable(f"no connection: {type(inner.reason).__name__}")
    return Unknown(f"no answer: {type(error).__name__}")
