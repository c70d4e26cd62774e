"""The simulated gateway: checks our requests as Alipay does, answers in its words, and signs with its key."""

from __future__ import annotations

import base64
import json
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from plugins.alipay.agreements import DEDUCTION, PAGE_SIGN, PLAN_CHANGE
from plugins.alipay.certificates import read_certificates, serial_number
from plugins.alipay.formats import beijing_text, parse_time, yuan
from plugins.alipay.orders import WAYS
from plugins.alipay.signing import canonical, is_signed
from plugins.alipay.simulated.agreements import AgreementBook, SigningRequest, signing_request
from plugins.alipay.simulated.bill_office import BillOffice
from plugins.alipay.simulated.bills import ACCOUNT, TRADE
from plugins.alipay.simulated.deductions import Deductions
from plugins.alipay.simulated.keys import load_private
from plugins.alipay.simulated.signing import SigningSide
from plugins.alipay.simulated.trades import (
    REFUND_SUCCESS,
    BusinessFailure,
    Order,
    Refund,
    Trade,
    Trades,
    query_content,
    yuan_text,
)

MAX_SKEW = timedelta(hours=24)
BILL_URL_LIFE = timedelta(seconds=30)
LEAST_TIME, MOST_TIME = timedelta(minutes=1), timedelta(days=15)
"""How far ahead of its request a payment may end."""
_REQUIRED = ("app_id", "method", "charset", "sign_type", "sign", "timestamp", "version")
_BROWSER_METHODS = {WAYS["page"].method, WAYS["wap"].method}
_PRODUCTS = {way.method: way.product_code for way in WAYS.values()}
_NAMES = {
    "trade.query": "alipay.trade.query",
    "trade.close": "alipay.trade.close",
    "trade.refund": "alipay.trade.refund",
    "refund.query": "alipay.trade.fastpay.refund.query",
    "agreement.query": "alipay.user.agreement.query",
    "agreement.unsign": "alipay.user.agreement.unsign",
    "bill": "alipay.data.dataservice.bill.downloadurl.query",
    "certificate": "alipay.open.app.alipaycert.download",
}
_OUT_TRADE_NO = re.compile(r"[A-Za-z0-9_]{1,64}", re.ASCII)
_FORBIDDEN = re.compile(r"[/=&]")


class GatewayError(Exception):
    """A refusal before any business: answered without a signature, as Alipay does."""

    def __init__(self, code: str, sub_code: str) -> None:
        super().__init__(sub_code)
        self.code = code
        self.sub_code = sub_code


