"""What bills say is in the books exactly once, whatever happens between, and `clearing` is what the provider holds."""

from __future__ import annotations

import contextlib
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Engine

from app.domain.accounting_time import end_of_day, start_of_day
from app.domain.bill_figures import BillDay
from app.domain.bill_lines import BillSide, LineKind
from app.providers.facts import Ref
from app.services.audit import run
from app.services.audit.ledger import AsOf
from app.services.base.idempotency import keyed
from app.services.calls import refund_calls
from app.services.finance import bill_bookings
from app.services.finance.clearing import ClearingDay, clearing_at_end_of
from app.services.refunds.requests import Wanted
from app.worker import Worker
from tests.services.finance.conftest import CHINA, DAY_ONE, LATER, NOON, Shop, line
from tests.support.database_console import edit
from tests.support.databases import databases_of, sessions_for
from tests.support.facts import paid_fact, told
from tests.support.faults import Fuse, Injected, fused_engine, raising
from tests.support.world import World

K = LineKind
END = BillDay("sandbox", "sandbox", DAY_ONE, CHINA).effective_at


def refund_in_part(world: World, payment: int, minor: int) -> None:
    wanted = Wanted(payment, None, minor, "asked", None, "backend")
    refund_calls.request_refund(world.core, wanted, keyed("backend", "r", "refund", {"payment": str(payment)}))
    world.deliver()


def _clearing(shop: Shop) -> list[ClearingDay]:
    core, day = shop.world.core, BillDay("sandbox", "sandbox", DAY_ONE, CHINA)
    return core.whole.read(lambda tx: clearing_at_end_of(tx, day, now=core.clock.now()), snapshot=True)


def test_each_kind_of_row_has_its_account_and_clearing_is_what_the_provider_holds(shop: Shop) -> None:
    first, second = shop.sell("k1"), shop.sell("k2")
    shop.world.clock.advance(timedelta(days=1).total_seconds())
    at = NOON - timedelta(minutes=30)
    shop.bill(
        [
            line("1", K.PAYMENT, 600, at, ours=first, theirs="t1"),
            line("2", K.FEE, -4, at, ours=first),
            line("3", K.PAYMENT, 600, at, ours=second, discount_minor=-50),
            line("4", K.FEE, -4, at),
            line("5", K.FEE_RETURN, 4, at),
            line("6", K.PAYMENT, 900, at, ours="another-system-1", theirs="t9"),
            line("7", K.FEE, -9, at, ours="another-system-1"),
            line("8", K.SHARE, -30, at),
            line("9", K.ADJUSTMENT, 7, at),
            line("10", K.ADJUSTMENT, 600, at, ours=first, refund="77"),
            line("11", K.OTHER, -2, at),
            line("12", K.TRANSFER, 11, at),
            line("13", K.PAYOUT, -1000, at, balance_minor=1023),
            line("14", K.FEE, -99, at, undecided=True),
        ]
    )
    assert shop.book() == 9
    assert shop.balances(END) == {
        "clearing:sandbox": -1023,
        "sales": 1200,
        "fees:sandbox": -4,
        "discounts:sandbox": -50,
        "others:sandbox": 891,
        "shares:sandbox": -30,
        "adjustments:sandbox": 5,
        "bank:sandbox": -989,
    }
    assert _clearing(shop) == [ClearingDay("CNY", 1023, 1023, 0)]
    assert _clearing(shop)[0].rest == 0
    assert shop.book() == 0
    shop.world.assert_balanced()


def test_a_bill_that_is_made_anew_and_a_row_that_comes_late_book_the_difference(shop: Shop) -> None:
    at = NOON
    shop.world.clock.advance(LATER.total_seconds())
    shop.bill([line("1", K.FEE, -4, at), line("2", K.PAYOUT, -100, at)])
    assert shop.book() == 2
    shop.bill([line("1", K.FEE, -6, at)])
    assert shop.book() == 2
    assert shop.balances(END) == {"fees:sandbox": -6, "bank:sandbox": 0, "clearing:sandbox": 6}
    late = [line("3", K.FEE, -1, at), line("1", K.FEE, -6, at)]  # the next day's bill tells a row again, and a new one
    shop.bill(late, day=DAY_ONE + LATER)
    assert shop.book() == 1
    assert shop.balances(END)["fees:sandbox"] == -7
    shop.world.assert_balanced()


