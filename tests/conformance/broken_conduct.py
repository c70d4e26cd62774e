"""Adapters that call, do or give away what they must not: each is the sandbox's provider with one mistake."""

from __future__ import annotations

import contextlib
import logging
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import structlog
from pydantic import BaseModel, ConfigDict

from app.domain.money import Money
from app.providers import (
    ClientCertificate,
    Declined,
    Fact,
    Forged,
    HttpClient,
    HttpResponse,
    Intent,
    Kind,
    Message,
    Page,
    Received,
    Ref,
    Retryable,
    Started,
    Tools,
    Unknown,
)
from app.providers.http import MAX_RESPONSE_BYTES
from plugins.sandbox.provider import SandboxProvider
from plugins.sandbox.settings import SandboxSettings
from plugins.sandbox.signing import ID, SIGNATURE, Signer
from tests.conformance.broken_adapters import Retelling

# --- what a broken line is made of ---------------------------------------------------------------------------------


class GuessesFailedOnTimeout(SandboxProvider):
    def start(self, intent: Intent) -> Started:
        try:
            return super().start(intent)
        except Unknown as error:
            raise Declined("it took too long") from error


class GuessesPaidOnTimeout(SandboxProvider):
    def query(self, ref: Ref) -> tuple[Fact, ...]:
        try:
            return super().query(ref)
        except Unknown:
            return (Fact(Kind.PAID, ref, self._clock.now(), Money(600, "CNY"), account=self.account),)


class SaysThatNothingHappened(SandboxProvider):
    """After a refund whose answer was lost: the next attempt might be sent with another number."""

    def refund(self, ref: Ref, money: Money, reason: str) -> tuple[Fact, ...]:
        try:
            return super().refund(ref, money, reason)
        except Unknown as error:
            raise Retryable("no answer") from error


class LetsParserErrorsOut(SandboxProvider):
    def cancel(self, ref: Ref) -> tuple[Fact, ...]:
        try:
            return super().cancel(ref)
        except Unknown as error:
            raise KeyError("payment") from error


class DeclinesMidway(SandboxProvider):
    """Asks before it closes, and takes a line that breaks in between for a no."""

    def cancel(self, ref: Ref) -> tuple[Fact, ...]:
        self.query(ref)
        try:
            return super().cancel(ref)
        except (Unknown, Retryable) as error:
            raise Declined("not closed") from error


class BelievesAProxy(SandboxProvider):
    """Reads any 404 as the provider's word that there is no such payment."""

    def query(self, ref: Ref) -> tuple[Fact, ...]:
        try:
            return super().query(ref)
        except Unknown as error:
            if "HTTP 404" in str(error):
                return ()
            raise


class Listening:
    """Passes requests on, and remembers the last answer."""

    def __init__(self, inner: HttpClient) -> None:
        self._inner = inner
        self.last = HttpResponse(0, {}, b"")

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
        self.last = self._inner.request(
            method, url, headers=headers, body=body, max_bytes=max_bytes, certificate=certificate
        )
        return self.last


class BelievesAGateway(SandboxProvider):
    """Knows that a page of HTML is a proxy's, and reads any 404 in JSON as the provider's word."""

    def __init__(self, settings: SandboxSettings, tools: Tools) -> None:
        self._line = Listening(tools.http)
        super().__init__(settings, replace(tools, http=self._line))

    def query(self, ref: Ref) -> tuple[Fact, ...]:
        try:
            return super().query(ref)
        except Unknown:
            if self._line.last.status == 404 and self._line.last.body.startswith(b"{"):
                return ()
            raise


class NothingThereMeansClosed(SandboxProvider):
    def query(self, ref: Ref) -> tuple[Fact, ...]:
        return super().query(ref) or (Fact(Kind.CLOSED, ref, self._clock.now(), account=self.account),)


class Resigning:
    """Signs answers anew with our own secret, so that the client behind it believes whatever `believes` picks."""

    def __init__(self, inner: HttpClient, secret: str, believes: Callable[[HttpResponse], bool]) -> None:
        self._inner, self._signer, self._believes = inner, Signer(secret), believes

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
        answer = self._inner.request(
            method, url, headers=headers, body=body, max_bytes=max_bytes, certificate=certificate
        )
        if headers is None or not self._believes(answer):
            return answer
        signed = self._signer.headers(f"reply {answer.status}", headers[ID], 1, answer.body)
        return replace(answer, headers=signed)


class Believing(SandboxProvider):
    """Base of those that do not check an answer."""

    def __init__(self, settings: SandboxSettings, tools: Tools) -> None:
        http = Resigning(tools.http, settings.secret.get_secret_value(), self._believes)
        super().__init__(settings, replace(tools, http=http))

    def _believes(self, answer: HttpResponse) -> bool:
        raise NotImplementedError


class BelievesAnUnsignedAnswer(Believing):
    def _believes(self, answer: HttpResponse) -> bool:
        return SIGNATURE not in answer.headers and answer.body.startswith(b"{")


class BelievesAnotherKey(Believing):
    def _believes(self, answer: HttpResponse) -> bool:
        return SIGNATURE in answer.headers


