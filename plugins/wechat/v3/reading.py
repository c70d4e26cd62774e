"""From API v3's documents to facts. The same functions read notifications (decrypted) and answers (verified)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from app.domain.money import Money
from app.providers import Fact, Kind, Ref
from plugins.wechat.documents import CNY, Unreadable, fen, inner, lenient_text, optional_text, rfc3339, text
from plugins.wechat.mapping import kind_of_refund, kind_of_trade, refusal_of, says_refunded
from plugins.wechat.merchant import Merchant


def payment_fact(document: Mapping[str, Any], merchant: Merchant, told_at: datetime) -> Fact:
    """What a transaction document says. `told_at` dates what carries no time of its own. Raises Unreadable."""
    state = text(document, "trade_state")
    kind = kind_of_trade(state, optional_text(document, "trade_type"))
    theirs = optional_text(document, "transaction_id")
    success_time = optional_text(document, "success_time")
    if kind is Kind.PAID and not (theirs and success_time):
        raise Unreadable("paid, but without transaction_id or success_time")
    return Fact(
        kind=kind,
        ref=Ref(
            ours=text(document, "out_trade_no"),
            theirs=theirs or None,
            agreement=lenient_text(document, "contract_id"),
        ),
        at=rfc3339(success_time, "success_time") if kind is Kind.PAID else told_at,
        money=order_amount(document) if kind is Kind.PAID or document.get("amount") else None,
        owner=lenient_text(document, "attach"),
        account=merchant.account_of(text(document, "mchid"), text(document, "appid")),
        live=merchant.live,
        refunds_unknown=says_refunded(state),
        refusal=refusal_of(lenient_text(document, "err_code") or "") if kind is Kind.FAILED else None,
        cause=state,
        raw=document,
    )


def order_amount(document: Mapping[str, Any]) -> Money:
    """The ordered amount: `total`, never `payer_total`, from which WeChat Pay has taken its own coupons."""
    amount = inner(document, "amount")
    # Unpaid orders come without `currency` (answers of 2021 to 2023): there is but one in this scope.
    return fen(amount, "total", optional_text(amount, "currency") or CNY)


def refund_fact(document: Mapping[str, Any], merchant: Merchant, told_at: datetime) -> Fact:
    """What a refund document says. Notifications call the state `refund_status`, answers `status`. Answers name neither
    merchant nor appid, notifications only the merchant. Raises Unreadable."""
    status = optional_text(document, "refund_status") or text(document, "status")
    kind = kind_of_refund(status)
    success_time = optional_text(document, "success_time")
    amount = inner(document, "amount")
    return Fact(
        kind=kind,
        ref=Ref(
            ours=text(document, "out_trade_no"),
            theirs=text(document, "transaction_id"),
            refund=text(document, "out_refund_no"),
        ),
        at=rfc3339(success_time, "success_time") if success_time else told_at,
        # Notifications carry no currency.
        money=fen(amount, "refund", optional_text(amount, "currency") or CNY),
        account=merchant.account_of(optional_text(document, "mchid") or merchant.mchid, ""),
        live=merchant.live,
        fee=_fee_given_back(amount) if kind is Kind.REFUNDED else None,
        cause=status,
        raw=document,
    )


def _fee_given_back(amount: Mapping[str, Any]) -> Money | None:
    """`refund_fee`, in fen, in answers since 2022-08; older answers and notifications do not say."""
    fee = amount.get("refund_fee")
    if type(fee) is not int or fee < 0:
        return None
    return Money(fee, optional_text(amount, "currency") or CNY)


def failed_at(fact: Fact, envelope: Mapping[str, Any]) -> Fact:
    """A refund that failed has no time of its own in a notification. It happened when the notification was made, not
    when this delivery was signed: a delivery can be repeated for a day, and the refund may have succeeded meanwhile."""
    if fact.kind is not Kind.REFUND_FAILED:
        return fact
    try:
        return replace(fact, at=min(fact.at, rfc3339(text(envelope, "create_time"), "create_time")))
    except Unreadable:
        return fact  # some events carry times of another form