@dataclass(slots=True)
class Gateway(SigningSide):
    """Everything that the simulated Alipay knows. What follows `bill_urls` are switches for tests."""

    codes: dict[str, Order] = field(default_factory=dict)
    """QR codes given out, by token."""
    bill_urls: dict[str, tuple[datetime, str, str]] = field(default_factory=dict)
    """Until when an address is good, and the type and day of its bill."""
    bills: BillOffice = field(init=False)
    trades: Trades = field(init=False)
    agreements: AgreementBook = field(init=False)
    deductions: Deductions = field(init=False)
    certificate_pems: dict[str, str] = field(init=False, repr=False)
    refuse_repeated_precreate: bool = False
    status_words: dict[str, str] = field(default_factory=dict)
    """What a query says instead of the true `trade_status`, by out_trade_no."""
    refunds_wait: bool = False
    """Refunds are worked on until `Trades.settle_refund`, and a query has no word on them until then."""
    pays_back_to_cards: bool = False
    """Refunds go to a bank card, whose bank answers days later (`SimulatedAlipay.bank_answers`)."""
    bill_refusals: dict[str, str] = field(default_factory=dict)
    """Sub codes with which bills of a type are refused: `isv.insufficient-isv-permissions` where a merchant may not
    have them."""
    business_faults: list[str] = field(default_factory=list)
    """Sub codes with which the next business calls are refused, in order."""

    def __post_init__(self) -> None:
        SigningSide.__post_init__(self)  # a dataclass with slots cannot call super() without arguments
        self.trades = Trades(self.now)
        self.bills = BillOffice(lambda: self.trades, self.keys.seller_id, self.now)
        self.agreements = AgreementBook(self.now)
        self.deductions = Deductions(self.agreements, lambda: self.trades, self.now)
        made = self.keys.certificates
        self.certificate_pems = {made.alipay_sn: made.alipay_cert} if made else {}

    # --- requests -------------------------------------------------------------------------------------------------

    def answer(self, parameters: Mapping[str, str]) -> str:
        """The body of the answer to a server's call."""
        root = parameters.get("method", "").replace(".", "_") + "_response"
        try:
            business = self.verified(parameters)
            content = self._carry_out(parameters, business)
        except GatewayError as error:
            return json.dumps({root if parameters.get("method") else "error_response": _refusal(error)})
        except BusinessFailure as failure:
            content = {"code": "40004", "msg": "Business Failed", "sub_code": failure.sub_code, "sub_msg": "…"}
        return self.signed_answer(root, content, encrypted=parameters.get("encrypt_type") == "AES")

    def verified(self, parameters: Mapping[str, str]) -> dict[str, Any]:
        """The business fields of an authentic request. Raises GatewayError; the app id is looked at before the sign."""
        missing = [name for name in _REQUIRED if not parameters.get(name)]
        if missing:
            raise GatewayError("40001", f"isv.missing-{missing[0].replace('_', '-')}")
        if parameters["app_id"] != self.keys.app_id:
            raise GatewayError("40002", "isv.invalid-app-id")
        if parameters["sign_type"] != "RSA2" or parameters["charset"].lower() != "utf-8":
            raise GatewayError("40002", "isv.invalid-signature-type")
        if not self._is_signed_by_app(parameters):
            raise GatewayError("40002", "isv.invalid-signature")
        self._check_time(parameters["timestamp"])
        self._check_certificates(parameters)
        return self._business(parameters)

    def _is_signed_by_app(self, parameters: Mapping[str, str]) -> bool:
        key = load_private(self.keys.app_private_key).public_key()
        named = [(n.encode(), v.encode()) for n, v in parameters.items() if n != "sign" and v.strip()]
        return is_signed(parameters["sign"], (canonical(named),), (key,))

    def _check_time(self, text: str) -> None:
        try:
            skew = abs(parse_time(text) - self.now())
        except ValueError:
            skew = MAX_SKEW * 2
        if skew > MAX_SKEW:
            raise GatewayError("40002", "isv.invalid-timestamp")

    def _check_certificates(self, parameters: Mapping[str, str]) -> None:
        expected = self.keys.certificates
        if expected is None:
            return
        for name, value in (("app_cert_sn", expected.app_sn), ("alipay_root_cert_sn", expected.root_sn)):
            dashed = name.replace("_", "-")
            if not parameters.get(name):
                raise GatewayError("40002", f"isv.missing-{dashed}")
            if parameters[name] != value:
                raise GatewayError("40002", f"isv.invalid-{dashed}")

    def _business(self, parameters: Mapping[str, str]) -> dict[str, Any]:
        text = parameters.get("biz_content", "")
        try:
            if parameters.get("encrypt_type") == "AES":
                text = self.aes.decrypt(text) if self.aes else ""
            business = json.loads(text)
        except ValueError:
            business = None
        if not isinstance(business, dict):
            raise GatewayError("40002", "isv.invalid-parameter")
        return business

    # --- orders ---------------------------------------------------------------------------------------------------

    def order(self, parameters: Mapping[str, str]) -> Order:
        """What an authentic request to pay asks for. Raises GatewayError, BusinessFailure."""
        business = self.verified(parameters)
        method = parameters["method"]
        if method not in _PRODUCTS:
            raise GatewayError("40002", "isv.invalid-method")
        try:
            return _order(method, business, parameters)
        except (KeyError, ValueError, TypeError):
            raise BusinessFailure("ACQ.INVALID_PARAMETER") from None

    def signing(self, parameters: Mapping[str, str]) -> SigningRequest:
        """What an authentic request to sign asks for. Raises GatewayError, BusinessFailure."""
        business = self.verified(parameters)
        if parameters["method"] != PAGE_SIGN:
            raise GatewayError("40002", "isv.invalid-method")
        made_at = parse_time(parameters["timestamp"])
        if self.now() >= made_at + timedelta(seconds=int(business.get("effect_time", 86400))):
            raise BusinessFailure("SIGN_REQUEST_EXPIRED")
        return signing_request(business, parameters.get("notify_url", ""))

    # --- calls ----------------------------------------------------------------------------------------------------

    def _carry_out(self, parameters: Mapping[str, str], business: dict[str, Any]) -> dict[str, Any]:
        method = parameters["method"]
        if self.business_faults:
            raise BusinessFailure(self.business_faults.pop(0))
        handlers: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            _NAMES["trade.query"]: self._query,
            _NAMES["trade.close"]: self._close,
            _NAMES["trade.refund"]: self._refund,
            _NAMES["refund.query"]: self._query_refund,
            _NAMES["bill"]: self._bill_url,
            _NAMES["certificate"]: self._certificate,
            _NAMES["agreement.query"]: self.agreements.queried,
            _NAMES["agreement.unsign"]: lambda asked: self.agreements.unsigned(asked, parameters.get("notify_url", "")),
            PLAN_CHANGE: self.agreements.plan_moved,
            DEDUCTION: lambda asked: self.deductions.charged(asked, parameters.get("notify_url", "")),
            WAYS["precreate"].method: lambda _: self._precreate(self.order(parameters)),
            WAYS["jsapi"].method: lambda _: self._create(self.order(parameters), business),
        }
        if method not in handlers:
            raise GatewayError("40002", "isv.invalid-method")
        return {"code": "10000", "msg": "Success"} | handlers[method](business)

    def _precreate(self, order: Order) -> dict[str, Any]:
        given = [token for token, known in self.codes.items() if known.out_trade_no == order.out_trade_no]
        if given and self.refuse_repeated_precreate:
            raise BusinessFailure("ACQ.APPLY_PC_MERCHANT_CODE_ERROR")
        if given and self.codes[given[0]] != order:
            raise BusinessFailure("ACQ.CONTEXT_INCONSISTENT")
        token = given[0] if given else secrets.token_urlsafe(12)
        self.codes[token] = order
        return {"out_trade_no": order.out_trade_no, "qr_code": f"{self.base_url}/qr/{token}"}

    def _create(self, order: Order, business: dict[str, Any]) -> dict[str, Any]:
        if not (business.get("buyer_id") or business.get("buyer_open_id")):
            raise BusinessFailure("ACQ.INVALID_PARAMETER")
        trade = self.trades.open(order)
        return {"out_trade_no": order.out_trade_no, "trade_no": trade.trade_no}

    def _query(self, business: dict[str, Any]) -> dict[str, Any]:
        content = query_content(self._named(business))
        word = self.status_words.get(content["out_trade_no"])
        return content | ({"trade_status": word} if word else {})

    def _close(self, business: dict[str, Any]) -> dict[str, Any]:
        trade = self._named(business)
        self.trades.close(trade)
        return {"out_trade_no": trade.order.out_trade_no, "trade_no": trade.trade_no}

    def _refund(self, business: dict[str, Any]) -> dict[str, Any]:
        trade = self._named(business)
        request_no = str(business.get("out_request_no") or trade.order.out_trade_no)
        status = "" if self.refunds_wait else REFUND_SUCCESS
        made = self.trades.refund(trade, _fen(business.get("refund_amount")), request_no, status=status)
        if made:
            made.tells_bank = _wants(business, "deposit_back_info")
            made.bank = "P" if self.pays_back_to_cards else ""
        refund = self.trades.find_refund(trade, request_no)
        return {
            "buyer_logon_id": "138****0000",
            "fund_change": "Y" if made and made.is_done else "N",
            "gmt_refund_pay": beijing_text(refund.at),
            "out_trade_no": trade.order.out_trade_no,
            "refund_fee": yuan_text(trade.refunded_fen),
            "trade_no": trade.trade_no,
        }

    def _query_refund(self, business: dict[str, Any]) -> dict[str, Any]:
        """An unknown request number, and one that is still worked on, are answered with an empty success."""
        trade = self._named(business)
        for refund in trade.refunds:
            if refund.request_no == business.get("out_request_no") and refund.status:
                told = _wants(business, "deposit_back_info") and refund.bank
                return {
                    "gmt_refund_pay": beijing_text(refund.at),
                    "out_request_no": refund.request_no,
                    "out_trade_no": trade.order.out_trade_no,
                    "refund_amount": yuan_text(refund.fen),
                    "refund_status": refund.status,
                    "total_amount": yuan_text(trade.fen),
                    "trade_no": trade.trade_no,
                } | ({"deposit_back_info": _deposit_back(refund)} if told else {})
        return {}

    def _named(self, business: dict[str, Any]) -> Trade:
        return self.trades.find(str(business.get("out_trade_no", "")), str(business.get("trade_no", "")))

    # --- bills ----------------------------------------------------------------------------------------------------

    def _bill_url(self, business: dict[str, Any]) -> dict[str, Any]:
        day = str(business.get("bill_date", ""))
        try:
            ready = parse_time(f"{day} 09:00:00") + timedelta(days=1)
        except ValueError:
            raise BusinessFailure("INVAILID_ARGUMENTS") from None
        bill_type = str(business.get("bill_type", ""))
        if bill_type not in (TRADE, ACCOUNT):
            raise BusinessFailure("TYPE_NOT_SUPPORTED")
        if bill_type in self.bill_refusals:
            raise GatewayError("40006", self.bill_refusals[bill_type])
        if self.now() < ready:
            raise BusinessFailure("BILL_NOT_EXIST")
        token = secrets.token_urlsafe(12)
        self.bill_urls[token] = (self.now() + BILL_URL_LIFE, bill_type, day)
        return {"bill_download_url": f"{self.base_url}/bill/{token}"}

    def bill(self, token: str) -> bytes | None:
        """The ZIP behind a download address; None once its 30 seconds are over."""
        until, bill_type, day = self.bill_urls.get(token, (self.now(), "", ""))
        return self.bills.bill(bill_type, day) if self.now() < until else None

    @property
    def gives_fees_back(self) -> bool:
        """Whether a refund gives its part of the fee back."""
        return self.bills.gives_fees_back

    @gives_fees_back.setter
    def gives_fees_back(self, given: bool) -> None:
        self.bills.gives_fees_back = given

    # --- certificates ---------------------------------------------------------------------------------------------

    def _certificate(self, business: dict[str, Any]) -> dict[str, Any]:
        pem = self.certificate_pems.get(str(business.get("alipay_cert_sn", "")))
        if pem is None:
            raise BusinessFailure("isv.alipay-cert-not-exist")
        return {"alipay_cert_content": base64.b64encode(pem.encode()).decode()}

    def renew_certificate(self, private_key: str | None = None) -> str:
        """Let Alipay sign with a new certificate, for the same key unless another is given. Its SN."""
        if self.keys.certificates is None:
            raise ValueError("there are no certificates in key mode")
        self.answer_key = private_key or self.answer_key
        pem = self.keys.certificates.renewed(self.answer_key, self.now())
        self.certificate_sn = serial_number(read_certificates(pem.encode())[0])
        self.certificate_pems[self.certificate_sn] = pem
        return self.certificate_sn


