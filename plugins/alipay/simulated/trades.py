"""The simulated Alipay's trades: what exists, what state it is in, and what Alipay would say about it.

The words here are the provider's own. Amounts are whole fen; times are aware UTC.
"""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from plugins.alipay.formats import BEIJING, beijing_text

if TYPE_CHECKING:
    from plugins.alipay.simulated.agreements import SigningRequest

WAIT, SUCCESS, FINISHED, CLOSED = "WAIT_BUYER_PAY", "TRADE_SUCCESS", "TRADE_FINISHED", "TRADE_CLOSED"
REFUND_SUCCESS, REFUND_FAIL = "REFUND_SUCCESS", "REFUND_FAIL"
BUYER_ID = "2088000000000002"
BUYER_LOGON = "138****0000"
_sequence = itertools.count(1)


class BusinessFailure(Exception):
    """The gateway answers 40004 with this `sub_code`."""

    def __init__(self, sub_code: str) -> None:
        super().__init__(sub_code)
        self.sub_code = sub_code


@dataclass(frozen=True, slots=True)
class Order:
    """A payment as the merchant's signed request describes it. It is not a trade before a payer turns up."""

    method: str
    out_trade_no: str
    fen: int
    subject: str
    product_code: str
    expires_at: datetime
    notify_url: str
    return_url: str
    quit_url: str = ""
    signing: SigningRequest | None = None
    """What the payer signs by the same act."""
    agreement_no: str = ""
    external_agreement_no: str = ""
    """The agreement of a deduction, and the merchant's number of it."""


@dataclass(slots=True)
class Refund:
    request_no: str
    fen: int
    at: datetime
    status: str = REFUND_SUCCESS
    """Empty while Alipay works on it."""
    tells_bank: bool = False
    """Whether the merchant asked to be told about the payer's bank (`query_options`: `deposit_back_info`)."""
    bank: str = ""
    """`S`, `F` or `P` where the money goes to a bank card; empty where it goes to the payer's balance."""

    @property
    def is_done(self) -> bool:
        return self.status == REFUND_SUCCESS


@dataclass(slots=True)
class Trade:
    trade_no: str
    order: Order
    fen: int
    created_at: datetime
    status: str = WAIT
    paid_at: datetime | None = None
    closed_at: datetime | None = None
    refunds: list[Refund] = field(default_factory=list)
    odd_in_bills: bool = False
    """Its rows have a word where the amount belongs."""

    @property
    def refunded_fen(self) -> int:
        return sum(refund.fen for refund in self.done_refunds)

    @property
    def done_refunds(self) -> list[Refund]:
        return [refund for refund in self.refunds if refund.is_done]

    @property
    def taken_fen(self) -> int:
        """What no further refund can have: done, or being worked on."""
        return sum(refund.fen for refund in self.refunds if refund.status != REFUND_FAIL)

    @property
    def is_paid(self) -> bool:
        return self.paid_at is not None