def test_trades_tell_fees_until_a_bill_of_funds_covers_the_day_and_the_merchants_coupons_always(
    shop: Shop,
) -> None:
    number = shop.sell("k1")
    shop.world.clock.advance(LATER.total_seconds())
    trades = [
        line("p", K.PAYMENT, 600, NOON, ours=number, fee_minor=-4, discount_minor=-10),
        line("r", K.REFUND, -300, NOON, ours=number, fee_minor=2),
    ]
    shop.bill(trades, side=BillSide.TRADES)
    assert shop.book() == 3
    assert shop.balances(END)["fees:sandbox"] == -2
    assert shop.balances(END)["discounts:sandbox"] == -10
    rows = [line("i", K.PAYMENT, 590, NOON, ours=number), line("f", K.FEE, -3, NOON, balance_minor=587)]
    shop.bill(rows, side=BillSide.FUNDS)
    assert shop.book() == 2
    assert shop.balances(END)["fees:sandbox"] == -3
    assert shop.balances(END)["discounts:sandbox"] == -10
    assert _clearing(shop) == [ClearingDay("CNY", 587, 587, 0)]
    shop.world.assert_balanced()


def test_a_bill_of_another_balance_covers_no_day_of_the_payers_balance(shop: Shop) -> None:
    """WeChat Pay keeps three balances, with a feed of bills for each. Two of them are here, and one is missing."""
    number = shop.sell("k1")
    shop.world.clock.advance(LATER.total_seconds())
    shop.bill([line("p", K.PAYMENT, 600, NOON, ours=number, theirs="t-1", fee_minor=-4)], side=BillSide.TRADES)
    shop.bill([line("o", K.TRANSFER, -100, NOON)], name="operation", feed="fund_bill_operation")
    shop.book()
    assert shop.balances(END)["fees:sandbox"] == -4, "no bill of the payers' balance tells of the fee"
    assert shop.balances(END)["bank:sandbox"] == -100, "what the other balance moved is booked all the same"
    shop.world.assert_balanced()
    rows = [line("1", K.PAYMENT, 600, NOON, theirs="t-1"), line("2", K.FEE, -4, NOON, theirs="t-1")]
    shop.bill([*rows, line("3", K.PAYOUT, -500, NOON)])
    assert shop.book() == 1, "the fee is told by both, and stays as it is"
    assert (shop.balances(END)["fees:sandbox"], shop.balances(END)["bank:sandbox"]) == (-4, -600)
    shop.world.assert_balanced()


def test_the_bill_of_the_payers_balance_alone_covers_the_day(shop: Shop) -> None:
    """What another balance would tell is not waited for: nothing moved there, and no bill was made."""
    number = shop.sell("k1")
    shop.world.clock.advance(LATER.total_seconds())
    shop.bill([line("o", K.TRANSFER, -100, NOON - LATER)], DAY_ONE - LATER, feed="fund_bill_operation")
    shop.bill([line("p", K.PAYMENT, 600, NOON, ours=number, theirs="t-1", fee_minor=-4)], side=BillSide.TRADES)
    shop.bill([line("2", K.FEE, -3, NOON, theirs="t-9")])
    shop.book()
    assert shop.balances(END)["fees:sandbox"] == -3, "of a covered day only the account bill is booked"
    shop.world.assert_balanced()


def test_a_balance_that_rests_is_the_provider_s_for_as_long_as_bills_without_rows_say_so(shop: Shop) -> None:
    """The last days of a year may be quiet, and the month is closed by what the provider holds then."""
    number = shop.sell("k1")
    shop.world.clock.advance(LATER.total_seconds())
    shop.bill([line("1", K.PAYMENT, 600, NOON, ours=number, theirs="t-1", balance_minor=600)])
    quiet = DAY_ONE + 6 * LATER
    shop.world.clock.advance(7 * LATER.total_seconds())
    shop.book()
    core, day = shop.world.core, BillDay("sandbox", "sandbox", quiet, CHINA)

    def told() -> list[ClearingDay]:
        return core.whole.read(lambda tx: clearing_at_end_of(tx, day, now=core.clock.now()), snapshot=True)

    assert told() == [ClearingDay("CNY", None, 600, 0)], "no bill covers that day"
    shop.bill([], quiet)
    assert told() == [ClearingDay("CNY", 600, 600, 0)]


