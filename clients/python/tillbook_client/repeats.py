"""Sends a request again, with its Idempotency-Key, while no answer or no decision came back.

Tillbook does a request with a key once, however often it comes: so what is unknown is asked again, not given up.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import httpx

KEY = "Idempotency-Key"
_SAFE = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
_NOT_DECIDED = frozenset({429, 503})
"""Nothing was decided: the request is welcome again, later."""


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
        told = response.headers.get("Retry-After", "") if response is not None else ""
        if told.isdecimal():
            return float(told) if float(told) <= self.longest_wait else None
        longest = min(self.longest_wait, self.first_wait * 2.0 ** (attempt - 1))
        return longest * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, keeps no secret


def may_be_repeated(request: httpx.Request) -> bool:
    """Whether doing the request twice is doing it once."""
    return request.method in _SAFE or KEY in request.headers


class RepeatingTransport(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """For httpx: repeats after a timeout, a broken connection, 429 and 503. Works in both kinds of httpx clients."""

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
            except httpx.TransportError as failed:
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
            except httpx.TransportError as failed:
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
        error: httpx.TransportError | None,
    ) -> float | None:
        if response is not None and response.status_code not in _NOT_DECIDED:
            return None
        if error is not None and not may_be_repeated(request):
            return None
        return self._repeats.wait_after(attempt, response)

    def close(self) -> None:
        self._inner.close()

    async def aclose(self) -> None:
        await self._async_inner.aclose()


def _given(response: httpx.Response | None, error: httpx.TransportError | None) -> httpx.Response:
    if response is None:
        raise error or httpx.TransportError("no answer")
    return response
