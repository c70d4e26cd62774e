"""What WeChat Pay gives by API v2 only to those who show the merchant's certificate in TLS: refunds
(`/secapi/pay/refund`) and fund flow bills.

An account without one has no `refund`: its payments are refunded on the merchant site, or by a v3 account of that
merchant. Its fund flow bills are brought by a person.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

from app.domain.money import Money
from app.providers import ClientCertificate, Declined, Fact, Kind, Misconfigured, Ref, Tools, Unknown
from plugins.wechat.bills.verbs import fund_feeds
from plugins.wechat.checks import check_merchant
from plugins.wechat.documents import CNY, fen_text
from plugins.wechat.mapping import FINAL_TEXTS
from plugins.wechat.merchant_certificate import EndingAlarm, load_merchant_certificate
from plugins.wechat.outcomes import readable
from plugins.wechat.refusal import Refusal
from plugins.wechat.settings import V2Settings
from plugins.wechat.v2.bills import fetch_fund_bill
from plugins.wechat.v2.provider import V2Provider
from plugins.wechat.v2.reading import accepted_refund, queried_payment
from plugins.wechat.values import REASON_BYTES, chargeable, subject_for_payer

PATH = "secapi/pay/refund"


class RefundingV2Provider(V2Provider):
    """One merchant and appid that can give money back. Raises Misconfigured for a certificate that cannot be shown."""

    def __init__(self, settings: V2Settings, tools: Tools, shown: ClientCertificate) -> None:
        super().__init__(settings, tools)
        now = tools.clock.now()
        self._settings = settings
        self._certificate = load_merchant_certificate(shown.private_key, shown.chain, now)
        self._alarm = EndingAlarm(self._certificate)
        self._alarm.look(now)
        shown.check()
        self._shown = shown
        self._refund_notify_url = settings.refund_notify_url
        fetch = partial(fetch_fund_bill, self._client, tools.clock, shown)
        self._add_feeds(fund_feeds(self._merchant, tools.clock, settings.fund_accounts, fetch))

    def check(self) -> Iterator[str]:
        """For `tillbook check`: whether the certificate is this merchant's."""
        yield from check_merchant(self._settings, self._certificate)

    def refund(self, ref: Ref, money: Money, reason: str) -> tuple[Fact, ...]:
        """WeChat Pay wants the order's total repeated, so the order is asked for first. SUCCESS means accepted, no
        more."""
        self._alarm.look(self._clock.now())
        order = self._order(ref)
        if order is None:
            raise Declined("WeChat Pay knows no such order", code="ORDERNOTEXIST")
        request = self._refund_request(ref, money, reason, order)
        try:
            fields = self._client.ask(PATH, request, self._shown)
        except Refusal as refusal:
            return self._refused(refusal, request["out_refund_no"])
        if fields.get("out_refund_no") != ref.refund:
            raise Unknown("an answer about another refund than asked for")
        return (readable(accepted_refund, fields, self._merchant, self._clock.now()),)

    def _refused(self, refusal: Refusal, number: str) -> tuple[Fact, ...]:
        """A definite no counts only if WeChat Pay has no refund under that number: an earlier request, whose answer was
        lost, may be what leaves nothing to refund now."""
        error = refusal.as_error()
        if refusal.code == "ERROR" and refusal.says(FINAL_TEXTS):
            error = Declined(str(error), code=refusal.code)
        earlier = self._query_refund(number) if isinstance(error, Declined) else ()
        if earlier:
            return earlier
        raise error from None

    def _refund_request(self, ref: Ref, money: Money, reason: str, order: Mapping[str, str]) -> dict[str, str]:
        if ref.refund is None:
            raise Misconfigured("a refund needs a number")
        if readable(queried_payment, order, self._merchant, self._clock.now()).kind is not Kind.PAID:
            raise Declined("the order is not paid", code=order.get("trade_state", ""))
        total = readable(fen_text, order, "total_fee", CNY)
        if money.minor > total.minor:
            raise Declined("more than the order's total cannot be refunded")
        request = {
            "transaction_id": order["transaction_id"],
            "out_refund_no": ref.refund,
            "total_fee": str(total.minor),
            "refund_fee": str(chargeable(money)),
            "refund_fee_type": CNY,
            "refund_desc": subject_for_payer(reason, REASON_BYTES),
        }
        return request | ({"notify_url": self._refund_notify_url} if self._refund_notify_url else {})
