"""The simulated API v2: XML, signed in the way that the request was."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime

from cryptography.x509 import load_pem_x509_certificate

from app.providers import Message
from plugins.wechat.documents import BEIJING, Unreadable, beijing
from plugins.wechat.simulated.bill_desk import BillDesk, refused_in_v2
from plugins.wechat.simulated.books import CURRENCY, V2_CODES, Books, Now, Order, Refund, Refused
from plugins.wechat.simulated.exchange import Answer, Asked
from plugins.wechat.simulated.keys import SimulatorConfig
from plugins.wechat.simulated.papay_v2 import PapayV2
from plugins.wechat.v2.signing import SignType, V2Key
from plugins.wechat.v2.xml import parse_xml, write_xml

_NOT_THE_REQUEST = frozenset({"sign", "nonce_str"})
SIGN_TYPES: dict[str, SignType] = {"": "MD5", "MD5": "MD5", "HMAC-SHA256": "HMAC-SHA256"}
REQUIRED = (
    "body",
    "notify_url",
    "out_trade_no",
    "spbill_create_ip",
    "time_expire",
    "total_fee",
    "trade_type",
)
BILL_PATH, FUND_BILL_PATH = "/pay/downloadbill", "/pay/downloadfundflow"
REFUND_PATH = "/secapi/pay/refund"
CERTIFIED = frozenset({REFUND_PATH, FUND_BILL_PATH})
"""Where the merchant's certificate must be shown."""
NO_CERTIFICATE = Answer(
    400,
    b"<html><head><title>400 No required SSL certificate was sent</title></head></html>",
    {"Content-Type": "text/html"},
)
REFUNDS_SHOWN = 10
"""In one answer about the refunds of a payment (official page 9_5)."""
FUND_CODES = {"NO_STATEMENT_EXIST": "NO_BILL_EXIST", "STATEMENT_CREATING": "BILL_CREATING"}
REFUND_WORDS = {"CLOSED": "REFUNDCLOSE", "ABNORMAL": "CHANGE"}


