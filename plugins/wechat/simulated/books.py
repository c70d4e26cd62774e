"""What the simulated WeChat Pay knows: orders and refunds, and its rules about them. The same for both generations."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from plugins.wechat.documents import BEIJING

if TYPE_CHECKING:
    from plugins.wechat.simulated.contracts import Signing

Now = Callable[[], datetime]
CURRENCY = "CNY"
LEAST_TIME = timedelta(minutes=1)
"""The end of an order must be further ahead."""
MOST_REFUNDS = 50
"""Of one order (page 4012552567)."""
FEE_PER_MILLE = 6
AT_ONCE, NEXT_DAY, IN_A_WEEK = "T+0", "T+1", "T+7"
SETTLED_AFTER_DAYS = {NEXT_DAY: 1, IN_A_WEEK: 7}
SETTLED_AFTER = timedelta(minutes=6, seconds=30)
"""Of a merchant whose payments are settled one by one (seen: paid at 17:45:25, settled at 17:51:55)."""
SETTLED_AT = time(2, tzinfo=BEIJING)
"""On that day, of a merchant who is settled day by day."""
OPEN_STATES = frozenset({"NOTPAY", "USERPAYING", "ACCEPT"})


class Refused(Exception):
    """WeChat Pay says no: HTTP status (v3) and code. v2 spells some codes differently; see `V2_CODES`."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.message = message


V2_CODES = {
    "ORDER_NOT_EXIST": "ORDERNOTEXIST",
    "ORDER_CLOSED": "ORDERCLOSED",
    "RESOURCE_NOT_EXISTS": "REFUNDNOTEXIST",
    "SIGN_ERROR": "SIGNERROR",
    "SYSTEM_ERROR": "SYSTEMERROR",
}


