"""Two processes that give out one number in one millisecond: no row is lost, and none passes for another."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select

from app.domain.numbers import NumberSource, slot_of_number
from app.models.asks import Ask
from app.models.slot_guard import sweep
from app.services.base.upsert import NUMBER_ATTEMPTS
from app.services.bills import readings
from app.services.refunds.refund_asks import ask_for_refunds
from tests.support.settling_house import alien_line, settling_house
from tests.support.world import World


class GivenOut(NumberSource):
    """Gives out numbers that other processes have given out, and then its own."""

    def __init__(self, given: list[int], then: NumberSource) -> None:
        self._given, self._then = iter(given), then

    def next(self, slot: int) -> int:
        return next(self._given, None) or self._then.next(slot)


@pytest.fixture
def payments(world: World) -> list[int]:
    """Two payments of one user."""
    return [world.order(key=f"k{number}").payments[0].id for number in range(2)]


def _with_numbers(world: World, given: list[int]) -> None:
    world.core = replace(world.core, numbers=GivenOut(given, world.core.numbers))


def _asks(world: World) -> list[Any]:
    wanted = select(Ask.__table__).prefix_with(sweep("audit")).order_by(Ask.__table__.c.id)
    return list(world.core.whole.read(lambda tx: tx.execute(wanted).all()))


def test_a_question_about_another_payment_is_not_taken_for_this_one_because_it_has_the_number(
    world: World, payments: list[int]
) -> None:
    first, second = payments
    slot = slot_of_number(first)
    world.core.whole.transact(lambda tx: ask_for_refunds(tx, slot, first))
    [ask] = _asks(world)
    _with_numbers(world, [ask.id, ask.id])
    world.core.whole.transact(lambda tx: ask_for_refunds(tx, slot, second))
    assert {row.payment_id for row in _asks(world)} == {first, second}


def test_a_question_that_was_put_before_is_put_once(world: World, payments: list[int]) -> None:
    slot = slot_of_number(payments[0])
    for _ in range(2):
        world.core.whole.transact(lambda tx: ask_for_refunds(tx, slot, payments[0]))
    assert len(_asks(world)) == 1


def test_a_bill_is_read_although_its_number_was_given_out_to_another(world: World) -> None:
    house = settling_house(world)
    house.bring("first", [alien_line("t-1", None)])
    [known] = world.core.whole.read(readings.list_readings)
    _with_numbers(world, [known.id])
    house.bring("second", [alien_line("t-2", None)])
    assert sorted(house.readings()) == [("first", "read", 1), ("second", "read", 1)]


def test_a_clock_that_stands_still_is_an_error_and_no_silence(world: World, payments: list[int]) -> None:
    first, second = payments
    slot = slot_of_number(first)
    world.core.whole.transact(lambda tx: ask_for_refunds(tx, slot, first))
    [ask] = _asks(world)
    _with_numbers(world, [ask.id] * NUMBER_ATTEMPTS)
    with pytest.raises(RuntimeError, match="clock"):
        world.core.whole.transact(lambda tx: ask_for_refunds(tx, slot, second))