def test_a_payment_at_midnight_is_on_its_way_and_leaves_no_rest(shop: Shop) -> None:
    shop.go_to(END - timedelta(milliseconds=100))
    number = shop.sell("k1")
    shop.world.clock.advance(LATER.total_seconds())
    shop.bill([line("0", K.FEE, -1, NOON, balance_minor=-1)])
    shop.bill([line("1", K.PAYMENT, 600, END + timedelta(seconds=2), ours=number)], day=DAY_ONE + LATER)
    shop.book()
    assert _clearing(shop) == [ClearingDay("CNY", -1, 599, 600)]
    assert _clearing(shop)[0].rest == 0


def test_a_payment_at_midnight_is_on_its_way_though_its_refund_names_the_provider_s_number_alone(shop: Shop) -> None:
    shop.go_to(END - timedelta(milliseconds=100))
    number = shop.sell("k1")
    refund_in_part(shop.world, int(number), 250)
    shop.world.clock.advance(LATER.total_seconds())
    shop.bill([line("0", K.FEE, -1, NOON, balance_minor=-1)])
    late = END + timedelta(seconds=2)
    paid = line("1", K.PAYMENT, 600, late, ours=number, theirs="t-1")
    shop.bill([paid, line("2", K.REFUND, -250, late, theirs="t-1", refund="r-1")], day=DAY_ONE + LATER)
    shop.book()
    [found] = _clearing(shop)
    assert (found.on_its_way, found.rest) == (350, 0)


def test_a_payment_that_was_told_a_week_late_was_on_its_way_at_its_midnight(shop: Shop) -> None:
    shop.go_to(END - timedelta(milliseconds=100))
    payment = shop.world.order("bob", key="k1").payments[0]
    shop.world.pay(payment.id)
    shop.world.clock.advance(timedelta(days=7).total_seconds())
    shop.world.deliver()
    shop.bill([line("0", K.FEE, -1, NOON, balance_minor=-1)])
    came = END + timedelta(minutes=6)
    shop.bill([line("1", K.PAYMENT, 600, came, ours=str(payment.id), theirs="t-1")], day=DAY_ONE + LATER)
    shop.book()
    assert [(one.on_its_way, one.rest) for one in _clearing(shop)] == [(600, 0)]


def test_what_is_on_its_way_comes_without_the_merchants_coupon(shop: Shop) -> None:
    shop.go_to(END - timedelta(milliseconds=100))
    number = shop.sell("k1")
    shop.world.clock.advance(LATER.total_seconds())
    paid = line("p", K.PAYMENT, 600, END - timedelta(seconds=1), ours=number, theirs="t-1", discount_minor=-50)
    shop.bill([paid], side=BillSide.TRADES)
    shop.bill([line("0", K.FEE, -1, NOON, balance_minor=-1)])
    came = END + timedelta(minutes=6)
    shop.bill([line("1", K.PAYMENT, 550, came, ours=number, theirs="t-1")], day=DAY_ONE + LATER)
    shop.book()
    assert [(one.on_its_way, one.rest) for one in _clearing(shop)] == [(550, 0)]


