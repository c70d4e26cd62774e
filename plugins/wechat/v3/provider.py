"""The verbs of API v3."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any
from urllib.parse import quote

from pydantic import BaseModel

from app.domain.money import Money
from app.providers import (
    Declined,
    Fact,
    Intent,
    Message,
    Misconfigured,
    Received,
    Ref,
    Started,
    Tools,
    Unknown,
)
from plugins.wechat.actions import action_for
from plugins.wechat.bills.feeds import TRADE_BILL
from plugins.wechat.bills.pages import BillPages
from plugins.wechat.bills.reading import fact_of
from plugins.wechat.bills.verbs import BillVerbs, fund_feeds
from plugins.wechat.checks import check_merchant, check_platform
from plugins.wechat.documents import CNY
from plugins.wechat.mapping import MISSING_CODES
from plugins.wechat.merchant import Merchant
from plugins.wechat.outcomes import closed_fact, not_closed, readable, started_before
from plugins.wechat.refusal import Refusal
from plugins.wechat.settings import V3Settings
from plugins.wechat.v3.authenticity import Verifier
from plugins.wechat.v3.bills import fetch_fund_bill, fetch_trade_bill
from plugins.wechat.v3.certificates import CertificateDownload
from plugins.wechat.v3.client import V3Client
from plugins.wechat.v3.credentials import load_credentials
from plugins.wechat.v3.notifications import NotificationReader
from plugins.wechat.v3.orders import PATHS, ROOT, ClientSigner, order_request
from plugins.wechat.v3.platform_keys import PlatformKeys
from plugins.wechat.v3.reading import order_amount, payment_fact, refund_fact
from plugins.wechat.values import LEAST_SECONDS, REASON_BYTES, chargeable, require_time, subject_for_payer
from plugins.wechat.ways import WAYS

REFUNDS = "/v3/refund/domestic/refunds"
BILL_ROWS = 2000
"""In one page of `scan`."""
REFRESH_SECONDS = 6 * 3600
"""The official SDKs refresh certificates at least every twelve hours."""


class V3Provider(BillVerbs):
    """One merchant and appid."""

    currencies: tuple[str, ...] = (CNY,)
    least_seconds: int = LEAST_SECONDS

    def __init__(self, settings: V3Settings, tools: Tools) -> None:
        self._settings, self._tools = settings, tools
        self._credentials = load_credentials(settings, tools.clock.now())
        self._keys = PlatformKeys(
            self._credentials.public_key_id, self._credentials.public_key, tools.keys, tools.clock
        )
        verifier = Verifier(self._keys.find, tools.clock)
        self._clock = tools.clock
        super().__init__(Merchant(settings.mchid, settings.appid, tools.live))
        self._client = V3Client(settings.mchid, self._credentials, verifier, tools, settings.api_url)
        self._reader = NotificationReader(self._merchant, verifier, self._credentials.apiv3_key)
        self._refund_notify_url = settings.refund_notify_url
        trade_bills = BillPages(
            self._merchant,
            tools.clock,
            fetch=partial(fetch_trade_bill, self._client, tools.clock),
            tell=lambda row: (fact_of(row, self._merchant),),
            page_rows=BILL_ROWS,
        )
        fetch_funds = partial(fetch_fund_bill, self._client, tools.clock)
        fund_bills = fund_feeds(self._merchant, tools.clock, settings.fund_accounts, fetch_funds)
        self._add_feeds({TRADE_BILL: trade_bills.page} | fund_bills)
        self.account = self._merchant.account
        self.ways: Mapping[str, type[BaseModel]] = {way: WAYS[way] for way in settings.ways}

    def check(self) -> Iterator[str]:
        """For `tillbook check`: whether the keys are this merchant's and WeChat Pay's, and how long they last."""
        yield from check_merchant(self._settings, self._credentials.merchant)
        yield from check_platform(self._settings, self._tools.keys, self._clock.now())

    def start(self, intent: Intent) -> Started:
        if intent.way not in self.ways:
            raise Misconfigured(f"the way {intent.way!r} is not opened for this account")
        require_time(intent, self._clock.now())
        body = order_request(intent, self._merchant)
        try:
            answer = self._client.post(PATHS[intent.way], body)
        except Refusal as refusal:
            return started_before(refusal, intent.ref, self.query)
        signer = ClientSigner(self._merchant, self._credentials, str(int(self._clock.now().timestamp())))
        return Started(action=readable(action_for, intent.way, answer, signer, intent))

    def receive(self, message: Message) -> Received:
        return self._reader.read(message)

    def query(self, ref: Ref) -> tuple[Fact, ...]:
        if ref.refund is not None:
            return self._query_refund(ref.refund)
        document = self._order(ref)
        if document is None:
            return ()
        return (readable(payment_fact, document, self._merchant, self._clock.now()),)

    def cancel(self, ref: Ref) -> tuple[Fact, ...]:
        """Close the order. A payer in the cashier may have been faster: then the facts say paid."""
        if ref.ours is None:
            raise Declined("WeChat Pay closes orders by our number only")
        closed = closed_fact(ref, self._merchant, self._clock.now())
        try:
            self._client.post(f"{ROOT}/out-trade-no/{quote(ref.ours, safe='')}/close", {"mchid": self._merchant.mchid})
        except Refusal as refusal:
            return not_closed(refusal, ref, self.query, closed)
        return (closed,)

    def refund(self, ref: Ref, money: Money, reason: str) -> tuple[Fact, ...]:
        """WeChat Pay wants the order's total repeated, so the order is asked for first. 200 means accepted, no more."""
        order = self._order(ref)
        if order is None:
            raise Declined("WeChat Pay knows no such order", code="ORDER_NOT_EXIST")
        body = self._refund_request(ref, money, reason, order)
        try:
            document = self._client.post(REFUNDS, body)
        except Refusal as refusal:
            raise refusal.as_error() from None
        return (readable(refund_fact, document, self._merchant, self._clock.now()),)

    def _order(self, ref: Ref) -> dict[str, Any] | None:
        """The order's document; None if WeChat Pay knows no such order."""
        if ref.ours is not None:
            path = f"{ROOT}/out-trade-no/{quote(ref.ours, safe='')}"
        elif ref.theirs is not None:
            path = f"{ROOT}/id/{quote(ref.theirs, safe='')}"
        else:
            raise Declined("WeChat Pay is asked by our number or by its own")
        document = self._get(f"{path}?mchid={self._merchant.mchid}")
        if document is not None and not _is_about(document, ref):
            raise Unknown("an answer about another order than asked for")
        return document

    def _query_refund(self, number: str) -> tuple[Fact, ...]:
        document = self._get(f"{REFUNDS}/{quote(number, safe='')}")
        if document is None:
            return ()
        if document.get("out_refund_no") != number:
            raise Unknown("an answer about another refund than asked for")
        return (readable(refund_fact, document, self._merchant, self._clock.now()),)

    def _get(self, target: str, missing: frozenset[str] = MISSING_CODES) -> dict[str, Any] | None:
        try:
            return self._client.get(target)
        except Refusal as refusal:
            if refusal.code in missing:
                return None
            raise refusal.as_error() from None

    def _refund_request(self, ref: Ref, money: Money, reason: str, order: Mapping[str, Any]) -> dict[str, Any]:
        if ref.refund is None:
            raise Misconfigured("a refund needs a number")
        if not order.get("transaction_id"):
            raise Declined("the order is not paid", code=str(order.get("trade_state", "")))
        total = readable(order_amount, order)
        if money.minor > total.minor:
            raise Declined("more than the order's total cannot be refunded")
        request: dict[str, Any] = {
            "transaction_id": order["transaction_id"],
            "out_refund_no": ref.refund,
            "reason": subject_for_payer(reason, REASON_BYTES),
            "amount": {"refund": chargeable(money), "total": total.minor, "currency": CNY},
        }
        if self._refund_notify_url:
            request["notify_url"] = self._refund_notify_url
        return request


class CertificateProvider(V3Provider):
    """For merchants whose messages may be signed with platform certificates, alone or beside the public key."""

    def __init__(self, settings: V3Settings, tools: Tools) -> None:
        super().__init__(settings, tools)
        self.refresh_seconds = REFRESH_SECONDS
        self._download = CertificateDownload(self._client, self._keys, self._credentials, tools.clock)

    def refresh(self) -> None:
        """Download the platform certificates. Those already held stay."""
        self._download.run()


def _is_about(document: Mapping[str, Any], ref: Ref) -> bool:
    if ref.ours is not None:
        return document.get("out_trade_no") == ref.ours
    return document.get("transaction_id") == ref.theirs
