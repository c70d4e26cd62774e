"""The simulated merchant's balance, and bills that go wrong on demand: what a simulated quarter is made of.

What a balance comes to is computed here once more, in fractions and from the orders alone.
"""

from __future__ import annotations

import os
from collections import Counter
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from math import floor
from typing import Any

import pytest

from app.domain.bill_lines import LineKind
from app.providers import Unknown
from app.providers.testing.doubles import FixedClock
from plugins.wechat.bills.feeds import FUND_BILL, TRADE_BILL
from plugins.wechat.simulated.books import NEXT_DAY, Order, Refused
from plugins.wechat.simulator import create_simulator
from tests.plugins.wechat.test_bills import A_DAY, READY, SECOND_OF_JANUARY, at, paid, refunded
from tests.plugins.wechat.test_fund_feeds import lines, scan
from tests.plugins.wechat.worlds import V3World, our_config

AN_HOUR = 3600


def world_of_one_payment(fen: int = 100_00) -> tuple[V3World, Order]:
    world = V3World(FixedClock())
    return world, world.wechat.books.orders[str(paid(world, fen).ref.ours)]


def half_up(amount: Fraction) -> int:
    return floor(amount + Fraction(1, 2))


def expected_balance(world: V3World) -> int:
    """What payments and refunds leave, by the rate, order by order."""
    rate, fen = Fraction(6, 1000), 0
    for order in world.wechat.books.orders.values():
        kept = order.total - (0 if order.coupon_charged else order.coupon)
        fen += kept - half_up(kept * rate)
        for refund in order.refunds:
            if refund.status != "CLOSED":
                back = refund.amount - (0 if order.coupon_charged else refund.amount * order.coupon // order.total)
                fen -= back - half_up(back * rate)
    return fen


@pytest.mark.parametrize("fen", [1, 83, 84, 125, 6_00, 100_00, 1111_00])
def test_fees_are_rounded_half_up_for_each_order(fen: int) -> None:
    world, order = world_of_one_payment(fen)
    assert order.fee == half_up(Fraction(fen * 6, 1000))
    at(world, READY)
    (line,) = lines(world, TRADE_BILL)
    assert line.fee_minor == -order.fee


def test_both_bills_of_a_day_come_to_one_sum() -> None:
    world, order = world_of_one_payment()
    world.wechat.books.trade_of_another_system(12_34)
    merchants, charged = (world.intent(fen=36_00) for _ in range(2))
    for intent, free in ((merchants, False), (charged, True)):
        world.make_provider(world.tools()).start(intent)
        world.wechat.pay(str(intent.ref.ours), coupon=5_29, charged=free)
    world.clock.advance(AN_HOUR)
    world.wechat.refund_on_the_merchant_site(order.number, 33_33, "81")
    world.wechat.finish_refund("81")
    world.wechat.refund_on_the_merchant_site(str(merchants.ref.ours), 10_00, "82")
    world.wechat.finish_refund("82")
    at(world, READY)
    trades, funds = lines(world, TRADE_BILL), lines(world)
    assert sum(line.net_minor for line in trades) == sum(line.net_minor for line in funds) == expected_balance(world)
    assert funds[-1].balance_minor == expected_balance(world)
    assert sorted(line.discount_minor for line in trades if line.discount_minor) == [-5_29, 1_46]


def test_a_payment_before_midnight_is_settled_on_the_next_day() -> None:
    world = V3World(FixedClock())
    at(world, SECOND_OF_JANUARY + A_DAY - timedelta(seconds=1))
    paid(world)
    at(world, READY + A_DAY)
    (payment,) = lines(world, TRADE_BILL)
    assert payment.at == SECOND_OF_JANUARY + A_DAY - timedelta(seconds=1)
    assert lines(world) == []
    assert {line.at for line in lines(world, days=2)} == {datetime(2026, 1, 2, 16, 6, 29, tzinfo=UTC)}


def test_a_merchant_may_be_settled_day_by_day() -> None:
    world = V3World(FixedClock())
    world.wechat.books.settlement = NEXT_DAY
    refunded(world, paid(world))
    at(world, READY + A_DAY)
    assert lines(world) == []
    assert [line.at for line in lines(world, days=2)] == [datetime(2026, 1, 2, 18, tzinfo=UTC)] * 4


def test_money_is_paid_out_each_morning_and_the_balance_goes_to_its_reserve() -> None:
    world, _ = world_of_one_payment()
    world.wechat.funds.pay_out_daily(reserve=10_00)
    for _ in range(3):
        world.clock.advance(A_DAY.total_seconds())
        paid(world, 20_00)
    at(world, READY + 4 * A_DAY)
    found = lines(world, days=5)
    payouts = [(line.at.day, line.amount_minor) for line in found if line.kind is LineKind.PAYOUT]
    assert payouts == [(3, -89_40), (4, -19_88), (5, -19_88), (6, -19_88)]
    assert found[-1].balance_minor == 10_00 == world.wechat.funds.balance()
    there = 0
    for line in found:
        there += line.net_minor
        assert line.balance_minor == there


def test_a_payout_takes_all_and_no_more_than_there_is() -> None:
    world, _ = world_of_one_payment()
    with pytest.raises(Refused):
        world.wechat.funds.pay_out()
    world.clock.advance(AN_HOUR)
    with pytest.raises(Refused):
        world.wechat.funds.pay_out(99_41)
    world.wechat.funds.pay_out()
    assert world.wechat.funds.balance() == 0


def test_a_refund_that_failed_comes_back_with_its_fee() -> None:
    world, order = world_of_one_payment()
    world.clock.advance(AN_HOUR)
    world.wechat.refund_on_the_merchant_site(order.number, 40_00, "81")
    world.clock.advance(AN_HOUR)
    world.wechat.finish_refund("81", "CLOSED")
    at(world, READY)
    back = lines(world)[-2:]
    assert [(line.kind, line.amount_minor, line.refund) for line in back] == [
        (LineKind.ADJUSTMENT, 40_00, "81"),
        (LineKind.FEE, -24, "81"),
    ]
    assert back[-1].balance_minor == expected_balance(world) == 99_40
    assert [line.undecided for line in lines(world, TRADE_BILL)] == [False, True]


def test_net_rows_come_to_what_gross_rows_and_their_fees_do() -> None:
    world, order = world_of_one_payment()
    world.clock.advance(AN_HOUR)
    world.wechat.refund_on_the_merchant_site(order.number, 40_00, "81")
    at(world, READY)
    gross = lines(world)
    world.wechat.funds.net_rows = True
    net = lines(world)
    assert [(line.amount_minor, line.fee_minor) for line in net] == [(100_00, -60), (-40_00, 24)]
    assert sum(line.net_minor for line in net) == sum(line.net_minor for line in gross)


def test_another_systems_trades_are_in_both_bills_and_another_apps_only_among_the_funds() -> None:
    world, order = world_of_one_payment()
    till = world.wechat.books.trade_of_another_system(5_00)
    app = world.wechat.books.trade_of_another_system(7_00, "wxffffffffffffffff")
    at(world, READY)
    assert {line.ours for line in lines(world, TRADE_BILL)} == {order.number, till.number}
    assert {line.ours for line in lines(world)} == {order.number, till.number, app.number}


@pytest.mark.parametrize("feed", [TRADE_BILL, FUND_BILL])
def test_a_bill_goes_wrong_without_showing_it_and_is_made_anew(feed: str) -> None:
    world, order = world_of_one_payment()
    other = world.wechat.books.orders[str(paid(world, 20_00).ref.ours)]
    at(world, READY + A_DAY)
    faults, word = world.wechat.bill_faults, "交易" if feed == FUND_BILL else ""

    def payments(days: int = 1) -> Counter[tuple[str | None, int]]:
        found = lines(world, feed, days)
        return Counter((line.ours, line.amount_minor) for line in found if line.kind is LineKind.PAYMENT)

    right = Counter({(order.number, 100_00): 1, (other.number, 20_00): 1})
    (_, first), *_ = scan(world, feed).files
    faults.drop(order.number, feed, word)
    assert payments() == Counter({(other.number, 20_00): 1})
    faults.mend()
    faults.double(order.number, feed, word)
    assert payments()[(order.number, 100_00)] == 2
    assert len({line.key for line in lines(world, feed)}) == len(lines(world, feed))
    faults.mend()
    columns = ("订单金额", "应结订单金额") if feed == TRADE_BILL else ("收支金额(元)",)
    faults.alter(order.number, dict.fromkeys(columns, "99.00"), feed, word)
    assert payments()[(order.number, 99_00)] == 1
    faults.mend()
    faults.delay(order.number, feed)
    assert payments() == Counter({(other.number, 20_00): 1})
    assert payments(days=2) == right
    faults.mend()
    assert payments() == right
    assert scan(world, feed).files[0][1] == first


def test_an_altered_row_keeps_its_columns() -> None:
    world, order = world_of_one_payment()
    with pytest.raises(Refused):
        world.wechat.bill_faults.alter(order.number, {"no such column": "1"})


def test_the_control_api_moves_money_and_spoils_bills() -> None:
    os.environ.setdefault("TILLBOOK_ENV", "test")
    app = create_simulator(our_config())
    client, wechat = app.test_client(), app.extensions["wechat"]

    def post(what: str, **asked: Any) -> dict[str, Any]:
        answer = client.post(f"/_control/{what}", json=asked)
        assert answer.status_code == 200, answer.text
        told: dict[str, Any] = answer.get_json()
        return told

    assert post("move", amount=50_00, name="充值/提现", word="充值")["amount"] == 50_00
    assert post("pay-out", amount=20_00)["amount"] == -20_00
    assert post("pay-out")["amount"] == -30_00
    assert wechat.funds.balance() == 0
    assert post("settlement", settlement=NEXT_DAY)["settlement"] == wechat.books.settlement == NEXT_DAY
    number = post("trade-of-another-system", amount=5_00)["number"]
    assert wechat.books.find(number).total == 5_00
    post("pay-out-daily", reserve=1)
    for fault in ("drop", "double", "delay", "mend"):
        assert post("bill-fault", fault=fault, number=number) == {"fault": fault}
    post("bill-fault", fault="alter", number=number, cells={"手续费": "0.01000"})
    assert client.post("/_control/settlement", json={"settlement": "T+30"}).status_code == 400
    assert client.post("/_control/bill-fault", json={"fault": "burn"}).status_code == 400
    assert client.post("/_control/pay-out", json={}).status_code == 400


def test_a_bill_whose_row_is_missing_beside_its_totals_is_not_used() -> None:
    world, _ = world_of_one_payment()
    at(world, READY)
    world.wechat.situation.fund_bill = "omit"
    with pytest.raises(Unknown, match="totals"):
        scan(world)