def test_a_fee_is_booked_once_where_the_money_comes_on_another_day_and_no_bill_is_made_of_its_own(shop: Shop) -> None:
    """WeChat Pay makes no account bill of a day on which nothing moved."""
    number = shop.sell("k1")
    shop.world.clock.advance(LATER.total_seconds())
    paid = line("p", K.PAYMENT, 600, NOON, ours=number, theirs="t-1", fee_minor=-4, discount_minor=-10)
    back = line("r", K.REFUND, -100, NOON, ours=number, theirs="t-1", refund="r-1", fee_minor=1)
    shop.bill([paid, back], side=BillSide.TRADES)
    shop.book()
    assert shop.balances(END)["fees:sandbox"] == -3, "no other bill tells of it yet"
    days = timedelta(days=2)
    shop.world.clock.advance(days.total_seconds())
    settled = [line("1", K.PAYMENT, 590, NOON + days, theirs="t-1"), line("2", K.FEE, -4, NOON + days, theirs="t-1")]
    shop.bill(settled, day=DAY_ONE + days)
    shop.book()
    assert shop.balances(END)["fees:sandbox"] == 1, "what comes back of the fee is still told by the trade bill alone"
    assert shop.balances(END)["discounts:sandbox"] == -10
    assert shop.balances(END + days)["fees:sandbox"] == -3
    given_back = [line("3", K.REFUND, -100, NOON + days + LATER, theirs="t-1", refund="r-1")]
    given_back.append(line("4", K.FEE_RETURN, 1, NOON + days + LATER, theirs="t-1", refund="r-1"))
    shop.world.clock.advance(LATER.total_seconds())
    shop.bill(given_back, day=DAY_ONE + days + LATER)
    shop.book()
    assert shop.balances(END)["fees:sandbox"] == 0
    assert shop.balances(END + days + LATER)["fees:sandbox"] == -3
    shop.world.assert_balanced()


def test_workers_at_the_same_time_book_once(shop: Shop) -> None:
    shop.world.clock.advance(LATER.total_seconds())
    shop.bill([line(str(number), K.FEE, -1, NOON) for number in range(20)])
    core, account = shop.world.core, shop.world.account
    with ThreadPoolExecutor(4) as threads:
        done = [threads.submit(bill_bookings.book_day, core, account, DAY_ONE, CHINA) for _ in "1234"]
        assert sum(each.result() for each in done) == 1
    assert shop.balances(END) == {"fees:sandbox": -20, "clearing:sandbox": 20}


