"""From API v2's fields to facts. The same functions read notifications and verified answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

from app.providers import Fact, Kind, Ref
from plugins.wechat.documents import CNY, Unreadable, beijing, fen_text, lenient_text, optional_text, text
from plugins.wechat.mapping import kind_of_refund, kind_of_trade, refusal_of, says_refunded
from plugins.wechat.merchant import Merchant

_NOT_FOR_THE_BOOKS = frozenset({"sign", "nonce_str"})
PAYMENT_FIELDS = ("appid", "mch_id", "out_trade_no", "trade_type", "total_fee", "result_code")
PAID_FIELDS = ("transaction_id", "time_end")
STATE_OF_RESULT = {"SUCCESS": "SUCCESS", "FAIL": "PAYERROR"}
MAX_REFUNDS = 50
"""Of one payment, by WeChat Pay's rule (page 4012552567)."""


def notified_payment(fields: Mapping[str, str], merchant: Merchant, told_at: datetime) -> Fact:
    """A payment or deduction notification. `trade_state` is in deductions only; elsewhere `result_code` is the state.

    v2 messages carry no type: anything signed with the key verifies everywhere, so the fields that make a payment must
    all be there, and what an answer about a refund has must not. Raises Unreadable.
    """
    missing = [name for name in PAYMENT_FIELDS if not fields.get(name)]
    if missing or "refund_fee" in fields or "prepay_id" in fields:
        raise Unreadable(f"not a payment notification: {', '.join(missing) or 'another type'}")
    state = STATE_OF_RESULT.get(fields["result_code"], "")
    if "trade_state" in fields:
        if fields["trade_state"] == "SUCCESS" != state:
            raise Unreadable("trade_state and result_code contradict each other")
        state = fields["trade_state"]
    return _payment(fields, state, merchant, told_at)


def queried_payment(fields: Mapping[str, str], merchant: Merchant, told_at: datetime) -> Fact:
    """A verified answer of `orderquery`. Raises Unreadable."""
    return _payment(fields, text(fields, "trade_state"), merchant, told_at)


def _payment(fields: Mapping[str, str], state: str, merchant: Merchant, told_at: datetime) -> Fact:
    kind = kind_of_trade(state, optional_text(fields, "trade_type"))
    if kind is Kind.PAID and not all(map(fields.get, PAID_FIELDS)):
        raise Unreadable("paid, but without transaction_id or time_end")
    currency = optional_text(fields, "fee_type") or CNY
    return Fact(
        kind=kind,
        ref=Ref(
            ours=text(fields, "out_trade_no"),
            theirs=optional_text(fields, "transaction_id") or None,
            agreement=optional_text(fields, "contract_id") or None,
        ),
        at=beijing(text(fields, "time_end"), "time_end") if kind is Kind.PAID else told_at,
        # total_fee is the ordered amount; cash_fee and settlement_total_fee are what coupons left of it.
        money=fen_text(fields, "total_fee", currency) if kind is Kind.PAID or fields.get("total_fee") else None,
        owner=lenient_text(fields, "attach"),
        account=merchant.account_of(text(fields, "mch_id"), text(fields, "appid")),
        live=merchant.live,
        refunds_unknown=kind is Kind.PAID and says_refunded(state),
        refusal=refusal_of(optional_text(fields, "err_code")) if kind is Kind.FAILED else None,
        cause=optional_text(fields, "err_code") or state or optional_text(fields, "result_code"),
        raw=for_the_books(fields),
    )


def accepted_refund(fields: Mapping[str, str], merchant: Merchant, told_at: datetime) -> Fact:
    """A verified answer to a refund request. SUCCESS in it means accepted, no more. Raises Unreadable."""
    return Fact(
        kind=Kind.REFUND_PENDING,
        ref=Ref(
            ours=text(fields, "out_trade_no"),
            theirs=text(fields, "transaction_id"),
            refund=text(fields, "out_refund_no"),
        ),
        at=told_at,
        money=fen_text(fields, "refund_fee", optional_text(fields, "fee_type") or CNY),
        account=merchant.account_of(text(fields, "mch_id"), text(fields, "appid")),
        live=merchant.live,
        cause="PROCESSING",
        raw=for_the_books(fields),
    )


def queried_refunds(fields: Mapping[str, str], merchant: Merchant, told_at: datetime) -> Iterator[Fact]:
    """A verified answer of `refundquery`: one fact for each numbered refund in it. Raises Unreadable."""
    for index in range(MAX_REFUNDS):
        if f"out_refund_no_{index}" in fields:
            yield _refund(fields, index, merchant, told_at)


def _refund(fields: Mapping[str, str], index: int, merchant: Merchant, told_at: datetime) -> Fact:
    status = text(fields, f"refund_status_{index}")
    finished = optional_text(fields, f"refund_success_time_{index}")
    return Fact(
        kind=kind_of_refund(status),
        ref=Ref(
            ours=text(fields, "out_trade_no"),
            theirs=text(fields, "transaction_id"),
            refund=text(fields, f"out_refund_no_{index}"),
        ),
        at=beijing(finished, "refund_success_time") if finished else told_at,
        money=fen_text(fields, f"refund_fee_{index}", optional_text(fields, "fee_type") or CNY),
        account=merchant.account_of(text(fields, "mch_id"), text(fields, "appid")),
        live=merchant.live,
        cause=status,
        raw=for_the_books(fields),
    )


def for_the_books(fields: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in fields.items() if name not in _NOT_FOR_THE_BOOKS}
