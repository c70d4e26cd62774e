"""Adapters that tell a refund, a dispute or a day of the history in a wrong size, state or time: each is the sandbox's
provider with one mistake."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from app.domain.money import Money
from app.providers import Declined, Fact, Intent, Kind, Page, Ref, Started, Unknown
from plugins.sandbox.mapping import REFUND_STATUS
from plugins.sandbox.provider import SandboxProvider
from tests.conformance.broken_adapters import Retelling
from tests.conformance.broken_conduct import BelievesAnotherKey
from tests.conformance.broken_situations import RewritingDisputes

A_ZONE = timedelta(hours=8)

# --- refunds --------------------------------------------------------------------------------------------------------


class TellsTheTotalAsTheRefund(SandboxProvider):
    """Takes the sum of all refunds so far for the amount of the last one."""

    def query(self, ref: Ref) -> tuple[Fact, ...]:
        if ref.refund is None:
            return super().query(ref)
        told, sum_minor = list[Fact](), 0
        for fact in super().query(replace(ref, refund=None)):
            if fact.kind is Kind.REFUNDED and fact.money is not None:
                sum_minor += fact.money.minor
                told.append(replace(fact, money=Money(sum_minor, fact.money.currency)))
        return tuple(fact for fact in told if fact.ref.refund == ref.refund)


class RefundsTenthsOfAYen(SandboxProvider):
    """Scales what is given back as if every currency had decimals."""

    def refund(self, ref: Ref, money: Money, reason: str) -> tuple[Fact, ...]:
        scaled = Money(money.minor // 10, "JPY") if money.currency == "JPY" else money
        return super().refund(ref, scaled, reason)


class AcceptedMeansRefunded(Retelling):
    """Whatever is on its way has arrived."""

    def retold(self, fact: Fact, road: str) -> Fact:
        return replace(fact, kind=Kind.REFUNDED) if fact.kind is Kind.REFUND_PENDING else fact


class UnknownRefundMeansFailed(Retelling):
    """What is not in the table did not happen."""

    def retold(self, fact: Fact, road: str) -> Fact:
        unknown = fact.kind is Kind.REFUND_PENDING and fact.raw["status"] not in REFUND_STATUS
        return replace(fact, kind=Kind.REFUND_FAILED) if unknown else fact


class DoneIsDone(SandboxProvider):
    """Does not know that a refund that was done can come back."""

    def query(self, ref: Ref) -> tuple[Fact, ...]:
        failed = (replace(fact, kind=Kind.REFUNDED) if _has_failed(fact) else fact for fact in super().query(ref))
        return tuple(failed)


def _has_failed(fact: Fact) -> bool:
    return fact.kind is Kind.REFUND_FAILED


class AnUnknownErrorIsANo(SandboxProvider):
    """Every error that the provider signed is an answer, and so a no."""

    def start(self, intent: Intent) -> Started:
        try:
            return super().start(intent)
        except Unknown as error:
            raise _as_no(error) from None

    def refund(self, ref: Ref, money: Money, reason: str) -> tuple[Fact, ...]:
        try:
            return super().refund(ref, money, reason)
        except Unknown as error:
            raise _as_no(error) from None


def _as_no(error: Unknown) -> Declined | Unknown:
    return Declined("it said no", code=error.code) if error.code else error


class NamesWhatItAskedFor(BelievesAnotherKey):
    """Takes any answer that is signed for the answer to its question, and the question's number for the payment's."""

    def query(self, ref: Ref) -> tuple[Fact, ...]:
        return tuple(
            replace(fact, ref=replace(fact.ref, ours=ref.ours or fact.ref.ours)) for fact in super().query(ref)
        )


class WaitsForEver(SandboxProvider):
    """Has no word for a payment whose time is over."""

    def query(self, ref: Ref) -> tuple[Fact, ...]:
        return tuple(
            replace(fact, kind=Kind.PENDING) if fact.kind is Kind.CLOSED else fact for fact in super().query(ref)
        )

    def cancel(self, ref: Ref) -> tuple[Fact, ...]:
        return tuple(
            replace(fact, kind=Kind.PENDING) if fact.kind is Kind.CLOSED else fact for fact in super().cancel(ref)
        )


# --- times ----------------------------------------------------------------------------------------------------------


class ReadsLocalTimeAsUtc(Retelling):
    """The provider writes its own zone's time, and the adapter takes that for UTC."""

    def retold(self, fact: Fact, road: str) -> Fact:
        return replace(fact, at=fact.at + A_ZONE)


class HappenedWhenItWasAsked(SandboxProvider):
    """Says what is so now, with the time of now."""

    def query(self, ref: Ref) -> tuple[Fact, ...]:
        return tuple(replace(fact, at=self._clock.now()) for fact in super().query(ref))


class RefundedWhenPaid(SandboxProvider):
    """Has one time for a payment and all that became of it."""

    def query(self, ref: Ref) -> tuple[Fact, ...]:
        facts = super().query(ref)
        paid = next((fact.at for fact in super().query(replace(ref, refund=None)) if fact.kind is Kind.PAID), None)
        return tuple(replace(fact, at=paid or fact.at) if fact.ref.refund else fact for fact in facts)


class WonWhenItWasLost(RewritingDisputes):
    """Tells both ends of a dispute at the time at which it began."""

    def rewritten(self, facts: tuple[Fact, ...]) -> tuple[Fact, ...]:
        lost = {fact.ref.refund: fact.at for fact in facts if fact.kind is Kind.REFUNDED}
        undone = Kind.REFUND_UNDONE
        return tuple(
            replace(fact, at=lost.get(fact.ref.refund, fact.at)) if fact.kind is undone else fact for fact in facts
        )


# --- disputes and the history ---------------------------------------------------------------------------------------


class TakesTheDisputesFeeWithIt(RewritingDisputes):
    """Adds what the dispute costs to what it took."""

    def rewritten(self, facts: tuple[Fact, ...]) -> tuple[Fact, ...]:
        return tuple(
            replace(fact, money=Money(fact.money.minor + 1_500, fact.money.currency))
            if fact.money and (fact.ref.refund or "").startswith("con_")
            else fact
            for fact in facts
        )


class TellsWhatIsLeftAsTheFee(Retelling):
    """Takes the column of what the merchant gets for that of what the provider keeps."""

    def retold(self, fact: Fact, road: str) -> Fact:
        if fact.kind is not Kind.PAID or fact.money is None:
            return fact
        return replace(fact, fee=Money(fact.money.minor * 97 // 100, fact.money.currency))


class ReadsTheFirstDay(SandboxProvider):
    """Reads one day of a window of two."""

    def scan(self, feed: str, since: datetime, until: datetime, cursor: str | None) -> Page:
        return super().scan(feed, since, min(until, since + timedelta(days=1)), cursor)


class TheHistoryIsOfTheSandbox(SandboxProvider):
    """Reads on every road but one whether the money is real."""

    def scan(self, feed: str, since: datetime, until: datetime, cursor: str | None) -> Page:
        page = super().scan(feed, since, until, cursor)
        return replace(page, facts=tuple(replace(fact, live=False) for fact in page.facts))