def _order(method: str, business: Mapping[str, Any], parameters: Mapping[str, str]) -> Order:
    number, subject = str(business["out_trade_no"]), str(business["subject"])
    if not _OUT_TRADE_NO.fullmatch(number) or _FORBIDDEN.search(subject) or not 0 < len(subject) <= 256:
        raise ValueError("out_trade_no or subject")
    signs, notify_url = business.get("agreement_sign_params"), parameters.get("notify_url", "")
    signing = signing_request(signs, signs.get("sign_notify_url") or notify_url) if signs else None
    products = {_PRODUCTS[method], "FACE_TO_FACE_PAYMENT", "OFFLINE_PAYMENT"}
    if business["product_code"] not in ({signing.product_code} if signing else products):
        raise ValueError("product_code")
    left = parse_time(business["time_expire"]) - parse_time(parameters["timestamp"])
    if not LEAST_TIME <= left <= MOST_TIME:
        raise ValueError("time_expire")
    return Order(
        method=method,
        out_trade_no=number,
        fen=_fen(business["total_amount"]),
        subject=subject,
        product_code=business["product_code"],
        expires_at=parse_time(business["time_expire"]),
        notify_url=notify_url,
        return_url=parameters.get("return_url", "") if method in _BROWSER_METHODS else "",
        quit_url=str(business.get("quit_url", "")),
        signing=signing,
    )


def _fen(text: object) -> int:
    """A positive amount in yuan, given as text (a JSON number may have lost digits)."""
    try:
        fen = yuan(text).minor if isinstance(text, str) else 0
    except ValueError:
        fen = 0
    if fen == 0:
        raise BusinessFailure("ACQ.INVALID_PARAMETER")
    return fen


def _wants(business: Mapping[str, Any], option: str) -> bool:
    options = business.get("query_options")
    return isinstance(options, list) and option in options


def _deposit_back(refund: Refund) -> dict[str, str]:
    return {"has_deposit_back": "true", "dback_status": refund.bank, "dback_amount": yuan_text(refund.fen)}


def _refusal(error: GatewayError) -> dict[str, str]:
    messages = {"40001": "Missing Required Arguments", "40002": "Invalid Arguments"}
    return {"code": error.code, "msg": messages.get(error.code, ""), "sub_code": error.sub_code, "sub_msg": "…"}
