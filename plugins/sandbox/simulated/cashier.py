"""`/pay/<id>`: the page at which the payer pays."""

from __future__ import annotations

from flask import Blueprint, Response, redirect, render_template_string, request
from werkzeug.wrappers import Response as AnyResponse

from plugins.sandbox.simulated.books import Refused
from plugins.sandbox.simulated.provider import Simulator

CASHIER = """<!doctype html><meta charset="utf-8"><title>Sandbox cashier</title>
<h1>{{ payment.asked.subject }}</h1>
<p>{{ payment.amount_text }} {{ payment.asked.currency }} to {{ payment.merchant }}</p>
<p>Status: <b id="status">{{ payment.status }}</b></p>
{% if payment.status == "WAITING" %}<form method="post"><button>Pay</button></form>{% endif %}
{% if payment.asked.return_url %}<p><a href="{{ payment.asked.return_url }}">Back to the shop</a></p>{% endif %}
"""


def cashier_page(simulator: Simulator) -> Blueprint:
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
