"""`/_control/…`: levers for tests and the demo, no part of the protocol."""

from __future__ import annotations

from typing import Any

from flask import Blueprint

from plugins.sandbox.simulated.agreement_routes import agreement_control
from plugins.sandbox.simulated.books import Refused
from plugins.sandbox.simulated.documents import asked_document
from plugins.sandbox.simulated.provider import Simulator


def control_panel(simulator: Simulator) -> Blueprint:
    control, books = Blueprint("control", __name__, url_prefix="/_control"), simulator.books

    @control.errorhandler(Refused)
    def refused(error: Refused) -> tuple[dict[str, str], int]:
        return {"error": error.code}, error.status

    @control.post("/faults")
    def faults() -> tuple[dict[str, str], int] | dict[str, str]:
        try:
            simulator.faults.set(**asked_document())
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
        payment.status = str(asked_document()["status"])
        return payment.shown()

    @control.post("/refunds")
    def next_refunds() -> dict[str, Any]:
        """How the next refunds end: `{"next": ["WAITING", "REFUSED"]}`."""
        books.next_refunds.extend(str(status) for status in asked_document()["next"])
        return {"next": list(books.next_refunds)}

    @control.post("/payments/<number>/refunds")
    def console_refund(number: str) -> dict[str, Any]:
        """Somebody refunds in the provider's console, under a number of the provider's own."""
        payment = books.find(None, number=number)
        return payment.shown_refund(simulator.console_refund(payment, int(asked_document()["amount"])))

    @control.post("/payments/<number>/disputes")
    def dispute(number: str) -> dict[str, Any]:
        """The payer's bank takes money back: `{"amount": 600, "fee": 150}`."""
        payment, asked = books.find(None, number=number), asked_document()
        return payment.shown_refund(simulator.dispute(payment, int(asked["amount"]), int(asked["fee"])))

    @control.post("/refunds/<number>/status")
    def refund_status(number: str) -> dict[str, Any]:
        """The provider decides: DONE, FAILED, or REVERSED."""
        payment, refund = books.find_refund(None, number)
        simulator.decide_refund(payment, refund, str(asked_document()["status"]))
        return payment.shown_refund(refund)

    @control.post("/merchants/<merchant>/movements")
    def move(merchant: str) -> dict[str, str]:
        """The balance changes without a payment: `{"kind": "PAYOUT", "amount": -600, "currency": "CNY"}`."""
        asked = asked_document()
        moved = (str(asked["kind"]), int(asked["amount"]), str(asked["currency"]))
        return {"number": simulator.bills.move(merchant, *moved)}

    agreement_control(control, simulator)

    @control.post("/deliver")
    def deliver() -> dict[str, int]:
        return {"sent": simulator.deliveries.run_due(), "waiting": simulator.deliveries.waiting}

    return control
