"""The verbs about payments, spoken in the sandbox's protocol. Those about agreements are in `agreements`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar
from urllib.parse import quote, urlencode

from pydantic import BaseModel, ConfigDict, Field

from app.domain.money import Money
from app.providers import (
    Declined,
    Fact,
    Forged,
    Intent,
    Message,
    Misconfigured,
    NoExtra,
    Page,
    Received,
    Ref,
    Reply,
    Started,
    Tools,
    Unknown,
)
from plugins.sandbox.client import Client
from plugins.sandbox.mapping import NOTHING_THERE, Envelope, Unreadable, facts_of, history_of, parsed, read, written
from plugins.sandbox.settings import SandboxSettings
from plugins.sandbox.signing import BadSignature, Signed, Signer, is_fresh

STORED = Reply(200, "application/json", b'{"status":"stored"}')
"""The only answer after which the provider stops sending the notification again."""
NOT_STORED = Reply(503, "application/json", b'{"status":"try again"}')
REFUSED = Reply(400, "application/json", b'{"status":"refused"}')
Result = TypeVar("Result")


class BankExtra(BaseModel):
    """The way `bank` needs to know which bank the payer chose."""

    model_config = ConfigDict(extra="forbid")

    bank: Annotated[str, Field(pattern=r"^[a-z]{2,16}$")]


class SandboxProvider:
    """One merchant account at the sandbox. Keeps nothing but its parsed settings."""

    feeds: tuple[str, ...] = ("payments",)
    ways: Mapping[str, type[BaseModel]] = {"page": NoExtra, "qr": NoExtra, "bank": BankExtra, "card": NoExtra}

    def __init__(self, settings: SandboxSettings, tools: Tools) -> None:
        self.account = settings.merchant
        self.currencies = settings.currencies
        self._clock = tools.clock
        self._signer = Signer(settings.secret.get_secret_value())
        self._client = Client(settings.base_url, settings.merchant, self._signer, tools)

    def start(self, intent: Intent) -> Started:
        answer = self._client.call("POST", "/v1/payments", payment_document(intent)).document_or_raise()
        url = answer.get("pay_url")
        if not isinstance(url, str):
            raise Unknown("the sandbox did not say where to pay")
        action = {"type": "qr", "code": url} if intent.way == "qr" else {"type": "redirect", "url": url}
        return Started(action=action, facts=answered(facts_of, answer))

    def receive(self, message: Message) -> Received:
        try:
            signed = self._signer.verify("notification", message.headers, message.body)
            self._refuse_stale(signed)
            document = parsed(message.body)
            facts = facts_of(document)
        except (BadSignature, Unreadable) as error:
            raise Forged(str(error), reply=REFUSED) from None
        signed_at = datetime.fromtimestamp(signed.timestamp, UTC)
        note = "" if facts or document.get("event") == "ping" else "an event of a kind that is not known"
        return Received(facts, STORED, NOT_STORED, message_id=signed.id, signed_at=signed_at, note=note)

    def query(self, ref: Ref) -> tuple[Fact, ...]:
        return self._ask("GET", payment_path(ref))

    def capture(self, ref: Ref, money: Money) -> tuple[Fact, ...]:
        """For the way `card`, by which the payer only reserves the money. Captured twice it is captured once."""
        document = {"amount": money.minor, "currency": money.currency}
        answer = self._client.call("POST", f"{payment_path(Ref(ours=ref.ours, theirs=ref.theirs))}/capture", document)
        return answered(facts_of, answer.document_or_raise())

    def refund(self, ref: Ref, money: Money, reason: str) -> tuple[Fact, ...]:
        document = {"number": ref.refund, "amount": money.minor, "currency": money.currency, "reason": reason}
        answer = self._client.call("POST", f"{payment_path(Ref(ours=ref.ours, theirs=ref.theirs))}/refunds", document)
        return answered(facts_of, answer.document_or_raise())

    def cancel(self, ref: Ref) -> tuple[Fact, ...]:
        """A payment that is paid already stays so, and the answer says it."""
        return self._ask("POST", f"{payment_path(ref)}/close")

    def scan(self, feed: str, since: datetime, until: datetime, cursor: str | None) -> Page:
        if feed not in self.feeds:
            raise Misconfigured(f"the sandbox has no feed {feed!r}")
        window = {"since": written(since), "until": written(until), "cursor": cursor or ""}
        answer = self._client.call("GET", f"/v1/history?{urlencode(window)}").document_or_raise()
        facts, problems = answered(history_of, answer)
        return Page(facts=facts, cursor=answered(_cursor, answer), problems=problems)

    def _ask(self, method: str, path: str) -> tuple[Fact, ...]:
        answer = self._client.call(method, path)
        if answer.error in NOTHING_THERE:
            return ()
        return answered(facts_of, answer.document_or_raise())

    def _refuse_stale(self, signed: Signed) -> None:
        if not is_fresh(signed, self._clock.now().timestamp()):
            raise BadSignature("signed too long ago, or in the future")


def payment_document(intent: Intent) -> dict[str, Any]:
    """How a payment is asked for, by the payer's doing or under an agreement."""
    if intent.money is None:
        raise Declined("the sandbox sells nothing without a price")
    return {
        "number": intent.ref.ours,
        "amount": intent.money.minor,
        "currency": intent.money.currency,
        "subject": intent.subject,
        "owner": intent.owner,
        "way": intent.way,
        "extra": dict(intent.extra),
        "expires_at": written(intent.expires_at),
        "notify_url": intent.notify_url,
        "return_url": intent.return_url,
    }


def payment_path(ref: Ref) -> str:
    """Where the provider keeps that payment or refund; its own number goes before ours."""
    if ref.refund:
        return f"/v1/refunds/{quote(ref.refund, safe='')}"
    if ref.theirs:
        return f"/v1/payments/id/{quote(ref.theirs, safe='')}"
    if ref.ours:
        return f"/v1/payments/{quote(ref.ours, safe='')}"
    raise Declined("nothing there to ask about: neither our number nor the provider's")


def _cursor(document: Mapping[str, Any]) -> str | None:
    return read(Envelope, document).cursor


def answered(reader: Callable[[Mapping[str, Any]], Result], document: Mapping[str, Any]) -> Result:
    """Read a verified answer; one that makes no sense leaves it unknown what happened."""
    try:
        return reader(document)
    except Unreadable as error:
        raise Unknown(f"an answer that makes no sense: {error}") from None
