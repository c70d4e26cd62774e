"""The control interface of the simulated WeChat Pay for auto-debit, and the page on which a payer signs."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask import Flask, Response, jsonify, render_template_string, request

from plugins.wechat.simulated.contracts import Contract
from plugins.wechat.simulated.wechat import SimulatedWeChat

_SIGNING_PAGE = """<!doctype html><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>WeChat Pay (simulated)</title><h1>WeChat Pay (simulated): auto-debit</h1>
{% if signed %}<p>Signed: {{ signed.contract_id }}</p>{% else %}<form method="post"><button>agree</button></form>
{% endif %}"""


def add_contract_control(app: Flask, wechat: SimulatedWeChat) -> None:
    """What payers, WeChat Pay and the payer's bank do with contracts and deductions."""

    @app.get("/papay/entrustweb")
    @app.get("/_sign/papay")
    def signing_page() -> str:
        return render_template_string(_SIGNING_PAGE, signed=None)

    @app.post("/papay/entrustweb")
    @app.post("/_sign/papay")
    def agree() -> str:
        return render_template_string(_SIGNING_PAGE, signed=wechat.sign({"url": request.url}))

    @app.post("/_control/sign")
    def control_sign() -> Response:
        return jsonify(_shown(wechat.sign(request.get_json()["action"])))

    @app.post("/_control/end-contract")
    def control_end() -> Response:
        asked = request.get_json()
        return jsonify(_shown(wechat.end_contract(str(asked["contract"]), str(asked.get("mode", "2")))))

    @app.post("/_control/validity")
    def control_validity() -> Response:
        asked = request.get_json()
        contract = wechat.contracts.find(str(asked["contract"]))
        contract.expires_at = datetime.fromisoformat(asked["until"])
        return jsonify(_shown(contract))

    @app.post("/_control/refusals")
    def control_refusals() -> Response:
        codes = [str(code) for code in request.get_json()["codes"]]
        wechat.papay_v2.refusals, wechat.papay_v3.refusals = list(codes), list(codes)
        return jsonify(codes=codes)

    @app.post("/_control/deduct")
    def control_deduct() -> Response:
        asked = request.get_json()
        order = wechat.deduct(str(asked["number"]), str(asked.get("err_code", "")))
        return jsonify(number=order.number, state=order.trade_state)


def shown_contracts(wechat: SimulatedWeChat) -> list[dict[str, Any]]:
    return [_shown(contract) for contract in wechat.contracts]


def _shown(contract: Contract) -> dict[str, Any]:
    return {
        "contract_id": contract.contract_id,
        "contract_code": contract.signing.code,
        "plan_id": contract.signing.plan_id,
        "ended": contract.ended_at.isoformat() if contract.ended_at else None,
    }
