"""Alipay's words in the neutral words of the port: the status tables as data, and the facts made with them.

Everything here is pure and gets content whose signature was verified. Raises ValueError for content that lacks what a
fact needs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from app.providers import Ending, Fact, Kind, Ref
from plugins.alipay.fields import amount, audit, first_of, number, optional_number, printable, time_or, word
from plugins.alipay.formats import parse_time, yuan

TRADE_STATUS: Mapping[str, Kind] = {
    "WAIT_BUYER_PAY": Kind.PENDING,
    "TRADE_SUCCESS": Kind.PAID,  # stays so after a partial refund: refunds are looked for first
    "TRADE_FINISHED": Kind.PAID,  # the refund window is over: the same payment, told again three to twelve months later
    "TRADE_CLOSED": Kind.CLOSED,  # or fully refunded: never read without the payment's time
}
"""`trade_status`. A word that is not here is PENDING: the core asks again."""

REFUND_STATUS: Mapping[str, Kind] = {
    "REFUND_SUCCESS": Kind.REFUNDED,
    "REFUND_PROCESSING": Kind.REFUND_PENDING,  # only documented for the asynchronous refund.apply
    "REFUND_FAIL": Kind.REFUND_FAILED,  # documented for refund.apply as well
}
"""`refund_status` of a refund query. Absent means not received, failed or a wrong number: no fact at all."""

FUND_CHANGE: Mapping[str, Kind] = {
    "Y": Kind.REFUNDED,
    "N": Kind.REFUND_PENDING,  # also the answer to the repeat of a refund that is done: ask the refund query
}
"""`fund_change` of a refund's answer; absent means `N`."""

AGREEMENT_STATUS: Mapping[str, Kind] = {
    "TEMP": Kind.PENDING,
    "NORMAL": Kind.SIGNED,
    "STOP": Kind.ENDED,  # in a query's answer
    "UNSIGN": Kind.ENDED,  # in a notification
}

NO_END = "2115-02-01 00:00:00"
"""`invalid_time` of an agreement without an end (samples of 2019 to 2024)."""

AGREEMENT_NOTICES: Mapping[str, Kind] = {
    "dut_user_sign": Kind.SIGNED,
    "dut_user_unsign": Kind.ENDED,
}
"""`notify_type`. They carry no trade fields, so they are told apart before any payment rule."""

TRADE_NOTICE = "trade_status_sync"
DEPOSIT_BACK_MESSAGE = "alipay.trade.refund.depositback.completed"
"""`msg_method`: a bank answered on a refund to its card, with success or failure, and may answer otherwise later."""


@dataclass(frozen=True, slots=True)
class Merchant:
    """Who we are at Alipay, and how that is written in a fact."""

    app_id: str
    seller_id: str
    seller_email: str
    live: bool

    @property
    def account(self) -> str:
        return f"{self.app_id}:{self.seller_id}"

    def account_in(self, fields: Mapping[str, str]) -> str:
        """The identity that a payment notification names, in the form of `account`.

        The payee is `seller_id`; where only `seller_email` came it is ours if it is the configured one. With neither,
        nothing says whose money it is: the result then equals nobody's account.
        """
        seller = fields.get("seller_id", "")
        if not seller and self.seller_email and fields.get("seller_email") == self.seller_email:
            seller = self.seller_id
        return f"{printable(fields.get('app_id', ''))}:{printable(seller or fields.get('seller_email', ''))}"

    def account_of_app(self, fields: Mapping[str, str]) -> str:
        """For agreement notices, which name the app and no payee."""
        app_id = fields.get("app_id", "")
        return self.account if app_id == self.app_id else f"{printable(app_id)}:"


# --- notifications ----------------------------------------------------------------------------------------------------


