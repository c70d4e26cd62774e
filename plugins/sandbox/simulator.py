"""The sandbox's provider: a merchant API, a cashier's page, notifications with a retry rule, and faults on demand.

    TILLBOOK_ENV=demo python -m plugins.sandbox.simulator --port 8090 --merchant m-1 --secret <32 bytes or more>

| route | for |
|---|---|
| `/v1/…` | merchants: signed requests, signed answers |
| `/pay/<id>` | the payer: a page with a button |
| `/_control/…` | tests and the demo: pay, refund, decide refunds, set a status, set faults, send what is due |
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, Flask, Response, g, redirect, render_template_string, request
from werkzeug.wrappers import Response as AnyResponse

from app.providers import Clock, Message, Reply
from app.providers.testing.simulator import Deliveries, Faults, Send, refuse_production, send_over_http
from plugins.sandbox.mapping import moment
from plugins.sandbox.signing import MERCHANT, BadSignature, Signer, is_fresh
from plugins.sandbox.simulated_books import PAGE_SIZE, Books, Refused, SimulatedPayment, SimulatedRefund

RETRY_GAPS = (5.0, 30.0, 300.0, 3_600.0, 21_600.0)
FORGER = Signer("a secret that the provider does not have")
CASHIER = """<!doctype html><meta charset="utf-8"><title>Sandbox cashier</title>
<h1>{{ payment.asked.subject }}</h1>
<p>{{ payment.amount_text }} {{ payment.asked.currency }} to {{ payment.merchant }}</p>
<p>Status: <b id="status">{{ payment.status }}</b></p>
{% if payment.status == "WAITING" %}<form method="post"><button>Pay</button></form>{% endif %}
{% if payment.asked.return_url %}<p><a href="{{ payment.asked.return_url }}">Back to the shop</a></p>{% endif %}
"""


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
    hang_seconds: float = 0.0
    """How long a call with a timeout fault is left without an answer."""


class Simulator:
    """The provider's state, and what it sends by itself."""

    def __init__(self, config: SimulatorConfig) -> None:
        self.config, self.clock = config, config.clock
        self.signers = {merchant: Signer(secret) for merchant, secret in config.merchants.items()}
        self.books, self.faults = Books(config.clock), Faults()
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

    def notify(self, payment: SimulatedPayment, document: Mapping[str, Any]) -> None:
        """Queue a notification to that payment's address. Its id and content stay, its time and signature do not."""
        event, content = self._event_id(), self._enveloped(payment.merchant, document)
        self.deliveries.enqueue(
            str(payment.asked["notify_url"]),
            lambda: self._signed(self.signers[payment.merchant], event, content),
            forged=lambda: self._signed(FORGER, event, content),
        )

    def pay(self, payment: SimulatedPayment) -> None:
        """The payer pays; the merchant is told, once."""
        if self.books.pay(payment):
            self.notify(payment, {"event": "payment", "payment": payment.shown()})

    def console_refund(self, payment: SimulatedPayment, amount: int) -> SimulatedRefund:
        """A refund that the merchant's backend knows nothing of; the merchant is told."""
        asked = {"number": f"con_{next(self._events)}", "amount": amount, "currency": payment.asked["currency"]}
        refund, _ = self.books.refund(payment, asked)
        self.notify(payment, {"event": "refund", "refund": payment.shown_refund(refund)})
        return refund

    def decide_refund(self, payment: SimulatedPayment, refund: SimulatedRefund, status: str) -> None:
        """Do, fail or reverse a refund; the merchant is told."""
        self.books.set_refund(refund, status)
        self.notify(payment, {"event": "refund", "refund": payment.shown_refund(refund)})

    def answer(self, merchant: str, request_id: str, status: int, document: Mapping[str, Any]) -> Response:
        """A signed answer to the merchant's request."""
        body = json.dumps({"merchant": merchant, "live": False, **document}).encode()
        headers = self.signers[merchant].headers(f"reply {status}", request_id, int(self._seconds()), body)
        return Response(body, status, headers, content_type="application/json")

    def _enveloped(self, merchant: str, document: Mapping[str, Any]) -> bytes:
        return json.dumps({"merchant": merchant, "live": False, **document}).encode()

    def _signed(self, signer: Signer, event: str, body: bytes) -> Message:
        headers = signer.headers("notification", event, int(self._seconds()), body)
        return Message("notification", body, {"content-type": "application/json", **headers})

    def _event_id(self) -> str:
        return f"evt_{next(self._events)}"

    def _seconds(self) -> float:
        return self.clock.now().timestamp()


