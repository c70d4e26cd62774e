"""The simulated API v3: checks our signature, keeps the books, signs its answers."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import unquote

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from plugins.wechat.documents import BEIJING
from plugins.wechat.simulated.bill_desk import FILE_PATH, BillDesk
from plugins.wechat.simulated.books import CURRENCY, Books, Now, Order, Refund, Refused
from plugins.wechat.simulated.exchange import Answer, Asked
from plugins.wechat.simulated.keys import SimulatorConfig
from plugins.wechat.simulated.papay_v3 import PapayV3
from plugins.wechat.simulated.signer import PlatformSigner, Situation
from plugins.wechat.v3.signing import SCHEME, request_message, verify

_FIELD = re.compile(r'(\w+)="([^"]*)"')
TRADE_TYPES = {"jsapi": "JSAPI", "app": "APP", "native": "NATIVE", "h5": "MWEB"}
SKEW = timedelta(minutes=5)
ORDERS = "/v3/pay/transactions"
REFUNDS = "/v3/refund/domestic/refunds"


class FrontV3:
    def __init__(
        self,
        config: SimulatorConfig,
        books: Books,
        signer: PlatformSigner,
        situation: Situation,
        now: Now,
        public_url: str,
        bills: BillDesk,
        papay: PapayV3,
    ) -> None:
        self._config = config
        self._books = books
        self._signer = signer
        self._situation = situation
        self._now = now
        self._public_url = public_url
        self._bills = bills
        self._merchant_key: RSAPublicKey = config.merchant.key.public_key()
        self._routes: list[tuple[str, re.Pattern[str], Callable[..., Mapping[str, Any] | Answer | None]]] = [
            ("POST", re.compile(rf"{ORDERS}/(jsapi|app|native|h5)"), self._place),
            ("GET", re.compile(rf"{ORDERS}/out-trade-no/([^/]+)"), self._by_number),
            ("GET", re.compile(rf"{ORDERS}/id/([^/]+)"), self._by_transaction),
            ("POST", re.compile(rf"{ORDERS}/out-trade-no/([^/]+)/close"), self._close),
            ("POST", re.compile(REFUNDS), self._refund),
            ("GET", re.compile(rf"{REFUNDS}/([^/]+)"), self._find_refund),
            ("GET", re.compile(r"/v3/certificates"), self._certificates),
            ("GET", re.compile(r"/v3/bill/tradebill"), self._bill),
            ("GET", re.compile(r"/v3/bill/fundflowbill"), self._fund_bill),
            ("GET", re.compile(FILE_PATH), self._bill_file),
            ("POST", re.compile(rf"{ORDERS}/(jsapi|app)-with-contract"), self._place_with_contract),
            *papay.routes,
        ]
        self._papay = papay

    def answer(self, asked: Asked) -> Answer:
        """One exchange. Every answer is signed, errors too, but for the file of a bill."""
        try:
            self._authenticate(asked)
            document = self._dispatch(asked)
            if isinstance(document, Answer):
                return document
            status = 200 if document is not None else 204
        except Refused as refused:
            document = {"code": refused.code, "message": refused.message}
            status = refused.status
        body = b"" if document is None else json.dumps(document, ensure_ascii=False).encode()
        headers = self._signer.answer_headers(body, asked.headers.get("wechatpay-serial", ""))
        return Answer(status, body, {"Content-Type": "application/json", **headers})

    def _dispatch(self, asked: Asked) -> Mapping[str, Any] | Answer | None:
        for method, pattern, handle in self._routes:
            match = pattern.fullmatch(asked.path)
            if match and method == asked.method:
                return handle(asked, *(unquote(part) for part in match.groups()))
        raise Refused(404, "RESOURCE_NOT_EXISTS", "no such interface")

    def _authenticate(self, asked: Asked) -> None:
        scheme, _, rest = asked.headers.get("authorization", "").partition(" ")
        fields = dict(_FIELD.findall(rest))
        try:
            skew = abs(self._now().timestamp() - int(fields["timestamp"]))
            message = request_message(asked.method, asked.target, fields["timestamp"], fields["nonce_str"], asked.body)
            genuine = (
                scheme == SCHEME
                and fields["mchid"] == self._config.mchid
                and fields["serial_no"] == self._config.merchant.serial
                and skew <= SKEW.total_seconds()
                and verify(self._merchant_key, message, fields["signature"])
            )
        except (KeyError, ValueError):
            genuine = False
        if not genuine:
            raise Refused(401, "SIGN_ERROR", "错误的签名,验签失败")
        serial = asked.headers.get("wechatpay-serial", "")
        if serial.startswith("PUB_KEY_ID_") and serial != self._config.public_key_id:
            raise Refused(400, "PARAM_ERROR", "平台公钥ID错误")

    def _place(self, asked: Asked, product: str) -> Mapping[str, Any]:
        request = _document(asked.body)
        self._check_parties(request)
        amount = request.get("amount")
        if not isinstance(amount, dict) or type(amount.get("total")) is not int or amount["total"] < 1:
            raise Refused(400, "PARAM_ERROR", "amount.total")
        openid = request.get("payer", {}).get("openid", "")
        if product == "jsapi" and not openid:
            raise Refused(400, "PARAM_ERROR", "payer.openid")
        if product == "h5" and not request.get("scene_info", {}).get("payer_client_ip"):
            raise Refused(400, "PARAM_ERROR", "scene_info.payer_client_ip")
        if "?" in request.get("notify_url", "?") or not 6 <= len(request.get("out_trade_no", "")) <= 32:
            raise Refused(400, "PARAM_ERROR", "notify_url or out_trade_no")
        order = self._books.place(
            Order(
                number=request["out_trade_no"],
                generation="v3",
                trade_type=TRADE_TYPES[product],
                total=amount["total"],
                openid=openid or "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o",
                attach=request.get("attach", ""),
                notify_url=request["notify_url"],
                expires_at=datetime.fromisoformat(request["time_expire"]),
                prepay_id=self._books.next_prepay_id(),
                request={"product": product, **request},
            )
        )
        return self._handle_for_client(order, product)

    def _place_with_contract(self, asked: Asked, product: str) -> Mapping[str, Any]:
        """The order is made, whatever becomes of the contract in it."""
        request = _document(asked.body)
        signing = self._papay.signing_with_order(request)
        answer = self._place(asked, product)
        self._books.find(request["out_trade_no"]).signing = signing
        return answer

    def _handle_for_client(self, order: Order, product: str) -> Mapping[str, Any]:
        if product == "native":
            return {"code_url": f"weixin://wxpay/bizpayurl?pr={order.number}"}
        if product == "h5":
            return {"h5_url": f"{self._public_url}/_cashier/{order.number}?prepay_id={order.prepay_id}"}
        return {"prepay_id": order.prepay_id}

    def _check_parties(self, request: Mapping[str, Any]) -> None:
        if request.get("mchid") != self._config.mchid:
            raise Refused(400, "MCH_NOT_EXISTS", "商户号不存在")
        if request.get("appid", self._config.appid) != self._config.appid:
            raise Refused(400, "APPID_MCHID_NOT_MATCH", "appid和mch_id不匹配")

    def _by_number(self, asked: Asked, number: str) -> Mapping[str, Any]:
        self._check_parties(asked.query)
        return self.transaction(self._books.find(number))

    def _by_transaction(self, asked: Asked, transaction_id: str) -> Mapping[str, Any]:
        self._check_parties(asked.query)
        return self.transaction(self._books.find_transaction(transaction_id))

    def _close(self, asked: Asked, number: str) -> None:
        self._check_parties(_document(asked.body))
        self._books.close(number)

    def _refund(self, asked: Asked) -> Mapping[str, Any]:
        request = _document(asked.body)
        amount = request.get("amount", {})
        try:
            order = self._books.find_transaction(request.get("transaction_id", ""))
        except Refused:
            order = self._books.find(request.get("out_trade_no", ""))
        if amount.get("total") != order.total or amount.get("currency") != CURRENCY:
            raise Refused(400, "INVALID_REQUEST", "订单金额不一致")
        refund = self._books.refund(
            order, request["out_refund_no"], amount["refund"], notify_url=request.get("notify_url", "")
        )
        return self._refund_answer(refund)

    def _find_refund(self, _: Asked, number: str) -> Mapping[str, Any]:
        return self._refund_answer(self._books.find_refund(number))

    def _certificates(self, _: Asked) -> Mapping[str, Any]:
        if self._situation.listing == "missing":
            raise Refused(404, "RESOURCE_NOT_EXISTS", "无可用的平台证书，请在商户平台-API安全申请使用微信支付公钥")
        return {"data": []} if self._situation.listing == "empty" else self._signer.certificates()

    def _bill(self, asked: Asked) -> Mapping[str, Any]:
        return self._bills.name(asked.query)

    def _fund_bill(self, asked: Asked) -> Mapping[str, Any]:
        return self._bills.name_funds(asked.query)

    def _bill_file(self, asked: Asked) -> Answer:
        return self._bills.hand_out(asked.query)

    def transaction(self, order: Order) -> dict[str, Any]:
        """The order as queries and notifications show it."""
        document: dict[str, Any] = {
            "appid": self._config.appid,
            "mchid": self._config.mchid,
            "out_trade_no": order.number,
            "trade_state": order.trade_state,
            "trade_state_desc": "模拟",
            "attach": order.attach,
            "amount": {"total": order.total, "currency": CURRENCY},
            "payer": {"openid": order.openid},
        }
        if order.contract_id:
            document["trade_type"] = order.trade_type
        if order.paid_at is None:
            return document
        paid = {"payer_total": order.total - order.coupon, "payer_currency": CURRENCY}
        return document | {
            "transaction_id": order.transaction_id,
            "trade_type": order.trade_type,
            "bank_type": "OTHERS",
            "success_time": _beijing(order.paid_at),
            "amount": document["amount"] | paid,
        }

    def refund_document(self, refund: Refund) -> dict[str, Any]:
        """The refund as notifications show it: no appid, no attach, no currency."""
        payer = _payers_part(refund)
        document: dict[str, Any] = {
            "mchid": self._config.mchid,
            **_refund_numbers(refund),
            "refund_status": refund.status,
            "user_received_account": "支付用户零钱",
            "amount": {
                "total": refund.order.total,
                "refund": refund.amount,
                "payer_total": refund.order.total - refund.order.coupon,
                "payer_refund": payer,
            },
        }
        return document | ({"success_time": _beijing(refund.finished_at)} if refund.finished_at else {})

    def _refund_answer(self, refund: Refund) -> dict[str, Any]:
        document: dict[str, Any] = {
            **_refund_numbers(refund),
            "channel": "ORIGINAL",
            "user_received_account": "支付用户零钱",
            "create_time": _beijing(refund.created_at),
            "status": refund.status,
            "funds_account": "AVAILABLE",
            "amount": {
                "total": refund.order.total,
                "refund": refund.amount,
                "payer_total": refund.order.total - refund.order.coupon,
                "payer_refund": _payers_part(refund),
                "currency": CURRENCY,
            },
        }
        return document | ({"success_time": _beijing(refund.finished_at)} if refund.finished_at else {})


def _refund_numbers(refund: Refund) -> dict[str, str]:
    return {
        "out_trade_no": refund.order.number,
        "transaction_id": refund.order.transaction_id,
        "out_refund_no": refund.number,
        "refund_id": refund.refund_id,
    }


def _payers_part(refund: Refund) -> int:
    order = refund.order
    return refund.amount * (order.total - order.coupon) // order.total


def _beijing(moment: datetime) -> str:
    return moment.astimezone(BEIJING).isoformat(timespec="seconds")


def _document(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise Refused(400, "PARAM_ERROR", "not a JSON object")
    return document