class Trades:
    """All trades of one merchant. Safe to use from several threads; every change is atomic."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._by_ours: dict[str, Trade] = {}
        self._lock = threading.RLock()

    def __iter__(self) -> Iterator[Trade]:
        with self._lock:
            return iter(list(self._by_ours.values()))

    def find(self, out_trade_no: str = "", trade_no: str = "") -> Trade:
        """Alipay's number wins when both are given. Raises ACQ.TRADE_NOT_EXIST."""
        with self._lock:
            matches = [t for t in self._by_ours.values() if t.trade_no == trade_no] if trade_no else []
            trade = matches[0] if matches else None if trade_no else self._by_ours.get(out_trade_no)
            if trade is None:
                raise BusinessFailure("ACQ.TRADE_NOT_EXIST")
            self._expire(trade)
            return trade

    def open(self, order: Order) -> Trade:
        """The trade of an order that a payer has before him: a new one, or the one that it made before."""
        with self._lock:
            trade = self._by_ours.get(order.out_trade_no)
            if trade is None:
                return self._create(order)
            self._expire(trade)
            if (trade.order.fen, trade.order.subject) != (order.fen, order.subject):
                raise BusinessFailure("ACQ.CONTEXT_INCONSISTENT")
            if trade.status == CLOSED:
                raise BusinessFailure("ACQ.TRADE_HAS_CLOSE")
            if trade.is_paid:
                raise BusinessFailure("ACQ.TRADE_HAS_SUCCESS")
            return trade

    def pay(self, trade: Trade, fen: int | None = None) -> None:
        """The payer's password was right. `fen`: another amount than ordered, which Alipay itself never takes."""
        with self._lock:
            self._expire(trade)
            if trade.status != WAIT:
                raise BusinessFailure("ACQ.TRADE_HAS_SUCCESS" if trade.is_paid else "ACQ.TRADE_HAS_CLOSE")
            trade.fen = trade.fen if fen is None else fen
            trade.status, trade.paid_at = SUCCESS, self._now()

    def close(self, trade: Trade) -> None:
        with self._lock:
            if trade.status != WAIT:
                raise BusinessFailure("ACQ.REASON_TRADE_STATUS_INVALID")
            trade.status, trade.closed_at = CLOSED, self._now()

    def finish(self, trade: Trade) -> None:
        """The refund window is over."""
        with self._lock:
            if trade.status != SUCCESS:
                raise BusinessFailure("ACQ.TRADE_STATUS_ERROR")
            trade.status, trade.closed_at = FINISHED, self._now()

    def refund(self, trade: Trade, fen: int, request_no: str, *, status: str = REFUND_SUCCESS) -> Refund | None:
        """Give money back; None when this very refund was asked for before, and is done or being worked on."""
        with self._lock:
            for known in trade.refunds:
                if known.request_no == request_no:
                    if known.fen != fen:
                        raise BusinessFailure("ACQ.DISCORDANT_REPEAT_REQUEST")
                    if known.status != REFUND_FAIL:
                        return None
                    trade.refunds.remove(known)
                    break
            self._check_refundable(trade, fen)
            made = Refund(request_no, fen, self._now(), status)
            trade.refunds.append(made)
            self._close_if_wholly_refunded(trade)
            return made

    def find_refund(self, trade: Trade, request_no: str) -> Refund:
        with self._lock:
            for refund in trade.refunds:
                if refund.request_no == request_no:
                    return refund
            raise BusinessFailure("ACQ.TRADE_NOT_EXIST")

    def settle_refund(self, trade: Trade, request_no: str, *, succeeded: bool) -> None:
        """End what was being worked on, or let a failed refund succeed after all if it still fits."""
        with self._lock:
            refund = self.find_refund(trade, request_no)
            if refund.is_done:
                raise BusinessFailure("ACQ.REASON_TRADE_STATUS_INVALID")
            if succeeded and refund.status == REFUND_FAIL:
                self._check_refundable(trade, refund.fen)
            refund.status, refund.at = (REFUND_SUCCESS if succeeded else REFUND_FAIL), self._now()
            self._close_if_wholly_refunded(trade)

    def _close_if_wholly_refunded(self, trade: Trade) -> None:
        if trade.refunded_fen == trade.fen:
            trade.status, trade.closed_at = CLOSED, self._now()

    def _check_refundable(self, trade: Trade, fen: int) -> None:
        faults = {FINISHED: "ACQ.TRADE_HAS_FINISHED", CLOSED: "ACQ.TRADE_HAS_CLOSE", WAIT: "ACQ.TRADE_STATUS_ERROR"}
        if trade.status in faults:
            raise BusinessFailure(faults[trade.status])
        if not 0 < fen <= trade.fen - trade.taken_fen:
            raise BusinessFailure("ACQ.REASON_TRADE_REFUND_FEE_ERR")

    def _create(self, order: Order) -> Trade:
        now = self._now()
        if order.expires_at <= now:
            raise BusinessFailure("ACQ.NOW_TIME_AFTER_EXPIRE_TIME_ERROR")
        local = now.astimezone(BEIJING)
        trade = Trade(f"{local:%Y%m%d}22{local:%H%M%S}{next(_sequence):012d}", order, order.fen, now)
        self._by_ours[order.out_trade_no] = trade
        return trade

    def _expire(self, trade: Trade) -> None:
        if trade.status == WAIT and trade.order.expires_at <= self._now():
            trade.status, trade.closed_at = CLOSED, trade.order.expires_at


def yuan_text(fen: int) -> str:
    return f"{Decimal(fen) / 100:.2f}"


def notice_fields(trade: Trade) -> dict[str, str]:
    """The trade part of a payment notice: what it says depends on what happened last."""
    fields = {
        "trade_no": trade.trade_no,
        "out_trade_no": trade.order.out_trade_no,
        "buyer_id": BUYER_ID,
        "buyer_logon_id": BUYER_LOGON,
        "total_amount": yuan_text(trade.fen),
        "subject": trade.order.subject,
        "gmt_create": beijing_text(trade.created_at),
        "trade_status": trade.status,
    }
    if trade.order.agreement_no:
        fields["agreement_no"] = trade.order.agreement_no
        fields["external_agreement_no"] = trade.order.external_agreement_no
    if trade.paid_at:
        fields["gmt_payment"] = beijing_text(trade.paid_at)
    if trade.done_refunds:
        fields |= _refund_fields(trade)
    elif trade.paid_at:
        fields |= _payment_fields(trade)
    if trade.closed_at:
        fields["gmt_close"] = beijing_text(trade.closed_at)
    return fields


def _payment_fields(trade: Trade) -> dict[str, str]:
    paid = yuan_text(trade.fen)
    bills = json.dumps([{"amount": paid, "fundChannel": "ALIPAYACCOUNT"}], separators=(",", ":"))
    amounts = dict.fromkeys(("receipt_amount", "invoice_amount", "buyer_pay_amount"), paid)
    return amounts | {"point_amount": "0.00", "fund_bill_list": bills}


def _refund_fields(trade: Trade) -> dict[str, str]:
    """Refund notices carry the running total, the last refund's number, and no payment amounts."""
    last = sorted(trade.done_refunds, key=lambda refund: refund.at)[-1]  # of two at one time, the later in the list
    return {
        "gmt_refund": beijing_text(last.at) + ".123",
        "refund_fee": yuan_text(trade.refunded_fen),
        "out_biz_no": last.request_no,
    }


def query_content(trade: Trade) -> dict[str, Any]:
    """The answer to `alipay.trade.query`."""
    paid = yuan_text(trade.fen if trade.is_paid else 0)
    content: dict[str, Any] = {
        "buyer_logon_id": BUYER_LOGON,
        "buyer_pay_amount": paid,
        "buyer_user_id": BUYER_ID,
        "out_trade_no": trade.order.out_trade_no,
        "receipt_amount": paid,
        "subject": trade.order.subject,
        "total_amount": yuan_text(trade.fen),
        "trade_no": trade.trade_no,
        "trade_status": trade.status,
    }
    if trade.paid_at:
        content["send_pay_date"] = beijing_text(trade.paid_at)
        content["fund_bill_list"] = [{"amount": paid, "fund_channel": "ALIPAYACCOUNT"}]
    return content
