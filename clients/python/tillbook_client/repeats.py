"""Sends a request again, with its Idempotency-Key, while no answer or no decision came back.

Tillbook does a request with a key once, however often it comes: so what is unknown is asked again, not given up.
"""

from __future__ import annotations

import asyncio
import email.utils
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import httpx

from tillbook_client.answers import UNEXPECTED, Refused, is_of_tillbook

KEY = "Idempotency-Key"
_SAFE = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
_NOT_DECIDED = frozenset({429, 503})
"""Nothing was decided: the request is welcome again, later."""
_BROKEN = (httpx.TransportError, httpx.DecodingError)
"""No answer, or half of one."""


@dataclass(frozen=True, slots=True)
class Repeats:
    """How often and how patiently a request is sent again."""

    attempts: int = 4
    """The first one included."""
    first_wait: float = 0.5
    """Seconds; doubled with each attempt. An answer with Retry-After says its own."""
    longest_wait: float = 30.0
    """Seconds. An answer that says to wait longer is handed to the caller."""

    def wait_after(self, attempt: int, response: httpx.Response | None) -> float | None:
        """Seconds to wait after this attempt, counted from 1; None: no further one."""
        if attempt >= self.attempts:
            return None
        told = _told_wait(response.headers.get("Retry-After", "")) if response is not None else None
        if told is not None:
            return told if told <= self.longest_wait else None
        longest = min(self.longest_wait, self.first_wait * 2.0 ** (attempt - 1))
        return longest * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, keeps no secret


def _told_wait(text: str) -> float | None:
    """Seconds, from a number of them or from a moment; None for any other text."""
    if text.isascii() and text.isdecimal():
        return float(text)
    try:
        until = email.utils.parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return max(0.0, until.timestamp() - time.time())


def may_be_repeated(request: httpx.Request) -> bool:
    """Whether doing the request twice is doing it once."""
    return request.method in _SAFE or KEY in request.headers


class RepeatingTransport(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """For httpx: repeats after a timeout, a broken connection, half an answer, 429 and 503, and after a proxy's 5xx.
    Works in both kinds of httpx clients. Raises Refused for what is no answer of Tillbook's."""

    def __init__(
        self,
        repeats: Repeats,
        *,
        inner: httpx.BaseTransport | None = None,
        async_inner: httpx.AsyncBaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
        async_sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._repeats = repeats
        self._inner = inner or httpx.HTTPTransport()
        self._async_inner = async_inner or httpx.AsyncHTTPTransport()
        self._sleep, self._async_sleep = sleep, async_sleep

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.read()
        attempt = 1
        while True:
            response, error = None, None
            try:
                response = self._inner.handle_request(request)
                if not _is_table(response):
                    response.read()
            except _BROKEN as failed:
                error = failed
            wait = self._wait(request, attempt, response, error)
            if wait is None:
                return _given(response, error)
            if response is not None:
                response.close()
            self._sleep(wait)
            attempt += 1

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        attempt = 1
        while True:
            response, error = None, None
            try:
                response = await self._async_inner.handle_async_request(request)
                if not _is_table(response):
                    await response.aread()
            except _BROKEN as failed:
                error = failed
            wait = self._wait(request, attempt, response, error)
            if wait is None:
                return _given(response, error)
            if response is not None:
                await response.aclose()
            await self._async_sleep(wait)
            attempt += 1

    def _wait(
        self,
        request: httpx.Request,
        attempt: int,
        response: httpx.Response | None,
        error: httpx.RequestError | None,
    ) -> float | None:
        """Seconds until the request is sent again; None: what came is handed on."""
        if response is not None and error is None and _is_of_tillbook(response):
            repeated = response.status_code in _NOT_DECIDED
        elif response is None or error is not None:
            repeated = may_be_repeated(request)
        else:  # a proxy's word: it does not know whether the service has done it
            is_unknown = response.status_code >= 500 or response.status_code in _NOT_DECIDED or _is_half(response)
            repeated = is_unknown and may_be_repeated(request)
        return self._repeats.wait_after(attempt, response) if repeated else None

    def close(self) -> None:
        self._inner.close()

    async def aclose(self) -> None:
        await self._async_inner.aclose()


def _is_table(response: httpx.Response) -> bool:
    """A CSV file is read by whoever wants it, as it comes."""
    return _kind(response).startswith("text/csv")


def _is_of_tillbook(response: httpx.Response) -> bool:
    content = b"" if _is_table(response) else response.content
    return is_of_tillbook(response.status_code, _kind(response), content)


def _is_half(response: httpx.Response) -> bool:
    """A document of the service that was cut off."""
    return 200 <= response.status_code < 300 and _kind(response).startswith("application/json")


def _kind(response: httpx.Response) -> str:
    content_type: str = response.headers.get("Content-Type", "")
    return content_type


def _given(response: httpx.Response | None, error: httpx.RequestError | None) -> httpx.Response:
    """What the caller gets. Raises Refused for an answer that is none of Tillbook's, whole or in part."""
    if response is None:
        raise error or httpx.TransportError("no answer")
    if error is not None or not _is_of_tillbook(response):
        raise Refused(response.status_code, UNEXPECTED, None) from error
    return response
