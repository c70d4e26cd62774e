"""The simulated WeChat Pay as a whole: both fronts over one set of books, its notifications, and what a person does
there (pay, refund on the merchant site, rotate keys)."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from app.providers import Message, Reply
from app.providers.testing.simulator import Deliveries, Faults, Send, send_over_http
from plugins.wechat.documents import Unreadable
from plugins.wechat.simulated.bill_desk import BillDesk
from plugins.wechat.simulated.bill_sheet import BillFaults
from plugins.wechat.simulated.books import Books, Now, Order, Refund, Refused
from plugins.wechat.simulated.contracts import Contract, Contracts, Signing
from plugins.wechat.simulated.exchange import Answer, Asked
from plugins.wechat.simulated.front_v2 import FrontV2
from plugins.wechat.simulated.front_v3 import FrontV3
from plugins.wechat.simulated.funds import Funds
from plugins.wechat.simulated.keys import SimulatorConfig
from plugins.wechat.simulated.papay_v2 import PapayV2
from plugins.wechat.simulated.papay_v3 import PapayV3
from plugins.wechat.simulated.signer import PlatformSigner, Situation
from plugins.wechat.v2.contracts import OWN_SIGN_TYPE
from plugins.wechat.v2.xml import parse_xml

RETRY_GAPS = (15, 15, 30, 180, 600, 1200, 1800, 1800, 1800, 3600, 10800, 10800, 10800, 21600, 21600)
"""Seconds between deliveries, the same for both generations (official page on notifications)."""
REFUND_EVENTS = {"SUCCESS": "REFUND.SUCCESS", "ABNORMAL": "REFUND.ABNORMAL", "CLOSED": "REFUND.CLOSED"}
GATEWAY_TIMEOUT = Answer(504, b"<html>504 Gateway Timeout</html>", {"Content-Type": "text/html"})
GARBAGE = Answer(200, b"\x00\xff{garbage", {"Content-Type": "application/octet-stream"})
SYSTEM_ERROR = Answer(500, b'{"code":"SYSTEM_ERROR","message":"\xe7\xb3\xbb\xe7\xbb\x9f"}')


def wall_clock() -> datetime:
    return datetime.now(UTC)


class SimulatedWeChat:
    """`stall` is how many seconds a lost answer takes before the line gives up."""

    def __init__(
        self,
        config: SimulatorConfig,
        *,
        public_url: str = "http://127.0.0.1:9003",
        now: Now = wall_clock,
        send: Send = send_over_http,
        tick: Callable[[], float] = time.monotonic,
        speed: float = 1.0,
        stall: float = 0.0,
    ) -> None:
        self.config = config
        self.faults = Faults()
        self.situation = Situation()
        self.books = Books(now)
        self.signer = PlatformSigner(config, self.situation, now)
        self.funds = Funds(self.books, now, config.mchid)
        self.bill_faults = BillFaults()
        bills = BillDesk(config, self.books, self.funds, self.bill_faults, self.situation, now, public_url)
        self.contracts = Contracts(now)
        self.papay_v3 = PapayV3(config, self.books, self.contracts, now, public_url)
        self.v3 = FrontV3(config, self.books, self.signer, self.situation, now, public_url, bills, self.papay_v3)
        self.papay_v2 = PapayV2(config, self.books, self.contracts, now)
        self.v2 = FrontV2(config, self.books, now, public_url, bills, self.papay_v2)
        self.deliveries = Deliveries(
            gaps=RETRY_GAPS, accepted=accepted, faults=self.faults, send=send, now=tick, speed=speed
        )
        self._stall = stall
        self.signs_with_payments = True
        """Whether a payer who pays and signs together does sign."""
        self.plan_url = ""
        """The address that is set on the template: where the end of a contract is told."""

    def answer(self, asked: Asked) -> Answer:
        """One exchange of either protocol, spoilt as the faults say."""
        if self.faults.take("timeout_before"):
            return self._lost()
        if self.faults.take("error500"):
            return SYSTEM_ERROR
        front = self.v3 if asked.path.startswith("/v3/") else self.v2
        answer = front.answer(asked)
        if self.faults.take("timeout_after"):
            return self._lost()
        return GARBAGE if self.faults.take("garbage") else answer

    def _lost(self) -> Answer:
        time.sleep(self._stall)
        return GATEWAY_TIMEOUT

    def pay(self, number: str, coupon: int = 0, *, charged: bool = False) -> Order:
        """The payer pays, and the merchant is told."""
        order = self.books.pay(number, coupon, charged=charged)
        self.papay_v3.taken(order.contract_id)
        if order.signing and self.signs_with_payments:
            self.tell_contract(self.contracts.sign(order.signing))
        self.deliveries.enqueue(
            order.notify_url, lambda: self.payment_message(order), lambda: self.forged_payment_message(order)
        )
        return order

    # --- auto-debit

    def sign(self, action: Mapping[str, Any]) -> Contract:
        """The payer agrees to what the action shows, and the merchant is told."""
        contract = self.contracts.sign(self._signing(action))
        self.tell_contract(contract)
        return contract

    def _signing(self, action: Mapping[str, Any]) -> Signing:
        session = action.get("pre_entrustweb_id") or action.get("extraData", {}).get("pre_entrustweb_id")
        if session:
            return self.contracts.prepared[session]
        if "extraData" in action:
            return self.papay_v2.signing(action["extraData"], "miniprogram")
        query = dict(parse_qsl(urlsplit(action["url"]).query))
        if "prepared" in query:
            return self.contracts.prepared[query["prepared"]]
        return self.papay_v2.signing(query, "jsapi")

    def end_contract(self, number: str, mode: str = "2") -> Contract:
        """The payer ends a contract in WeChat (mode 2), or it ends otherwise: the template's address is told."""
        contract = self.contracts.find(number)
        self.contracts.end(contract, mode)
        self.tell_contract(contract)
        return contract

    def deduct(self, number: str, err_code: str = "") -> Order:
        """A deduction that was accepted is carried out, or fails; the merchant is told either way."""
        order = self.books.find(number)
        if not err_code:
            return self.pay(number)
        if order.state != "ACCEPT":
            raise Refused(400, "ORDERPAID", "订单不可支付")
        order.state, order.err_code = "PAYERROR", err_code
        self.deliveries.enqueue(order.notify_url, lambda: self.payment_message(order))
        return order

    def tell_contract(self, contract: Contract) -> None:
        """At the address of its signing while it stands, at the template's when it has ended."""
        url = self.plan_url if contract.ended_at else contract.signing.notify_url
        if url:
            self.deliveries.enqueue(url, lambda: self.contract_message(contract))

    def contract_message(self, contract: Contract) -> Message:
        if contract.signing.generation == "v3":
            event = "ENTRUST.TERMINATE" if contract.ended_at else "ENTRUST.SIGN"
            return self.signer.notification(event, "entrust", self.papay_v3.shown(contract))
        return self.v2.sign_notification(self.papay_v2.notified(contract), OWN_SIGN_TYPE)

    def payment_message(self, order: Order) -> Message:
        """The notification of a payment, as of now."""
        if order.generation == "v2":
            return self.v2.payment_notification(order)
        if order.err_code:
            failed = self.v3.transaction(order) | {"err_code": order.err_code}
            return self.signer.notification("TRANSACTION.FAIL", "transaction", failed)
        return self.signer.notification("TRANSACTION.SUCCESS", "transaction", self._as_paid(order))

    def forged_payment_message(self, order: Order) -> Message:
        if order.generation == "v2":
            return self.v2.forged_payment_notification(order)
        return self.signer.forged("TRANSACTION.SUCCESS", "transaction", self._as_paid(order))

    def _as_paid(self, order: Order) -> dict[str, object]:
        """A payment notification says SUCCESS even when it comes again after a refund."""
        return self.v3.transaction(order) | {"trade_state": "SUCCESS"}

    def refund_on_the_merchant_site(self, number: str, amount: int, refund_number: str) -> Refund:
        """A person gives money back without us."""
        order = self.books.find(number)
        return self.books.refund(order, refund_number, amount, source="VENDOR_PLATFORM")

    def finish_refund(self, refund_number: str, status: str = "SUCCESS") -> Refund:
        """The refund ends, and the merchant is told: at the refund's own address, or else at the order's."""
        refund = self.books.finish_refund(refund_number, status)
        url = refund.notify_url or refund.order.notify_url
        self.deliveries.enqueue(url, lambda: self.refund_message(refund), lambda: self.forged_refund_message(refund))
        return refund

    def repair_refund(self, refund_number: str) -> Refund:
        """A person on the merchant site sends an abnormal refund on; it succeeds, and nobody is told."""
        return self.books.repair_refund(refund_number)

    def refund_message(self, refund: Refund) -> Message:
        if refund.order.generation == "v2":
            return self.v2.refund_notification(refund)
        return self.signer.notification(REFUND_EVENTS[refund.status], "refund", self.v3.refund_document(refund))

    def forged_refund_message(self, refund: Refund) -> Message:
        if refund.order.generation == "v2":
            # Nothing is signed in it; what does not open under the key is all that a forger can send.
            message = self.v2.refund_notification(refund)
            return Message(message.source, message.body.replace(b"req_info><![CDATA[", b"req_info><![CDATA[AAAA"))
        return self.signer.forged(REFUND_EVENTS[refund.status], "refund", self.v3.refund_document(refund))


def accepted(reply: Reply) -> bool:
    """v3: 200 or 204, whatever the body says. v2: 200 and `return_code` SUCCESS."""
    if b"<xml" not in reply.body:
        return reply.status in (200, 204)
    try:
        return reply.status == 200 and parse_xml(reply.body).get("return_code") == "SUCCESS"
    except Unreadable:
        return False
