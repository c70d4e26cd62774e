"""The simulated provider itself: its merchants, its books, and what it sends by itself."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from flask import Response

from app.providers import Clock, Message, Reply
from app.providers.testing.simulator import Deliveries, Faults, Send, send_over_http
from plugins.sandbox.signing import Signer
from plugins.sandbox.simulated.agreements import AgreementBooks, ChargeConditions, SimulatedAgreement
from plugins.sandbox.simulated.bill_desk import BillDesk
from plugins.sandbox.simulated.books import Books, SimulatedPayment, SimulatedRefund

RETRY_GAPS = (5.0, 30.0, 300.0, 3_600.0, 21_600.0)
FORGER = Signer("a secret that the provider does not have")


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)


@dataclass
class SimulatorConfig:
    """Who the merchants are (id and secret), and how time passes and notifications travel."""

    merchants: Mapping[str, str]
    base_url: str = "http://127.0.0.1:8090"
    clock: Clock = field(default_factory=SystemClock)
    send: Send = send_over_http
    speed: float = 1.0
    """Divides the pauses between attempts to deliver a notification."""
    live: bool = False
    """What messages and answers say of themselves: a test may want the words of a live provider."""
    hang_seconds: float = 0.0
    """How long a call with a timeout fault is left without an answer."""
    charge_conditions: ChargeConditions = field(default_factory=ChargeConditions)
    """When a charge under an agreement is too early, or was not announced."""
    validity: timedelta | None = None
    """So long after it was signed an agreement ends by itself, and in silence. None: never."""


class Simulator:
    """The provider's state, and what it sends by itself."""

    def __init__(self, config: SimulatorConfig) -> None:
        self.config, self.clock = config, config.clock
        self.signers = {merchant: Signer(secret) for merchant, secret in config.merchants.items()}
        self.books, self.faults = Books(config.clock), Faults()
        self.bills = BillDesk(self.books, config.clock)
        self.agreements = AgreementBooks(self.books, config.clock, config.charge_conditions, config.validity)
        self._events = itertools.count(1)
        self.deliveries = Deliveries(
            gaps=RETRY_GAPS,
            accepted=_accepted,
            faults=self.faults,
            send=config.send,
            now=self._seconds,
            speed=config.speed,
        )

    def notification(self, merchant: str, document: Mapping[str, Any], signer: Signer | None = None) -> Message:
        """A genuine notification, signed now; or the work of a forger, with another signer."""
        return self._signed(signer or self.signers[merchant], self._event_id(), self._enveloped(merchant, document))

    def notify(self, about: SimulatedPayment | SimulatedAgreement, document: Mapping[str, Any]) -> None:
        """Queue a notification to the address that was given for it. Its id and content stay, its time and signature
        do not."""
        event, content = self._event_id(), self._enveloped(about.merchant, document)
        self.deliveries.enqueue(
            str(about.asked["notify_url"]),
            lambda: self._signed(self.signers[about.merchant], event, content),
            forged=lambda: self._signed(FORGER, event, content),
        )

    def pay(self, payment: SimulatedPayment) -> None:
        """The payer pays; the merchant is told, once."""
        if self.books.pay(payment):
            self.notify(payment, {"event": "payment", "payment": payment.shown()})

    def sign(self, agreement: SimulatedAgreement) -> None:
        """The payer signs, and pays where the first payment belongs to it; the merchant is told of each by itself."""
        signed = self.agreements.sign(agreement)
        if agreement.first is not None:
            self.pay(agreement.first)
        if signed:
            self.notify(agreement, {"event": "agreement", "agreement": agreement.shown()})

    def end(self, agreement: SimulatedAgreement, by: str) -> None:
        """The agreement is ended by the payer, the merchant or the sandbox; the merchant is told."""
        if self.agreements.end(agreement, by):
            self.notify(agreement, {"event": "agreement", "agreement": agreement.shown()})

    def charge(self, agreement: SimulatedAgreement, asked: Mapping[str, Any]) -> SimulatedPayment:
        """Take a payment under the agreement; the merchant is told once it is paid."""
        payment, is_new = self.agreements.charge(agreement, asked)
        if is_new and payment.status == "PAID":
            self.notify(payment, {"event": "payment", "payment": payment.shown()})
        return payment

    def refuse(self, payment: SimulatedPayment, refusal: str) -> None:
        """The payer's bank refuses a charge that was accepted; the merchant is told."""
        self.books.fail(payment, refusal)
        self.notify(payment, {"event": "payment", "payment": payment.shown()})

    def console_refund(self, payment: SimulatedPayment, amount: int) -> SimulatedRefund:
        """A refund that the merchant's backend knows nothing of; the merchant is told."""
        asked = {"number": f"con_{next(self._events)}", "amount": amount, "currency": payment.asked["currency"]}
        refund, _ = self.books.refund(payment, asked)
        self.notify(payment, {"event": "refund", "refund": payment.shown_refund(refund)})
        return refund

    def dispute(self, payment: SimulatedPayment, amount: int, fee: int) -> SimulatedRefund:
        """The payer's bank takes money back, and the merchant pays a fee for that; the merchant is told."""
        asked = {"number": f"dis_{next(self._events)}", "amount": amount, "currency": payment.asked["currency"]}
        refund, _ = self.books.refund(payment, asked)
        refund.dispute_fee = fee
        self.notify(payment, {"event": "refund", "refund": payment.shown_refund(refund)})
        return refund

    def decide_refund(self, payment: SimulatedPayment, refund: SimulatedRefund, status: str) -> None:
        """Do, fail or reverse a refund; the merchant is told."""
        self.books.set_refund(refund, status)
        self.notify(payment, {"event": "refund", "refund": payment.shown_refund(refund)})

    def answer(self, merchant: str, request_id: str, status: int, document: Mapping[str, Any]) -> Response:
        """A signed answer to the merchant's request."""
        body = json.dumps({"merchant": merchant, "live": self.config.live, **document}).encode()
        headers = self.signers[merchant].headers(f"reply {status}", request_id, int(self._seconds()), body)
        return Response(body, status, headers, content_type="application/json")

    def _enveloped(self, merchant: str, document: Mapping[str, Any]) -> bytes:
        return json.dumps({"merchant": merchant, "live": self.config.live, **document}).encode()

    def _signed(self, signer: Signer, event: str, body: bytes) -> Message:
        headers = signer.headers("notification", event, int(self._seconds()), body)
        return Message("notification", body, {"content-type": "application/json", **headers})

    def _event_id(self) -> str:
        return f"evt_{next(self._events)}"

    def _seconds(self) -> float:
        return self.clock.now().timestamp()


def _accepted(reply: Reply) -> bool:
    return reply.status == 200
