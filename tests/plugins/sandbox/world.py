"""The sandbox as the conformance kit needs it: the simulator, reached without a network. Here its payments alone, with
the provider that has no agreements, so that many adapters are tried quickly; `agreeing_world` has all of it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, ClassVar

from app.domain.money import Money
from app.providers import HttpClient, HttpResponse, Intent, Kind, Message, Plugin, Ref, Reply
from app.providers.testing.conformance import DisputeStep, Document, HeaderPart, Sample, Traits, World, make_intent
from app.providers.testing.doubles import FixedClock, RewritingHttp, WsgiClient
from plugins.sandbox.mapping import moment
from plugins.sandbox.provider import SandboxProvider
from plugins.sandbox.settings import SandboxSettings
from plugins.sandbox.signing import FRESH_SECONDS, ID, SIGNATURE, TIMESTAMP, Signer
from plugins.sandbox.simulated.books import Refused, SimulatedPayment, SimulatedRefund
from plugins.sandbox.simulator import ChargeConditions, Simulator, SimulatorConfig, create_simulator

MERCHANT, SECRET = "m-ours", "ours: a secret of more than 32 bytes"
OTHER, OTHERS_SECRET = "m-other", "theirs: a secret of more than 32 bytes"
EXTRAS: dict[str, dict[str, Any]] = {"bank": {"bank": "icbc"}}
PAYER = "payer@example.org"
WAYS = ("page", "qr", "bank", "card")


class SandboxWorld(World):
    plugin = Plugin("sandbox", SandboxSettings, SandboxProvider)
    traits = Traits(
        verbs=("capture", "refund", "cancel", "scan"), freshness=timedelta(seconds=FRESH_SECONDS), takes_back=True
    )
    left_out: ClassVar[Mapping[str, str]] = {
        "rotations": "one secret, and no second one beside it: a new secret is a new configuration",
        "proofs": "a notification is its bytes; nobody hands in a proof",
    }
    signature_parts = (HeaderPart(ID), HeaderPart(TIMESTAMP), HeaderPart(SIGNATURE))

    def __init__(self, clock: FixedClock, charge_conditions: ChargeConditions | None = None) -> None:
        super().__init__(clock)
        self.sent: list[Message] = []
        config = SimulatorConfig({MERCHANT: SECRET, OTHER: OTHERS_SECRET}, clock=clock, send=self._keep)
        config.charge_conditions = charge_conditions or config.charge_conditions
        app = create_simulator(config, environ={"TILLBOOK_ENV": "test"})
        self.simulator: Simulator = app.extensions["sandbox"]
        self._http = WsgiClient(app)

    def settings(self) -> dict[str, Any]:
        currencies = ["CNY", "JPY"]
        return {
            "base_url": "http://sandbox.example",
            "merchant": MERCHANT,
            "secret": SECRET,
            "currencies": currencies,
        }

    def secrets(self) -> tuple[str, ...]:
        return (SECRET,)

    @property
    def http(self) -> HttpClient:
        return self._http

    def intents(self) -> tuple[Intent, ...]:
        return tuple(make_intent(self.clock, way, Money(600, "CNY"), extra=EXTRAS.get(way)) for way in WAYS)

    def pay(self, intent: Intent) -> tuple[Message, ...]:
        self._delivered()
        payment = self.simulator.books.find(MERCHANT, number=intent.ref.ours)
        self.simulator.pay(payment)
        if payment.status == "AUTHORIZED":
            self._delivered()
            self.simulator.books.capture(payment, {"amount": 600, "currency": "CNY"})
            self.simulator.notify(payment, {"event": "payment", "payment": payment.shown()})
        return self._delivered()

    def payments(self, intent: Intent) -> int:
        return sum(payment.number == intent.ref.ours for payment in self.simulator.books.all_of(MERCHANT))

    def samples(self) -> Mapping[str, Sample]:
        refund = {"event": "refund", "refund": _refund("DONE")}
        refund_failed = {"event": "refund", "refund": _refund("FAILED")}
        return {
            "paid": Sample(self._signed({"event": "payment", "payment": _payment("PAID")}), (Kind.PAID,)),
            "closed": Sample(self._signed({"event": "payment", "payment": _payment("CLOSED")}), (Kind.CLOSED,)),
            "authorized": Sample(
                self._signed({"event": "payment", "payment": _payment("AUTHORIZED")}), (Kind.AUTHORIZED,)
            ),
            "failed": Sample(self._signed({"event": "payment", "payment": _payment("FAILED")}), (Kind.FAILED,)),
            "refunded": Sample(self._signed(refund), (Kind.REFUNDED,)),
            "refund failed": Sample(self._signed(refund_failed), (Kind.REFUND_FAILED,)),
            "a test message": Sample(self._signed({"event": "ping"}), ()),
        }

    def document(self) -> Document:
        content = {
            "merchant": MERCHANT,
            "live": self.simulator.config.live,
            "event": "payment",
            "payment": _payment("PAID"),
        }
        return Document(content, self._signed_bare, status=("payment", "status"))

    def forgeries(self) -> Mapping[str, Message]:
        body = self.samples()["paid"].message.body
        now = int(self.clock.now().timestamp())
        reply = Signer(SECRET).headers("reply 200", "evt_1", now, body)
        return {
            "another key": self._signed_by(Signer("a secret that is nobody's, but long enough"), body),
            "another merchant's key": self._signed_by(Signer(OTHERS_SECRET), body),
            "a reply passed off as a notification": Message("notification", body, reply),
        }

    def foreign(self) -> Mapping[str, Message]:
        document = {"event": "payment", "payment": _payment("PAID")}
        theirs = self.simulator.notification(OTHER, document)
        return {
            "signed with their secret": theirs,
            "signed with ours": self._signed_by(Signer(SECRET), theirs.body),
        }

    def odd(self) -> Mapping[str, Message]:
        body = self.samples()["paid"].message.body
        bodies = {
            "a repeated member": body.replace(b'"amount": 600', b'"amount": 600, "amount": 1'),
            "an endless number": body.replace(b"600", b"1e400"),
            "a number of 5000 digits": body.replace(b"600", b"6" * 5_000),
            "a fraction": body.replace(b"600", b"600.0"),
            "another charset": body.decode().encode("utf-16"),
            "a byte order mark": b"\xef\xbb\xbf" + body,
            "deeper than any parser": b'{"payment":' * 100_000,
        }
        assert body not in bodies.values()
        return {name: self._signed_by(Signer(SECRET), odd) for name, odd in bodies.items()}

    def liars(self) -> Mapping[str, HttpClient]:
        def by_another_key(answer: HttpResponse) -> HttpResponse:
            headers = Signer(OTHERS_SECRET).headers(
                f"reply {answer.status}", answer.headers[ID], int(answer.headers[TIMESTAMP]), answer.body
            )
            return replace(answer, headers={**answer.headers, **headers})

        def unsigned(answer: HttpResponse) -> HttpResponse:
            kept = {name: value for name, value in answer.headers.items() if not name.startswith("sandbox-")}
            return replace(answer, headers=kept)

        def of_another_request(answer: HttpResponse) -> HttpResponse:
            headers = Signer(SECRET).headers(
                f"reply {answer.status}", "0" * 32, int(answer.headers[TIMESTAMP]), answer.body
            )
            return replace(answer, headers={**answer.headers, **headers})

        def nothing_there(answer: HttpResponse) -> HttpResponse:
            return replace(unsigned(answer), status=404, body=b'{"error":"NO_SUCH_PAYMENT"}')

        return {
            "another key": RewritingHttp(self.http, by_another_key),
            "unsigned": RewritingHttp(self.http, unsigned),
            "an unsigned no": RewritingHttp(self.http, nothing_there),
            "the answer to another request": RewritingHttp(self.http, of_another_request),
        }

    def charged(self, intent: Intent) -> Money | None:
        asked = self.simulator.books.find(MERCHANT, number=intent.ref.ours).asked
        return Money(asked["amount"], asked["currency"])

    def payable_until(self, intent: Intent) -> datetime | None:
        return moment(self.simulator.books.find(MERCHANT, number=intent.ref.ours).asked["expires_at"])

    def private_words(self) -> tuple[str, ...]:
        return (PAYER,)

    def live_world(self) -> World:
        """The provider refuses a live account; what it reads says for itself whether it is live."""
        world = type(self)(self.clock)
        world.simulator.config.live = True
        return world

    def dispute(self, intent: Intent, step: DisputeStep) -> tuple[Message, ...]:
        """The sandbox takes money back under a number of its own, and may give it back; an inquiry is told as an event
        of a kind that says nothing, and stands in the history as a mark."""
        payment = self.simulator.books.find(MERCHANT, number=intent.ref.ours)
        self._delivered()
        if step is DisputeStep.INQUIRY:
            payment.odd = {"inquiry": True}
            return (self._signed({"event": "inquiry", "amount": payment.asked["amount"], "number": payment.number}),)
        if step is DisputeStep.TAKEN:
            self.simulator.console_refund(payment, payment.asked["amount"])
        else:
            self.simulator.decide_refund(payment, payment.refunds[-1], "REVERSED")
        return self._delivered()

    def spoil_row(self, intent: Intent) -> None:
        self.simulator.books.find(MERCHANT, number=intent.ref.ours).odd = {"amount": "six hundred"}

    def show_status(self, intent: Intent, word: str) -> None:
        self.simulator.books.find(MERCHANT, number=intent.ref.ours).status = word

    def refusing(self, code: str) -> HttpClient:
        def refused(answer: HttpResponse) -> HttpResponse:
            body = json.dumps({"merchant": MERCHANT, "live": False, "error": code}).encode()
            signed = Signer(SECRET).headers("reply 409", answer.headers[ID], int(answer.headers[TIMESTAMP]), body)
            return HttpResponse(409, {**answer.headers, **signed}, body)

        return RewritingHttp(SandboxWorld(self.clock).http, refused)  # what is asked for happens nowhere

    def settle_refund(self, ref: Ref) -> tuple[Message, ...]:
        with contextlib.suppress(Refused):  # made under another number, or not at all
            payment, refund = self._refund(ref)
            if refund.status == "WAITING":
                self.simulator.decide_refund(payment, refund, "DONE")
        return self._delivered()

    def hold_refund(self) -> None:
        self.simulator.books.next_refunds.append("WAITING")

    def fail_refund(self, ref: Ref) -> tuple[Message, ...]:
        self._delivered()
        self.simulator.decide_refund(*self._refund(ref), "FAILED")
        return self._delivered()

    def show_refund_status(self, ref: Ref, word: str) -> None:
        self._refund(ref)[1].status = word

    def _refund(self, ref: Ref) -> tuple[SimulatedPayment, SimulatedRefund]:
        return self.simulator.books.find_refund(MERCHANT, str(ref.refund))

    def take_back(self, intent: Intent) -> tuple[Message, ...]:
        payment = self.simulator.books.find(MERCHANT, number=intent.ref.ours)
        self._delivered()
        self.simulator.console_refund(payment, payment.asked["amount"])
        return self._delivered()

    def refunded(self, intent: Intent) -> int:
        return self.simulator.books.find(MERCHANT, number=intent.ref.ours).refunded

    def _keep(self, url: str, message: Message) -> Reply:
        self.sent.append(message)
        return Reply(200, "application/json", b"{}")

    def _delivered(self) -> tuple[Message, ...]:
        self.sent.clear()
        self.simulator.deliveries.run_due()
        return tuple(self.sent)

    def _signed(self, document: Mapping[str, Any]) -> Message:
        return self.simulator.notification(MERCHANT, document)

    def _signed_bare(self, document: Mapping[str, Any]) -> Message:
        return self._signed_by(Signer(SECRET), json.dumps(document).encode())

    def _signed_by(self, signer: Signer, body: bytes) -> Message:
        headers = signer.headers("notification", "evt_1", int(self.clock.now().timestamp()), body)
        return Message("notification", body, {"content-type": "application/json", **headers})


def _payment(status: str) -> dict[str, Any]:
    return {
        "id": "sbx_77",
        "number": "4503599627370001",
        "status": status,
        "amount": 600,
        "currency": "CNY",
        "owner": "0b9e1a56-7c39-4d2e-8f60-5a1de2c4b7aa",
        "at": "2026-01-02T03:04:05Z",
        "payer": {"email": PAYER},
        "refunds": [],
    }


def _refund(status: str) -> dict[str, Any]:
    return {
        "number": "4503599627370002",
        "payment_id": "sbx_77",
        "payment_number": "4503599627370001",
        "status": status,
        "amount": 200,
        "currency": "CNY",
        "at": "2026-01-03T00:00:00Z",
    }
