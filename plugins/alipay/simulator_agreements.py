"""The simulated Alipay's part for agreements over HTTP: the page on which a payer signs, and the control interface."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response, current_app, jsonify, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from plugins.alipay.formats import parse_time
from plugins.alipay.simulated import pages
from plugins.alipay.simulated.agreements import Agreement, SigningRequest
from plugins.alipay.simulated.alipay import SimulatedAlipay
from plugins.alipay.simulated.gateway import GatewayError
from plugins.alipay.simulated.trades import BusinessFailure

EXTENSION = "simulated-alipay"


def simulation() -> SimulatedAlipay:
    """What stands behind the pages of the app that answers now."""
    alipay = current_app.extensions[EXTENSION]
    if not isinstance(alipay, SimulatedAlipay):
        raise TypeError("not made by create_simulator")
    return alipay


def show_signing(parameters: Mapping[str, str]) -> AnyResponse:
    """What a payer sees who opens a signed request in a browser or in the wallet."""
    token = secrets.token_urlsafe(12)
    current_app.extensions["visits"][token] = (simulation().gateway.signing(parameters), parameters.get("return_url"))
    return Response(pages.signing(simulation().gateway.signing(parameters), token))


signing_pages = Blueprint("signing", __name__)


@signing_pages.post("/signing/<token>/agree")
def agree(token: str) -> AnyResponse:
    asked, back = current_app.extensions["visits"].pop(token, (None, None))
    if not isinstance(asked, SigningRequest):
        return Response(pages.refusal("This page was left."), 404)
    simulation().gateway.agreements.sign(asked)
    return redirect(back, 302) if back else Response(pages.agreed())


agreement_control = Blueprint("agreement_control", __name__)


@agreement_control.errorhandler(BusinessFailure)
@agreement_control.errorhandler(GatewayError)
def agreement_refused(error: Exception) -> tuple[Response, int]:
    return jsonify(error=str(error)), 409


@agreement_control.errorhandler(KeyError)
@agreement_control.errorhandler(ValueError)
@agreement_control.errorhandler(TypeError)
def agreement_misused(error: Exception) -> tuple[Response, int]:
    return jsonify(error=f"bad request: {type(error).__name__} {error}"), 400


@agreement_control.get("/agreements")
def listed() -> Response:
    return jsonify(agreements=[_shown(agreement) for agreement in simulation().gateway.agreements])


@agreement_control.post("/sign")
def payer_signs() -> Response:
    """`{"action": …}`: a payer agrees to what the action shows. Paying and signing together is `pay`."""
    return jsonify(_shown(simulation().sign(_json()["action"])))


@agreement_control.post("/unsign")
def unsign() -> Response:
    """`{"agreement": …}` (either number): the payer ends it in the wallet."""
    return jsonify(_shown(simulation().unsign(_json()["agreement"])))


@agreement_control.post("/validity")
def validity() -> Response:
    """`{"agreement": …, "until": "2026-03-01 00:00:00"}`: it ends then, Beijing time, and nobody is told."""
    asked = _json()
    agreement = simulation().gateway.agreements.find(asked["agreement"])
    agreement.valid_until = parse_time(asked["until"])
    return jsonify(_shown(agreement))


@agreement_control.post("/deductions")
def deductions() -> Response:
    """`{"refusals": ["ACQ.BUYER_BALANCE_NOT_ENOUGH"], "waits": false}`: what becomes of the next deductions."""
    asked, book = _json(), simulation().gateway.deductions
    book.refusals = [str(word) for word in asked.get("refusals", [])]
    book.waits = bool(asked.get("waits", False))
    return jsonify(refusals=book.refusals, waits=book.waits)


@agreement_control.post("/confirm")
def confirm() -> Response:
    """`{"out_trade_no": …, "succeeded": true}`: the payer's word on a deduction that waited for it."""
    asked, gateway = _json(), simulation().gateway
    trade = gateway.trades.find(asked["out_trade_no"])
    if asked["succeeded"]:
        gateway.deductions.succeed(trade)
    else:
        gateway.deductions.give_up(trade)
    return jsonify(out_trade_no=trade.order.out_trade_no, trade_status=trade.status)


def _json() -> Mapping[str, Any]:
    body = request.get_json(silent=True)
    if not isinstance(body, dict):
        raise ValueError("a JSON object is needed")
    return body


def _shown(agreement: Agreement) -> dict[str, Any]:
    return {
        "agreement_no": agreement.agreement_no,
        "external_agreement_no": agreement.request.external_no,
        "status": agreement.status,
        "next_deduct_time": agreement.planned.isoformat() if agreement.planned else None,
    }
