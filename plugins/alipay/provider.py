"""The verbs of the port, in Alipay's calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ValidationError

from app.domain.money import Money
from app.providers import (
    BillContent,
    BillSide,
    Declined,
    Ending,
    Fact,
    Intent,
    Kind,
    Message,
    Misconfigured,
    Page,
    ProviderError,
    Received,
    Ref,
    Started,
    Tools,
    Unknown,
)
from plugins.alipay import codes, credentials, mapping
from plugins.alipay.agreements import named_fields
from plugins.alipay.bills import downloads
from plugins.alipay.certificates import leads_to_root
from plugins.alipay.client import GatewayClient
from plugins.alipay.fields import audit, number, printable
from plugins.alipay.formats import CURRENCY
from plugins.alipay.keyring import Keyring
from plugins.alipay.mapping import Merchant
from plugins.alipay.notifications import NotificationReader
from plugins.alipay.orders import WAYS, Way, business_fields
from plugins.alipay.responses import Answer
from plugins.alipay.settings import PRODUCTION_GATEWAY, SANDBOX_GATEWAY, AlipaySettings

REFUND_REASON_LENGTH = 256
LEAST_SECONDS = 60
"""Alipay takes a `time_expire` that is one minute to fifteen days ahead (pages of the pay methods, 2026-09)."""
MOST_SECONDS = 15 * 24 * 60 * 60
TOO_LITTLE_TIME, TOO_MUCH_TIME = "too_little_time", "too_much_time"
"""Codes of ours for a payment whose time Alipay would not take: no request is made."""
_DEPOSIT_BACK = "deposit_back_info"
"""An option of refund and refund query: the answer tells about a refund to a bank card, and a message tells the end."""
_RETIRED_SANDBOX = "openapi.alipaydev.com"


class AlipayProvider:
    """One app of one merchant."""

    currencies: tuple[str, ...] = (CURRENCY,)
    ways: Mapping[str, type[BaseModel]] = MappingProxyType({name: way.extra for name, way in WAYS.items()})
    feeds: tuple[str, ...] = tuple(downloads.SIDES)
    bill_feeds: Mapping[str, BillSide] = downloads.SIDES
    least_seconds: int = LEAST_SECONDS
    """A payment that ends sooner than this cannot be started."""

    def __init__(self, settings: AlipaySettings, keys: credentials.Credentials, tools: Tools) -> None:
        self._settings = settings
        self._tools = tools
        self._merchant = Merchant(settings.app_id, settings.seller_id, settings.seller_email, tools.live)
        self.account = self._merchant.account
        self._keyring = Keyring(keys, tools.keys, tools.clock)
        gateway = _gateway(settings, live=tools.live)
        self._client = GatewayClient(gateway, settings.app_id, keys, self._keyring, tools)
        self._notifications = NotificationReader(self._merchant, self._keyring)

    # --- paying ---------------------------------------------------------------------------------------------------

    def start(self, intent: Intent) -> Started:
        """Only signs for app, wap and page; calls for precreate and jsapi.

        Each can be repeated: the same number is the same payment. A repeated precreate may be refused because a QR
        code exists already (Unknown: its code was in the first answer, so pay by another number or wait for expiry).
        """
        way = WAYS.get(intent.way)
        if way is None:
            raise Declined(f"there is no way {intent.way!r}; there are {', '.join(WAYS)}")
        fields = self._business_fields(intent, way)
        match way.action:
            case "order_string":
                order = self._client.signed_query(way.method, fields, notify_url=intent.notify_url)
                return Started({"type": "order_string", "order_string": order})
            case "redirect":
                url = self._client.browser_url(
                    way.method, fields, notify_url=intent.notify_url, return_url=intent.return_url
                )
                return Started({"type": "redirect", "url": url})
        answer = self._client.call(way.method, fields, notify_url=intent.notify_url)
        return self._started(answer, way, intent)

    def _business_fields(self, intent: Intent, way: Way) -> dict[str, Any]:
        self._require_time(intent)
        try:
            return business_fields(intent, way, self._settings)
        except ValidationError as error:
            names = ", ".join(".".join(map(str, fault["loc"])) or "extra" for fault in error.errors())
            raise Declined(f"not what the way {intent.way!r} needs: {names}") from None

    def _require_time(self, intent: Intent) -> None:
        left = (intent.expires_at.replace(microsecond=0) - self._tools.clock.now()).total_seconds()
        if left <= 0:
            # Not Declined: an earlier attempt whose answer was lost may have been paid in time.
            raise Unknown("the payment's time is over, so it is not signed any more")
        if left < LEAST_SECONDS:
            raise Declined(f"Alipay takes no payment that ends within {LEAST_SECONDS} seconds", code=TOO_LITTLE_TIME)
        if left > MOST_SECONDS:
            raise Declined(f"Alipay takes no payment that ends after {MOST_SECONDS} seconds", code=TOO_MUCH_TIME)

    def _started(self, answer: Answer, way: Way, intent: Intent) -> Started:
        """What the payer's device does with the gateway's answer to precreate or create."""
        _require_success(answer)
        _require_same(answer, "out_trade_no", intent.ref.ours)
        if way.action == "qr":
            return Started({"type": "qr", "code": _required(answer, "qr_code")})
        trade_no = _required(answer, "trade_no")
        pending = Fact(
            kind=Kind.PENDING,
            ref=Ref(ours=intent.ref.ours, theirs=trade_no),
            at=self._tools.clock.now(),
            account=self.account,
            live=self._tools.live,
            raw=audit(answer.content),
        )
        return Started({"type": "jsapi", "trade_no": trade_no}, (pending,))

    # --- hearing --------------------------------------------------------------------------------------------------

    def receive(self, message: Message) -> Received:
        return self._notifications.receive(message)

    # --- asking ---------------------------------------------------------------------------------------------------

    def query(self, ref: Ref) -> tuple[Fact, ...]:
        if ref.refund is not None:
            return self._query_refund(ref)
        if ref.is_agreement:
            return self._query_agreement(ref)
        return self._query_trade(ref)

    def _query_trade(self, ref: Ref) -> tuple[Fact, ...]:
        answer = self._client.call("alipay.trade.query", _trade_fields(ref))
        if codes.business_reason(answer) in codes.NOT_EXIST:
            return ()
        _require_success(answer)
        _require_trade(answer, ref)
        facts = self._read(lambda now: mapping.query_facts(answer.content, self._merchant, now))
        return (*facts, *self._unnumbered_refund(facts[0])) if facts[0].refunds_unknown else facts

    def _unnumbered_refund(self, paid: Fact) -> tuple[Fact, ...]:
        """Alipay lists no refunds of a payment; it tells one whose number is known. A refund that was made without a
        number, as some consoles do, has that of the payment. What cannot be asked leaves the payment as it was told."""
        try:
            return self._query_refund(Ref(ours=paid.ref.ours, theirs=paid.ref.theirs, refund=paid.ref.ours))
        except ProviderError:
            return ()

    def _query_refund(self, ref: Ref) -> tuple[Fact, ...]:
        """`()` also for a refund that Alipay has no word on yet: ask ten seconds after the refund, and again."""
        fields = _trade_fields(ref) | {"out_request_no": ref.refund, "query_options": ["gmt_refund_pay", _DEPOSIT_BACK]}
        answer = self._client.call("alipay.trade.fastpay.refund.query", fields)
        if codes.business_reason(answer) in codes.NOT_EXIST:
            return ()
        _require_success(answer)
        if not answer.text("refund_status"):
            return ()
        _require_trade(answer, ref)
        _require_same(answer, "out_request_no", ref.refund)
        return self._read(lambda now: mapping.refund_query_facts(answer.content, ref, self._merchant, now))

    def _query_agreement(self, ref: Ref) -> tuple[Fact, ...]:
        answer = self._client.call("alipay.user.agreement.query", named_fields(ref, self._settings.agreements))
        if codes.business_reason(answer) in codes.NO_SUCH_AGREEMENT:
            return self._read(lambda now: (self._ended(ref, answer, now),)) if _was_signed(ref) else ()
        _require_success(answer)
        named = ("agreement_no", ref.agreement) if ref.agreement else ("external_agreement_no", ref.our_agreement)
        _require_same(answer, *named)
        return self._read(lambda now: (mapping.agreement_query_fact(answer.content, self._merchant, now),))

    # --- undoing --------------------------------------------------------------------------------------------------

    def cancel(self, ref: Ref) -> tuple[Fact, ...]:
        """Closes an unpaid payment (`alipay.trade.close`).

        Not `alipay.trade.cancel`, which gives a paid payment back. Alipay cannot close what no payer has opened yet:
        that is `()`, and the payment stays payable until its `time_expire`.
        """
        if ref.is_agreement:
            return self._end_agreement(ref)
        answer = self._client.call("alipay.trade.close", _trade_fields(ref))
        if codes.business_reason(answer) in codes.NOT_EXIST:
            return ()
        if codes.business_reason(answer) in codes.NOT_OPEN:
            return self._query_trade(ref)
        _require_success(answer)
        _require_trade(answer, ref)
        return self._read(lambda now: (self._closed(answer, now),))

    def _end_agreement(self, ref: Ref) -> tuple[Fact, ...]:
        """`()` where nobody has signed: what was handed out for the signing may still be used."""
        if ref.agreement is None:
            known = self._query_agreement(ref)
            if not any(fact.kind is Kind.SIGNED for fact in known):
                return known
            ref = known[0].ref
        answer = self._client.call("alipay.user.agreement.unsign", {"agreement_no": ref.agreement})
        if codes.business_reason(answer) in codes.NO_SUCH_AGREEMENT and not _was_signed(ref):
            return ()
        if codes.business_reason(answer) not in codes.ALREADY_ENDED | codes.NO_SUCH_AGREEMENT:
            _require_success(answer)
        return self._read(lambda now: (self._ended(ref, answer, now),))

    def _ended(self, ref: Ref, answer: Answer, now: datetime) -> Fact:
        """Ended by us, if the gateway has just done what we asked; found to be over by whatever cause otherwise."""
        return Fact(
            kind=Kind.ENDED,
            ref=Ref(agreement=ref.agreement, our_agreement=ref.our_agreement),
            at=now,
            account=self.account,
            live=self._tools.live,
            ending=Ending.US if answer.ok else None,
            cause=printable(codes.business_reason(answer)),
            raw=audit(answer.content),
        )

    def _closed(self, answer: Answer, now: datetime) -> Fact:
        return Fact(
            kind=Kind.CLOSED,
            ref=Ref(ours=number(answer.content, "out_trade_no"), theirs=answer.text("trade_no") or None),
            at=now,
            account=self.account,
            live=self._tools.live,
            raw=audit(answer.content),
        )

    def refund(self, ref: Ref, money: Money, reason: str) -> tuple[Fact, ...]:
        """Idempotent by `ref.refund`. A refusal is checked against the refund query before it counts: the refund may
        have been done by an earlier attempt whose answer was lost, and the refusal be about the repeat."""
        if ref.refund is None or money.currency != CURRENCY:
            raise Declined("a refund needs its own number and an amount in CNY")
        fields = _trade_fields(ref) | {
            "out_request_no": ref.refund,
            "refund_amount": money.decimal(),
            "refund_reason": reason[:REFUND_REASON_LENGTH],
            "query_options": [_DEPOSIT_BACK],
        }
        answer = self._client.call("alipay.trade.refund", {name: value for name, value in fields.items() if value})
        if answer.ok:
            return self._refund_facts(answer, ref)
        error = codes.failure(answer)
        known = self._query_refund(ref) if isinstance(error, Declined) else ()
        if not any(fact.kind in (Kind.REFUNDED, Kind.REFUND_PENDING) for fact in known):
            raise error
        return known

    def _refund_facts(self, answer: Answer, ref: Ref) -> tuple[Fact, ...]:
        """Undecided (`fund_change=N`, which also answers the repeat of a done refund): the query tells if it can."""
        _require_trade(answer, ref)
        facts = self._read(lambda now: (mapping.refund_fact(answer.content, ref, self._merchant, now),))
        if facts[0].kind is not Kind.REFUND_PENDING:
            return facts
        return self._query_refund(ref) or facts

    # --- books ----------------------------------------------------------------------------------------------------

    def scan(self, feed: str, since: datetime, until: datetime, cursor: str | None) -> Page:
        """One day's bill a page; the cursor is the day. Retryable while a bill is not made yet (9:00 next morning)."""
        window = downloads.Window(feed, since, until, self._tools.clock.now())
        return downloads.scan(self._client, self._merchant, window, cursor)

    def read_bill(self, feed: str, name: str, content: bytes) -> BillContent:
        """A ZIP as it was downloaded, or one CSV file out of it."""
        return downloads.read_bill(feed, name, content, self._merchant)

    def _read(self, facts: Callable[[datetime], tuple[Fact, ...]]) -> tuple[Fact, ...]:
        """Signed content that lacks what a fact needs is no answer."""
        try:
            return facts(self._tools.clock.now())
        except ValueError as error:
            raise Unknown(f"the signed answer cannot be read: {error}") from None


