"""The account bill as a feed, and what the simulated Alipay can make of a merchant's days."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

import pytest

from app.providers import BillLine, LineKind, Misconfigured, Page, Retryable, Unknown
from plugins.alipay.bills.downloads import ACCOUNT_BILL, TRADE_BILL
from plugins.alipay.formats import day_start
from plugins.alipay.simulated.bill_office import BillOffice, Planted
from plugins.alipay.simulated.bills import ACCOUNT, TRADE
from tests.plugins.alipay.actors import Stage, intent_for, stage

A_DAY = timedelta(days=1)
OURS, OTHERS = "4503599627370497", "WEB77"
SECOND, THIRD = date(2026, 1, 2), date(2026, 1, 3)


@pytest.fixture
def here() -> Stage:
    """On 2 January, Beijing time: a payment of 6.00 and a refund of 1.50, and another system's sale."""
    made = stage()
    made.paid(intent_for(made.clock))
    made.clock.advance(60)
    made.alipay.refund_by_hand(OURS, 150, "R1")
    made.alipay.sell_elsewhere(OTHERS, 39_300)
    return made


def page(here: Stage, feed: str, day: date = SECOND) -> Page:
    return here.provider.scan(feed, day_start(day), day_start(day) + A_DAY, None)


def lines(here: Stage, feed: str, day: date = SECOND) -> list[BillLine]:
    """The lines of that day's bill, three days later."""
    later = day_start(day) + 3 * A_DAY
    here.clock.advance(max(0.0, (later - here.clock.now()).total_seconds()))
    told = page(here, feed, day)
    assert told.problems == ()
    bill = here.provider.read_bill(feed, *told.files[0])
    assert bill.problems == ()
    return list(bill.lines)


def office(here: Stage) -> BillOffice:
    return here.alipay.gateway.bills


def amounts(told: Sequence[BillLine]) -> list[tuple[str, int]]:
    return [(line.kind.value, line.amount_minor) for line in told]


def test_both_bills_of_a_day_tell_the_same_money(here: Stage) -> None:
    """What the trades come to with their fees is what payments, refunds and fees do to the balance."""
    office(here).gives_fees_back = True
    trades, funds = lines(here, TRADE_BILL), lines(here, ACCOUNT_BILL)
    assert [line.fee_minor for line in trades] == [-4, 1, -236]
    assert sum(line.net_minor for line in trades) == sum(line.net_minor for line in funds) == 39_511
    assert amounts(funds) == [
        ("payment", 600), ("fee", -4), ("refund", -150), ("fee_return", 1), ("payment", 39_300), ("fee", -236),
    ]  # fmt: skip
    assert funds[-1].balance_minor == 39_511
    assert {line.ours for line in trades} == {OURS, OTHERS}


def test_the_account_bill_tells_no_fact(here: Stage) -> None:
    here.clock.advance(2 * A_DAY.total_seconds())
    told = page(here, ACCOUNT_BILL)
    assert (told.facts, told.problems, told.cursor) == ((), (), None)
    assert [name for name, _ in told.files] == ["2088000000000001_20260102_account.zip"]


def test_a_merchant_who_may_not_have_account_bills_has_trade_bills(here: Stage) -> None:
    here.clock.advance(2 * A_DAY.total_seconds())
    here.alipay.gateway.bill_refusals[ACCOUNT] = "isv.insufficient-isv-permissions"
    with pytest.raises(Misconfigured, match="insufficient-isv-permissions"):
        page(here, ACCOUNT_BILL)
    assert len(page(here, TRADE_BILL).facts) == 3


def test_an_account_bill_that_is_not_there_yet_is_asked_for_again(here: Stage) -> None:
    with pytest.raises(Retryable) as error:
        page(here, ACCOUNT_BILL)
    assert error.value.not_before == day_start(SECOND) + timedelta(hours=33)


@pytest.mark.parametrize("spoilt", [b"PK spoilt", b""])
def test_an_account_bill_that_stays_unreadable_is_handed_on_with_its_problem(here: Stage, spoilt: bytes) -> None:
    office(here).made[ACCOUNT, "2026-01-02"] = spoilt
    here.clock.advance((day_start(SECOND) + timedelta(hours=34) - here.clock.now()).total_seconds())
    with pytest.raises(Unknown):
        page(here, ACCOUNT_BILL)
    here.clock.advance(A_DAY.total_seconds())
    told = page(here, ACCOUNT_BILL)
    assert [content for _, content in told.files] == [spoilt]
    assert "cannot be read" in told.problems[0]


def test_an_account_bill_of_another_merchant_is_not_believed(here: Stage) -> None:
    office(here).seller_id = "2088000000000009"
    here.clock.advance((day_start(SECOND) + timedelta(hours=34) - here.clock.now()).total_seconds())
    with pytest.raises(Unknown, match="another account"):
        page(here, ACCOUNT_BILL)


