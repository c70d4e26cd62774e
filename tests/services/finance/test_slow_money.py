"""Money that needs days: settled a week after the trade, or given back by a bank that takes its time."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from app.domain.bill_figures import BillDay
from app.domain.bill_lines import BillLine, BillSide, LineKind
from app.services.base.idempotency import keyed
from app.services.calls import refund_calls
from app.services.finance.clearing import ClearingDay, clearing_at_end_of
from app.services.refunds.requests import Wanted
from tests.services.finance.conftest import CHINA, DAY_ONE, LATER, NOON, Shop, line

K = LineKind
END = BillDay("sandbox", "sandbox", DAY_ONE, CHINA).effective_at
A_WEEK = timedelta(days=7)
REMARK = line("0", K.TRANSFER, 1, NOON, balance_minor=1)
"""Something else in the account bill of the first day, so that it tells a balance."""


def _clearing(shop: Shop, after: timedelta = timedelta(0), lag_days: int = 3) -> ClearingDay:
    core, day = shop.world.core, BillDay("sandbox", "sandbox", DAY_ONE + after, CHINA)
    now, lag = core.clock.now(), timedelta(days=lag_days)
    [found] = core.whole.read(lambda tx: clearing_at_end_of(tx, day, now=now, lag=lag), snapshot=True)
    return found


def _refund_that_waits(shop: Shop, payment: str) -> tuple[Any, Any]:
    """The provider has it, and the payer's bank has not answered."""
    shop.world.simulator.books.next_refunds.append("WAITING")
    wanted = Wanted(int(payment), None, 250, "asked", None, "backend")
    refund_calls.request_refund(shop.world.core, wanted, keyed("backend", "r", "refund", {"payment": payment}))
    paid = shop.world.at_provider(int(payment))
    return paid, paid.refunds[-1]


def _rows(payment: str, paid: Any, refund: Any, coupon: int = 0) -> tuple[list[BillLine], list[BillLine]]:
    """What the trade bill and the account bill of the first day say."""
    named: dict[str, Any] = {"ours": payment, "theirs": paid.id}
    back: dict[str, Any] = {**named, "refund": refund.number}
    coupon_back = coupon * 250 // 600
    trades = [
        line("p", K.PAYMENT, 600, NOON, **named, discount_minor=-coupon),
        line("r", K.REFUND, -250, NOON, **back, discount_minor=coupon_back, undecided=True),
    ]
    funds = [
        line("fp", K.PAYMENT, 600 - coupon, NOON, **named, balance_minor=600 - coupon),
        line("fr", K.REFUND, coupon_back - 250, NOON, **back, balance_minor=350 - coupon + coupon_back),
    ]
    return trades, funds


def test_what_is_settled_after_a_week_is_on_its_way_for_all_of_the_week(shop: Shop) -> None:
    number = shop.sell("k1")
    came = shop.world.clock.now() + A_WEEK
    shop.world.clock.advance((A_WEEK + LATER).total_seconds())
    shop.bill([REMARK])
    paid = [
        line("1", K.PAYMENT, 600, came, ours=number, theirs="t-1", balance_minor=601),
        line("2", K.FEE, -4, came, ours=number, theirs="t-1", balance_minor=597),
    ]
    shop.bill([line("9", K.TRANSFER, 0, came - LATER, balance_minor=1)], day=DAY_ONE + A_WEEK - LATER)
    shop.bill(paid, day=DAY_ONE + A_WEEK)
    shop.book()
    for days in (0, 6):
        found = _clearing(shop, timedelta(days=days), lag_days=8)
        assert (found.on_its_way, found.rest) == (600, 0), days
    settled = _clearing(shop, A_WEEK, lag_days=8)
    assert (settled.closing, settled.on_its_way, settled.rest) == (597, 0, 0)


def test_a_refund_that_a_bank_takes_a_week_for_is_on_its_way_for_all_of_the_week(shop: Shop) -> None:
    shop.go_to(NOON)
    number = shop.sell("k1")
    paid, refund = _refund_that_waits(shop, number)
    trades, funds = _rows(number, paid, refund)
    shop.world.clock.advance(A_WEEK.total_seconds())
    shop.world.simulator.decide_refund(paid, refund, "DONE")
    shop.world.deliver()
    shop.bill(trades, side=BillSide.TRADES)
    shop.bill(funds)
    shop.bill([line("9", K.TRANSFER, 0, NOON + A_WEEK - LATER, balance_minor=350)], day=DAY_ONE + A_WEEK - LATER)
    shop.bill([line("8", K.TRANSFER, 0, NOON + A_WEEK, balance_minor=350)], day=DAY_ONE + A_WEEK)
    for days, on_its_way in ((0, 250), (6, 250), (7, 0)):
        found = _clearing(shop, timedelta(days=days))
        assert (found.closing, found.on_its_way, found.rest) == (350, on_its_way, 0), days


def test_the_coupon_of_a_slow_refund_is_booked_with_the_first_bill_after_the_refund_is_done(shop: Shop) -> None:
    shop.go_to(NOON)
    number = shop.sell("k1")
    paid, refund = _refund_that_waits(shop, number)
    trades, funds = _rows(number, paid, refund, coupon=60)
    shop.world.clock.advance(LATER.total_seconds())
    shop.bill(trades, side=BillSide.TRADES)
    shop.bill(funds)
    shop.book()
    assert shop.balances(END)["discounts:sandbox"] == -60, "the bill says what was asked for, and nobody knows more"
    shop.world.clock.advance(A_WEEK.total_seconds())
    shop.world.simulator.decide_refund(paid, refund, "DONE")
    shop.world.deliver()
    assert "bill_booking" not in shop.audited(), "the next bill books it"
    shop.world.clock.advance(LATER.total_seconds())
    shop.bill([line("8", K.TRANSFER, 0, NOON + A_WEEK, balance_minor=315)], day=DAY_ONE + A_WEEK + LATER)
    assert shop.book() == 1
    assert shop.balances(END)["discounts:sandbox"] == 25 - 60
    end = BillDay("sandbox", "sandbox", DAY_ONE + A_WEEK + LATER, CHINA).effective_at
    assert shop.balances(end)["clearing:sandbox"] == -(600 - 60 - 250 + 25)
    assert (_clearing(shop).on_its_way, _clearing(shop).rest) == (250, 0)
    shop.world.clock.advance(A_WEEK.total_seconds())
    assert "bill_booking" not in shop.audited()
    shop.world.assert_balanced()
