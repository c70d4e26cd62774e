"""Revenue in single cases: by hand, late, delivered elsewhere, brought in, without a price, and once."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction

import pytest
from sqlalchemy import text

from app.domain.accounting_time import Basis
from app.domain.ledger import Lot
from app.domain.opening import OpeningLine
from app.domain.recognition import Allocation, RecognitionRules
from app.providers.facts import Kind
from app.services.audit.recognition import audit_recognition
from app.services.base.context import Tx
from app.services.finance import recognition
from app.services.finance.accounting_periods import balance_by
from app.services.finance.liability_reports import (
    LiabilityLine,
    PeriodReversed,
    contract_liability_table,
    liability_lines,
    revenue_lines,
)
from app.services.ledger.openings import book_lines
from app.worker import Worker
from tests.support.backend_wallets import ExternalBuyer, sell_externally
from tests.support.buyer import Buyer
from tests.support.faults import Killed
from tests.support.friends import Friends, friends_in
from tests.support.world import World

FIRST = date(2026, 1, 2)
DAY = 86_400.0


@pytest.fixture
def friends(world: World) -> Friends:
    return friends_in(world)


def sleep(world: World, days: int) -> None:
    world.clock.advance(days * DAY)
    while world.expire_due():
        pass


def recognise(world: World) -> None:
    """What the worker does until nothing is left, and the proof of it."""
    while recognition.recognise_next(world.core):
        pass
    assert list(audit_recognition(world.core.whole.sessions, UTC)) == []


def lines(world: World, since: date = FIRST, until: date = date(2027, 1, 1)) -> list[LiabilityLine]:
    return world.core.whole.read(lambda tx: list(liability_lines(tx, since, until)))


def line(world: World, since: date = FIRST, until: date = date(2027, 1, 1)) -> dict[str, int]:
    """The only line of the report, without its zeros."""
    (found,) = lines(world, since, until)
    moved = {"opening": found.opening_minor, **found.minor, "closing": found.closing_minor}
    signs = {"used": -1, "expired": -1, "refunded": -1}
    parts = sum(signs.get(name, 1) * value for name, value in moved.items() if name != "closing")
    assert parts == found.closing_minor
    return {name: value for name, value in moved.items() if value}


def test_a_purchase_is_earned_as_it_is_used_and_a_refund_takes_revenue_back(world: World) -> None:
    buyer = Buyer(world)
    buyer.pay()
    buyer.spend(6 + 20)
    sleep(world, 1)
    buyer.spend(40)
    sleep(world, 1)
    buyer.tell(replace(buyer.fact(Kind.REFUNDED, 0, refund="r1", money=150), at=world.clock.now()))
    sleep(world, 3)
    recognise(world)
    assert line(world, until=FIRST) == {"sold": 600, "used": 200, "closing": 400}
    second, third = FIRST + timedelta(days=1), FIRST + timedelta(days=2)
    assert line(world, since=second, until=second) == {"opening": 400, "used": 400}
    assert line(world, since=third) == {"refunded": 150, "taken_back": 150}
    revenue = world.core.whole.read(lambda tx: list(revenue_lines(tx, FIRST, third)))
    assert [(one.day, one.coins, one.earned_minor) for one in revenue] == [
        (FIRST, 20, 200),
        (second, 40, 400),
        (third, 0, -150),
    ]
    assert (world.money("sales"), world.money("revenue:earned")) == (0, 450)
    (found,) = lines(world)
    assert found.about == ("sandbox", "CNY", "coin", "coins-60", "2026-01")
    with pytest.raises(PeriodReversed):
        world.core.whole.read(lambda tx: contract_liability_table(tx, third, FIRST))


def test_a_month_is_closed_when_its_revenue_was_recognised_before(world: World) -> None:
    buyer = Buyer(world)
    buyer.pay()
    buyer.spend(66)
    end = datetime(2026, 1, 3, tzinfo=UTC)

    def open_still(booked_until: datetime) -> str:
        return world.core.whole.read(lambda tx: recognition.not_recognised(tx, end, booked_until))

    assert open_still(end).startswith("no revenue is recognised yet")
    sleep(world, 2)
    recognise(world)
    assert open_still(world.clock.now()).startswith("revenue of the month was recognised at 2026-01-04")
    assert open_still(world.clock.now() + timedelta(seconds=1)) == ""


def test_a_late_refund_counts_on_its_day_and_the_trial_balance_of_that_day_agrees(world: World) -> None:
    buyer = Buyer(world)
    buyer.pay()
    sleep(world, 5)
    recognise(world)
    back = replace(buyer.fact(Kind.REFUNDED, 0, refund="r1", money=300), at=world.clock.now() - timedelta(days=2))
    buyer.tell(back)
    sleep(world, 3)
    recognise(world)
    on = back.at.astimezone(UTC).date()
    assert line(world, since=on, until=on) == {"opening": 600, "refunded": 300, "closing": 300}
    at = datetime.combine(on, datetime.max.time(), UTC)
    found = world.core.whole.read(lambda tx: balance_by(tx, Basis.EFFECTIVE, now=tx.now, at=at), snapshot=True)
    (sales,) = [one.balance for sheet in found.sheets for one in sheet.lines if one.code == "sales"]
    assert sales == 300


def test_coins_of_another_purchase_that_are_taken_for_a_refund_count_as_used(world: World) -> None:
    first = Buyer(world, "ann")
    first.pay()
    first.spend(66)
    sleep(world, 1)
    first.tell(replace(first.fact(Kind.REFUNDED, 0, refund="r1", money=600), at=world.clock.now()))
    assert first.debt == 66
    view = world.order("ann", key="second")
    world.pay(view.payments[0].id)
    world.deliver()
    assert world.coins("ann") == 0
    sleep(world, 3)
    recognise(world)
    assert line(world) == {"sold": 1200, "used": 1200, "refunded": 600, "taken_back": 600}


def test_a_bonus_shares_the_price_if_that_is_the_setting(world: World) -> None:
    world.core = replace(world.core, rules=replace(world.core.rules, recognition=RecognitionRules(Allocation.ALL)))
    buyer = Buyer(world)
    buyer.pay()
    buyer.spend(11)
    sleep(world, 3)
    recognise(world)
    assert line(world) == {"sold": 600, "used": 100, "closing": 500}


def test_a_change_of_the_settings_brings_the_liability_to_what_they_say(world: World) -> None:
    buyer = Buyer(world)
    buyer.pay()
    buyer.spend(6 + 30)
    sleep(world, 3)
    recognise(world)
    expected = RecognitionRules(expected_breakage={"coins-60": Fraction(1, 10)})
    world.core = replace(world.core, rules=replace(world.core.rules, recognition=expected))
    sleep(world, 1)
    recognise(world)
    worth = 600 * (30 - 6) // 54
    assert line(world) == {"sold": 600, "used": 300, "other": worth - 300, "closing": worth}
    assert (world.money("sales"), world.money("revenue:breakage")) == (worth, 300 - worth)


def test_imported_coins_bring_their_value_in_and_keep_it_when_they_are_given(friends: Friends) -> None:
    world = friends.world
    lot = Lot(bonus=False, product="old", value_minor=100, currency="CNY")
    book_lines(world.core, [OpeningLine("1", "ann", "coin", "sandbox", 3, lot)], "test")
    friends.give("ann", "bob", 1)
    friends.spend("ann", 1)
    sleep(world, 3)
    recognise(world)
    assert line(world) == {"brought_in": 100, "used": 34, "closing": 66}
    assert world.money("opening", "CNY") == -100
    assert world.money("sales") == 66
    friends.send_only("bob", "ann", 1)
    sleep(world, 3)
    recognise(world)
    assert line(world)["closing"] == 33
    assert world.money("sales") == 66, "the other coin is under way"
    friends.work()
    sleep(world, 3)
    recognise(world)
    assert line(world)["closing"] == 66


def test_coins_whose_price_nobody_told_are_counted_and_have_no_value(friends: Friends) -> None:
    world, buyer = friends.world, Buyer(friends.world, "ann")
    friends.credit("ann", 50, lot=Lot(bonus=False, payment=str(buyer.payment_id), product="store"))
    friends.spend("ann", 20)
    sleep(world, 3)
    recognise(world)
    (found,) = lines(world)
    assert (found.coins["sold"], found.coins["used"], found.closing_coins, found.closing_minor) == (50, 20, 30, 0)
    table = world.core.whole.read(lambda tx: list(contract_liability_table(tx, FIRST, FIRST).rows))
    assert table[0][1:4] == ["", "coin", "store"]
    assert table[0][-9:] == [None] * 9


def test_a_turn_that_is_killed_or_overtaken_books_nothing(world: World) -> None:
    buyer = Buyer(world)
    buyer.pay()
    buyer.spend(26)
    sleep(world, 3)
    turn = world.core.whole.read(recognition.work_out, snapshot=True)
    assert turn is not None

    def killed_late(tx: Tx) -> None:
        recognition.write_turn(tx, turn)
        raise Killed

    with pytest.raises(Killed):
        world.core.whole.transact(killed_late)
    assert world.money("sales") == 600
    recognise(world)
    assert not world.core.whole.transact(lambda tx: recognition.write_turn(tx, turn))
    assert world.money("sales") == 400


def test_an_order_that_the_backend_delivers_is_earned_at_its_delivery(world: World) -> None:
    buyer = ExternalBuyer(sell_externally(world))
    buyer.pay()
    sleep(world, 1)
    buyer.answer("delivered")
    sleep(world, 1)
    buyer.tell(replace(buyer.fact(Kind.REFUNDED, 0, refund="r1", money=100), at=world.clock.now()))
    buyer.answer("taken_back", 2)
    sleep(world, 3)
    recognise(world)
    second = FIRST + timedelta(days=1)
    assert line(world, until=FIRST) == {"sold": 600, "closing": 600}
    assert line(world, since=second, until=second) == {"opening": 600, "used": 600}
    assert line(world) == {"sold": 600, "used": 600, "refunded": 100, "taken_back": 100}


def test_a_refund_before_the_delivery_leaves_the_rest_of_the_money(world: World) -> None:
    buyer = ExternalBuyer(sell_externally(world))
    buyer.pay()
    buyer.tell(replace(buyer.fact(Kind.REFUNDED, 0, refund="r1", money=450), at=world.clock.now()))
    sleep(world, 3)
    recognise(world)
    assert line(world) == {"sold": 600, "refunded": 450, "closing": 150}


def test_the_worker_recognises_when_no_checkpoint_is_missing(world: World) -> None:
    buyer, worker = Buyer(world), Worker(world.core)
    buyer.pay()
    buyer.spend(66)
    worker.run_once()
    sleep(world, 3)
    world.clock.advance(60)
    worker.run_once()
    worker.run_once()
    assert world.money("sales") == 0
    assert world.money("revenue:earned") == 600


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("UPDATE recognition_figures SET value_minor = value_minor + 1 WHERE movement = 'used'", "the figures come to"),
        ("UPDATE recognition_figures SET coins = coins + 1 WHERE movement = 'sold'", "coins worth"),
        ("DELETE FROM recognition_figures WHERE movement = 'used'", "is not what the figures say"),
    ],
)
def test_a_changed_figure_is_found(world: World, change: str, said: str) -> None:
    buyer = Buyer(world)
    buyer.pay()
    buyer.spend(26)
    sleep(world, 3)
    recognise(world)
    world.core.whole.transact(lambda tx: tx.execute(text(change)))
    found = [finding.detail for finding in audit_recognition(world.core.whole.sessions, UTC)]
    assert any(said in detail for detail in found), found
