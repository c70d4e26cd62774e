"""A simulated Alipay over HTTP: gateway, cashier pages, notices with the real retry rule, and a control interface.

    TILLBOOK_ENV=demo python -m plugins.alipay.simulator --port 8090 --keys var/alipay

    /gateway.do                the gateway: calls (POST) and browser payments (GET)
    /app?<order string>        what the wallet does with an app payment's order string
    /qr/<code>, /jsapi/<no>    what a scan or a mini program opens
    /bill/<token>              a bill, behind the address that the gateway gave for it
    /_control/...              for tests and demos (JSON): see `_control`, and `agreement_control` for auto-debit

It refuses to start in production. Signatures are real both ways; the keys are made for the demo.
"""

from __future__ import annotations

import argparse
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any

from flask import Blueprint, Flask, Response, current_app, jsonify, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from app.providers.testing.simulator import Faults, Send, refuse_production, send_over_http
from plugins.alipay.agreements import PAGE_SIGN
from plugins.alipay.encryption import AesContent
from plugins.alipay.formats import yuan
from plugins.alipay.orders import WAYS
from plugins.alipay.simulated import pages
from plugins.alipay.simulated.alipay import SimulatedAlipay
from plugins.alipay.simulated.gateway import Gateway, GatewayError
from plugins.alipay.simulated.keys import DemoKeys, demo_keys, read_keys
from plugins.alipay.simulated.signing import system_clock
from plugins.alipay.simulated.trades import BusinessFailure, Order, Trade, yuan_text
from plugins.alipay.simulator_agreements import (
    EXTENSION,
    agreement_control,
    show_signing,
    signing_pages,
)

_FAULT_NAMES = tuple(field.name for field in fields(Faults) if not field.name.startswith("_"))
_SWITCHES = ("refunds_wait", "pays_back_to_cards", "gives_fees_back", "refuse_repeated_precreate")


@dataclass(frozen=True, slots=True)
class SimulatorConfig:
    """`hang_seconds` is how long a call with the fault `timeout_before` or `timeout_after` is left without an answer;
    the answer that then comes is an empty 504. `speed` divides the gaps between resends."""

    keys: DemoKeys
    base_url: str = "http://localhost:8090"
    aes_key: str | None = None
    clock: Callable[[], datetime] = system_clock
    monotonic: Callable[[], float] = time.monotonic
    send: Send = send_over_http
    speed: float = 1.0
    hang_seconds: float = 0.0
    application_gateway: str = ""


def create_simulator(config: SimulatorConfig) -> Flask:
    """The simulator as a Flask app; `simulated(app)` is what stands behind it. Raises NotInProduction."""
    refuse_production()
    aes = AesContent(config.aes_key) if config.aes_key else None
    gateway = Gateway(keys=config.keys, base_url=config.base_url, now=config.clock, aes=aes)
    app = Flask(__name__)
    app.config["HANG_SECONDS"] = config.hang_seconds
    app.extensions[EXTENSION] = SimulatedAlipay(
        gateway, send=config.send, monotonic=config.monotonic, speed=config.speed
    )
    app.extensions[EXTENSION].application_gateway = config.application_gateway
    app.extensions["visits"] = {}
    app.register_blueprint(_gateway)
    app.register_blueprint(_cashier)
    app.register_blueprint(_control, url_prefix="/_control")
    app.register_blueprint(signing_pages)
    app.register_blueprint(agreement_control, url_prefix="/_control")
    return app


def simulated(app: Flask) -> SimulatedAlipay:
    """What stands behind the pages: payers, console, faults and deliveries, for tests in the same process."""
    alipay = app.extensions[EXTENSION]
    if not isinstance(alipay, SimulatedAlipay):
        raise TypeError("not made by create_simulator")
    return alipay


def _alipay() -> SimulatedAlipay:
    return simulated(current_app)


# --- gateway ----------------------------------------------------------------------------------------------------------

_gateway = Blueprint("gateway", __name__)


