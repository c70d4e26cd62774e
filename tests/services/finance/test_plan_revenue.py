"""A plan that grants no coins is earned over its period: in the reports, in the books, and for the audit."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from app.domain.facts import Fact, Kind, Ref
from app.domain.money import Money
from app.domain.recognition import RecognitionRules
from app.services.accounts.users import ensure_user
from app.services.audit.recognition import audit_recognition
from app.services.finance import recognition
from app.services.finance.liability_reports import liability_lines, revenue_lines
from tests.support.agreement_house import AgreementHouse, agreement_house
from tests.support.world import World

FIRST, LAST = date(2026, 1, 1), date(2026, 12, 31)
PRICE, DAYS = 900, 31


@pytest.fixture
def house(world: World) -> AgreementHouse:
    return agreement_house(world)


def recognise(house: AgreementHouse) -> None:
    """What the worker does until nothing is left, and the proof of it."""
    while recognition.recognise_next(house.core):
        pass
    assert list(audit_recognition(house.core.whole.sessions, UTC)) == []


def earned(house: AgreementHouse) -> dict[date, int]:
    found = house.core.whole.read(lambda tx: list(revenue_lines(tx, FIRST, LAST)))
    assert {line.breakage_minor for line in found} <= {0}
    return {line.day: line.earned_minor for line in found}


def closing(house: AgreementHouse, until: date) -> int:
    """The contract liability at the end of that day."""
    return sum(line.closing_minor for line in house.core.whole.read(lambda tx: list(liability_lines(tx, FIRST, until))))


def refund(house: AgreementHouse, number: int, minor: int, name: str) -> None:
    payment = house.payments(number, 0)[-1]
    names = Ref(ours=str(payment.id), theirs=payment.theirs, refund=name)
    told = {"account": house.debit.account, "live": False}
    house.tell(Fact(Kind.REFUNDED, names, house.world.clock.now(), money=Money(minor, "CNY"), **told))  # type: ignore[arg-type]


def test_the_price_is_earned_by_day_and_refunds_take_back_what_is_not_earned_first(house: AgreementHouse) -> None:
    """Three users pay for 31 days from the 2nd of January. On the 12th, when ten days are earned, one gets a part back
    and one all."""
    numbers = [house.signed(user, "basic") for user in ("alice", "bea", "cora")]
    house.at(datetime(2026, 1, 2, 9, tzinfo=UTC))
    for number in numbers:
        assert house.periods(number)[0].earned_until == datetime(2026, 2, 2, 3, 4, 5, tzinfo=UTC)
    house.world.clock.advance(timedelta(days=10).total_seconds())
    recognise(house)
    refund(house, numbers[1], 200, "b")
    refund(house, numbers[2], PRICE, "c")
    house.world.clock.advance(timedelta(days=15).total_seconds())
    recognise(house)
    a_day, ten_days = PRICE // DAYS, PRICE // DAYS * 10
    left = PRICE - ten_days - 200
    expected = Counter[date]()
    for number in range(25 - 1):  # the 26th is not over for the worker yet
        day = date(2026, 1, 2) + timedelta(days=number)
        expected[day] += a_day * (3 if number < 10 else 1) + (0 if number < 10 else left // 21)
    expected[date(2026, 1, 12)] -= ten_days
    assert earned(house) == expected
    assert closing(house, date(2026, 1, 11)) == 3 * (PRICE - ten_days)
    assert closing(house, date(2026, 1, 25)) == PRICE - 24 * a_day + left - 14 * (left // 21)
    assert house.world.money("revenue:earned") == sum(expected.values())


def test_a_period_that_a_store_tells_late_is_earned_on_its_days_and_one_that_was_cut_as_it_was_sold(
    house: AgreementHouse,
) -> None:
    token = str(house.core.whole.transact(lambda tx: ensure_user(tx, "dora")).token)
    january, february = datetime(2026, 1, 2, tzinfo=UTC), datetime(2026, 2, 2, tzinfo=UTC)
    told = {"owner": token, "product": "vip.monthly", "account": "store-app", "live": False, "quantity": 1}
    paid = Fact(
        Kind.PAID,
        Ref(theirs="t-1", agreement="original"),
        january,
        period_end=february,
        price=Money(3100, "CNY"),
        **told,  # type: ignore[arg-type]
    )
    house.world.clock.advance(timedelta(days=5).total_seconds())
    house.tell(paid, "store")
    house.world.clock.advance(timedelta(days=3).total_seconds())
    recognise(house)
    assert earned(house) == {date(2026, 1, 2) + timedelta(days=number): 100 for number in range(7)}
    upgrade = replace(paid, ref=Ref(theirs="t-2", agreement="original"), at=january + timedelta(days=8), price=None)
    house.tell(upgrade, "store")
    house.world.clock.advance(timedelta(days=30).total_seconds())
    recognise(house)
    assert earned(house) == {date(2026, 1, 2) + timedelta(days=number): 100 for number in range(31)}
    assert closing(house, LAST) == 0


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_figures_of_a_version_that_earned_plans_at_once_are_brought_to_what_is_earned(house: AgreementHouse) -> None:
    world = house.world
    rules = world.core.rules
    world.core = replace(world.core, rules=replace(rules, recognition=RecognitionRules(plans_by_day=False)))
    house.signed("alice", "basic")
    house.at(datetime(2026, 1, 2, 9, tzinfo=UTC))
    world.clock.advance(timedelta(days=4).total_seconds())
    recognise(house)
    assert closing(house, LAST) == 0
    world.core = replace(world.core, rules=rules)
    world.clock.advance(timedelta(days=1).total_seconds())
    recognise(house)
    assert closing(house, LAST) == PRICE - 4 * (PRICE // DAYS)