@dataclass
class Refund:
    number: str
    refund_id: str
    order: Order
    amount: int
    created_at: datetime
    notify_url: str = ""
    source: str = "API"
    status: str = "PROCESSING"
    finished_at: datetime | None = None
    ended: list[tuple[datetime, str]] = field(default_factory=list)
    """When it became what, after PROCESSING."""

    @property
    def settled(self) -> int:
        """What the merchant gives back: without the part of his own coupons."""
        order = self.order
        return self.amount - (0 if order.coupon_charged else self.amount * order.coupon // order.total)

    @property
    def fee(self) -> int:
        """What WeChat Pay gives back of its own."""
        return fee_of(self.settled)

    def status_at(self, moment: datetime) -> str:
        """What it was then."""
        return next((status for since, status in reversed(self.ended) if since <= moment), "PROCESSING")


@dataclass
class Order:
    """`request` is what the merchant sent, without what differs between two sendings of one request."""

    number: str
    generation: str
    trade_type: str
    total: int
    openid: str
    attach: str
    notify_url: str
    expires_at: datetime
    prepay_id: str
    request: Mapping[str, Any]
    sign_type: str = ""
    state: str = "NOTPAY"
    shown_state: str = ""
    """Told in place of the state, when set: a word of tomorrow."""
    transaction_id: str = ""
    paid_at: datetime | None = None
    coupon: int = 0
    """The part that the payer did not pay."""
    coupon_charged: bool = False
    """Somebody else pays for the coupon (充值券), so that the merchant gets all of the order."""
    settled_at: datetime | None = None
    """When the money comes to the merchant's balance."""
    appid: str = ""
    """Of another app of the merchant's."""
    refunds: list[Refund] = field(default_factory=list)
    contract_id: str = ""
    """Of a deduction."""
    err_code: str = ""
    """Why a deduction failed."""
    signing: Signing | None = None
    """The contract that the payer signs by paying."""
    odd_in_bills: bool = False
    """Its rows have a word where the amount belongs."""

    @property
    def settled(self) -> int:
        """What the merchant gets, before the fee (应结订单金额)."""
        return self.total - (0 if self.coupon_charged else self.coupon)

    @property
    def fee(self) -> int:
        return fee_of(self.settled)

    @property
    def trade_state(self) -> str:
        if self.shown_state:
            return self.shown_state
        return "REFUND" if self.state == "SUCCESS" and self.refunds else self.state

    @property
    def refunded(self) -> int:
        """Fen given back, on their way, or waiting for a person (ABNORMAL): none of it can be asked for again."""
        return sum(refund.amount for refund in self.refunds if refund.status != "CLOSED")


def fee_of(fen: int) -> int:
    """Rounded half up to the fen, for each payment and each refund by itself."""
    return (fen * FEE_PER_MILLE + 500) // 1000


class Books:
    """Orders by number and refunds by number."""

    def __init__(self, now: Now) -> None:
        self._now = now
        self._serial = itertools.count(1)
        self.settlement = AT_ONCE
        """Of the payments from now on: `T+0`, one by one, or `T+1` and `T+7`, all of a day on a later one."""
        self.orders: dict[str, Order] = {}
        self.refunds: dict[str, Refund] = {}

    def next_prepay_id(self) -> str:
        return f"wx{self._now():%d%H%M%S}{next(self._serial):028d}"

    def place(self, order: Order) -> Order:
        """A new order; or the old one, if the number comes again with every parameter the same."""
        known = self.orders.get(order.number, order)
        if known.state == "SUCCESS":
            raise Refused(400, "ORDERPAID", "该订单已支付")
        if known.state == "CLOSED":
            raise Refused(400, "ORDER_CLOSED", "订单已关闭")
        if known.request != order.request:
            raise Refused(400, "INVALID_REQUEST", "201 商户订单号重复")
        if order.expires_at - self._now() <= LEAST_TIME:
            raise Refused(400, "PARAM_ERROR", "time_expire时间过短，需大于1分钟")
        return self.orders.setdefault(order.number, order)

    def find(self, number: str) -> Order:
        if number not in self.orders:
            raise Refused(404, "ORDER_NOT_EXIST", "订单不存在")
        return self.orders[number]

    def find_transaction(self, transaction_id: str) -> Order:
        for order in self.orders.values():
            if order.transaction_id == transaction_id and transaction_id:
                return order
        raise Refused(404, "ORDER_NOT_EXIST", "订单不存在")

    def close(self, number: str) -> Order:
        order = self.find(number)
        if order.state == "SUCCESS":
            raise Refused(400, "ORDERPAID", "该订单已支付")
        if order.state == "CLOSED":
            raise Refused(400, "ORDER_CLOSED", "订单已关闭")
        order.state = "CLOSED"
        return order

    def pay(self, number: str, coupon: int = 0, *, charged: bool = False) -> Order:
        """The payer pays all but `coupon` fen. The merchant goes without those, unless they are `charged` to somebody
        else."""
        order = self.find(number)
        if order.state not in OPEN_STATES:
            raise Refused(400, "ORDERPAID" if order.state == "SUCCESS" else "ORDER_CLOSED", "订单不可支付")
        if self._now() > order.expires_at:
            raise Refused(400, "ORDER_CLOSED", "订单已过期")
        order.coupon, order.coupon_charged = coupon, charged
        return self._paid(order)

    def _paid(self, order: Order) -> Order:
        now = self._now()
        order.state, order.paid_at, order.settled_at = "SUCCESS", now, now + SETTLED_AFTER
        if self.settlement in SETTLED_AFTER_DAYS:
            day = now.astimezone(BEIJING).date() + timedelta(days=SETTLED_AFTER_DAYS[self.settlement])
            order.settled_at = datetime.combine(day, SETTLED_AT)
        order.transaction_id = f"42000{now:%Y%m%d}{next(self._serial):015d}"
        return order

    def trade_of_another_system(self, fen: int, appid: str = "") -> Order:
        """Paid by way of another system of the merchant's, under a number of its own; with an appid, in another app of
        his."""
        serial, now = next(self._serial), self._now()
        order = Order(
            number=f"POS{now:%Y%m%d}{serial:08d}",
            generation="v3",
            trade_type="NATIVE",
            total=fen,
            openid="oUpF8uMuAJO_M2pxb1Q9zNjWeS6o",
            attach="",
            notify_url="",
            expires_at=now,
            prepay_id="",
            request={"description": "till 3"},
            appid=appid,
        )
        self.orders[order.number] = order
        return self._paid(order)

    def refund(self, order: Order, number: str, amount: int, *, notify_url: str = "", source: str = "API") -> Refund:
        known = self.refunds.get(number)
        if known is not None:
            if (known.order, known.amount) != (order, amount):
                raise Refused(400, "INVALID_REQUEST", "退款单号重复,参数不一致")
            return known
        if order.state != "SUCCESS":
            raise Refused(400, "INVALID_REQUEST", "订单未支付")
        if amount < 1 or order.refunded + amount > order.total:
            raise Refused(400, "INVALID_REQUEST", "退款金额大于可退金额")
        if len(order.refunds) >= MOST_REFUNDS:
            raise Refused(400, "INVALID_REQUEST", "超过部分退款次数限制")
        refund_id = f"50300{self._now():%Y%m%d}{next(self._serial):015d}"
        refund = Refund(number, refund_id, order, amount, self._now(), notify_url, source)
        self.refunds[number] = refund
        order.refunds.append(refund)
        return refund

    def find_refund(self, number: str) -> Refund:
        if number not in self.refunds:
            raise Refused(404, "RESOURCE_NOT_EXISTS", "退款单不存在")
        return self.refunds[number]

    def repair_refund(self, number: str) -> Refund:
        """An abnormal refund goes out after all, under its old number."""
        if self.find_refund(number).status != "ABNORMAL":
            raise Refused(400, "INVALID_REQUEST", "退款单状态不是退款异常")
        return self.finish_refund(number, "SUCCESS")

    def finish_refund(self, number: str, status: str) -> Refund:
        """`SUCCESS`, `CLOSED` or `ABNORMAL`."""
        refund = self.find_refund(number)
        refund.status = status
        refund.ended.append((self._now(), status))
        refund.finished_at = self._now() if status == "SUCCESS" else None
        return refund
