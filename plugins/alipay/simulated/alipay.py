"""The simulated Alipay as a whole: its gateway, its payers, its console, and the notices that it sends.

`actions` are what `Started.action` told the client to do; a payer here does the same with them as a real one.
"""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from app.providers import Message, Reply
from app.providers.testing.simulator import Deliveries, Faults, Send, send_over_http
from plugins.alipay.formats import beijing_text
from plugins.alipay.mapping import DEPOSIT_BACK_MESSAGE
from plugins.alipay.orders import WAYS
from plugins.alipay.simulated.agreements import Agreement, SigningRequest, agreement_notice
from plugins.alipay.simulated.gateway import Gateway
from plugins.alipay.simulated.keys import DemoKeys, demo_keys
from plugins.alipay.simulated.trades import BusinessFailure, Order, Refund, Trade, notice_fields, yuan_text

RETRY_GAPS = (240.0, 600.0, 600.0, 3600.0, 7200.0, 21600.0, 54000.0)
"""4 min, 10 min, 10 min, 1 h, 2 h, 6 h, 15 h: at most eight deliveries."""
FORM_TYPE = "application/x-www-form-urlencoded; charset=utf-8"
_notices = itertools.count(1)


def accepted(reply: Reply) -> bool:
    """Exactly seven characters and status 200 end the retries."""
    return reply.status == 200 and reply.body == b"success"


@dataclass(frozen=True, slots=True)
class Notice:
    """One event to be told. Its id stays the same over all resends; time and signature are new each time."""

    notify_id: str
    url: str
    fields: Mapping[str, str]


