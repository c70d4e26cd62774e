"""Sends one message to an endpoint over HTTP: bounded in time and size, without redirects, to public addresses only.

The name in the URL is resolved for each connection, the addresses are checked, and the connection goes to a checked
address: a name that leads elsewhere at a second look leads nowhere (DNS rebinding). Nothing of the environment takes
part: no proxy, no .netrc, no cookies.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import certifi
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, Timeout
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError, MaxRetryError
from urllib3.response import BaseHTTPResponse

from app.domain.endpoints import PushRules, checked_url
from app.domain.public_addresses import is_public

ENDPOINT_CONNECT_SECONDS = 5.0
ATTEMPT_SECONDS = 15.0
"""A whole attempt: connection, request and the head of the answer."""
ANSWER_SECONDS = 2.0
"""For the body of an answer, of which only the beginning is kept."""
KEPT_OF_ANSWER = 1024
"""Bytes of an answer's body that are read and kept."""
_USER_AGENT = "Tillbook"


class NotPublic(OSError):
    """The name leads to no address on the public internet."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """How one attempt ended. `status` is None if there was no answer; `problem` says why."""

    status: int | None
    latency_ms: int
    answer: bytes
    problem: str
    retry_after: str = ""
    """The header field of that name."""


class EndpointClient:
    """Connections to one endpoint, kept open until `close`. Safe to share between threads."""

    def __init__(
        self,
        url: str,
        rules: PushRules,
        most: int,
        *,
        attempt_seconds: float = ATTEMPT_SECONDS,
        answer_seconds: float = ANSWER_SECONDS,
    ) -> None:
        """`most`: connections that are kept. Raises ValueError for a URL that no endpoint may have."""
        self._attempt_seconds, self._answer_seconds = attempt_seconds, answer_seconds
        parts = urlsplit(checked_url(url, allow_private=rules.allow_private))
        self._target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        host = parts.hostname or ""
        if parts.scheme == "https":
            context = ssl.create_default_context(cafile=rules.ca_file or certifi.where())
            context.sslsocket_class = _TimedTlsSocket
            pool: HTTPConnectionPool = HTTPSConnectionPool(host, parts.port or 443, maxsize=most, ssl_context=context)
            pool.ConnectionCls = _PrivateTlsConnection if rules.allow_private else _TlsConnection
        else:
            pool = HTTPConnectionPool(host, parts.port or 80, maxsize=most)
            pool.ConnectionCls = _PrivateConnection
        self._pool = pool

    def post(self, headers: Mapping[str, str], body: bytes) -> Attempt:
        """One attempt. Never raises: whatever goes wrong is a word about the attempt."""
        started = time.monotonic()

        def attempt(status: int | None, answer: bytes, problem: str, retry_after: str = "") -> Attempt:
            return Attempt(status, round((time.monotonic() - started) * 1000), answer, problem, retry_after)

        try:
            with _within(self._attempt_seconds):
                response = self._pool.urlopen(
                    "POST",
                    self._target,
                    body=body,
                    headers={"Content-Type": "application/json", "User-Agent": _USER_AGENT, **headers},
                    retries=False,
                    redirect=False,
                    timeout=Timeout(connect=ENDPOINT_CONNECT_SECONDS, read=self._attempt_seconds),
                    preload_content=False,
                    decode_content=False,
                )
        except (HTTPError, OSError, ValueError) as error:
            return attempt(None, b"", _words(error))
        with _within(self._answer_seconds):
            answer = _beginning(response)
        problem = "" if 200 <= response.status < 300 else f"HTTP {response.status}"
        return attempt(response.status, answer, problem, response.headers.get("Retry-After", ""))

    def close(self) -> None:
        self._pool.close()


def _beginning(response: BaseHTTPResponse) -> bytes:
    """The first bytes of the body; what was read until then, if it breaks off. The status has been said already."""
    content = bytearray()
    # An answer that breaks off has said its status all the same.
    with contextlib.suppress(HTTPError, OSError, ValueError):
        while len(content) <= KEPT_OF_ANSWER:
            part = response.read1(KEPT_OF_ANSWER + 1)
            if not part:
                response.release_conn()
                return bytes(content)
            content += part
    response.close()
    return bytes(content[:KEPT_OF_ANSWER])


def _words(error: BaseException) -> str:
    """What went wrong, for people. Library texts name addresses and objects, so only kinds and our own words are
    told."""
    if isinstance(error, MaxRetryError) and error.reason is not None:
        error = error.reason
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, NotPublic | ssl.SSLCertVerificationError):
            return str(seen) if isinstance(seen, NotPublic) else f"the certificate: {seen.verify_message}"
        if isinstance(seen, socket.gaierror):
            return "the name leads to no address"
        seen = seen.__cause__ or seen.__context__
    return f"no answer: {type(error).__name__}"


# --- connections ---

_ends = threading.local()


@contextlib.contextmanager
def _within(seconds: float) -> Iterator[None]:
    """Bound all that this thread does on its sockets inside to that many seconds together."""
    _ends.at = time.monotonic() + seconds
    try:
        yield
    finally:
        _ends.at = None


def _seconds_left(most: float) -> float:
    """Raises TimeoutError if none are left."""
    ends: float | None = getattr(_ends, "at", None)
    left = most if ends is None else min(most, ends - time.monotonic())
    if left <= 0:
        raise TimeoutError("the time for the attempt is over")
    return left


class _TimedSocket(socket.socket):
    """A socket whose every operation ends with the attempt's time, so that a dripping server holds nobody."""

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        self.settimeout(_seconds_left(ATTEMPT_SECONDS))
        return super().recv_into(*args, **kwargs)

    def sendall(self, *args: Any, **kwargs: Any) -> None:
        self.settimeout(_seconds_left(ATTEMPT_SECONDS))
        super().sendall(*args, **kwargs)


class _TimedTlsSocket(ssl.SSLSocket):
    """A socket with TLS, bounded as a plain one is."""

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        self.settimeout(_seconds_left(ATTEMPT_SECONDS))
        return super().recv_into(*args, **kwargs)

    def sendall(self, *args: Any, **kwargs: Any) -> None:
        self.settimeout(_seconds_left(ATTEMPT_SECONDS))
        super().sendall(*args, **kwargs)


def _connected(host: str, port: int, *, allow_private: bool) -> socket.socket:
    """A connection to one of the addresses of that name. Raises OSError, NotPublic."""
    found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
    allowed = [each for each in found if allow_private or is_public(str(each[4][0]))]
    if not allowed:
        raise NotPublic("the name leads to no address on the public internet")
    problem: OSError = NotPublic("no address")
    for family, kind, protocol, _, address in allowed:
        left = _seconds_left(ENDPOINT_CONNECT_SECONDS)
        connection = _TimedSocket(family, kind, protocol)
        try:
            connection.settimeout(left)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.connect(address)
        except OSError as error:
            connection.close()
            problem = error
            continue
        return connection
    raise problem


class _PrivateConnection(HTTPConnection):
    """Plain http is for private networks only."""

    def _new_conn(self) -> socket.socket:
        return _connected(self.host, self.port or 80, allow_private=True)


class _TlsConnection(HTTPSConnection):
    def _new_conn(self) -> socket.socket:
        return _connected(self.host, self.port or 443, allow_private=False)


class _PrivateTlsConnection(HTTPSConnection):
    def _new_conn(self) -> socket.socket:
        return _connected(self.host, self.port or 443, allow_private=True)
