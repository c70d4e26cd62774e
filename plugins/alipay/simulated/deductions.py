"""What the simulated Alipay makes of `alipay.trade.pay` under an agreement: paid, waiting, or refused for a reason."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from plugins.alipay.agreements import DEDUCTION
from plugins.alipay.formats import beijing_day, beijing_text, yuan
from plugins.alipay.simulated.agreements import NORMAL, Agreement, AgreementBook, allows_today
from plugins.alipay.simulated.trades import BUYER_ID, BUYER_LOGON, BusinessFailure, Order, Trade, Trades, yuan_text

OPEN_TIME = timedelta(days=15)
OPEN_AFTER = frozenset({"ACQ.BUYER_BALANCE_NOT_ENOUGH", "ACQ.BUYER_BANKCARD_BALANCE_NOT_ENOUGH"})
"""Refusals that leave a trade behind, which its payer could still pay: the merchant has to close it."""


@dataclass(slots=True)
class Deductions:
    """The last four fields are switches for tests."""

    agreements: AgreementBook
    trades: Callable[[], Trades]
    now: Callable[[], datetime]
    tell: Callable[[Trade], None] = lambda trade: None
    refusals: list[str] = field(default_factory=list)
    """Sub codes with which the next deductions are refused, in order."""
    waits: bool = False
    """Deductions wait for the payer (10003) until `succeed` or `give_up`."""
    answers_without_proof: bool = False
    """An answer of success leaves out the payment's time."""
    requests: list[Mapping[str, Any]] = field(default_factory=list)
    """All that were asked for."""

    def charged(self, business: Mapping[str, Any], notify_url: str) -> dict[str, Any]:
        self.requests.append(business)
        order, agreement = self._order(business, notify_url)
        known = [trade for trade in self.trades() if trade.order.out_trade_no == order.out_trade_no]
        if not known:
            self._check(agreement, order)
        trade = self.trades().open(order)
        if self.refusals and (refusal := self.refusals.pop(0)):
            raise BusinessFailure(refusal)
        if self.waits:
            return {"code": "10003", "msg": "order success pay inprocess"} | _content(trade)
        self.succeed(trade)
        if self.answers_without_proof:
            return _content(trade)
        return _content(trade) | {"gmt_payment": beijing_text(trade.paid_at or self.now())}

    def succeed(self, trade: Trade) -> None:
        self.trades().pay(trade)
        self.agreements.deducted(self.agreements.find(trade.order.agreement_no))
        self.tell(trade)

    def give_up(self, trade: Trade) -> None:
        """The payer did not confirm."""
        self.trades().close(trade)
        self.tell(trade)

    def _order(self, business: Mapping[str, Any], notify_url: str) -> tuple[Order, Agreement]:
        try:
            agreement = self.agreements.find(str(business["agreement_params"]["agreement_no"]))
        except BusinessFailure:
            raise BusinessFailure("ACQ.AGREEMENT_NOT_EXIST") from None
        except (KeyError, TypeError):
            raise BusinessFailure("ACQ.INVALID_PARAMETER") from None
        if "scene" in business or "auth_code" in business:
            raise BusinessFailure("ACQ.INVALID_PARAMETER")
        if business.get("product_code") != agreement.request.product_code:
            raise BusinessFailure("ACQ.INVALID_PARAMETER")
        order = Order(
            method=DEDUCTION,
            out_trade_no=str(business["out_trade_no"]),
            fen=yuan(str(business["total_amount"])).minor,
            subject=str(business["subject"]),
            product_code=agreement.request.product_code,
            expires_at=self.now() + OPEN_TIME,
            notify_url=notify_url,
            return_url="",
            agreement_no=agreement.agreement_no,
            external_agreement_no=agreement.request.external_no,
        )
        return order, agreement

    def _check(self, agreement: Agreement, order: Order) -> None:
        """What a new deduction is refused for before any trade is made."""
        if agreement.status != NORMAL:
            raise BusinessFailure("ACQ.AGREEMENT_STATUS_NOT_NORMAL")
        rule = agreement.request.rule
        if rule is not None and order.fen > rule.single_fen:
            raise BusinessFailure("ACQ.CYCLE_PAY_SINGLE_FEE_EXCEED")
        if not allows_today(agreement, beijing_day(self.now())):
            raise BusinessFailure("ACQ.CYCLE_PAY_DATE_NOT_MATCH")
        if self.refusals and self.refusals[0] not in OPEN_AFTER:
            raise BusinessFailure(self.refusals.pop(0))


def _content(trade: Trade) -> dict[str, Any]:
    paid = yuan_text(trade.fen)
    return {
        "out_trade_no": trade.order.out_trade_no,
        "trade_no": trade.trade_no,
        "total_amount": paid,
        "receipt_amount": paid,
        "buyer_user_id": BUYER_ID,
        "buyer_logon_id": BUYER_LOGON,
    }