def test_a_fee_may_be_taken_on_the_next_day(here: Stage) -> None:
    """The trade bill has it in the payment's row, the account bill in the one of the day after."""
    here.clock.advance((day_start(THIRD) - timedelta(seconds=1) - here.clock.now()).total_seconds())
    here.alipay.sell_elsewhere("LATE1", 111_100)
    office(here).fees_after = timedelta(seconds=2)
    late = [line for line in lines(here, TRADE_BILL) if line.ours == "LATE1"]
    assert [(line.amount_minor, line.fee_minor) for line in late] == [(111_100, -667)]
    assert [line.kind for line in lines(here, ACCOUNT_BILL) if line.ours == "LATE1"] == [LineKind.PAYMENT]
    assert amounts(lines(here, ACCOUNT_BILL, THIRD)) == [("fee", -667)]


def test_a_payout_empties_the_balance(here: Stage) -> None:
    left = office(here).balance_fen(here.clock.now() + A_DAY)
    here.clock.advance(60)
    number = office(here).pay_out(left - 10, fee_fen=10)
    payout, fee = lines(here, ACCOUNT_BILL)[-2:]
    assert (payout.kind, payout.amount_minor, payout.related) == (LineKind.PAYOUT, 10 - left, number)
    assert (fee.kind, fee.amount_minor, fee.related, fee.balance_minor) == (LineKind.FEE, -10, number, 0)


def test_other_movements_have_their_own_words(here: Stage) -> None:
    here.clock.advance(60)
    for word, fen in (("充值", 100), ("转账", -30), ("其它", 7)):
        office(here).move(word, fen, remark="from somebody")
    assert amounts(lines(here, ACCOUNT_BILL)[-3:]) == [("transfer", 100), ("transfer", -30), ("other", 7)]


def test_a_merchants_coupon_is_not_received_and_pays_no_fee(here: Stage) -> None:
    office(here).coupons[OURS] = 100
    paid, refunded, _ = lines(here, TRADE_BILL)
    assert (paid.amount_minor, paid.discount_minor, paid.fee_minor) == (600, -100, -3)
    assert (refunded.amount_minor, refunded.discount_minor) == (-150, 25)
    assert amounts(lines(here, ACCOUNT_BILL))[:3] == [("payment", 500), ("fee", -3), ("refund", -125)]


def test_fees_given_back_are_never_more_than_was_taken(here: Stage) -> None:
    office(here).gives_fees_back = True
    for number in range(2, 5):
        here.alipay.refund_by_hand(OURS, 150, f"R{number}")
    assert [line.fee_minor for line in lines(here, TRADE_BILL) if line.ours == OURS] == [-4, 1, 1, 1, 1]
    office(here).fee_basis_points = 25  # 1.5 fen, so 2: a quarter of which is half a fen, so 1 each time
    office(here).make_anew(TRADE, "2026-01-02")
    assert [line.fee_minor for line in lines(here, TRADE_BILL) if line.ours == OURS] == [-2, 1, 1, 0, 0]


def test_rows_are_wrong_on_demand_and_the_bill_is_whole(here: Stage) -> None:
    plant = office(here).plant
    plant(TRADE, OURS, Planted.MISSING, word="退款")
    plant(TRADE, OTHERS, Planted.TWICE)
    plant(ACCOUNT, OURS, Planted.CHANGED, word="收费", fen=-5)
    plant(ACCOUNT, OTHERS, Planted.MISSING)
    assert amounts(lines(here, TRADE_BILL)) == [("payment", 600), ("payment", 39_300), ("payment", 39_300)]
    funds = lines(here, ACCOUNT_BILL)
    assert amounts(funds) == [("payment", 600), ("fee", -5), ("refund", -150)]
    assert funds[1].balance_minor == 596


def test_a_row_that_nobody_can_read_is_a_problem_of_its_bill(here: Stage) -> None:
    for bill_type in (TRADE, ACCOUNT):
        office(here).plant(bill_type, OTHERS, Planted.UNREADABLE)
    here.clock.advance(2 * A_DAY.total_seconds())
    for feed, rows in ((TRADE_BILL, 2), (ACCOUNT_BILL, 3)):
        told = page(here, feed)
        bill = here.provider.read_bill(feed, *told.files[0])
        assert len(told.problems) == len(bill.problems) > 0
        assert len(list(bill.lines)) == rows


def test_a_bill_is_made_anew_on_demand(here: Stage) -> None:
    before = lines(here, ACCOUNT_BILL)
    here.alipay.gateway.trades.find(OTHERS).paid_at = day_start(THIRD)
    assert lines(here, ACCOUNT_BILL) == before
    office(here).make_anew(ACCOUNT, "2026-01-02")
    after = lines(here, ACCOUNT_BILL)
    assert after == [line for line in before if line.ours == OURS]


def test_a_late_row_stands_in_the_bill_of_the_next_day_with_its_own_time(here: Stage) -> None:
    office(here).plant(TRADE, OTHERS, Planted.LATE)
    assert [line.ours for line in lines(here, TRADE_BILL)] == [OURS, OURS]
    (late,) = lines(here, TRADE_BILL, THIRD)
    assert (late.ours, late.at < day_start(THIRD)) == (OTHERS, True)