# --- what verbs do -------------------------------------------------------------------------------------------------


class CannotStartTwice(SandboxProvider):
    def start(self, intent: Intent) -> Started:
        if self.query(intent.ref):
            raise Declined("this number is taken")
        return super().start(intent)


class RefundsAgainAndAgain(SandboxProvider):
    """Takes a new number for each attempt."""

    def refund(self, ref: Ref, money: Money, reason: str) -> tuple[Fact, ...]:
        given = super().refund(replace(ref, refund=secrets.token_hex(8)), money, reason)
        return tuple(replace(fact, ref=ref) for fact in given)

    def query(self, ref: Ref) -> tuple[Fact, ...]:
        return super().query(replace(ref, refund=None))


class RefundsAgainTomorrow(SandboxProvider):
    """Relies on an idempotency key that the provider forgets after a day."""

    def refund(self, ref: Ref, money: Money, reason: str) -> tuple[Fact, ...]:
        today = replace(ref, refund=f"{ref.refund}{self._clock.now():%j}")
        return tuple(replace(fact, ref=ref) for fact in super().refund(today, money, reason))

    def query(self, ref: Ref) -> tuple[Fact, ...]:
        if ref.refund is None:
            return super().query(ref)
        facts = super().query(replace(ref, refund=None))
        return tuple(replace(fact, ref=ref) for fact in facts if fact.ref.refund)


class RefundsAsMuchAsThereIs(SandboxProvider):
    """Trims a refund that is too large, without a word."""

    def refund(self, ref: Ref, money: Money, reason: str) -> tuple[Fact, ...]:
        return super().refund(ref, Money(min(money.minor, 600), money.currency), reason)


class DeclinesToCloseThePaid(SandboxProvider):
    def cancel(self, ref: Ref) -> tuple[Fact, ...]:
        facts = super().cancel(ref)
        if any(fact.kind is Kind.PAID for fact in facts):
            raise Declined("it is paid")
        return facts


class StubbedVerb(SandboxProvider):
    def scan(self, feed: str, since: datetime, until: datetime, cursor: str | None) -> Page:
        raise NotImplementedError


class UndeclaredVerb(SandboxProvider):
    def fulfil(self, ref: Ref, report: Mapping[str, Any]) -> None:
        raise NotImplementedError


class AnyExtra(BaseModel):
    model_config = ConfigDict(extra="allow")


class TakesAnyExtra(SandboxProvider):
    ways: Mapping[str, type[BaseModel]] = {**SandboxProvider.ways, "qr": AnyExtra}


# --- what gets out -------------------------------------------------------------------------------------------------


class Knowing(SandboxProvider):
    """Base of those that give the secret away."""

    def __init__(self, settings: SandboxSettings, tools: Tools) -> None:
        super().__init__(settings, tools)
        self.secret = settings.secret.get_secret_value()


class LogsASecret(Knowing):
    def receive(self, message: Message) -> Received:
        logging.getLogger("adapter").debug("verifying with %s", {"key": self.secret})
        return super().receive(message)


class LogsASecretInAnEvent(Knowing):
    def query(self, ref: Ref) -> tuple[Fact, ...]:
        structlog.get_logger().info("asking", headers={"authorization": self.secret})
        return super().query(ref)


class RaisesASecret(Knowing):
    """The text is clean; the exception behind it is not."""

    def receive(self, message: Message) -> Received:
        try:
            return super().receive(message)
        except Forged as refusal:
            raise refusal from ValueError(f"expected the signature of {self.secret}")


class PrintsASecret(Knowing):
    def __repr__(self) -> str:
        return f"PrintsASecret({self.account!r}, {self.secret!r})"


class Purse:
    """Holds the secret for the provider, and shows it to everybody who prints it."""

    def __init__(self, secret: str) -> None:
        self.secret = secret

    def __repr__(self) -> str:
        return f"Purse({self.secret!r})"


class HoldsSomethingThatPrintsASecret(Knowing):
    def __init__(self, settings: SandboxSettings, tools: Tools) -> None:
        super().__init__(settings, tools)
        self.purse = Purse(self.secret)


class KeepsASecret(Knowing, Retelling):
    def retold(self, fact: Fact, road: str) -> Fact:
        return replace(fact, raw={**fact.raw, "request": {"key": self.secret}})


class AsksWhileReceiving(SandboxProvider):
    """Fetches what it might want to know, and hides that it failed."""

    def receive(self, message: Message) -> Received:
        with contextlib.suppress(Exception):
            self.query(Ref(ours="1"))
        return super().receive(message)


class ReadsAFileWhileReceiving(SandboxProvider):
    def receive(self, message: Message) -> Received:
        with contextlib.suppress(OSError), open("/nowhere/key.pem"):
            pass
        return super().receive(message)


class TakesItsTime(SandboxProvider):
    def receive(self, message: Message) -> Received:
        if b'"event": "ping"' in message.body:
            until = time.perf_counter() + 0.06
            while time.perf_counter() < until:
                pass
        return super().receive(message)