def trade_notice_facts(fields: Mapping[str, str], merchant: Merchant) -> tuple[Fact, ...]:
    """The facts in a payment notification whose empty fields were dropped.

    Refunds are looked for before any status is read: a partial refund comes with TRADE_SUCCESS. Such a notice tells the
    payment too, since the notice of the payment itself may have been lost.
    """
    kind = TRADE_STATUS.get(fields.get("trade_status", ""), Kind.PENDING)
    if is_refund_event(fields):
        refund = _refund_notice_fact(fields, merchant)
        return (_paid_notice_fact(fields, merchant), refund) if "gmt_payment" in fields else (refund,)
    if kind is Kind.CLOSED and "gmt_payment" in fields:
        paid = _paid_notice_fact(fields, merchant)
        return paid, _wholly_refunded(paid, parse_time(first_of(fields, ("gmt_refund", "gmt_close", "notify_time"))))
    if kind is Kind.PAID:
        return (_paid_notice_fact(fields, merchant),)
    if kind is Kind.CLOSED and _went_back(fields):
        kind = Kind.PENDING  # closed after a refund, and neither payment nor size is named: a query has to tell
    fact = Fact(
        kind=kind,
        ref=_trade_ref(fields, kind),
        at=parse_time(first_of(fields, _NOTICE_TIMES[kind])),
        account=merchant.account_in(fields),
        live=merchant.live,
        cause=printable(fields.get("trade_status", "")),
        raw=audit(fields),
    )
    return (fact,)


def _paid_notice_fact(fields: Mapping[str, str], merchant: Merchant) -> Fact:
    return Fact(
        kind=Kind.PAID,
        ref=_trade_ref(fields, Kind.PAID),
        at=parse_time(first_of(fields, _NOTICE_TIMES[Kind.PAID])),
        money=amount(fields, "total_amount"),
        account=merchant.account_in(fields),
        live=merchant.live,
        refunds_unknown=_went_back(fields) and not is_refund_event(fields),
        cause=printable(fields.get("trade_status", "")),
        raw=audit(fields),
    )


def is_refund_event(fields: Mapping[str, Any]) -> bool:
    """Whether the running total of the payment's refunds is told. `refund_fee=0.00` also comes with payments and
    time-outs."""
    return "refund_fee" in fields and yuan(fields["refund_fee"]).minor > 0


def _went_back(fields: Mapping[str, Any]) -> bool:
    """Whether a refund is named in any way: by its time, or by the money that reached the payer (`send_back_fee`)."""
    told = word(fields, "gmt_refund"), word(fields, "refund_fee"), word(fields, "send_back_fee")
    return "".join(told).strip("0.") != ""


_NOTICE_TIMES: Mapping[Kind, tuple[str, ...]] = {
    Kind.PAID: ("gmt_payment", "notify_time"),
    Kind.CLOSED: ("gmt_close", "notify_time"),
    Kind.PENDING: ("notify_time", "gmt_create"),
}


def _refund_notice_fact(fields: Mapping[str, str], merchant: Merchant) -> Fact:
    """`refund_fee` is the running total of the payment's refunds, `out_biz_no` the number of this one (our
    `out_trade_no` where the refund was asked for without a number)."""
    ours, theirs = number(fields, "out_trade_no"), number(fields, "trade_no")
    return Fact(
        kind=Kind.REFUNDED,
        ref=Ref(ours=ours, theirs=theirs, refund=optional_number(fields, "out_biz_no") or ours),
        at=parse_time(first_of(fields, ("gmt_refund", "gmt_close", "notify_time"))),
        total=amount(fields, "refund_fee"),
        account=merchant.account_in(fields),
        live=merchant.live,
        cause=printable(fields.get("trade_status", "")),
        raw=audit(fields),
    )


def deposit_back_ask(stated: Mapping[str, str], content: Mapping[str, Any], merchant: Merchant) -> Ref | None:
    """The refund that a message about a bank's answer names. The message names no payee and no total, so it only makes
    the core ask; None where it is another app's."""
    ours, refund = optional_number(content, "out_trade_no"), optional_number(content, "out_request_no")
    if stated.get("app_id") != merchant.app_id or ours is None or refund is None:
        return None
    return Ref(ours=ours, theirs=optional_number(content, "trade_no"), refund=refund)