class SimulatedAlipay:
    """What a test or the demo holds in its hand."""

    def __init__(
        self,
        gateway: Gateway,
        *,
        send: Send = send_over_http,
        monotonic: Callable[[], float] = time.monotonic,
        speed: float = 1.0,
    ) -> None:
        self.gateway = gateway
        self.faults = Faults()
        self.deliveries = Deliveries(
            gaps=RETRY_GAPS, accepted=accepted, faults=self.faults, send=send, now=monotonic, speed=speed
        )
        self.notice_charset = "utf-8"
        self.application_gateway = ""
        """Where messages about banks and agreements go that no request has an address for: it is set in the merchant's
        console, and none at first."""
        self.signs_with_payments = True
        """Whether a payer who pays and signs together does sign."""
        self.notices: list[Notice] = []
        self._stranger: DemoKeys | None = None
        gateway.agreements.tell = self.notify_agreement
        gateway.deductions.tell = self.notify

    # --- payers ---------------------------------------------------------------------------------------------------

    def order_of(self, action: Mapping[str, Any]) -> Order:
        """The order that a payer's device reads out of an action. Raises GatewayError, BusinessFailure."""
        match action.get("type"):
            case "order_string":
                return self.gateway.order(dict(parse_qsl(action["order_string"], keep_blank_values=True)))
            case "redirect":
                return self.gateway.order(dict(parse_qsl(urlsplit(action["url"]).query, keep_blank_values=True)))
            case "qr":
                return self.order_of_code(action["code"].rpartition("/")[2])
            case "jsapi":
                return self.gateway.trades.find(trade_no=action["trade_no"]).order
        raise BusinessFailure("ACQ.INVALID_PARAMETER")

    def order_of_code(self, token: str) -> Order:
        order = self.gateway.codes.get(token)
        if order is None:
            raise BusinessFailure("ACQ.TRADE_NOT_EXIST")
        return order

    def arrive(self, order: Order) -> Trade | None:
        """A payer has the cashier before him. Only a scanned QR code makes the trade at that moment (and create made
        it before); for page it is the log-in, for app and wap the password."""
        if order.method in (WAYS["precreate"].method, WAYS["jsapi"].method):
            return self.gateway.trades.open(order)
        return None

    def log_in(self, order: Order) -> Trade:
        return self.gateway.trades.open(order)

    def pay(self, order: Order, fen: int | None = None) -> Trade:
        """The payer confirms. `fen` makes Alipay take another amount than was ordered."""
        trade = self.gateway.trades.open(order)
        self.gateway.trades.pay(trade, fen)
        if order.signing and self.signs_with_payments:
            self.gateway.agreements.sign(order.signing)
        self.notify(trade)
        return trade

    def signing_of(self, action: Mapping[str, Any]) -> SigningRequest:
        """The agreement that a payer's device reads out of an action. Raises GatewayError, BusinessFailure."""
        match action.get("type"):
            case "redirect" | "qr":
                parameters = dict(parse_qsl(urlsplit(action.get("url") or action["code"]).query))
                query = parameters.get("sign_params")
                return self.gateway.signing(dict(parse_qsl(query)) if query else parameters)
            case "sign_center":
                return self.gateway.signing(dict(parse_qsl(action["sign_str"])))
        raise BusinessFailure("INVALID_PARAMETER")

    def sign(self, action: Mapping[str, Any]) -> Agreement:
        """The payer agrees to what the action shows."""
        return self.gateway.agreements.sign(self.signing_of(action))

    def unsign(self, number: str) -> Agreement:
        """The payer ends the agreement in the wallet: told to the application gateway alone."""
        agreement = self.gateway.agreements.find(number)
        self.gateway.agreements.end(agreement)
        return agreement

    def sell_elsewhere(self, out_trade_no: str, fen: int) -> Trade:
        """A payment to another system of the merchant's, through another app: bills have it, and nobody tells us."""
        until = self.gateway.now() + timedelta(minutes=30)
        way = WAYS["app"]
        order = Order(way.method, out_trade_no, fen, "another system's", way.product_code, until, "", "")
        trade = self.gateway.trades.open(order)
        self.gateway.trades.pay(trade)
        return trade

    # --- the merchant's console -----------------------------------------------------------------------------------

    def refund_by_hand(self, out_trade_no: str, fen: int, request_no: str = "") -> Trade:
        trade = self.gateway.trades.find(out_trade_no)
        self.gateway.trades.refund(trade, fen, request_no or f"C{next(_notices):012d}")
        self.notify(trade)
        return trade

    def settle_refund(self, out_trade_no: str, request_no: str, *, succeeded: bool) -> Trade:
        """End a refund that was worked on. A success is told to the payment's address, a failure to nobody."""
        trade = self.gateway.trades.find(out_trade_no)
        self.gateway.trades.settle_refund(trade, request_no, succeeded=succeeded)
        if succeeded:
            self.notify(trade)
        return trade

    def bank_answers(self, out_trade_no: str, request_no: str, word: str) -> Trade:
        """The payer's bank took the money in (`S`) or did not (`F`); it may say otherwise later."""
        trade = self.gateway.trades.find(out_trade_no)
        refund = self.gateway.trades.find_refund(trade, request_no)
        if not refund.bank or word not in ("S", "F"):
            raise BusinessFailure("ACQ.INVALID_PARAMETER")
        refund.bank = word
        if refund.tells_bank and self.application_gateway:
            self._queue(Notice(self._notify_id(), self.application_gateway, self._bank_message(trade, refund)))
        return trade

    def close_by_hand(self, out_trade_no: str) -> Trade:
        trade = self.gateway.trades.find(out_trade_no)
        self.gateway.trades.close(trade)
        self.notify(trade)
        return trade

    def finish(self, out_trade_no: str) -> Trade:
        """Let the refund window pass."""
        trade = self.gateway.trades.find(out_trade_no)
        self.gateway.trades.finish(trade)
        self.notify(trade)
        return trade

    # --- notices --------------------------------------------------------------------------------------------------

    def notify(self, trade: Trade) -> None:
        """Queue the notice of what happened last. Without a notify_url there is none, as at Alipay."""
        if not trade.order.notify_url:
            return
        fields = self.gateway.envelope() | {"notify_type": "trade_status_sync"} | notice_fields(trade)
        self._queue(Notice(self._notify_id(), trade.order.notify_url, fields))

    def notify_agreement(self, agreement: Agreement, url: str) -> None:
        """Queue the notice of how the agreement stands; to the application gateway where the request named nothing."""
        address = url or self.application_gateway
        if address:
            app_id = self.gateway.keys.app_id
            envelope = {"app_id": app_id, "auth_app_id": app_id, "version": "1.0"}
            self._queue(Notice(self._notify_id(), address, envelope | agreement_notice(agreement)))

    def _bank_message(self, trade: Trade, refund: Refund) -> dict[str, str]:
        content = {
            "bank_ack_time": beijing_text(self.gateway.now()),
            "dback_amount": yuan_text(refund.fen),
            "dback_status": refund.bank,
            "out_request_no": refund.request_no,
            "out_trade_no": trade.order.out_trade_no,
            "trade_no": trade.trade_no,
        }
        return {
            "app_id": self.gateway.keys.app_id,
            "version": "1.1",
            "msg_method": DEPOSIT_BACK_MESSAGE,
            "utc_timestamp": str(int(self.gateway.now().timestamp() * 1000)),
            "biz_content": json.dumps(content),
        }

    def _queue(self, notice: Notice) -> None:
        self.notices.append(notice)
        self.deliveries.enqueue(
            notice.url, lambda: self.message(notice), lambda: self.message(notice, key=self._strangers_key())
        )

    def message(self, notice: Notice, *, key: str | None = None) -> Message:
        """The notice as it is sent now; signed with a key of nobody's if one is given."""
        moment = {"notify_id": notice.notify_id}
        if "msg_method" not in notice.fields:  # messages to the application gateway have no such field
            moment["notify_time"] = beijing_text(self.gateway.now())
        body = self.gateway.signed_form({**notice.fields, **moment}, key=key, charset=self.notice_charset)
        return Message("notification", body.encode("ascii"), {"content-type": FORM_TYPE})

    def _notify_id(self) -> str:
        return f"{beijing_text(self.gateway.now()):.10}".replace("-", "") + f"00222{next(_notices):021d}"

    def _strangers_key(self) -> str:
        if self._stranger is None:
            self._stranger = demo_keys()
        return self._stranger.alipay_private_key
