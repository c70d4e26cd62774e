"""Hand-written stand-ins for the tools that the core hands to a plugin."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from werkzeug.test import Client

from app.providers.client_certificate import ClientCertificate
from app.providers.errors import Retryable, Unknown
from app.providers.http import MAX_RESPONSE_BYTES, HttpClient, HttpResponse, begin_request
from app.providers.tools import KeyStore, StoredKey, Tools

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

CERTIFICATE_SHOWN = "SSL_CLIENT_CERT"
"""Where web servers put the client's certificate (PEM) for a WSGI application."""


class FixedClock:
    """A clock that moves only when told to."""

    def __init__(self, now: datetime = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)) -> None:
        self._now = now

    def now(self) -> datetime:
        return self._now

    def advance(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)


class MemoryKeys:
    """A key store that forgets everything at the end."""

    def __init__(self) -> None:
        self._keys: dict[str, StoredKey] = {}

    def get(self, name: str) -> StoredKey | None:
        return self._keys.get(name)

    def all(self) -> tuple[StoredKey, ...]:
        return tuple(self._keys.values())

    def put(self, key: StoredKey) -> None:
        self._keys[key.name] = key


class NoNetwork:
    """Fails the test that makes a request where none is allowed."""

    def request(self, method: str, url: str, **_: object) -> HttpResponse:
        raise AssertionError(f"a network call where none is allowed: {method} {urlsplit(url).netloc}")


class WsgiClient:
    """Sends requests straight into a WSGI application (a simulator), whatever host the URL names.

    There is no TLS in it: a client certificate arrives in the WSGI environment, as if a front server had checked it.
    """

    def __init__(self, application: WSGIApplication) -> None:
        self._client = Client(application)
        self.requests: list[tuple[str, str, bytes]] = []

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
        begin_request()
        self.requests.append((method, url, body))
        parts = urlsplit(url)
        answer = self._client.open(
            parts.path or "/",
            method=method,
            base_url=f"{parts.scheme}://{parts.netloc}",
            query_string=parts.query,
            headers=dict(headers or {}),
            data=body,
            environ_overrides={CERTIFICATE_SHOWN: certificate.chain} if certificate else {},
        )
        if len(answer.data) > max_bytes:
            raise Unknown(f"the answer is larger than {max_bytes} bytes")
        return HttpResponse(answer.status_code, {k.lower(): v for k, v in answer.headers.items()}, answer.data)


class BrokenHttp:
    """Wraps a client and spoils its exchanges: `refused`, `timeout` (nothing done), `timeout_after` (done, answer
    lost), `garbage`, `empty`, `html`, `html404` (a proxy that knows no such page), `json404` (a
    gateway that has no such route), `error401` (a gateway that
    refuses us, and quotes our request), `error500`. `calls` counts what was tried."""

    def __init__(self, inner: HttpClient, fault: str) -> None:
        self._inner = inner
        self.fault = fault
        self.calls = 0

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
        self.calls += 1
        if self.fault == "refused":
            raise Retryable("no connection: NewConnectionError")
        if self.fault == "timeout":
            raise Unknown("no answer: ReadTimeout")
        answer = self._inner.request(
            method, url, headers=headers, body=body, max_bytes=max_bytes, certificate=certificate
        )
        if self.fault == "timeout_after":
            raise Unknown("no answer: ReadTimeout")
        spoilt = {
            "garbage": HttpResponse(200, {"content-type": "application/octet-stream"}, b"\x00\xff{\x01garbage"),
            "empty": HttpResponse(200, {}, b""),
            "html": HttpResponse(200, {"content-type": "text/html"}, b"<html><body>502 Bad Gateway</body></html>"),
            "html404": HttpResponse(404, {"content-type": "text/html"}, b"<html><body>404 Not Found</body></html>"),
            "json404": HttpResponse(404, {"content-type": "application/json"}, b'{"message":"no route matched"}'),
            "error401": HttpResponse(401, {"content-type": "application/json"}, _quoting(headers, body)),
            "error500": HttpResponse(500, {"content-type": "application/json"}, b'{"error":"internal"}'),
        }
        return spoilt.get(self.fault, answer)


def _quoting(headers: Mapping[str, str] | None, body: bytes) -> bytes:
    """A refusal as gateways write it, who repeat the credentials that they did not like."""
    request = {"headers": dict(headers or {}), "body": body.decode("latin-1")}
    return json.dumps({"error": "unauthorized", "request": request}).encode()


class RewritingHttp:
    """Passes requests on and changes the answers: for impostors, whose words are right and whose signature is not."""

    def __init__(self, inner: HttpClient, change: Callable[[HttpResponse], HttpResponse]) -> None:
        self._inner, self._change = inner, change

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
        return self._change(
            self._inner.request(method, url, headers=headers, body=body, max_bytes=max_bytes, certificate=certificate)
        )


def tools(http: HttpClient | None = None, *, clock: FixedClock | None = None, keys: KeyStore | None = None) -> Tools:
    """Tools for a plugin under test: no network unless given, a fixed clock, an empty key store, sandbox."""
    return Tools(http=http or NoNetwork(), clock=clock or FixedClock(), keys=keys or MemoryKeys(), live=False)