def agreement_notice_fact(fields: Mapping[str, str], merchant: Merchant) -> Fact:
    """Signed, or ended. The notice of an end does not say by whom: as a rule it is the payer's, in the wallet. Of an
    end that we asked for, which may be told here before our call is answered, the core knows better."""
    status = fields.get("status", "")
    kind = AGREEMENT_NOTICES[fields["notify_type"]]
    if status and AGREEMENT_STATUS.get(status) is not kind:
        kind = Kind.PENDING  # a word of tomorrow, or one that contradicts its notice: a query has to tell
    times = ("sign_time", "notify_time") if kind is Kind.SIGNED else ("unsign_time", "notify_time")
    return Fact(
        kind=kind,
        ref=_agreement_ref(fields, kind),
        at=parse_time(first_of(fields, times)),
        account=merchant.account_of_app(fields),
        live=merchant.live,
        period_end=_validity_end(fields) if kind is Kind.SIGNED else None,
        ending=Ending.PAYER if kind is Kind.ENDED else None,
        cause=printable(status),
        raw=audit(fields),
    )


def _agreement_ref(fields: Mapping[str, Any], kind: Kind) -> Ref:
    """Our number and Alipay's; only an agreement that is still being signed may lack Alipay's."""
    theirs = optional_number(fields, "agreement_no") if kind is Kind.PENDING else number(fields, "agreement_no")
    return Ref(agreement=theirs, our_agreement=optional_number(fields, "external_agreement_no"))


def _validity_end(fields: Mapping[str, Any]) -> datetime | None:
    text = word(fields, "invalid_time")
    return parse_time(text) if text and text != NO_END else None


def _trade_ref(fields: Mapping[str, Any], kind: Kind) -> Ref:
    """Our number and Alipay's; only an undecided or closed payment may lack Alipay's. A deduction names its agreement
    in notices, and not in a query's answer."""
    theirs = number(fields, "trade_no") if kind is Kind.PAID else optional_number(fields, "trade_no")
    return Ref(
        ours=number(fields, "out_trade_no"),
        theirs=theirs,
        agreement=optional_number(fields, "agreement_no"),
        our_agreement=optional_number(fields, "external_agreement_no"),
    )


# --- answers to our own calls -----------------------------------------------------------------------------------------
# They name neither app nor payee. `account` is ours all the same: the call carried our app_id under our signature, and
# Alipay answers only about that merchant's trades.


def query_facts(content: Mapping[str, Any], merchant: Merchant, now: datetime) -> tuple[Fact, ...]:
    """What `alipay.trade.query` says. `send_pay_date` is the payment's time here.

    TRADE_CLOSED with `send_pay_date` is a payment that was refunded in full (the pages do not promise it, 2026-09):
    both facts are told, so that coins and money come out at nothing whichever of them was known before. TRADE_SUCCESS
    hides partial refunds, as far as the page goes; should an answer name one all the same, it is not passed over.
    """
    kind = TRADE_STATUS.get(word(content, "trade_status"), Kind.PENDING)
    paid_at = word(content, "send_pay_date")
    if kind is Kind.PAID or (kind is Kind.CLOSED and (paid_at or _went_back(content))):
        paid = _query_fact(content, merchant, Kind.PAID, parse_time(paid_at) if paid_at else now)
        if kind is Kind.CLOSED:
            return paid, _wholly_refunded(paid, now)
        return (replace(paid, refunds_unknown=_went_back(content)),)
    return (_query_fact(content, merchant, kind, now),)


def _query_fact(content: Mapping[str, Any], merchant: Merchant, kind: Kind, at: datetime) -> Fact:
    return Fact(
        kind=kind,
        ref=_trade_ref(content, kind),
        at=at,
        money=amount(content, "total_amount") if kind is Kind.PAID else None,
        account=merchant.account,
        live=merchant.live,
        cause=printable(word(content, "trade_status")),
        raw=audit(content),
    )


