"""Adapters that fail where something rare happens: each is the sandbox's provider with one mistake."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from app.domain.money import Money
from app.providers import (
    ClientCertificate,
    Declined,
    Fact,
    HttpClient,
    HttpResponse,
    Intent,
    Kind,
    Message,
    Misconfigured,
    Page,
    Received,
    Ref,
    Started,
    Tools,
    Unknown,
)
from app.providers.http import MAX_RESPONSE_BYTES
from plugins.sandbox.mapping import facts_of, parsed, written
from plugins.sandbox.provider import SandboxProvider
from plugins.sandbox.settings import SandboxSettings
from tests.conformance.broken_adapters import Retelling
from tests.conformance.broken_conduct import Knowing

# --- live money -----------------------------------------------------------------------------------------------------


class NothingIsLive(Retelling):
    """Has `live=False` in its code, as it was when only the provider's sandbox was there."""

    def retold(self, fact: Fact, road: str) -> Fact:
        return replace(fact, live=False)


# --- disputes -------------------------------------------------------------------------------------------------------


class RewritingDisputes(SandboxProvider):
    """Base of those that change what one call or message tells of refunds."""

    def rewritten(self, facts: tuple[Fact, ...]) -> tuple[Fact, ...]:
        raise NotImplementedError

    def receive(self, message: Message) -> Received:
        read = super().receive(message)
        return replace(read, facts=self.rewritten(read.facts))

    def query(self, ref: Ref) -> tuple[Fact, ...]:
        return self.rewritten(super().query(ref))

    def scan(self, feed: str, since: datetime, until: datetime, cursor: str | None) -> Page:
        page = super().scan(feed, since, until, cursor)
        return replace(page, facts=self.rewritten(page.facts))


class WonMeansUndoneOnly(RewritingDisputes):
    """Tells the state of a dispute, and not how it came to it."""

    def rewritten(self, facts: tuple[Fact, ...]) -> tuple[Fact, ...]:
        undone = {fact.ref.refund for fact in facts if fact.kind is Kind.REFUND_UNDONE}
        return tuple(fact for fact in facts if fact.kind is not Kind.REFUNDED or fact.ref.refund not in undone)


class UndoneFirst(RewritingDisputes):
    """Lists the newest first."""

    def rewritten(self, facts: tuple[Fact, ...]) -> tuple[Fact, ...]:
        return tuple(sorted(facts, key=lambda fact: fact.kind is Kind.REFUNDED))


class UndoneUnderANumberOfItsOwn(RewritingDisputes):
    """Names what was won by the number of the reversal."""

    def rewritten(self, facts: tuple[Fact, ...]) -> tuple[Fact, ...]:
        return tuple(
            replace(fact, ref=replace(fact.ref, refund=f"rev_{fact.ref.refund}"))
            if fact.kind is Kind.REFUND_UNDONE
            else fact
            for fact in facts
        )


class DisputesAreNotRefunds(RewritingDisputes):
    """Waits for the end of a dispute before it says anything."""

    def rewritten(self, facts: tuple[Fact, ...]) -> tuple[Fact, ...]:
        return tuple(fact for fact in facts if not (fact.ref.refund or "").startswith("con_"))


class AnInquiryTakesMoney(SandboxProvider):
    """Takes every event about a dispute for the loss of it."""

    def receive(self, message: Message) -> Received:
        read = super().receive(message)
        document = parsed(message.body)
        if document.get("event") != "inquiry":
            return read
        (paid,) = (fact for fact in self.query(Ref(ours=document["number"])) if fact.kind is Kind.PAID)
        return replace(read, facts=(replace(paid, kind=Kind.REFUNDED, ref=replace(paid.ref, refund="inq_1")),))


class History(SandboxProvider):
    """Base of those that read more in the rows of the history than is said there."""

    def scan(self, feed: str, since: datetime, until: datetime, cursor: str | None) -> Page:
        page = super().scan(feed, since, until, cursor)
        window = {"since": written(since), "until": written(until), "cursor": cursor or ""}
        rows = self._client.call("GET", f"/v1/history?{urlencode(window)}").document["payments"]
        return replace(page, facts=(*page.facts, *(fact for row in rows for fact in self.read_into(row, page))))

    def read_into(self, row: Mapping[str, Any], page: Page) -> Iterator[Fact]:
        raise NotImplementedError