def create_simulator(config: SimulatorConfig, environ: Mapping[str, str] | None = None) -> Flask:
    """The provider as a WSGI application; its state is in `extensions["sandbox"]`. Raises NotInProduction."""
    refuse_production(environ)
    simulator = Simulator(config)
    app = Flask(__name__)
    app.extensions["sandbox"] = simulator
    app.register_blueprint(_merchant_api(simulator))
    app.register_blueprint(_cashier(simulator))
    app.register_blueprint(_control(simulator))
    return app


def _merchant_api(simulator: Simulator) -> Blueprint:
    api, books = Blueprint("merchant_api", __name__, url_prefix="/v1"), simulator.books

    @api.before_request
    def fail_before() -> Response | None:
        if simulator.faults.take("timeout_before"):
            return _hang(simulator)
        return Response("oops", 500) if simulator.faults.take("error500") else _refuse_strangers(simulator)

    @api.after_request
    def fail_after(response: Response) -> Response:
        if simulator.faults.take("timeout_after"):
            return _hang(simulator)
        return Response(b"\x00\xffgarbage", 200) if simulator.faults.take("garbage") else response

    @api.errorhandler(Refused)
    def refused(error: Refused) -> Response:
        return _answer(simulator, {"error": error.code}, error.status)

    @api.post("/payments")
    def create() -> Response:
        payment = books.create(g.merchant, _document())
        pay_url = f"{simulator.config.base_url}/pay/{payment.id}"
        return _answer(simulator, {"payment": payment.shown(), "pay_url": pay_url})

    @api.get("/payments/<number>")
    @api.get("/payments/id/<theirs>")
    def show(number: str | None = None, theirs: str | None = None) -> Response:
        return _answer(simulator, {"payment": books.find(g.merchant, number=number, theirs=theirs).shown()})

    @api.post("/payments/<number>/close")
    @api.post("/payments/id/<theirs>/close")
    def close(number: str | None = None, theirs: str | None = None) -> Response:
        payment = books.find(g.merchant, number=number, theirs=theirs)
        if books.close(payment):
            simulator.notify(payment, {"event": "payment", "payment": payment.shown()})
        return _answer(simulator, {"payment": payment.shown()})

    @api.post("/payments/<number>/refunds")
    @api.post("/payments/id/<theirs>/refunds")
    def refund(number: str | None = None, theirs: str | None = None) -> Response:
        payment = books.find(g.merchant, number=number, theirs=theirs)
        made, is_new = books.refund(payment, _document())
        shown = {"refund": payment.shown_refund(made)}
        if is_new:
            simulator.notify(payment, {"event": "refund", **shown})
        return _answer(simulator, shown)

    @api.get("/refunds/<number>")
    def show_refund(number: str) -> Response:
        payment, found = books.find_refund(g.merchant, number)
        return _answer(simulator, {"refund": payment.shown_refund(found)})

    @api.get("/history")
    def history() -> Response:
        since, until = moment(request.args["since"]), moment(request.args["until"])
        start = int(request.args["cursor"] or 0)
        found = books.history(g.merchant, since, until, start)
        cursor = str(start + PAGE_SIZE) if len(found) > PAGE_SIZE else None
        return _answer(simulator, {"payments": [p.shown() for p in found[:PAGE_SIZE]], "cursor": cursor})

    return api


def _cashier(simulator: Simulator) -> Blueprint:
    cashier = Blueprint("cashier", __name__, url_prefix="/pay")

    @cashier.errorhandler(Refused)
    def refused(error: Refused) -> Response:
        return Response(error.code, error.status, content_type="text/plain")

    @cashier.get("/<theirs>")
    def page(theirs: str) -> str:
        payment = simulator.books.find(None, theirs=theirs)
        return render_template_string(CASHIER, payment=payment)

    @cashier.post("/<theirs>")
    def pressed(theirs: str) -> AnyResponse:
        payment = simulator.books.find(None, theirs=theirs)
        simulator.pay(payment)
        return redirect(str(payment.asked["return_url"] or request.url), 303)

    return cashier


