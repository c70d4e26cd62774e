"""Adapters that believe or read wrongly: each is the sandbox's provider with one mistake that somebody has made."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from pydantic import BaseModel, ConfigDict, SecretStr

from app.domain.money import Money
from app.providers import (
    Fact,
    Forged,
    Intent,
    Kind,
    Message,
    Page,
    Received,
    Ref,
    Started,
    Tools,
)
from app.providers.testing.doubles import FixedClock
from plugins.sandbox.mapping import PAYMENT_STATUS, Unreadable, facts_of, parsed
from plugins.sandbox.provider import NOT_STORED, REFUSED, STORED, SandboxProvider
from plugins.sandbox.settings import SandboxSettings
from plugins.sandbox.signing import SIGNATURE


class Retelling(SandboxProvider):
    """Base of those that get the facts wrong: `retold` changes each fact, on its road."""

    def retold(self, fact: Fact, road: str) -> Fact:
        raise NotImplementedError

    def start(self, intent: Intent) -> Started:
        done = super().start(intent)
        return replace(done, facts=self._all(done.facts, "reply"))

    def receive(self, message: Message) -> Received:
        read = super().receive(message)
        return replace(read, facts=self._all(read.facts, "notification"))

    def query(self, ref: Ref) -> tuple[Fact, ...]:
        return self._all(super().query(ref), "query")

    def refund(self, ref: Ref, money: Money, reason: str) -> tuple[Fact, ...]:
        return self._all(super().refund(ref, money, reason), "reply")

    def cancel(self, ref: Ref) -> tuple[Fact, ...]:
        return self._all(super().cancel(ref), "reply")

    def scan(self, feed: str, since: datetime, until: datetime, cursor: str | None) -> Page:
        page = super().scan(feed, since, until, cursor)
        return replace(page, facts=self._all(page.facts, "scan"))

    def _all(self, facts: tuple[Fact, ...], road: str) -> tuple[Fact, ...]:
        return tuple(self.retold(fact, road) for fact in facts)


# --- who is believed -----------------------------------------------------------------------------------------------


class VerifiesNothing(SandboxProvider):
    def receive(self, message: Message) -> Received:
        try:
            return Received(facts_of(parsed(message.body)), STORED, NOT_STORED, signed_at=self._clock.now())
        except Unreadable as error:
            raise Forged(str(error), reply=REFUSED) from None


class AcceptsAnEmptySignature(SandboxProvider):
    """The check is skipped when there is nothing to check."""

    def receive(self, message: Message) -> Received:
        if message.headers.get(SIGNATURE, "").strip():
            return super().receive(message)
        try:
            return Received(facts_of(parsed(message.body)), STORED, NOT_STORED)
        except Unreadable as error:
            raise Forged(str(error), reply=REFUSED) from None


class AcceptsStale(SandboxProvider):
    def _refuse_stale(self, signed: object) -> None:
        pass


class HasItsOwnClock(SandboxProvider):
    """Goes by the wall clock, which here stands still at the moment when the tests begin."""

    def __init__(self, settings: SandboxSettings, tools: Tools) -> None:
        super().__init__(settings, tools)
        self._clock = FixedClock()


class IgnoresTheMerchant(Retelling):
    def retold(self, fact: Fact, road: str) -> Fact:
        return replace(fact, account=self.account)


class AcknowledgesForgeries(SandboxProvider):
    def receive(self, message: Message) -> Received:
        try:
            return super().receive(message)
        except Forged as refusal:
            raise Forged(str(refusal), reply=STORED) from None


class LaxSettings(BaseModel):
    model_config = ConfigDict(extra="forbid")
    base_url: str
    merchant: str
    secret: SecretStr
    currencies: tuple[str, ...] = ("CNY",)


class AcceptsAnEmptySecret(SandboxProvider):
    settings_model = LaxSettings

    def __init__(self, settings: LaxSettings, tools: Tools) -> None:
        secret = SecretStr(settings.secret.get_secret_value().strip() or "x" * 32)
        super().__init__(SandboxSettings(**{**dict(settings), "secret": secret}), tools)


class ForgivingSettings(SandboxSettings):
    model_config = ConfigDict(extra="ignore")


class IgnoresMisspeltSettings(SandboxProvider):
    settings_model = ForgivingSettings


# --- what is read --------------------------------------------------------------------------------------------------


class CrashesOnGarbage(SandboxProvider):
    """Reads before it verifies, and lets the parser's exception out."""

    def receive(self, message: Message) -> Received:
        message.body.decode("ascii")
        return super().receive(message)


