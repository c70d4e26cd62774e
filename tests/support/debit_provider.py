"""A hand-written provider of auto-debit for tests of the core: it keeps its books in memory; a test says what it
does."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from pydantic import BaseModel

from app.domain.money import Money
from app.providers.agreements import ChargeWindow, Terms
from app.providers.errors import Declined, Unknown
from app.providers.facts import Ending, Fact, Intent, Kind, Message, Received, Ref, Refusal, Started
from app.providers.tools import Clock
from app.providers.verbs import NoExtra

MERCHANT = "merchant-7"


@dataclass
class Consent:
    terms: Terms
    theirs: str
    signed_at: datetime | None = None
    ended_at: datetime | None = None
    ending: Ending | None = None


@dataclass
class Trade:
    number: str
    agreement: str
    money: Money
    at: datetime
    status: Kind
    refusal: Refusal | None = None


@dataclass
class DebitProvider:
    """`script` says what the next charges come to, one word each; when it is empty, they succeed.

    A refusal's word (`no_money` …) declines; `lost` fails before anything happened, `dark` after the money moved, both
    without an answer; `pending` is decided later.
    """

    clock: Clock
    charge_window: ChargeWindow = field(default_factory=lambda: ChargeWindow(after=timedelta(days=8)))
    script: deque[str] = field(default_factory=deque)
    consents: dict[str, Consent] = field(default_factory=dict)
    trades: dict[str, Trade] = field(default_factory=dict)
    announced: list[tuple[str, date]] = field(default_factory=list)
    announced_amounts: list[int] = field(default_factory=list)
    announced_at: dict[str, datetime] = field(default_factory=dict)
    """When a charge of each agreement was announced last."""
    is_strict: bool = False
    """A charge is refused (`not_now`) that was not announced, or not for this day."""
    never_closes: bool = False
    """What is pending stays so, whatever we ask for."""
    announcements_lost: int = 0
    """So many answers to the next announcements are lost, after the payer was told."""
    account: str = MERCHANT
    currencies: tuple[str, ...] = ("CNY",)
    is_down: bool = False
    standings: dict[str, tuple[Fact, ...]] = field(default_factory=dict)
    """What a store answers about its agreements, by its own numbers."""

    ways: Mapping[str, type[BaseModel]] = field(default_factory=dict)
    agreement_ways: Mapping[str, type[BaseModel]] = field(default_factory=lambda: {"page": NoExtra})
    paying_ways = frozenset({"page"})

    # --- what the payer does ---

    def user_signs(self, our: str) -> Fact:
        consent = self.consents[our]
        consent.signed_at, consent.ended_at = self.clock.now(), None
        return self._of_consent(our)

    def user_ends(self, our: str, ending: Ending = Ending.PAYER) -> Fact:
        consent = self.consents[our]
        consent.ended_at, consent.ending = self.clock.now(), ending
        return self._of_consent(our)

    def decide(self, number: str, status: Kind, refusal: Refusal | None = None) -> Fact:
        """What was pending is decided."""
        trade = self.trades[number]
        trade.status, trade.refusal, trade.at = status, refusal, self.clock.now()
        return self._of_trade(trade)

    # --- the port ---

    def start(self, intent: Intent) -> Started:
        raise Declined("only agreements here")

    def receive(self, message: Message) -> Received:
        raise NotImplementedError

    def sign(self, terms: Terms) -> Started:
        our = terms.ref.our_agreement or ""
        self.consents.setdefault(our, Consent(terms, f"agr-{our}"))
        if terms.first is not None and terms.first.money is not None:
            number = terms.first.ref.ours or ""
            trade = Trade(number, our, terms.first.money, self.clock.now(), Kind.PENDING)
            self.trades.setdefault(number, trade)
        return Started({"type": "page", "url": f"https://sign.test/{our}"})

    def charge(self, ref: Ref, intent: Intent) -> tuple[Fact, ...]:
        number, our = intent.ref.ours or "", ref.our_agreement or ""
        if number in self.trades:
            return (self._of_trade(self.trades[number]),)
        consent = self.consents[our]
        if consent.signed_at is None or consent.ended_at is not None:
            raise Declined("no such agreement", code="GONE", refusal=Refusal.AGREEMENT_GONE)
        word = self.script.popleft() if self.script else "paid"
        if word == "lost":
            raise Unknown("no answer")
        if self.is_strict and not self._takes_now(our):
            word = Refusal.NOT_NOW
        if word in set(Refusal):
            raise Declined("refused", code=word.upper(), refusal=Refusal(word))
        status = Kind.PENDING if word == "pending" else Kind.PAID
        money = intent.money or Money(0, "CNY")
        trade = self.trades[number] = Trade(number, our, money, self.clock.now(), status)
        if word == "dark":
            raise Unknown("no answer")
        return (self._of_trade(trade),)

    def refund(self, ref: Ref, money: Money, reason: str) -> tuple[Fact, ...]:
        told: dict[str, Any] = {"account": self.account, "live": False}
        return (Fact(Kind.REFUNDED, ref, self.clock.now(), money, **told),)

    def announce(self, ref: Ref, money: Money, due: date) -> None:
        self.announced.append((ref.our_agreement or "", due))
        self.announced_amounts.append(money.minor)
        self.announced_at[ref.our_agreement or ""] = self.clock.now()
        if self.announcements_lost:
            self.announcements_lost -= 1
            raise Unknown("no answer")

    def query(self, ref: Ref) -> tuple[Fact, ...]:
        if self.is_down:
            raise Unknown("down")
        if ref.is_agreement and ref.our_agreement is None:
            return self.standings.get(ref.agreement or "", ())
        if ref.is_agreement:
            consent = self.consents.get(ref.our_agreement or "")
            return () if consent is None else (self._of_consent(ref.our_agreement or ""),)
        trade = self.trades.get(ref.ours or "")
        return () if trade is None else (self._of_trade(trade),)

    def cancel(self, ref: Ref) -> tuple[Fact, ...]:
        if self.is_down:
            raise Unknown("down")
        if ref.is_agreement:
            our = ref.our_agreement or ""
            if self.consents[our].signed_at is None:
                return ()
            return (
                (self.user_ends(our, Ending.US),) if self.consents[our].ended_at is None else (self._of_consent(our),)
            )
        trade = self.trades.get(ref.ours or "")
        if trade is None:
            return ()
        if trade.status is Kind.PENDING and not self.never_closes:
            trade.status, trade.at = Kind.CLOSED, self.clock.now()
        return (self._of_trade(trade),)

    def _takes_now(self, our: str) -> bool:
        told_at, window = self.announced_at.get(our), self.charge_window
        return told_at is not None and window.notice <= self.clock.now() - told_at <= window.notice + window.after

    def _of_consent(self, our: str) -> Fact:
        consent = self.consents[our]
        ref, told = Ref(agreement=consent.theirs, our_agreement=our), {"account": self.account, "live": False}
        if consent.ended_at is not None:
            return Fact(Kind.ENDED, ref, consent.ended_at, ending=consent.ending, **told)  # type: ignore[arg-type]
        if consent.signed_at is not None:
            return Fact(Kind.SIGNED, ref, consent.signed_at, **told)  # type: ignore[arg-type]
        return Fact(Kind.PENDING, Ref(our_agreement=our), consent.terms.created_at, **told)  # type: ignore[arg-type]

    def _of_trade(self, trade: Trade) -> Fact:
        theirs = f"trade-{trade.number}"
        told: dict[str, Any] = {"account": self.account, "live": False, "refusal": trade.refusal}
        money = trade.money if trade.status is Kind.PAID else None
        agreement = self.consents[trade.agreement].theirs
        return Fact(trade.status, Ref(trade.number, theirs, agreement=agreement), trade.at, money=money, **told)