def test_a_booking_that_is_stopped_anywhere_is_made_up_for(shop: Shop, database_url: str) -> None:
    shop.world.clock.advance(LATER.total_seconds())
    fuse = Fuse(raising)
    engine = fused_engine(database_url, fuse)
    fused = replace(shop.world.core, databases=databases_of(sessions_for(engine)))
    steps = 0
    while True:
        steps += 1
        fees = 4 * steps
        shop.bill([line("1", K.FEE, -fees, NOON), line("2", K.PAYOUT, -fees, NOON)])
        with fuse.armed(steps):
            with contextlib.suppress(Injected):
                bill_bookings.book_due_bills(fused, 10)
            if not fuse.has_blown:
                break
        shop.book()
        assert shop.balances(END) == {"fees:sandbox": -fees, "bank:sandbox": -fees, "clearing:sandbox": 2 * fees}
    assert steps > 10
    engine.dispose()


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE transfers SET reference = 'sandbox:2026-01-01' WHERE slot = 0",
        "UPDATE transfers SET effective_at = NULL WHERE slot = 0",
        "UPDATE bill_lines SET amount_minor = -5",
        "DELETE FROM bill_lines",
    ],
)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_whoever_changes_what_a_bill_booked_is_found(shop: Shop, engine: Engine, change: str) -> None:
    shop.world.clock.advance(LATER.total_seconds())
    shop.bill([line("1", K.FEE, -4, NOON)])
    shop.book()
    shop.world.assert_balanced()
    edit(engine, change)
    assert "bill_booking" in shop.audited()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_audit_writes_money_as_people_do(shop: Shop, engine: Engine) -> None:
    number = shop.sell("k1")
    shop.world.clock.advance(LATER.total_seconds())
    shop.bill([line("1", K.FEE, -123456, NOON)])
    shop.book()
    edit(engine, "UPDATE bill_lines SET amount_minor = -5")
    edit(engine, f"UPDATE orders SET amount_minor = 100050 WHERE paid_payment_id = {number}")
    edit(
        engine,
        f"/* sweep: audit */ UPDATE transfers SET amount = 601 WHERE reference = '{number}' AND kind = 'payment'",
    )
    found = shop.audit_says()
    assert "bill_fee is -1234.56 CNY, by the bills -0.05 CNY; after the cause" in found
    assert "1000.50 CNY, paid 6.00 CNY" in found
    moved = "CNY from clearing:sandbox to sales (sandbox)"
    assert f"payment of 6.01 {moved}, must be payment of 6.00 {moved}" in found
    assert not re.search(r"[0-9]{3,} CNY", re.sub(r"[0-9]+\.[0-9]{2} CNY", "", found)), "nothing in minor units"


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_money_whose_fact_is_in_the_books_is_not_booked_as_another_systems(shop: Shop) -> None:
    """Its number is none of ours, and it waits in suspense; that of its neighbour nobody knows."""
    payment = shop.world.order("bob", key="k1").payments[0]
    fact = paid_fact(shop.world, payment.id, owner=None, ref=Ref(ours="till-1", theirs="t9"))
    told(shop.world, fact)
    assert shop.world.money("suspense") == 600
    shop.world.clock.advance(LATER.total_seconds())
    rows = [
        line("1", K.PAYMENT, 600, NOON, ours="till-1", theirs="t9", fee_minor=-4),
        line("2", K.PAYMENT, 500, NOON, ours="till-2", theirs="t8", fee_minor=-3),
    ]
    shop.bill(rows, side=BillSide.TRADES)
    assert shop.book() == 2
    assert shop.balances(END) == {
        "clearing:sandbox": -600 + 4 - 497,
        "suspense": 600,
        "fees:sandbox": -4,
        "others:sandbox": 497,
    }
    shop.world.assert_balanced()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_setting_says_which_numbers_are_ours_and_a_shared_accounts_money_without_a_number_is_another_systems(
    shop: Shop,
) -> None:
    core = shop.world.core
    account = replace(shop.world.account, shared=True, our_numbers="till-[0-9]+|(?i:shop)-x")
    shop.world.serve(account)
    shop.world.clock.advance(LATER.total_seconds())
    rows = [
        line("1", K.PAYMENT, 600, NOON, ours="till-1", theirs="t1", fee_minor=-4),
        line("2", K.REFUND, -600, NOON, ours="SHOP-x", theirs="t2", fee_minor=4, refund="r"),
        line("3", K.ADJUSTMENT, 600, NOON, ours="till-1", theirs="t1", refund="r"),
        line("4", K.PAYMENT, 500, NOON, ours="till-1b", theirs="t4", fee_minor=-3),
        line("5", K.PAYMENT, 70, NOON, ours="12345678", theirs="t5"),
        line("6", K.PAYMENT, 9, NOON, theirs="t6"),
        line("7", K.FEE, -1, NOON),
    ]
    shop.bill(rows)
    shop.book()
    booked = {code: minor for code, minor in shop.balances(END).items() if minor}
    assert booked == {"others:sandbox": 497 + 70 + 9, "fees:sandbox": -1, "clearing:sandbox": 1 - 576}
    as_of = AsOf(core.rules.ledger, core.clock.now, {"sandbox": account.bill_rule})
    assert run.audit(core.whole.sessions, as_of) == []


def test_a_person_books_days_once_more_by_the_zone_of_the_bills_and_takes_nothing_back(shop: Shop) -> None:
    """A day of another zone is covered by no bill: what was booked for its date looked wrong, and was taken back."""
    tokyo, core = ZoneInfo("Asia/Tokyo"), shop.world.core
    shop.world.clock.advance(LATER.total_seconds())
    lines = [line("1", K.FEE, -4, NOON), line("2", K.PAYOUT, -100, NOON)]
    of_tokyo = replace(shop.bills, zone=tokyo.key)
    of_tokyo.write(
        "a day", BillSide.FUNDS, start_of_day(DAY_ONE, tokyo), end_of_day(DAY_ONE, tokyo), lines, core.clock.now()
    )
    assert shop.book() == 2
    account = core.registry.get("sandbox")
    assert account is not None
    assert bill_bookings.book_days(core, account, DAY_ONE - LATER, DAY_ONE + LATER) == 0
    assert shop.balances(END)["fees:sandbox"] == -4
    assert shop.audited() == []


def test_the_worker_books_what_was_read(shop: Shop) -> None:
    shop.world.clock.advance(LATER.total_seconds())
    worker = Worker(shop.world.core)
    worker.run_once()
    shop.bill([line("1", K.FEE, -4, NOON)])
    worker.run_once()
    assert shop.balances(END) == {"fees:sandbox": -4, "clearing:sandbox": 4}
