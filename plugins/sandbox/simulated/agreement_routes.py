"""Agreements over HTTP: what merchants call, the page at which the payer signs, and levers for tests and the demo."""

from __future__ import annotations

from datetime import date
from typing import Any

from flask import Blueprint, Response, g, redirect, render_template_string, request
from werkzeug.wrappers import Response as AnyResponse

from plugins.sandbox.simulated.agreements import SimulatedAgreement
from plugins.sandbox.simulated.books import Refused
from plugins.sandbox.simulated.documents import asked_document
from plugins.sandbox.simulated.provider import Simulator

SIGNING = """<!doctype html><meta charset="utf-8"><title>Sandbox agreement</title>
<h1>{{ agreement.asked.subject }}</h1>
<p>{{ agreement.amount_text }} {{ agreement.asked.currency }} to {{ agreement.merchant }}
every {{ agreement.asked.count }} {{ agreement.asked.unit }}(s), first on {{ agreement.asked.first_due }}</p>
<p>Status: <b id="status">{{ agreement.status }}</b></p>
{% if agreement.status == "SIGNING" %}<form method="post">
<button>{% if agreement.first %}Pay and sign{% else %}Sign{% endif %}</button></form>{% endif %}
{% if agreement.status == "ACTIVE" %}<form method="post" action="{{ agreement.id }}/end"><button>End</button></form>
{% endif %}
{% if agreement.asked.return_url %}<p><a href="{{ agreement.asked.return_url }}">Back to the shop</a></p>{% endif %}
"""


def agreement_calls(api: Blueprint, simulator: Simulator) -> None:
    """Adds `/v1/agreements…` to the API of merchants."""

    def found(number: str | None, theirs: str | None) -> SimulatedAgreement:
        return simulator.agreements.find(g.merchant, number=number, theirs=theirs)

    def answer(document: dict[str, Any]) -> Response:
        return simulator.answer(g.merchant, g.request_id, 200, document)

    @api.post("/agreements")
    def create_agreement() -> Response:
        agreement = simulator.agreements.create(g.merchant, asked_document())
        shown = {"agreement": agreement.shown(), "sign_url": f"{simulator.config.base_url}/sign/{agreement.id}"}
        return answer(shown if agreement.first is None else {"payment": agreement.first.shown(), **shown})

    @api.get("/agreements/<number>")
    @api.get("/agreements/id/<theirs>")
    def show_agreement(number: str | None = None, theirs: str | None = None) -> Response:
        return answer({"agreement": found(number, theirs).shown()})

    @api.post("/agreements/<number>/end")
    @api.post("/agreements/id/<theirs>/end")
    def end_agreement(number: str | None = None, theirs: str | None = None) -> Response:
        agreement = found(number, theirs)
        simulator.end(agreement, "MERCHANT")
        return answer({"agreement": agreement.shown()})

    @api.post("/agreements/<number>/charges")
    @api.post("/agreements/id/<theirs>/charges")
    def charge(number: str | None = None, theirs: str | None = None) -> Response:
        return answer({"payment": simulator.charge(found(number, theirs), asked_document()).shown()})

    @api.post("/agreements/<number>/announcements")
    @api.post("/agreements/id/<theirs>/announcements")
    def announce(number: str | None = None, theirs: str | None = None) -> Response:
        agreement = found(number, theirs)
        try:
            due = date.fromisoformat(str(asked_document().get("due")))
        except ValueError:
            raise Refused(400, "BAD_REQUEST") from None
        simulator.agreements.announce(agreement, due.isoformat())
        return answer({"agreement": agreement.shown()})


def signing_page(simulator: Simulator) -> Blueprint:
    """`/sign/<id>`: the payer signs there, and can end there."""
    page, agreements = Blueprint("signing", __name__, url_prefix="/sign"), simulator.agreements

    @page.errorhandler(Refused)
    def refused(error: Refused) -> Response:
        return Response(error.code, error.status, content_type="text/plain")

    @page.get("/<theirs>")
    def show(theirs: str) -> str:
        return render_template_string(SIGNING, agreement=agreements.find(None, theirs=theirs))

    @page.post("/<theirs>")
    def sign(theirs: str) -> AnyResponse:
        agreement = agreements.find(None, theirs=theirs)
        simulator.sign(agreement)
        return redirect(str(agreement.asked["return_url"] or request.url), 303)

    @page.post("/<theirs>/end")
    def end(theirs: str) -> AnyResponse:
        simulator.end(agreements.find(None, theirs=theirs), "PAYER")
        return redirect(f"/sign/{theirs}", 303)

    return page


def agreement_control(control: Blueprint, simulator: Simulator) -> None:
    """Adds `/_control/agreements…` and the levers of charges."""
    agreements = simulator.agreements

    @control.get("/agreements/<number>")
    def show_agreement(number: str) -> dict[str, Any]:
        agreement = agreements.find(None, number=number)
        return {**agreement.shown(), "charges": [charge.shown() for charge in agreement.charges]}

    @control.post("/agreements/<number>/sign")
    def sign_agreement(number: str) -> dict[str, Any]:
        agreement = agreements.find(None, number=number)
        simulator.sign(agreement)
        return agreement.shown()

    @control.post("/agreements/<number>/end")
    def end_agreement(number: str) -> dict[str, Any]:
        """Who ends it: `{"by": "PAYER"}`, or MERCHANT, or SANDBOX."""
        agreement = agreements.find(None, number=number)
        simulator.end(agreement, str(asked_document()["by"]))
        return agreement.shown()

    @control.post("/agreements/<number>/expire")
    def expire_agreement(number: str) -> dict[str, Any]:
        """Its validity ends now, in silence."""
        agreement = agreements.find(None, number=number)
        agreements.expire(agreement)
        return agreements.find(None, number=number).shown()

    @control.post("/agreements/<number>/status")
    def agreement_status(number: str) -> dict[str, Any]:
        agreement = agreements.find(None, number=number)
        agreement.status = str(asked_document()["status"])
        return agreement.shown()

    @control.post("/charges")
    def next_charges() -> dict[str, Any]:
        """What becomes of the next charges: `{"next": ["WAITING", "NO_MONEY"]}`."""
        agreements.next_charges.extend(str(outcome) for outcome in asked_document()["next"])
        return {"next": list(agreements.next_charges)}

    @control.post("/payments/<number>/refuse")
    def refuse_charge(number: str) -> dict[str, Any]:
        """The payer's bank refuses a charge that was accepted: `{"refusal": "NO_MONEY"}`."""
        payment = simulator.books.find(None, number=number)
        simulator.refuse(payment, str(asked_document()["refusal"]))
        return payment.shown()