def _control(simulator: Simulator) -> Blueprint:
    control, books = Blueprint("control", __name__, url_prefix="/_control"), simulator.books

    @control.errorhandler(Refused)
    def refused(error: Refused) -> tuple[dict[str, str], int]:
        return {"error": error.code}, error.status

    @control.post("/faults")
    def faults() -> tuple[dict[str, str], int] | dict[str, str]:
        try:
            simulator.faults.set(**_document())
        except (TypeError, ValueError) as error:
            return {"error": str(error)}, 400
        return {}

    @control.get("/payments/<number>")
    def show(number: str) -> dict[str, Any]:
        return books.find(None, number=number).shown()

    @control.post("/payments/<number>/pay")
    def pay(number: str) -> dict[str, Any]:
        payment = books.find(None, number=number)
        simulator.pay(payment)
        return payment.shown()

    @control.post("/payments/<number>/status")
    def status(number: str) -> dict[str, Any]:
        payment = books.find(None, number=number)
        payment.status = str(_document()["status"])
        return payment.shown()

    @control.post("/refunds")
    def next_refunds() -> dict[str, Any]:
        """How the next refunds end: `{"next": ["WAITING", "REFUSED"]}`."""
        books.next_refunds.extend(str(status) for status in _document()["next"])
        return {"next": list(books.next_refunds)}

    @control.post("/payments/<number>/refunds")
    def console_refund(number: str) -> dict[str, Any]:
        """Somebody refunds in the provider's console, under a number of the provider's own."""
        payment = books.find(None, number=number)
        return payment.shown_refund(simulator.console_refund(payment, int(_document()["amount"])))

    @control.post("/refunds/<number>/status")
    def refund_status(number: str) -> dict[str, Any]:
        """The provider decides: DONE, FAILED, or REVERSED."""
        payment, refund = books.find_refund(None, number)
        simulator.decide_refund(payment, refund, str(_document()["status"]))
        return payment.shown_refund(refund)

    @control.post("/deliver")
    def deliver() -> dict[str, int]:
        return {"sent": simulator.deliveries.run_due(), "waiting": simulator.deliveries.waiting}

    return control


def _refuse_strangers(simulator: Simulator) -> Response | None:
    """Only a merchant's own signature, made within five minutes, opens the API."""
    merchant = request.headers.get(MERCHANT, "")
    signer = simulator.signers.get(merchant)
    if signer is None:
        return Response('{"error":"NOT_AUTHENTIC"}', 401, content_type="application/json")
    headers = {name.lower(): value for name, value in request.headers.items()}
    g.merchant, g.request_id = merchant, "none"
    path = request.full_path.removesuffix("?")
    try:
        signed = signer.verify(f"request {request.method} {path}", headers, request.get_data())
    except BadSignature:
        return _answer(simulator, {"error": "NOT_AUTHENTIC"}, 401)
    g.request_id = signed.id
    if not is_fresh(signed, simulator.clock.now().timestamp()):
        return _answer(simulator, {"error": "NOT_AUTHENTIC"}, 401)
    return None


def _answer(simulator: Simulator, document: Mapping[str, Any], status: int = 200) -> Response:
    return simulator.answer(g.merchant, g.request_id, status, document)


def _document() -> dict[str, Any]:
    document = request.get_json(force=True, silent=True)
    if not isinstance(document, dict):
        raise Refused(400, "BAD_REQUEST")
    return document


def _hang(simulator: Simulator) -> Response:
    """As good as no answer: a wait, and then a gateway's page."""
    time.sleep(simulator.config.hang_seconds)
    return Response("gateway timeout", 504, content_type="text/html")


def _accepted(reply: Reply) -> bool:
    return reply.status == 200


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description="The sandbox provider, for tests and demonstrations.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8090)
    parser.add_argument("--merchant", default="demo-merchant")
    parser.add_argument("--secret", required=True, help="shared with the merchant, at least 32 bytes")
    parser.add_argument("--speed", type=float, default=1.0, help="divides the pauses between notifications")
    given = parser.parse_args(arguments)
    config = SimulatorConfig(
        {given.merchant: given.secret}, f"http://{given.host}:{given.port}", speed=given.speed, hang_seconds=15.0
    )
    app = create_simulator(config)
    app.extensions["sandbox"].deliveries.start()
    app.run(given.host, given.port, threaded=True)


if __name__ == "__main__":
    main()
