"""A provider account with several balances, each with a bill of its own: of what payers pay, of other things."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest

from app.domain.bill_figures import BillDay
from app.domain.bill_lines import BillLine, BillSide, LineKind
from app.services.finance.clearing import clearing_at_end_of
from tests.support.settling_house import DAY, NOON, SECOND_DAY, SettlingHouse, line_of, settling_house
from tests.support.world import World

MAIN, OTHER = "funds", "funds_other"


@pytest.fixture
def house(world: World) -> SettlingHouse:
    house = settling_house(world)
    house.maker.bill_feeds = {"trade": BillSide.TRADES, MAIN: BillSide.FUNDS, OTHER: BillSide.FUNDS}
    world.clock.advance(86_400 * 9)
    return house


def moved(at: datetime, minor: int, balance: int) -> BillLine:
    return BillLine(f"{at}:{minor}:{balance}", LineKind.OTHER, at, minor, "CNY", balance_minor=balance)


def closing(house: SettlingHouse, day: date) -> int | None:
    core, bill_day = house.world.core, BillDay("sandbox", "sandbox", day, house.world.core.rules.ledger.zone)
    [found] = core.whole.read(lambda tx: clearing_at_end_of(tx, bill_day, now=core.clock.now()), snapshot=True)
    return found.closing


def test_each_balance_goes_on_from_its_own_bill_of_the_day_before(house: SettlingHouse) -> None:
    for number, (main, other) in enumerate([(500, 70), (900, 60), (1300, 50)]):
        since = SECOND_DAY + number * DAY
        house.bring(f"main {number}", [moved(since + DAY / 2, 400, main)], since, feed=MAIN)
        house.bring(f"other {number}", [moved(since + DAY / 3, -10, other)], since, feed=OTHER)
    house.compare(days=3)
    assert house.listed() == []
    house.bring("other 2", [moved(NOON + 2 * DAY, -10, 40)], SECOND_DAY + 2 * DAY, feed=OTHER)
    house.compare(days=3)
    assert [(row.type, row.subject.split(":")[1]) for row in house.listed()] == [("balance", OTHER)]


def test_the_provider_holds_what_all_its_balances_come_to(house: SettlingHouse) -> None:
    house.bring("main 0", [moved(NOON, 500, 500)], feed=MAIN)
    house.bring("other 0", [moved(NOON + timedelta(hours=1), 80, 80)], feed=OTHER)
    assert closing(house, date(2026, 1, 2)) == 580
    for number in range(1, 7):  # the other balance rests
        since = SECOND_DAY + number * DAY
        house.bring(f"main {number}", [moved(since + DAY / 2, 100, 500 + 100 * number)], since, feed=MAIN)
    assert closing(house, date(2026, 1, 8)) == 1180


def test_a_day_is_covered_by_the_bill_of_the_balance_that_payers_pay_into(house: SettlingHouse) -> None:
    house.set_account(settles_within_days=1)
    paid = house.paid("alice")
    house.bring("trades", [line_of(paid)])
    house.bring("other", [moved(NOON, 80, 80)], feed=OTHER)
    for number in range(1, 6):
        house.bring(f"main {number}", [moved(NOON + number * DAY, 5, 5 * number)], SECOND_DAY + number * DAY, feed=MAIN)
    house.compare()
    assert house.listed() == [], "the bill that would tell of it is not there"
