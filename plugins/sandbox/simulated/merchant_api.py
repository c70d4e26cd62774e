"""`/v1/…`: what merchants call, with signed requests and signed answers."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response, g, request

from plugins.sandbox.mapping import moment
from plugins.sandbox.signing import MERCHANT, BadSignature, is_fresh
from plugins.sandbox.simulated.agreement_routes import agreement_calls
from plugins.sandbox.simulated.books import PAGE_SIZE, Refused
from plugins.sandbox.simulated.documents import asked_document
from plugins.sandbox.simulated.provider import Simulator


def merchant_api(simulator: Simulator) -> Blueprint:
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
        payment = books.create(g.merchant, asked_document())
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

    @api.post("/payments/<number>/capture")
    @api.post("/payments/id/<theirs>/capture")
    def capture(number: str | None = None, theirs: str | None = None) -> Response:
        payment = books.find(g.merchant, number=number, theirs=theirs)
        if books.capture(payment, asked_document()):
            simulator.notify(payment, {"event": "payment", "payment": payment.shown()})
        return _answer(simulator, {"payment": payment.shown()})

    @api.post("/payments/<number>/delivery")
    @api.post("/payments/id/<theirs>/delivery")
    def deliver(number: str | None = None, theirs: str | None = None) -> Response:
        payment = books.find(g.merchant, number=number, theirs=theirs)
        books.deliver(payment)
        return _answer(simulator, {"payment": payment.shown()})

    @api.post("/payments/<number>/refunds")
    @api.post("/payments/id/<theirs>/refunds")
    def refund(number: str | None = None, theirs: str | None = None) -> Response:
        payment = books.find(g.merchant, number=number, theirs=theirs)
        made, is_new = books.refund(payment, asked_document())
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
        return _answer(simulator, {"payments": [{**p.shown(), **p.odd} for p in found[:PAGE_SIZE]], "cursor": cursor})

    @api.get("/bills/<side>/<day>")
    def bill(side: str, day: str) -> Response:
        document = simulator.bills.bill(g.merchant, side, day, live=simulator.config.live)
        return _answer(simulator, {"document": document})

    agreement_calls(api, simulator)
    return api


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


def _hang(simulator: Simulator) -> Response:
    """As good as no answer: a wait, and then a gateway's page."""
    time.sleep(simulator.config.hang_seconds)
    return Response("gateway timeout", 504, content_type="text/html")