class CertifiedAlipayProvider(AlipayProvider):
    """Certificate mode: there is a certificate of Alipay's to keep fresh."""

    refresh_seconds = 6 * 60 * 60

    def __init__(self, settings: AlipaySettings, keys: credentials.Credentials, tools: Tools) -> None:
        super().__init__(settings, keys, tools)
        self._certificates = keys.certificates

    def check(self) -> Iterator[str]:
        """For `tillbook check`: whether the certificate that is to be Alipay's is one of Alipay's authority.

        A warning, not a refusal: the file may lack the authority between, and the console gives both kinds of file.
        """
        files = self._certificates
        now = self._tools.clock.now()
        if files is not None and not leads_to_root(files.alipay[0], files.alipay[1:], files.roots, now):
            yield (
                "alipay_cert does not lead to alipay_root_cert: is it Alipay's own certificate"
                " (alipayCertPublicKey_RSA2.crt), with the authority's below it in the file?"
            )

    def refresh(self) -> None:
        """Keep the certificate with which Alipay signs now where every process finds it."""
        if self._certificates is not None:
            self._tools.keys.put(self._client.present_certificate(self._certificates.alipay_sn))


def _gateway(settings: AlipaySettings, *, live: bool) -> str:
    """Where to call. An account's `live` and its gateway must agree, or sandbox money would count as real."""
    gateway = settings.gateway or (PRODUCTION_GATEWAY if live else SANDBOX_GATEWAY)
    host = urlsplit(gateway).hostname or ""
    if host == _RETIRED_SANDBOX:
        raise Misconfigured(
            f"gateway: {host} is retired (its certificate expired); leave it out or use {SANDBOX_GATEWAY}"
        )
    if live and (gateway.startswith("http://") or host.endswith("alipaydev.com")):
        raise Misconfigured("gateway: a live account needs the production gateway over https; or set live = false")
    if not live and host == urlsplit(PRODUCTION_GATEWAY).hostname:
        raise Misconfigured("gateway: the production gateway takes real money; set live = true, or use the sandbox's")
    return gateway


def _was_signed(ref: Ref) -> bool:
    """An agreement that is known by both numbers was in force once: where Alipay knows it no more, it is over."""
    return ref.agreement is not None and ref.our_agreement is not None


def _trade_fields(ref: Ref) -> dict[str, Any]:
    """Our number names the payment; Alipay's only where ours is not known (it wins at Alipay when both are sent)."""
    if ref.ours:
        return {"out_trade_no": ref.ours}
    if ref.theirs:
        return {"trade_no": ref.theirs}
    raise Declined("neither number of the payment is known")


def _require_success(answer: Answer) -> None:
    if not answer.ok:
        raise codes.failure(answer)


def _required(answer: Answer, name: str) -> str:
    value = answer.text(name)
    if not value or not value.isprintable():
        raise Unknown(f"the answer lacks {name}")
    return value


def _require_trade(answer: Answer, ref: Ref) -> None:
    """A signed answer to another question is no answer to this one."""
    _require_same(answer, *(("out_trade_no", ref.ours) if ref.ours else ("trade_no", ref.theirs)))


def _require_same(answer: Answer, name: str, asked: str | None) -> None:
    if answer.text(name) != asked:
        raise Unknown(f"the answer is about another {name}")