class UnknownWordMeansPaid(Retelling):
    meaning = Kind.PAID

    def retold(self, fact: Fact, road: str) -> Fact:
        is_payment = fact.ref.refund is None
        return replace(fact, kind=self.meaning) if is_payment and fact.raw["status"] not in PAYMENT_STATUS else fact


class UnknownWordMeansFailed(UnknownWordMeansPaid):
    meaning = Kind.FAILED


class PaidWithoutTheirNumber(Retelling):
    def retold(self, fact: Fact, road: str) -> Fact:
        without = replace(fact, ref=replace(fact.ref, theirs=None))
        return without if fact.kind is Kind.PAID and road == "notification" else fact


class RefundsWithoutOurNumber(Retelling):
    """Passes on what a dispute says, which names the provider's number only."""

    def retold(self, fact: Fact, road: str) -> Fact:
        without = replace(fact, ref=replace(fact.ref, ours=None))
        return without if fact.ref.refund and road == "notification" else fact


class NaiveTimes(Retelling):
    def retold(self, fact: Fact, road: str) -> Fact:
        return replace(fact, at=fact.at.replace(tzinfo=None)) if road == "query" else fact


class RawOfObjects(Retelling):
    def retold(self, fact: Fact, road: str) -> Fact:
        return replace(fact, raw={**fact.raw, "at": fact.at}) if road == "query" else fact


class KeyDiffersByRoad(Retelling):
    def retold(self, fact: Fact, road: str) -> Fact:
        other = replace(fact, ref=replace(fact.ref, theirs=f"{fact.ref.theirs}-1"))
        return other if fact.kind is Kind.PAID and road == "query" else fact


class ReadsYuanAsFen(Retelling):
    """One road's amounts are a hundred times too small."""

    def retold(self, fact: Fact, road: str) -> Fact:
        if fact.money is None or fact.kind is not Kind.PAID or road != "query":
            return fact
        return replace(fact, money=Money(fact.money.minor // 100, fact.money.currency))


class ForgetsOurNumber(Retelling):
    def retold(self, fact: Fact, road: str) -> Fact:
        return replace(fact, ref=replace(fact.ref, ours=None)) if road == "scan" else fact


class ForgetsTheSandbox(Retelling):
    """Leaves `live` at its default."""

    def retold(self, fact: Fact, road: str) -> Fact:
        return replace(fact, live=True)


class HundredthsOfAYen(SandboxProvider):
    """Takes every currency's smallest unit for a hundredth."""

    def start(self, intent: Intent) -> Started:
        money = intent.money
        if money is not None and money.currency == "JPY":
            intent = replace(intent, money=Money(money.minor * 100, money.currency))
        return super().start(intent)


class ScalesBothWays(Retelling):
    """Two mistakes that cancel each other: yen are ordered a hundredfold, and read back as hundredths."""

    def start(self, intent: Intent) -> Started:
        money = intent.money
        if money is not None and money.currency == "JPY":
            intent = replace(intent, money=Money(money.minor * 100, money.currency))
        return super().start(intent)

    def retold(self, fact: Fact, road: str) -> Fact:
        money = fact.money
        if money is None or money.currency != "JPY":
            return fact
        return replace(fact, money=Money(money.minor // 100, money.currency))


class ClosedOnceRefunded(Retelling):
    """Passes on a provider's word for a payment that was refunded in full."""

    def retold(self, fact: Fact, road: str) -> Fact:
        refunded = fact.kind is Kind.PAID and fact.raw["refunds"]
        return replace(fact, kind=Kind.CLOSED) if refunded and road == "query" else fact


class NumbersRefundsByRoad(Retelling):
    """The history has another number for a refund than the notification."""

    def retold(self, fact: Fact, road: str) -> Fact:
        refund = fact.ref.refund
        return replace(fact, ref=replace(fact.ref, refund=f"{refund}-1")) if refund and road == "scan" else fact


class NamesWhatCannotBeKept(SandboxProvider):
    def receive(self, message: Message) -> Received:
        return replace(super().receive(message), asks=(Ref(theirs="t" * 500),))
