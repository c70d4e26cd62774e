"""The verbs of API v2 but for `refund`, which needs a certificate: see `refunding`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from pydantic import BaseModel

from app.providers import (
    Declined,
    Fact,
    Intent,
    Message,
    Misconfigured,
    Received,
    Ref,
    Retryable,
    Started,
    Tools,
    Unknown,
)
from plugins.wechat.actions import action_for
from plugins.wechat.bills.feeds import TRADE_BILL
from plugins.wechat.bills.pages import BillPages
from plugins.wechat.bills.verbs import BillVerbs
from plugins.wechat.documents import CNY
from plugins.wechat.mapping import MISSING_CODES
from plugins.wechat.merchant import Merchant
from plugins.wechat.outcomes import closed_fact, not_closed, readable, started_before
from plugins.wechat.refusal import Refusal
from plugins.wechat.settings import V2Settings
from plugins.wechat.v2.bills import confirmed, fetch_trade_bill
from plugins.wechat.v2.client import V2Client
from plugins.wechat.v2.notifications import NotificationReader
from plugins.wechat.v2.orders import ClientSigner, order_request
from plugins.wechat.v2.reading import queried_payment, queried_refunds
from plugins.wechat.v2.refund_list import with_refunds
from plugins.wechat.v2.signing import V2Key
from plugins.wechat.values import LEAST_SECONDS, require_time
from plugins.wechat.ways import WAYS

BILL_ROWS = 40
"""In one page of `scan`: each row costs a question, two where money of a payment went back, and a page has half a
minute."""


class V2Provider(BillVerbs):
    """One merchant and appid."""

    currencies: tuple[str, ...] = (CNY,)
    least_seconds: int = LEAST_SECONDS

    def __init__(self, settings: V2Settings, tools: Tools) -> None:
        secret = settings.api_key.get_secret_value()
        self._key = V2Key(secret)
        self._sign_type = settings.sign_type
        self._client_ip = settings.client_ip
        self._plans = settings.plan_ids
        self._clock = tools.clock
        super().__init__(Merchant(settings.mchid, settings.appid, tools.live))
        self._client = V2Client(
            settings.appid, settings.mchid, secret, self._key, settings.sign_type, tools.http, settings.api_url
        )
        self._reader = NotificationReader(self._merchant, self._key, settings.sign_type, tools.clock)
        trade_bills = BillPages(
            self._merchant,
            tools.clock,
            fetch=partial(fetch_trade_bill, self._client, tools.clock),
            tell=lambda row: confirmed(row, self._merchant, self.query),
            page_rows=BILL_ROWS,
        )
        self._add_feeds({TRADE_BILL: trade_bills.page})
        self.account = self._merchant.account
        self.ways: Mapping[str, type[BaseModel]] = {way: WAYS[way] for way in settings.ways}

    def start(self, intent: Intent) -> Started:
        if intent.way not in self.ways:
            raise Misconfigured(f"the way {intent.way!r} is not opened for this account")
        require_time(intent, self._clock.now())
        request = order_request(intent, self._sign_type, self._client_ip)
        try:
            answer = self._client.order.create(**request)
        except Refusal as refusal:
            return started_before(refusal, intent.ref, self.query)
        timestamp = str(int(self._clock.now().timestamp()))
        signer = ClientSigner(self._merchant, self._key, self._sign_type, timestamp)
        return Started(action=readable(action_for, intent.way, answer, signer, intent))

    def receive(self, message: Message) -> Received:
        return self._reader.read(message)

    def query(self, ref: Ref) -> tuple[Fact, ...]:
        if ref.refund is not None:
            return self._query_refund(ref.refund)
        fields = self._order(ref)
        if fields is None:
            return ()
        paid = readable(queried_payment, fields, self._merchant, self._clock.now())
        if not paid.refunds_unknown:
            return (paid,)
        try:
            return with_refunds(paid, self._ask, self._merchant, self._clock.now())
        except (Retryable, Unknown):
            return (paid,)  # it is paid all the same; the core asks again about the rest

    def _order(self, ref: Ref) -> dict[str, str] | None:
        """The order's fields; None if WeChat Pay knows no such order."""
        fields = self._ask("pay/orderquery", _number(ref))
        if fields is not None and (ref.ours or fields.get("out_trade_no")) != fields.get("out_trade_no"):
            raise Unknown("an answer about another order than asked for")
        return fields

    def _query_refund(self, number: str) -> tuple[Fact, ...]:
        fields = self._ask("pay/refundquery", {"out_refund_no": number})
        if fields is None:
            return ()
        facts = readable(lambda: tuple(queried_refunds(fields, self._merchant, self._clock.now())))
        return tuple(fact for fact in facts if fact.ref.refund == number)

    def cancel(self, ref: Ref) -> tuple[Fact, ...]:
        """Close the order. A payer in the cashier may have been faster: then the facts say paid."""
        if ref.ours is None:
            raise Declined("WeChat Pay closes orders by our number only")
        closed = closed_fact(ref, self._merchant, self._clock.now())
        try:
            self._client.ask("pay/closeorder", {"out_trade_no": ref.ours})
        except Refusal as refusal:
            return not_closed(refusal, ref, self.query, closed)
        return (closed,)

    def _ask(self, path: str, fields: Mapping[str, str]) -> dict[str, str] | None:
        try:
            return self._client.ask(path, fields)
        except Refusal as refusal:
            if refusal.code in MISSING_CODES:
                return None
            raise refusal.as_error() from None


def _number(ref: Ref) -> dict[str, str]:
    if ref.ours is not None:
        return {"out_trade_no": ref.ours}
    if ref.theirs is not None:
        return {"transaction_id": ref.theirs}
    raise Declined("WeChat Pay is asked by our number or by its own")