class AnInquiryInTheHistoryTakesMoney(History):
    """Takes the mark of an inquiry, which only history shows, for money that went back."""

    def read_into(self, row: Mapping[str, Any], page: Page) -> Iterator[Fact]:
        for paid in page.facts:
            if row.get("inquiry") and paid.kind is Kind.PAID and paid.ref.theirs == row["id"]:
                yield replace(paid, kind=Kind.REFUNDED, ref=replace(paid.ref, refund="inq_1"))


# --- time -----------------------------------------------------------------------------------------------------------


class PayableForADay(SandboxProvider):
    def start(self, intent: Intent) -> Started:
        return super().start(replace(intent, expires_at=intent.created_at + timedelta(days=1)))


class PayableForHalfAnHour(SandboxProvider):
    """Right by chance, where the order is one of half an hour."""

    def start(self, intent: Intent) -> Started:
        return super().start(replace(intent, expires_at=intent.created_at + timedelta(minutes=30)))


class StartsWithoutTheTime(SandboxProvider):
    """Names its least and sends all the same."""

    least_seconds = 60


class DeclinesWhatItMade(SandboxProvider):
    """Looks at the time when the payment is there."""

    least_seconds = 60

    def start(self, intent: Intent) -> Started:
        done = super().start(intent)
        if (intent.expires_at - self._clock.now()).total_seconds() < self.least_seconds:
            raise Declined("too little time", code="too_little_time")
        return done


class TakesTooLittleTimeForUnknown(SandboxProvider):
    least_seconds = 60

    def start(self, intent: Intent) -> Started:
        if (intent.expires_at - self._clock.now()).total_seconds() < self.least_seconds:
            raise Unknown("too little time")
        return super().start(intent)


# --- rows -----------------------------------------------------------------------------------------------------------


class OneOddRowStopsThePage(SandboxProvider):
    def scan(self, feed: str, since: datetime, until: datetime, cursor: str | None) -> Page:
        page = super().scan(feed, since, until, cursor)
        if page.problems:
            raise Unknown(page.problems[0])
        return page


class OddRowsAreLeftOutInSilence(SandboxProvider):
    def scan(self, feed: str, since: datetime, until: datetime, cursor: str | None) -> Page:
        return replace(super().scan(feed, since, until, cursor), problems=())


class StopsAtAnOddRow(SandboxProvider):
    """Tells the rows before it only."""

    def scan(self, feed: str, since: datetime, until: datetime, cursor: str | None) -> Page:
        page = super().scan(feed, since, until, cursor)
        before = int(page.problems[0].split()[1]) - 1 if page.problems else len(page.facts)
        return replace(page, facts=page.facts[:before])


class OddRowsArePaid(History):
    """Tells what it could read of a row that cannot be read: that somebody paid."""

    def read_into(self, row: Mapping[str, Any], page: Page) -> Iterator[Fact]:
        if not isinstance(row["amount"], int):
            ref = Ref(ours=row["number"], theirs=row["id"])
            yield Fact(Kind.PAID, ref, self._clock.now(), Money(0, row["currency"]), account=self.account, live=False)


# --- what gets out --------------------------------------------------------------------------------------------------


class KeepsTheWholeDocument(SandboxProvider):
    """Puts what it was sent into `raw`, the payer's address with it."""

    def receive(self, message: Message) -> Received:
        read = super().receive(message)
        document = parsed(message.body)
        return replace(read, facts=tuple(replace(fact, raw=document) for fact in facts_of(document)))


class Authorizing:
    """Sends the key with each request, and repeats what a gateway says that refuses it."""

    def __init__(self, inner: HttpClient, secret: str) -> None:
        self._inner, self._secret = inner, secret

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
        authorized = {**(headers or {}), "authorization": f"Bearer {self._secret}"}
        answer = self._inner.request(
            method, url, headers=authorized, body=body, max_bytes=max_bytes, certificate=certificate
        )
        if answer.status == 401:
            raise Misconfigured(f"refused: {answer.body.decode('latin-1')}")
        return answer


class QuotesARefusal(Knowing):
    """Its key comes back in the answer that refuses it, and goes into the exception."""

    def __init__(self, settings: SandboxSettings, tools: Tools) -> None:
        secret = settings.secret.get_secret_value()
        super().__init__(settings, replace(tools, http=Authorizing(tools.http, secret)))
