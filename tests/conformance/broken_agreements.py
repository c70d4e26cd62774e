"""Adapters that sign, charge or read agreements wrongly: each is the sandbox's provider with one mistake."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, timedelta

from pydantic import BaseModel

from app.domain.money import Money
from app.providers import (
    ChargeWindow,
    Declined,
    Ending,
    Fact,
    Intent,
    Kind,
    Message,
    NoExtra,
    Received,
    Ref,
    Refusal,
    Retryable,
    Started,
    Terms,
    Tools,
    Unknown,
)
from app.providers.facts import AGREEMENT_KINDS
from plugins.sandbox.agreements import AgreeingSandbox
from plugins.sandbox.mapping import AGREEMENT_STATUS
from plugins.sandbox.settings import SandboxSettings


class RetellingAgreements(AgreeingSandbox):
    """Base of those that get the facts wrong: `retold` changes each fact, on its road."""

    def retold(self, fact: Fact, road: str) -> Fact:
        raise NotImplementedError

    def sign(self, terms: Terms) -> Started:
        done = super().sign(terms)
        return replace(done, facts=self._all(done.facts, "reply"))

    def charge(self, ref: Ref, intent: Intent) -> tuple[Fact, ...]:
        return self._all(super().charge(ref, intent), "reply")

    def receive(self, message: Message) -> Received:
        read = super().receive(message)
        return replace(read, facts=self._all(read.facts, "notification"))

    def query(self, ref: Ref) -> tuple[Fact, ...]:
        return self._all(super().query(ref), "query")

    def cancel(self, ref: Ref) -> tuple[Fact, ...]:
        return self._all(super().cancel(ref), "reply")

    def _all(self, facts: tuple[Fact, ...], road: str) -> tuple[Fact, ...]:
        return tuple(self.retold(fact, road) for fact in facts)


class GivenUpMeansWaiting(RetellingAgreements):
    """Waits for a payer who cannot sign any more."""

    def retold(self, fact: Fact, road: str) -> Fact:
        return replace(fact, kind=Kind.PENDING) if fact.kind is Kind.FAILED and fact.ref.is_agreement else fact


class ChargesOfNoAgreement(RetellingAgreements):
    """Tells a charge as if the payer had pressed a button."""

    def retold(self, fact: Fact, road: str) -> Fact:
        return replace(fact, ref=replace(fact.ref, agreement=None)) if fact.kind is Kind.PAID else fact


class EndedWhenItWasSigned(AgreeingSandbox):
    """Has one time for an agreement, that of its beginning."""

    def query(self, ref: Ref) -> tuple[Fact, ...]:
        return tuple(
            replace(fact, at=fact.at - timedelta(hours=1)) if fact.kind is Kind.ENDED else fact
            for fact in super().query(ref)
        )


class ChargesTenthsOfAYen(AgreeingSandbox):
    """Scales what is charged as if every currency had decimals."""

    def charge(self, ref: Ref, intent: Intent) -> tuple[Fact, ...]:
        money = intent.money
        scaled = Money(money.minor // 10, "JPY") if money and money.currency == "JPY" else money
        return super().charge(ref, replace(intent, money=scaled))


# --- signing --------------------------------------------------------------------------------------------------------


class SignsUnderANewNumber(AgreeingSandbox):
    """Gives the provider a number of its own on each attempt, though the core will repeat the terms."""

    def sign(self, terms: Terms) -> Started:
        super().sign(terms)
        return super().sign(replace(terms, ref=Ref(our_agreement=secrets.token_hex(8)), first=None))


class CannotSignTwice(AgreeingSandbox):
    def sign(self, terms: Terms) -> Started:
        if self.query(terms.ref):
            raise Declined("this number is taken")
        return super().sign(terms)


class SignedOnceAsked(RetellingAgreements):
    """Takes the provider's page for the payer's signature."""

    def retold(self, fact: Fact, road: str) -> Fact:
        return replace(fact, kind=Kind.SIGNED) if fact.ref.is_agreement and road == "reply" else fact


class LacksAWay(AgreeingSandbox):
    agreement_ways: Mapping[str, type[BaseModel]] = {"page": NoExtra}


class PaysByNoWay(AgreeingSandbox):
    paying_ways = frozenset({"page", "card"})


class WantsANoticeThatNobodyGives(AgreeingSandbox):
    """Its world says that it has no `announce`."""

    def __init__(self, settings: SandboxSettings, tools: Tools) -> None:
        super().__init__(settings, tools)
        self.charge_window = ChargeWindow(notice=self.charge_window.after)


# --- what is told of an agreement -----------------------------------------------------------------------------------


class CallbacksLackOurNumber(RetellingAgreements):
    """Looks for a field of ours in the callback, which has none."""

    def retold(self, fact: Fact, road: str) -> Fact:
        without = replace(fact, ref=replace(fact.ref, our_agreement=None))
        return without if fact.ref.is_agreement and road == "notification" else fact


class AgreementKeyDiffersByRoad(RetellingAgreements):
    """A query tells the end of the validity, and a callback does not."""

    def retold(self, fact: Fact, road: str) -> Fact:
        return replace(fact, occurrence="1") if fact.kind in AGREEMENT_KINDS and road == "query" else fact


class UnknownMeansEnded(AgreeingSandbox):
    def query(self, ref: Ref) -> tuple[Fact, ...]:
        ended = Fact(Kind.ENDED, ref, self._clock.now(), account=self.account, live=False)
        return super().query(ref) or ((ended,) if ref.is_agreement else ())


class OnceSignedAlwaysSigned(RetellingAgreements):
    """Reads the time of the signing, and not the status beside it."""

    def retold(self, fact: Fact, road: str) -> Fact:
        return replace(fact, kind=Kind.SIGNED) if fact.kind is Kind.ENDED and road == "query" else fact


class EveryEndIsOurs(RetellingAgreements):
    def retold(self, fact: Fact, road: str) -> Fact:
        return replace(fact, ending=Ending.US) if fact.kind is Kind.ENDED else fact


class GoesByItsOwnTime(RetellingAgreements):
    """Tells the moment at which it heard of a signing for the moment of the signing."""

    def retold(self, fact: Fact, road: str) -> Fact:
        is_heard = fact.kind is Kind.SIGNED and road == "notification"
        return replace(fact, at=self._clock.now()) if is_heard else fact


class CannotCancelTwice(AgreeingSandbox):
    def cancel(self, ref: Ref) -> tuple[Fact, ...]:
        if any(fact.kind is Kind.ENDED for fact in self.query(ref)):
            raise Declined("it has ended")
        return super().cancel(ref)


class CancelsNothing(AgreeingSandbox):
    """Cancels payments only: the agreement goes on."""

    def cancel(self, ref: Ref) -> tuple[Fact, ...]:
        return self.query(ref) if ref.is_agreement else super().cancel(ref)


class TellsTheSignatureAsThePayment(RetellingAgreements):
    """Pay and sign is one callback to this one: that of the payment."""

    def receive(self, message: Message) -> Received:
        read = super().receive(message)
        return replace(read, facts=tuple(fact for fact in read.facts if not fact.ref.is_agreement))

    def retold(self, fact: Fact, road: str) -> Fact:
        return fact


class UnknownWordMeansSigned(RetellingAgreements):
    def retold(self, fact: Fact, road: str) -> Fact:
        unknown = fact.ref.is_agreement and fact.raw["status"] not in AGREEMENT_STATUS
        return replace(fact, kind=Kind.SIGNED) if unknown else fact


class BelievesAnUnsignedAgreement(AgreeingSandbox):
    """Verifies payments, and reads the rest as it comes."""

    def receive(self, message: Message) -> Received:
        if b'"agreement": {' in message.body:
            now = int(self._clock.now().timestamp())
            return super().receive(
                replace(message, headers=self._signer.headers("notification", "evt_1", now, message.body))
            )
        return super().receive(message)


# --- charges --------------------------------------------------------------------------------------------------------


class ChargesUnderANewNumber(AgreeingSandbox):
    """Takes a charge whose answer was lost for one that was not made."""

    def charge(self, ref: Ref, intent: Intent) -> tuple[Fact, ...]:
        if self.query(intent.ref):
            return super().charge(ref, replace(intent, ref=Ref(ours=secrets.token_hex(8))))
        return super().charge(ref, intent)


class ALostChargeIsDeclined(AgreeingSandbox):
    def charge(self, ref: Ref, intent: Intent) -> tuple[Fact, ...]:
        try:
            return super().charge(ref, intent)
        except Unknown as error:
            raise Declined("no answer") from error


class ALostChargeIsRetryable(AgreeingSandbox):
    def charge(self, ref: Ref, intent: Intent) -> tuple[Fact, ...]:
        try:
            return super().charge(ref, intent)
        except Unknown as error:
            raise Retryable("no answer") from error


class ARepeatedChargeIsDeclined(AgreeingSandbox):
    """The number is taken: by this very charge."""

    def charge(self, ref: Ref, intent: Intent) -> tuple[Fact, ...]:
        if self.query(intent.ref):
            raise Declined("the number is taken")
        return super().charge(ref, intent)


class ChargesUnderTheAgreementsNumber(AgreeingSandbox):
    """Numbers a charge by its agreement, so that the second period is the first."""

    def charge(self, ref: Ref, intent: Intent) -> tuple[Fact, ...]:
        if len(self.query(Ref(ours=ref.our_agreement))) == 0:
            super().charge(ref, replace(intent, ref=Ref(ours=ref.our_agreement)))
        return self.query(Ref(ours=ref.our_agreement))


class AcceptedMeansPaid(RetellingAgreements):
    """The provider said yes, after all."""

    def retold(self, fact: Fact, road: str) -> Fact:
        return (
            replace(fact, kind=Kind.PAID) if fact.kind is Kind.PENDING and fact.ref.ours and fact.ref.theirs else fact
        )


class RefusalsAreAllAlike(AgreeingSandbox):
    def charge(self, ref: Ref, intent: Intent) -> tuple[Fact, ...]:
        try:
            return super().charge(ref, intent)
        except Declined as error:
            raise Declined(str(error), code=error.code) from error


class NoMoneyMeansGone(AgreeingSandbox):
    """Ends an agreement for want of money."""

    def charge(self, ref: Ref, intent: Intent) -> tuple[Fact, ...]:
        try:
            return super().charge(ref, intent)
        except Declined as error:
            gone = Refusal.AGREEMENT_GONE if error.refusal is Refusal.NO_MONEY else error.refusal
            raise Declined(str(error), code=error.code, refusal=gone) from error


class AnEndedAgreementIsOutOfMoney(AgreeingSandbox):
    """The core would try again, day after day."""

    def charge(self, ref: Ref, intent: Intent) -> tuple[Fact, ...]:
        try:
            return super().charge(ref, intent)
        except Declined as error:
            poor = Refusal.NO_MONEY if error.refusal is Refusal.AGREEMENT_GONE else error.refusal
            raise Declined(str(error), code=error.code, refusal=poor) from error


class AnnouncesNothing(AgreeingSandbox):
    def announce(self, ref: Ref, money: Money, due: date) -> None:
        self.query(ref)


class AnnouncesOnce(AgreeingSandbox):
    """Keeps in mind whom it told."""

    told: frozenset[Ref] = frozenset()

    def announce(self, ref: Ref, money: Money, due: date) -> None:
        if ref in self.told:
            raise Declined("the payer was told")
        super().announce(ref, money, due)
        self.told |= {ref}
