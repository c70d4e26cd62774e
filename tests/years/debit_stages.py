"""The providers under which we charge: each plugin's own simulator, as the years need it. What each has in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import Flask

from app.domain.facts import Refusal
from app.providers.facts import Message, Reply
from app.providers.testing.doubles import FixedClock
from app.providers.testing.simulator import Deliveries, Faults
from app.providers.verbs import Plugin
from tests.years.debit_model import BookedAgreement, BookedCharge

WEBHOOK = "https://pay.test/webhooks/till"
Send = Callable[[str, Message], Reply]


@dataclass
class Payer:
    """What the provider's payer can pay."""

    zone: str
    refused_until: datetime | None = None
    refusal: Refusal = Refusal.NO_MONEY

    def refuses(self, now: datetime) -> Refusal | None:
        return self.refusal if self.refused_until is not None and now < self.refused_until else None


class DebitStage(ABC):
    """One simulated provider. `payers` and `books` are by our number of the agreement."""

    plugin: Plugin
    way: str
    paying_way: str | None = None
    """Pays and signs together."""
    extra: Mapping[str, str] = {}

    def __init__(self, clock: FixedClock) -> None:
        self.clock = clock
        self.payers = dict[str, Payer]()
        self.books = dict[str, BookedAgreement]()
        self.last_refusals = dict[str, Refusal | None]()
        self._open = dict[str, tuple[BookedCharge, Any]]()
        self._seen = 0

    app: Flask
    settings: dict[str, Any]
    faults: Faults
    deliveries: Deliveries

    def expect(self, number: str, payer: Payer, minor: int) -> BookedAgreement:
        """We have asked for an agreement of that number, about that price."""
        self.payers[number] = payer
        booked = BookedAgreement(number, payer.zone, minor, wishes=[(self.clock.now(), minor)])
        return self.books.setdefault(number, booked)

    @abstractmethod
    def watch(self, url: str, body: bytes) -> None:
        """A request is on its way: have its payer refuse, if it is a charge."""

    @abstractmethod
    def sign(self, number: str, action: Mapping[str, Any], payment: int | None, *, signs: bool) -> None:
        """The payer does what the action says; with a payment, the payer pays, and signs or does not."""

    @abstractmethod
    def leave(self, number: str, *, told: bool) -> None:
        """The payer ends it at the provider, which tells us or does not."""

    @abstractmethod
    def lapse(self, number: str) -> None:
        """Its validity ends now, in silence."""

    @abstractmethod
    def refund(self, number: str, charge: str) -> None:
        """The merchant's console gives a charge back, and the provider tells."""

    @abstractmethod
    def new_charges(self, seen: int) -> Iterator[tuple[str, str, datetime, Any]]:
        """What was charged after the first `seen` charges: our agreement, number, when it was asked for, the thing."""

    @abstractmethod
    def minor(self, thing: Any) -> int:
        """What it takes."""

    @abstractmethod
    def paid_at(self, thing: Any) -> datetime | None: ...

    @abstractmethod
    def is_over(self, thing: Any) -> bool:
        """Whether it can never be paid any more."""

    @abstractmethod
    def stand(self) -> Iterator[tuple[str, datetime, datetime | None]]:
        """Each signed agreement: our number, when it was signed, and when it ended."""

    @abstractmethod
    def settle(self) -> None:
        """What was only accepted is decided, at its time."""

    def deliver(self) -> None:
        self.deliveries.run_due()

    def read_books(self) -> None:
        """Bring `books` to what the simulator says now."""
        for number, signed_at, ended_at in self.stand():
            self.books[number].signed_at, self.books[number].ended_at = signed_at, ended_at
        for number, charge, asked_at, thing in self.new_charges(self._seen):
            self._seen += 1
            booked = BookedCharge(charge, asked_at, self.minor(thing))
            self.books[number].charges.append(booked)
            self._open[charge] = (booked, thing)
        for charge, (booked, thing) in list(self._open.items()):
            booked.paid_at = self.paid_at(thing)
            booked.is_over = booked.paid_at is not None or self.is_over(thing)
            if booked.is_over:
                del self._open[charge]

    def refund_newest(self, number: str) -> str | None:
        """Give the newest charge of the agreement back."""
        kept = [each for each in self.books[number].charges if each.paid_at and each.refunded_at is None]
        if not kept:
            return None
        self.faults.set(lose=0, delay=0.0, reorder=0)  # a refund of which nobody tells is found in bills alone
        self.refund(number, kept[-1].number)
        kept[-1].refunded_at = self.clock.now()
        return kept[-1].number

    def refusal_of(self, number: str) -> Refusal | None:
        """What a charge of now comes to; remembered, for who wants to know why an agreement was given up."""
        refusal = self.payers[number].refuses(self.clock.now())
        self.last_refusals[number] = refusal
        return refusal