def _wholly_refunded(paid: Fact, now: datetime) -> Fact:
    """The refund behind TRADE_CLOSED. Its number is not told: `out_trade_no` is the one that Alipay itself gives a
    refund without a number, and a total does no harm when it is told under two numbers."""
    return Fact(
        kind=Kind.REFUNDED,
        ref=Ref(ours=paid.ref.ours, theirs=paid.ref.theirs, refund=paid.ref.ours),
        at=now,
        total=paid.money,
        account=paid.account,
        live=paid.live,
        cause=paid.cause,
        raw=paid.raw,
    )


def refund_fact(content: Mapping[str, Any], asked: Ref, merchant: Merchant, now: datetime) -> Fact:
    """What `alipay.trade.refund` says: done (`refund_fee` is the running total), or not decided yet."""
    kind = FUND_CHANGE.get(word(content, "fund_change"), Kind.REFUND_PENDING)
    return Fact(
        kind=kind,
        ref=Ref(
            ours=asked.ours or optional_number(content, "out_trade_no"),
            theirs=number(content, "trade_no"),
            refund=asked.refund,
        ),
        at=time_or(content, "gmt_refund_pay", now),
        total=amount(content, "refund_fee") if kind is Kind.REFUNDED else None,
        account=merchant.account,
        live=merchant.live,
        cause=printable(word(content, "fund_change")),
        raw=audit(content),
    )


def refund_query_facts(content: Mapping[str, Any], asked: Ref, merchant: Merchant, now: datetime) -> tuple[Fact, ...]:
    """What `alipay.trade.fastpay.refund.query` says now; nothing without `refund_status`, which is no final word.

    A failed refund may be asked for again, and succeed, under its number. A refund to a bank card leaves the merchant
    at once; what the payer's bank answers days later (`deposit_back_info`) stands in the cause, for people.
    """
    status = word(content, "refund_status")
    if not status:
        return ()
    kind = REFUND_STATUS.get(status, Kind.REFUND_PENDING)
    back = content.get("deposit_back_info")
    bank = word(back, "dback_status") if isinstance(back, dict) else ""
    fact = Fact(
        kind=kind,
        ref=Ref(ours=number(content, "out_trade_no"), theirs=number(content, "trade_no"), refund=asked.refund),
        at=time_or(content, "gmt_refund_pay", now),
        money=amount(content, "refund_amount") if kind is Kind.REFUNDED else None,
        account=merchant.account,
        live=merchant.live,
        cause=printable(f"{status} deposit_back={bank}" if bank else status),
        raw=audit(content),
    )
    return (fact,)


def agreement_query_fact(content: Mapping[str, Any], merchant: Merchant, now: datetime) -> Fact:
    """How the agreement stands. Nothing else tells that its validity is over: Alipay sends no notice of that."""
    status = word(content, "status")
    kind = AGREEMENT_STATUS.get(status, Kind.PENDING)
    until = _validity_end(content)
    is_over = kind is Kind.ENDED and until is not None and until <= now
    at = time_or(content, "sign_time", now) if kind is Kind.SIGNED else now
    return Fact(
        kind=kind,
        ref=_agreement_ref(content, kind),
        at=until if is_over and until else at,
        account=merchant.account,
        live=merchant.live,
        period_end=until if kind is Kind.SIGNED else None,
        ending=Ending.TIME if is_over else None,
        cause=printable(status),
        raw=audit(content),
    )


def charge_fact(content: Mapping[str, Any], merchant: Merchant, now: datetime) -> Fact:
    """What `alipay.trade.pay` says of a deduction: paid only with the payment's time and amount, and never where Alipay
    goes on working after its answer (`async_payment_mode`)."""
    at = word(content, "gmt_payment")
    proved = bool(at) and "total_amount" in content and word(content, "async_payment_mode") in _AT_ONCE
    kind = Kind.PAID if proved else Kind.PENDING
    return Fact(
        kind=kind,
        ref=_trade_ref(content, kind),
        at=parse_time(at) if proved else now,
        money=amount(content, "total_amount") if proved else None,
        account=merchant.account,
        live=merchant.live,
        raw=audit(content),
    )


_AT_ONCE = frozenset({"", "SYNC_DIRECT_PAY"})
