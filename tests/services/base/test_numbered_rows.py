"""Two processes that give out one number in one millisecond: no row is lost, and none passes for another."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from sqlalchemy import select

from app.domain.journal import JournalEntry, JournalLine
from app.domain.numbers import NumberSource, slot_of_number
from app.models.asks import Ask
from app.models.slot_guard import sweep
from app.providers.facts import Ref
from app.services.base.upsert import NUMBER_ATTEMPTS
from app.services.bills import readings
from app.services.calls.reference_queries import raise_ask
from app.services.differences.difference_rows import changes_of, find_difference, note_difference, take_difference
from app.services.finance import journal
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


def test_a_named_payment_is_asked_about_although_the_number_of_its_question_was_given_out(
    world: World, payments: list[int]
) -> None:
    for payment in payments:
        assert raise_ask(world.core, world.account, Ref(ours=str(payment)))
        _with_numbers(world, [ask.id for ask in _asks(world)])
    assert {row.payment_id for row in _asks(world)} == set(payments)


def test_a_line_of_history_is_written_although_its_number_was_given_out(world: World) -> None:
    house = settling_house(world)
    house.bring("first", [alien_line("t-1", None)])
    house.compare()
    row = house.only()
    take_difference(world.core, row.id, actor="mei")
    _with_numbers(world, [change.id for change in world.core.whole.read(partial(changes_of, row=row))])
    note_difference(world.core, row.id, "looked at", actor="mei")
    kept = world.core.whole.read(lambda tx: changes_of(tx, find_difference(tx, row.id)))
    assert [change.what for change in kept] == ["opened", "taken", "noted"]


def test_an_entry_by_hand_is_neither_lost_nor_taken_for_another_that_has_its_number(world: World) -> None:
    lines = [JournalLine("suspense", 40), JournalLine("bank:a", 0, 40)]
    proposed = []
    for document in ("first", "second"):
        entry = JournalEntry(document, "belongs to the bank", "CNY", lines)
        request = journal.EntryRequest("backend", document, "operator:mei")
        proposed.append(journal.propose_entry(world.core, entry, request))
        _with_numbers(world, [row.id for row in proposed])
    seals = world.core.rules.ledger.seals
    assert [row.document for row in proposed] == ["first", "second"]
    assert all(seals.fits_row("journal_entries", row._asdict(), row.seal) for row in proposed)


def test_a_clock_that_stands_still_is_an_error_and_no_silence(world: World, payments: list[int]) -> None:
    first, second = payments
    slot = slot_of_number(first)
    world.core.whole.transact(lambda tx: ask_for_refunds(tx, slot, first))
    [ask] = _asks(world)
    _with_numbers(world, [ask.id] * NUMBER_ATTEMPTS)
    with pytest.raises(RuntimeError, match="clock"):
        world.core.whole.transact(lambda tx: ask_for_refunds(tx, slot, second))
