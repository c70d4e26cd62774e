"""WeChat Pay on this machine: API v3 and v2 with real signatures, a cashier page, and a control API. Never real money.

    python -m plugins.wechat.simulator --port 9003

prints the configuration of two provider accounts, `wechat` (v3) and `wechat-v2`, that speak to it; each start makes new
keys. `/` lists the orders and leads to the cashier of each; everything under `/_control/` takes and gives JSON:

    POST pay {"number", "coupon"?}                     the payer pays; the notification goes out
    POST close {"number"}                              WeChat Pay closes an unpaid order
    POST status {"number", "word"}                     answers about the order carry that word from now on
    POST refund {"number", "refund", "amount"}         a refund made on the merchant site, not yet finished
    POST finish-refund {"refund", "status"?}           SUCCESS, CLOSED or ABNORMAL; the notification goes out
    POST repair-refund {"refund"}                      an ABNORMAL refund goes out after all; nobody is told
    POST sign {"action"}                               the payer signs what the action shows; WeChat Pay tells it
    POST end-contract {"contract", "mode"?}            either number; mode 2, the payer, if not given
    POST validity {"contract", "until"}                the contract ends then (RFC 3339), and nobody is told
    POST refusals {"codes": ["NOTENOUGH"]}             the next deductions are refused at once
    POST deduct {"number", "err_code"?}                an accepted deduction is carried out, or fails
    POST pay-out {"amount"?}                           to the merchant's bank; all that is there, if not given
    POST pay-out-daily {"reserve"?}                    from tomorrow on, each morning
    POST move {"amount", "name", "word", "account"?, "remark"?}   another movement of the balance; negative: out
    POST settlement {"settlement"}                     T+0 (payments one by one), T+1 or T+7 (a day's on a later one)
    POST trade-of-another-system {"amount", "appid"?}  paid by way of another till of the merchant's
    POST bill-fault {"fault", "number", "feed"?, "word"?, "cells"?}   drop, double, alter, delay a row; or mend
    POST faults {"lose": 1, …}                         see `app.providers.testing.simulator.Faults`
    POST situation {"kind": "migrating", …}            keys, rotation, probes, bills: see `simulated.signer.Situation`
    GET  state                                         orders, refunds, deliveries, faults, situation

It needs TILLBOOK_ENV=demo, development or test.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from flask import Flask, Response, jsonify, render_template_string, request

from app.providers.testing.simulator import Faults, refuse_production
from plugins.wechat.simulated.books import Order, Refused
from plugins.wechat.simulated.exchange import Asked
from plugins.wechat.simulated.keys import SimulatorConfig, generate_config
from plugins.wechat.simulated.signer import Situation
from plugins.wechat.simulated.wechat import SimulatedWeChat
from plugins.wechat.simulator_bills import add_bill_control
from plugins.wechat.simulator_contracts import add_contract_control, shown_contracts

DEFAULT_PORT = 9003
CERTIFICATE_SHOWN = "SSL_CLIENT_CERT"
"""Where the server in front puts the certificate that the client showed in TLS (PEM)."""
_ORDERS_PAGE = """<!doctype html><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>WeChat Pay (simulated)</title><h1>WeChat Pay (simulated): orders</h1><ul>{% for order in orders %}
<li><a href="/_cashier/{{ order.number }}">{{ order.number }}</a> {{ order.generation }} {{ order.trade_type }}
{{ yuan(order) }} CNY {{ order.trade_state }}</li>{% else %}<li>none yet</li>{% endfor %}</ul>"""
_CASHIER_PAGE = """<!doctype html><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>WeChat Pay (simulated)</title><h1>WeChat Pay (simulated)</h1>
<p>Order {{ order.number }}: <b>{{ yuan(order) }} CNY</b>, {{ order.trade_state }}</p>
{% if order.state == "NOTPAY" %}<form method="post"><button>pay</button></form>{% endif %}
{% if back %}<p><a href="{{ back }}">back to the shop</a></p>{% endif %}"""


def create_simulator(config: SimulatorConfig | None = None, **options: Any) -> Flask:
    """The simulator as a WSGI application; `options` go to `SimulatedWeChat`, which is then in
    `app.extensions["wechat"]`. Raises NotInProduction."""
    refuse_production()
    app = Flask("wechat-simulator")
    wechat = SimulatedWeChat(config or generate_config(), **options)
    app.extensions["wechat"] = wechat
    _add_protocol(app, wechat)
    _add_cashier(app, wechat)
    _add_control(app, wechat)
    _add_situation(app, wechat)
    add_contract_control(app, wechat)
    add_bill_control(app, wechat)
    app.register_error_handler(Refused, _refused)
    return app


def _refused(error: Exception) -> tuple[Response, int]:
    assert isinstance(error, Refused)  # noqa: S101 - registered for nothing else
    return jsonify(code=error.code, message=error.message), error.status


def _add_protocol(app: Flask, wechat: SimulatedWeChat) -> None:
    def speak(path: str) -> Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        shown = str(request.environ.get(CERTIFICATE_SHOWN) or "")
        answer = wechat.answer(Asked(request.method, _target_on_the_wire(), headers, request.get_data(), shown))
        response = Response(answer.body, answer.status)
        response.headers.update(dict(answer.headers))
        return response

    for rule in ("/v3/<path:path>", "/pay/<path:path>", "/secapi/<path:path>", "/papay/<path:path>"):
        app.add_url_rule(rule, f"speak {rule}", speak, methods=["GET", "POST"])


def _target_on_the_wire() -> str:
    """Path and query, percent-encoded as they were sent: that is what is signed."""
    raw = str(request.environ.get("RAW_URI") or request.environ.get("REQUEST_URI") or request.path)
    query = request.query_string.decode("latin-1")
    return f"{raw.partition('?')[0]}?{query}" if query else raw


def _add_cashier(app: Flask, wechat: SimulatedWeChat) -> None:
    @app.get("/")
    def orders() -> str:
        return render_template_string(_ORDERS_PAGE, orders=list(wechat.books.orders.values()), yuan=_yuan)

    @app.get("/_cashier/<number>")
    def cashier(number: str) -> str:
        back = request.args.get("redirect_url", "")
        safe = back if back.startswith(("http://", "https://")) else ""
        return render_template_string(_CASHIER_PAGE, order=wechat.books.find(number), back=safe, yuan=_yuan)

    @app.post("/_cashier/<number>")
    def pay(number: str) -> str:
        wechat.pay(number)
        return cashier(number)


def _yuan(order: Order) -> str:
    return f"{order.total // 100}.{order.total % 100:02d}"


def _add_control(app: Flask, wechat: SimulatedWeChat) -> None:
    @app.post("/_control/pay")
    def control_pay() -> Response:
        asked = request.get_json()
        return jsonify(_shown(wechat.pay(str(asked["number"]), int(asked.get("coupon", 0)))))

    @app.post("/_control/close")
    def control_close() -> Response:
        return jsonify(_shown(wechat.books.close(str(request.get_json()["number"]))))

    @app.post("/_control/status")
    def control_status() -> Response:
        asked = request.get_json()
        order = wechat.books.find(str(asked["number"]))
        order.shown_state = str(asked["word"])
        return jsonify(_shown(order))

    @app.post("/_control/refund")
    def control_refund() -> Response:
        asked = request.get_json()
        refund = wechat.refund_on_the_merchant_site(str(asked["number"]), int(asked["amount"]), str(asked["refund"]))
        return jsonify(refund=refund.number, status=refund.status)

    @app.post("/_control/finish-refund")
    def control_finish_refund() -> Response:
        asked = request.get_json()
        refund = wechat.finish_refund(str(asked["refund"]), str(asked.get("status", "SUCCESS")))
        return jsonify(refund=refund.number, status=refund.status)

    @app.post("/_control/repair-refund")
    def control_repair_refund() -> Response:
        refund = wechat.repair_refund(str(request.get_json()["refund"]))
        return jsonify(refund=refund.number, status=refund.status)


def _add_situation(app: Flask, wechat: SimulatedWeChat) -> None:
    @app.post("/_control/faults")
    def control_faults() -> Response:
        return jsonify(_set(wechat.faults, request.get_json()))

    @app.post("/_control/situation")
    def control_situation() -> Response:
        return jsonify(_set(wechat.situation, request.get_json()))

    @app.get("/_control/state")
    def control_state() -> Response:
        return jsonify(
            orders=[_shown(order) for order in wechat.books.orders.values()],
            refunds=[{"refund": each.number, "status": each.status} for each in wechat.books.refunds.values()],
            contracts=shown_contracts(wechat),
            deliveries={"sent": len(wechat.deliveries.sent), "waiting": wechat.deliveries.waiting},
            faults=_public(wechat.faults),
            situation=_public(wechat.situation),
        )


def _shown(order: Order) -> dict[str, Any]:
    return {
        "number": order.number,
        "state": order.trade_state,
        "total": order.total,
        "transaction_id": order.transaction_id,
        "refunded": order.refunded,
    }


def _public(values: Faults | Situation) -> dict[str, Any]:
    names = [each.name for each in dataclasses.fields(values) if not each.name.startswith("_")]
    return {name: getattr(values, name) for name in names}


def _set(values: Faults | Situation, wanted: dict[str, Any]) -> dict[str, Any]:
    known = _public(values)
    for name, value in wanted.items():
        if name not in known or not isinstance(value, type(known[name]) | int):
            raise Refused(400, "PARAM_ERROR", f"no such fault or situation, or another type: {name}")
        setattr(values, name, value)
    return _public(values)


def as_toml(accounts: Mapping[str, Mapping[str, Any]]) -> str:
    """The accounts as they stand in Tillbook's configuration. JSON's texts and booleans are TOML's, too."""
    lines = []
    for name, table in accounts.items():
        lines += [f"[provider_accounts.{name}]", 'plugin = "wechat"', "live = false"]
        lines += [f"{key} = {json.dumps(value)}" for key, value in table.items()]
        lines.append("")
    return "\n".join([*lines, "# serving"])


def main() -> None:
    """Serve it, and print what to put into the configuration."""
    parser = argparse.ArgumentParser(description="WeChat Pay, simulated")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT)
    parser.add_argument("--plan-url", default="", help="where the end of a contract is told: set on its template")
    parser.add_argument("--speed", type=float, default=1.0, help="divides the waiting times between deliveries")
    chosen = parser.parse_args()
    url = f"http://127.0.0.1:{chosen.port}"
    config = generate_config()
    app = create_simulator(config, public_url=url, speed=chosen.speed)
    accounts = {"wechat": config.settings_v3(url), "wechat-v2": config.settings_v2(url)}
    print(as_toml(accounts), flush=True)  # noqa: T201 - this is what the command is for
    wechat: SimulatedWeChat = app.extensions["wechat"]
    wechat.plan_url = chosen.plan_url
    wechat.deliveries.start()
    app.run(port=chosen.port, threaded=True)


if __name__ == "__main__":
    main()