class FrontV2:
    def __init__(
        self, config: SimulatorConfig, books: Books, now: Now, public_url: str, bills: BillDesk, papay: PapayV2
    ) -> None:
        self._config = config
        self._books = books
        self._now = now
        self._public_url = public_url
        self._bills = bills
        self._papay = papay
        papay.told = lambda order: self._transaction(order) | {"trade_state": order.trade_state}
        self._key = V2Key(config.api_key)
        self._turns = itertools.count()
        self._handlers = {
            "/pay/unifiedorder": self._place,
            "/pay/orderquery": self._query,
            "/pay/closeorder": self._close,
            "/pay/refundquery": self._query_refund,
            REFUND_PATH: self._refund,
            "/pay/contractorder": self._place_with_contract,
            **papay.handlers,
        }

    def answer(self, asked: Asked) -> Answer:
        """One exchange. `return_code` FAIL comes unsigned, `result_code` FAIL signed, as at WeChat Pay."""
        if asked.path in CERTIFIED and not asked.certificate:
            return NO_CERTIFICATE
        if asked.method == "GET":
            return _xml(self._papay.browser_address(asked.query, self._public_url))
        try:
            fields = parse_xml(asked.body)
        except Unreadable:
            return _xml({"return_code": "FAIL", "return_msg": "XML格式错误"})
        sign_type = SIGN_TYPES.get(fields.get("sign_type", ""))
        if sign_type is None or not self._key.verify(fields, sign_type):
            return _xml({"return_code": "FAIL", "return_msg": "签名错误"})
        if asked.path in (BILL_PATH, FUND_BILL_PATH):
            funds = asked.path == FUND_BILL_PATH
            return self._fund_bill(fields, sign_type, asked.certificate) if funds else self._bill(fields)
        try:
            self._check_parties(fields)
            if asked.path == REFUND_PATH:
                self._check_certificate(asked.certificate)
            handle = self._handlers.get(asked.path, _no_such_interface)
            content = {"result_code": "SUCCESS"} | handle(fields)
        except Refused as refused:
            code = V2_CODES.get(refused.code, refused.code)
            content = {"result_code": "FAIL", "err_code": code, "err_code_des": refused.message}
        return _xml(self._signed({"return_code": "SUCCESS", "return_msg": "OK"} | content, sign_type))

    def _check_parties(self, fields: Mapping[str, str]) -> None:
        if fields.get("mch_id") != self._config.mchid:
            raise Refused(400, "MCHID_NOT_EXIST", "商户号不存在")
        if fields.get("appid") != self._config.appid:
            raise Refused(400, "APPID_MCHID_NOT_MATCH", "appid和mch_id不匹配")

    def _check_certificate(self, shown: str) -> None:
        if load_pem_x509_certificate(shown.encode()) != self._config.merchant.certificate:
            raise Refused(400, "CERT_ERROR", "证书校验错误")

    def _bill(self, fields: Mapping[str, str]) -> Answer:
        try:
            return self._bills.download(fields)
        except Refused as refused:
            return _xml(refused_in_v2(refused))

    def _fund_bill(self, fields: Mapping[str, str], sign_type: SignType, certificate: str) -> Answer:
        """An error of its own is told by `err_code`, and is not signed either."""
        try:
            if sign_type != "HMAC-SHA256":
                raise Refused(400, "SIGNERROR", "签名类型必须为HMAC-SHA256")
            self._check_certificate(certificate)
            return self._bills.download_funds(fields)
        except Refused as refused:
            code = FUND_CODES.get(refused.code, refused.code)
            return _xml(
                {
                    "return_code": "SUCCESS",
                    "result_code": "FAIL",
                    "err_code": code,
                    "err_code_des": refused.message,
                }
            )

    def _place(self, fields: Mapping[str, str]) -> dict[str, str]:
        lacking = [name for name in REQUIRED if not fields.get(name)]
        if fields.get("trade_type") == "JSAPI" and not fields.get("openid"):
            lacking.append("openid")
        if lacking or not fields["total_fee"].isdecimal() or fields["total_fee"] == "0":
            raise Refused(400, "LACK_PARAMS", ", ".join(lacking) or "total_fee")
        order = self._books.place(
            Order(
                number=fields["out_trade_no"],
                generation="v2",
                trade_type=fields["trade_type"],
                total=int(fields["total_fee"]),
                openid=fields.get("openid") or "oUpF8uMEb4qRXf22hE3X68TekukE",
                attach=fields.get("attach", ""),
                notify_url=fields["notify_url"],
                expires_at=beijing(fields["time_expire"], "time_expire"),
                prepay_id=self._books.next_prepay_id(),
                request={name: value for name, value in fields.items() if name not in _NOT_THE_REQUEST},
                sign_type=SIGN_TYPES[fields.get("sign_type", "")],
            )
        )
        answer = {"trade_type": order.trade_type, "prepay_id": order.prepay_id}
        if order.trade_type == "NATIVE":
            answer["code_url"] = f"weixin://wxpay/bizpayurl?pr={order.number}"
        if order.trade_type == "MWEB":
            answer["mweb_url"] = f"{self._public_url}/_cashier/{order.number}?prepay_id={order.prepay_id}"
        return answer

    def _place_with_contract(self, fields: Mapping[str, str]) -> dict[str, str]:
        """The order is made, whatever becomes of the contract in it."""
        signing, code = self._papay.signing_with_order(fields)
        answer = self._place(fields)
        self._books.find(fields["out_trade_no"]).signing = signing
        return answer | ({"contract_result_code": "SUCCESS"} if signing else code)

    def _query(self, fields: Mapping[str, str]) -> dict[str, str]:
        order = self._find(fields)
        if order.contract_id:
            raise Refused(404, "ORDER_NOT_EXIST", "订单不存在")
        return self._transaction(order) | {"trade_state": order.trade_state}

    def _find(self, fields: Mapping[str, str]) -> Order:
        if fields.get("transaction_id"):
            return self._books.find_transaction(fields["transaction_id"])
        return self._books.find(fields.get("out_trade_no", ""))

    def _close(self, fields: Mapping[str, str]) -> dict[str, str]:
        self._books.close(fields.get("out_trade_no", ""))
        return {}

    def _refund(self, fields: Mapping[str, str]) -> dict[str, str]:
        """Make a refund, or answer with the refund that bears this number already, if its amounts are equal."""
        order, number, amount = self._find(fields), fields.get("out_refund_no", ""), fields.get("refund_fee", "")
        known = self._books.refunds.get(number)
        if not number or not amount.isdecimal() or fields.get("total_fee") != str(order.total):
            raise Refused(400, "PARAM_ERROR", "out_refund_no, refund_fee, total_fee")
        if known is not None and (known.order, known.amount) != (order, int(amount)):
            raise Refused(400, "REFUND_FEE_MISMATCH", "订单金额或退款金额与之前请求不一致，请核实后再试")
        if known is None and order.refunded == order.total:
            raise Refused(400, "ERROR", "订单已全额退款")
        refund = self._books.refund(order, number, int(amount), notify_url=fields.get("notify_url", ""))
        return {
            "transaction_id": order.transaction_id,
            "out_trade_no": order.number,
            "out_refund_no": refund.number,
            "refund_id": refund.refund_id,
            "refund_fee": str(refund.amount),
            "total_fee": str(order.total),
            "cash_fee": str(order.total - order.coupon),
        }

    def _query_refund(self, fields: Mapping[str, str]) -> dict[str, str]:
        """One refund by its number, or those of a payment, ten at most from the offset on."""
        if fields.get("out_refund_no"):
            return _refunds([self._books.find_refund(fields["out_refund_no"])])
        refunds, offset = self._find(fields).refunds, fields.get("offset", "")
        shown = refunds[int(offset or 0) :][:REFUNDS_SHOWN]
        if not shown:
            raise Refused(404, "RESOURCE_NOT_EXISTS", "退款查询失败")
        return _refunds(shown) | ({"total_refund_count": str(len(refunds))} if offset else {})

    def _transaction(self, order: Order) -> dict[str, str]:
        fields = {
            "out_trade_no": order.number,
            "attach": order.attach,
            "trade_type": order.trade_type,
            "openid": order.openid,
            "is_subscribe": "N",
            "total_fee": str(order.total),
            "fee_type": CURRENCY,
        }
        if order.contract_id:
            fields["contract_id"] = order.contract_id
        if order.paid_at is None:
            return fields
        return fields | {
            "transaction_id": order.transaction_id,
            "bank_type": "OTHERS",
            "cash_fee": str(order.total - order.coupon),
            "settlement_total_fee": str(order.settled),
            "time_end": _beijing(order.paid_at),
        }

    def _signed(self, fields: Mapping[str, str], sign_type: SignType) -> dict[str, str]:
        full = {
            "appid": self._config.appid,
            "mch_id": self._config.mchid,
            "nonce_str": secrets.token_hex(16),
            **fields,
        }
        return full | {"sign": self._key.sign(full, sign_type)}

    def payment_fields(self, order: Order) -> dict[str, str]:
        """A payment notification's fields, not signed yet, with an element that nobody documented."""
        codes = {"return_code": "SUCCESS", "result_code": "SUCCESS", "tomorrows_element": "1"}
        if order.contract_id:
            codes["trade_state"] = order.trade_state
        if order.err_code:
            codes |= {"result_code": "FAIL", "err_code": order.err_code}
        return {
            "appid": self._config.appid,
            "mch_id": self._config.mchid,
            "nonce_str": secrets.token_hex(16),
            **codes,
            **self._transaction(order),
        }

    def payment_notification(self, order: Order) -> Message:
        """Signed like the order; `sign_type` is there by turns, as it happens to be."""
        fields = self.payment_fields(order)
        if next(self._turns) % 2:
            fields["sign_type"] = order.sign_type
        return self.sign_notification(fields, order.sign_type)

    def sign_notification(self, fields: Mapping[str, str], sign_type: str, key: V2Key | None = None) -> Message:
        signature = (key or self._key).sign(fields, SIGN_TYPES[sign_type])
        return _message(write_xml({**fields, "sign": signature}))

    def forged_payment_notification(self, order: Order) -> Message:
        """Right in everything but the key."""
        return self.sign_notification(self.payment_fields(order), order.sign_type, V2Key(secrets.token_hex(16)))

    def refund_notification(self, refund: Refund) -> Message:
        """Not signed: encrypted only."""
        inside = {
            "out_refund_no": refund.number,
            "out_trade_no": refund.order.number,
            "refund_account": "REFUND_SOURCE_RECHARGE_FUNDS",
            "refund_fee": str(refund.amount),
            "refund_id": refund.refund_id,
            "refund_recv_accout": "支付用户零钱",
            "refund_request_source": refund.source,
            "refund_status": REFUND_WORDS.get(refund.status, refund.status),
            "settlement_refund_fee": str(refund.amount),
            "settlement_total_fee": str(refund.order.total),
            "success_time": f"{(refund.finished_at or self._now()).astimezone(BEIJING):%Y-%m-%d %H:%M:%S}",
            "total_fee": str(refund.order.total),
            "transaction_id": refund.order.transaction_id,
        }
        outside = {
            "return_code": "SUCCESS",
            "appid": self._config.appid,
            "mch_id": self._config.mchid,
            "nonce_str": secrets.token_hex(16),
            "req_info": self._key.seal_refund(write_xml(inside, root="root")),
        }
        return _message(write_xml(outside))


