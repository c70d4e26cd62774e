"""The merchant's balances at the simulated WeChat Pay: what comes in and goes out, when, and under which numbers."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from plugins.wechat.bills.days import beijing_day
from plugins.wechat.bills.feeds import FUND_ACCOUNTS, FUND_BILL
from plugins.wechat.documents import BEIJING
from plugins.wechat.simulated.bill_sheet import in_yuan
from plugins.wechat.simulated.books import Books, Now, Order, Refund, Refused

PAID_OUT_AT = time(8, tzinfo=BEIJING)
"""Each morning, for a merchant who has that switched on."""
BASIC = FUND_ACCOUNTS[FUND_BILL]


@dataclass(frozen=True, slots=True)
class Movement:
    at: datetime
    name: str
    """业务名称."""
    word: str
    """业务类型."""
    fen: int
    """Positive: comes in."""
    business: str
    flow: str
    voucher: str
    remark: str = ""
    applicant: str = "system"
    account: str = BASIC


class Funds:
    def __init__(self, books: Books, now: Now, mchid: str) -> None:
        self._books = books
        self._now = now
        self._mchid = mchid
        self._serial = itertools.count(1)
        self._moved: list[Movement] = []
        self._daily: tuple[date, int] | None = None
        self.net_rows = False
        """Payments and refunds are one row each, less their fee, which the remark names."""

    def move(self, fen: int, name: str, word: str, *, account: str = BASIC, remark: str = "") -> Movement:
        """Money moves for another reason than a payment or a refund: a top-up, a transfer, a word of tomorrow."""
        number = f"1010000000{self._now():%Y%m%d}{next(self._serial):010d}"
        applicant = f"finance@{self._mchid}"
        movement = Movement(self._now(), name, word, fen, number, number, number, remark, applicant, account)
        self._moved.append(movement)
        return movement

    def pay_out(self, fen: int | None = None) -> Movement:
        """To the merchant's bank: all that is there, or so much."""
        there = self.balance()
        wanted = there if fen is None else fen
        if not 0 < wanted <= there:
            raise Refused(400, "NOT_ENOUGH", "余额不足")
        return self.move(-wanted, "充值/提现", "提现")

    def pay_out_daily(self, reserve: int = 0) -> None:
        """From tomorrow on, each morning: yesterday's closing balance but for `reserve` fen."""
        self._daily = (beijing_day(self._now()) + timedelta(days=1), reserve)

    def balance(self, account: str = BASIC) -> int:
        """As of now."""
        return sum(movement.fen for movement in self.movements(self._now(), account))

    def movements(self, until: datetime, account: str = BASIC) -> list[Movement]:
        """Everything up to then, in order."""
        orders = self._books.orders.values() if account == BASIC else ()
        moved = [one for order in orders for one in self._of_order(order)]
        moved += [one for one in self._moved if one.account == account]
        moved = sorted((one for one in moved if one.at <= until), key=lambda one: one.at)
        return list(self._with_daily(moved, until)) if account == BASIC else moved

    def _with_daily(self, moved: list[Movement], until: datetime) -> Iterator[Movement]:
        """With the payouts of each morning among what moved."""
        waiting, there = iter([*moved, None]), 0
        following = next(waiting)
        if self._daily is not None:
            day, reserve = self._daily
            while datetime.combine(day, PAID_OUT_AT) <= until:
                closing = 0
                for mark in (datetime.combine(day, time(), BEIJING), datetime.combine(day, PAID_OUT_AT)):
                    while following is not None and following.at < mark:
                        there += following.fen
                        yield following
                        following = next(waiting)
                    closing = closing or there
                wanted = min(closing - reserve, there)
                if wanted > 0:
                    there -= wanted
                    yield self._daily_payout(day, wanted)
                day += timedelta(days=1)
        while following is not None:
            yield following
            following = next(waiting)

    @staticmethod
    def _daily_payout(day: date, fen: int) -> Movement:
        number = f"1020000000{day:%Y%m%d}0000000001"
        return Movement(
            datetime.combine(day, PAID_OUT_AT), "充值/提现", "提现", -fen, number, number, number, "自动提现"
        )

    def _of_order(self, order: Order) -> Iterator[Movement]:
        if order.settled_at is None:
            return
        remark = f"结算总金额 {in_yuan(order.settled)} 元;含手续费 {in_yuan(order.fee)} 元"
        numbers = (order.transaction_id, order.transaction_id, order.number, remark)
        yield from self._gross_and_fee(order.settled_at, "交易", "交易", (order.settled, -order.fee), numbers)
        for refund in order.refunds:
            yield from self._of_refund(order.settled_at, refund)

    def _of_refund(self, settled_at: datetime, refund: Refund) -> Iterator[Movement]:
        """What is given back cannot leave before the payment has come."""
        at = max(refund.created_at, settled_at)
        remark = f"退款总金额{in_yuan(refund.settled)}元;含手续费{in_yuan(refund.fee)}元"
        numbers = (refund.refund_id, refund.order.transaction_id, refund.number, remark)
        yield from self._gross_and_fee(at, "退款", "退款", (-refund.settled, refund.fee), numbers)
        for ended, status in refund.ended:
            if status == "CLOSED":
                back = (refund.settled, -refund.fee)
                yield from self._gross_and_fee(max(ended, at), "退款", "退款关闭", back, numbers)

    def _gross_and_fee(
        self, at: datetime, name: str, word: str, fen: tuple[int, int], numbers: tuple[str, str, str, str]
    ) -> Iterator[Movement]:
        amount, fee = fen
        if self.net_rows:
            yield Movement(at, name, word, amount + fee, *numbers)
            return
        yield Movement(at, name, word, amount, *numbers)
        if fee:
            yield Movement(at, name, "退还交易手续费" if fee > 0 else "扣除交易手续费", fee, *numbers)