@_gateway.post("/gateway.do")
def call() -> AnyResponse:
    """A server's call. Answers 200 with a JSON body under an HTML content type, refusals too, as Alipay does."""
    alipay = _alipay()
    if alipay.faults.take("error500"):
        return Response("", 500)
    if alipay.faults.take("timeout_before"):
        return _no_answer()
    body = alipay.gateway.answer(_parameters())
    if alipay.faults.take("timeout_after"):
        return _no_answer()
    if alipay.faults.take("garbage"):
        body = body[: len(body) // 2]
    return Response(body, 200, content_type="text/html;charset=utf-8")


@_gateway.get("/gateway.do")
def browser_payment() -> AnyResponse:
    """A payer's browser, sent here by a page or wap payment, or to sign. A bad request shows the *payer* an error, in
    GBK."""
    try:
        if request.args.get("method") == PAGE_SIGN:
            return show_signing(_parameters())
        order = _alipay().gateway.order(_parameters())
    except (GatewayError, BusinessFailure) as error:
        return Response(pages.refusal(error.sub_code).encode("gbk", "replace"), content_type="text/html;charset=GBK")
    return _show_cashier(order)


@_gateway.get("/bill/<token>")
def bill(token: str) -> AnyResponse:
    content = _alipay().gateway.bill(token)
    return Response("", 404) if content is None else Response(content, content_type="application/zip")


def _parameters() -> dict[str, str]:
    return {**request.args.to_dict(), **request.form.to_dict()}


def _no_answer() -> AnyResponse:
    time.sleep(float(current_app.config["HANG_SECONDS"]))
    return Response("", 504)


# --- cashier ----------------------------------------------------------------------------------------------------------

_cashier = Blueprint("cashier", __name__)


@_cashier.errorhandler(BusinessFailure)
@_cashier.errorhandler(GatewayError)
def refused(error: Exception) -> tuple[str, int]:
    return pages.refusal(str(error)), 400


@_cashier.get("/")
def home() -> str:
    return pages.home(list(_alipay().gateway.trades))


@_cashier.get("/app")
def wallet() -> AnyResponse:
    """The order string of an app payment is a query string."""
    return _show_cashier(_alipay().gateway.order(_parameters()))


@_cashier.get("/qr/<code>")
def scanned(code: str) -> AnyResponse:
    return _show_cashier(_alipay().order_of_code(code))


@_cashier.get("/jsapi/<trade_no>")
def mini_program(trade_no: str) -> AnyResponse:
    return _show_cashier(_alipay().gateway.trades.find(trade_no=trade_no).order)


@_cashier.post("/cashier/<token>/log-in")
def log_in(token: str) -> AnyResponse:
    order = _visit(token)
    trade = _alipay().log_in(order)
    return Response(pages.cashier(order, trade, token, needs_log_in=False))


@_cashier.post("/cashier/<token>/pay")
def pay(token: str) -> AnyResponse:
    """The payer presses the button. App payments have no way back; page and wap go to `return_url`."""
    trade = _alipay().pay(_visit(token))
    back = _alipay().gateway.return_address(trade)
    return redirect(back, 302) if back else Response(pages.outcome(trade))


@_cashier.post("/cashier/<token>/give-up")
def give_up(token: str) -> AnyResponse:
    order = _visit(token)
    return redirect(order.quit_url, 302) if order.quit_url else Response(pages.refusal("You gave up."))


def _show_cashier(order: Order) -> AnyResponse:
    token = secrets.token_urlsafe(12)
    current_app.extensions["visits"][token] = order
    trade = _alipay().arrive(order)
    needs_log_in = order.method == WAYS["page"].method
    return Response(pages.cashier(order, trade, token, needs_log_in=needs_log_in))


def _visit(token: str) -> Order:
    order = current_app.extensions["visits"].get(token)
    if not isinstance(order, Order):
        raise BusinessFailure("ACQ.TRADE_NOT_EXIST")
    return order


# --- control ----------------------------------------------------------------------------------------------------------

_control = Blueprint("control", __name__)


@_control.errorhandler(BusinessFailure)
@_control.errorhandler(GatewayError)
def control_refused(error: Exception) -> tuple[Response, int]:
    return jsonify(error=str(error)), 409


@_control.errorhandler(KeyError)
@_control.errorhandler(ValueError)
@_control.errorhandler(TypeError)
def control_misused(error: Exception) -> tuple[Response, int]:
    return jsonify(error=f"bad request: {type(error).__name__} {error}"), 400


@_control.get("/trades")
def control_trades() -> Response:
    return jsonify(trades=[_shown(trade) for trade in _alipay().gateway.trades])


@_control.post("/open")
def control_open() -> Response:
    """`{"action": …}`: a payer opens the cashier and logs in, and does not pay yet."""
    alipay = _alipay()
    return jsonify(_shown(alipay.log_in(alipay.order_of(_action(_json())))))


@_control.post("/pay")
def control_pay() -> Response:
    """`{"action": …, "amount": "6.00"}`: a payer does what the action says; the amount only to make Alipay wrong."""
    alipay, asked = _alipay(), _json()
    return jsonify(_shown(alipay.pay(alipay.order_of(_action(asked)), _amount(asked))))


@_control.post("/refund")
def control_refund() -> Response:
    """`{"out_trade_no": …, "amount": "2.00", "out_request_no": …}`: the merchant refunds in the console."""
    asked = _json()
    fen = yuan(asked["amount"]).minor
    return jsonify(_shown(_alipay().refund_by_hand(asked["out_trade_no"], fen, asked.get("out_request_no", ""))))


@_control.post("/settle-refund")
def control_settle_refund() -> Response:
    """`{"out_trade_no": …, "out_request_no": …, "succeeded": true}`: a refund that was worked on ends."""
    asked = _json()
    succeeded = bool(asked["succeeded"])
    return jsonify(_shown(_alipay().settle_refund(asked["out_trade_no"], asked["out_request_no"], succeeded=succeeded)))


@_control.post("/bank")
def control_bank() -> Response:
    """`{"out_trade_no": …, "out_request_no": …, "answer": "S"}`: the payer's bank answers on a refund to its card."""
    asked = _json()
    return jsonify(_shown(_alipay().bank_answers(asked["out_trade_no"], asked["out_request_no"], asked["answer"])))


@_control.post("/switches")
def control_switches() -> Response:
    """`{"refunds_wait": true}`: how Alipay behaves from now on (see `Gateway`)."""
    asked = _json()
    for name, value in asked.items():
        if name not in _SWITCHES or not isinstance(value, bool):
            raise ValueError(f"the switches are {', '.join(_SWITCHES)}; each is true or false")
        setattr(_alipay().gateway, name, value)
    return jsonify({name: getattr(_alipay().gateway, name) for name in _SWITCHES})


@_control.post("/close")
def control_close() -> Response:
    return jsonify(_shown(_alipay().close_by_hand(_json()["out_trade_no"])))


@_control.post("/finish")
def control_finish() -> Response:
    return jsonify(_shown(_alipay().finish(_json()["out_trade_no"])))


@_control.post("/faults")
def control_faults() -> Response:
    """`{"lose": 1, "repeat": 49}`: how often each thing still goes wrong (see `Faults`)."""
    faults = _alipay().faults
    faults.set(**_json())
    return jsonify({name: getattr(faults, name) for name in _FAULT_NAMES})


@_control.post("/deliver")
def control_deliver() -> Response:
    """Send what is due now."""
    deliveries = _alipay().deliveries
    return jsonify(sent=deliveries.run_due(), waiting=deliveries.waiting)


def _json() -> Mapping[str, Any]:
    body = request.get_json(silent=True)
    if not isinstance(body, dict):
        raise ValueError("a JSON object is needed")
    return body


def _action(asked: Mapping[str, Any]) -> Mapping[str, Any]:
    action = asked["action"]
    if not isinstance(action, dict):
        raise ValueError("action is what the payment was started with, an object")
    return action


def _amount(asked: Mapping[str, Any]) -> int | None:
    return yuan(asked["amount"]).minor if "amount" in asked else None


def _shown(trade: Trade) -> dict[str, Any]:
    return {
        "trade_no": trade.trade_no,
        "out_trade_no": trade.order.out_trade_no,
        "trade_status": trade.status,
        "total_amount": yuan_text(trade.fen),
        "refunded": yuan_text(trade.refunded_fen),
    }


# --- serving ----------------------------------------------------------------------------------------------------------


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="A simulated Alipay, for demos and tests.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8090)
    parser.add_argument("--keys", type=Path, default=Path("var/simulated-alipay"), help="folder of the keys")
    parser.add_argument("--speed", type=float, default=1.0, help="divides the gaps between resends")
    parser.add_argument("--application-gateway", default="", help="where messages about banks and agreements go")
    options = parser.parse_args(arguments)
    base_url = f"http://{options.host}:{options.port}"
    app = create_simulator(
        SimulatorConfig(
            keys=kept_keys(options.keys),
            base_url=base_url,
            speed=options.speed,
            hang_seconds=15.0,
            application_gateway=options.application_gateway,
        )
    )
    simulated(app).deliveries.start()
    app.run(options.host, options.port, threaded=True)


def kept_keys(folder: Path) -> DemoKeys:
    """The keys in the folder; made there the first time."""
    try:
        return read_keys(folder)
    except OSError:
        keys = demo_keys()
        keys.write(folder)
        return keys


if __name__ == "__main__":
    main()