def _refunds(refunds: Sequence[Refund]) -> dict[str, str]:
    order = refunds[0].order
    answer = {
        "transaction_id": order.transaction_id,
        "out_trade_no": order.number,
        "total_fee": str(order.total),
        "fee_type": CURRENCY,
        "refund_count": str(len(refunds)),
    }
    for index, refund in enumerate(refunds):
        answer |= {
            f"out_refund_no_{index}": refund.number,
            f"refund_id_{index}": refund.refund_id,
            f"refund_fee_{index}": str(refund.amount),
            f"refund_status_{index}": REFUND_WORDS.get(refund.status, refund.status),
            f"refund_recv_accout_{index}": "支付用户零钱",
        }
        if refund.finished_at:
            answer[f"refund_success_time_{index}"] = f"{refund.finished_at.astimezone(BEIJING):%Y-%m-%d %H:%M:%S}"
    return answer


def _no_such_interface(_: Mapping[str, str]) -> dict[str, str]:
    raise Refused(404, "RESOURCE_NOT_EXISTS", "no such interface")


def _beijing(moment: datetime) -> str:
    return f"{moment.astimezone(BEIJING):%Y%m%d%H%M%S}"


def _xml(fields: Mapping[str, str]) -> Answer:
    return Answer(200, write_xml(fields), {"Content-Type": "text/xml"})


def _message(body: bytes) -> Message:
    return Message("notification", body, {"content-type": "text/xml"})
