"""The control interface of the simulated WeChat Pay for the merchant's balance and his bills."""

from __future__ import annotations

from typing import Any

from flask import Flask, Response, jsonify, request

from plugins.wechat.bills.feeds import TRADE_BILL
from plugins.wechat.simulated.books import AT_ONCE, SETTLED_AFTER_DAYS, Refused
from plugins.wechat.simulated.funds import BASIC, Movement
from plugins.wechat.simulated.wechat import SimulatedWeChat


def add_bill_control(app: Flask, wechat: SimulatedWeChat) -> None:
    """What a merchant's finance people, his other systems and WeChat Pay's own mistakes do."""

    @app.post("/_control/pay-out")
    def control_pay_out() -> Response:
        fen = request.get_json().get("amount")
        return jsonify(_moved(wechat.funds.pay_out(None if fen is None else int(fen))))

    @app.post("/_control/pay-out-daily")
    def control_pay_out_daily() -> Response:
        wechat.funds.pay_out_daily(int(request.get_json().get("reserve", 0)))
        return jsonify({})

    @app.post("/_control/move")
    def control_move() -> Response:
        asked = request.get_json()
        account, remark = str(asked.get("account", BASIC)), str(asked.get("remark", ""))
        return jsonify(
            _moved(
                wechat.funds.move(
                    int(asked["amount"]), str(asked["name"]), str(asked["word"]), account=account, remark=remark
                )
            )
        )

    @app.post("/_control/settlement")
    def control_settlement() -> Response:
        wanted = str(request.get_json()["settlement"])
        if wanted not in (AT_ONCE, *SETTLED_AFTER_DAYS):
            raise Refused(400, "PARAM_ERROR", f"settlement is one of {AT_ONCE}, {', '.join(SETTLED_AFTER_DAYS)}")
        wechat.books.settlement = wanted
        return jsonify(settlement=wanted)

    @app.post("/_control/trade-of-another-system")
    def control_trade_of_another_system() -> Response:
        asked = request.get_json()
        order = wechat.books.trade_of_another_system(int(asked["amount"]), str(asked.get("appid", "")))
        return jsonify(number=order.number, transaction_id=order.transaction_id)

    @app.post("/_control/bill-fault")
    def control_bill_fault() -> Response:
        """`fault` is `drop`, `double`, `delay`, `alter` (with `cells`) or `mend`."""
        asked = request.get_json()
        faults, fault = wechat.bill_faults, str(asked["fault"])
        row = str(asked.get("number", "")), str(asked.get("feed", TRADE_BILL)), str(asked.get("word", ""))
        if fault == "mend":
            faults.mend()
        elif fault == "alter":
            faults.alter(row[0], {str(name): str(cell) for name, cell in asked["cells"].items()}, *row[1:])
        elif fault in ("drop", "double", "delay"):
            {"drop": faults.drop, "double": faults.double, "delay": faults.delay}[fault](*row)
        else:
            raise Refused(400, "PARAM_ERROR", "no such fault")
        return jsonify(fault=fault)


def _moved(movement: Movement) -> dict[str, Any]:
    return {"number": movement.business, "amount": movement.fen}
