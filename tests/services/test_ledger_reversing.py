"""Reversal: at most once, at most as much, back into the lots that the coins came from."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from app.domain.ledger import InvalidTransfer, KeyConflict, Lot, NoSuchEntry, Posted, Refused, Transfer, system
from app.domain.limits import LedgerRules, SpendLimit
from app.domain.spending import debit
from app.services.ledger import post, spend
from app.services.ledger.reversals import Reverse, reverse
from app.services.transaction import Sessions
from tests.services.ledger_world import DAY, NOW, World, code


def _reverse(world: World, of: Any, amount: int | None = None, key: str = "r") -> Any:
    assert isinstance(of, Posted)
    return world.do(reverse, Reverse(of.id, key, "mistake", "ann", amount))


def test_a_reversed_spend_goes_back_into_its_lots(world: World) -> None:
    world.credit(10, lot=Lot(bonus=True))
    world.credit(10, lot=Lot(bonus=False))
    spent = world.spend(15)
    back = _reverse(world, spent, 7)
    assert world.balance().balance == 12
    world.spend(2)  # the bonus lot got 2 of the 7 back, and is used first again
    line = world.lines()[3]
    assert (line.kind, line.amount, line.note, line.transfer) == ("reversal", 7, "mistake", back.id)
    assert world.findings() == []


def test_a_transfer_is_reversed_at_most_once(world: World) -> None:
    world.credit(10)
    spent = world.spend(6)
    first = _reverse(world, spent, 4)
    assert _reverse(world, spent, 4, "other key").id == first.id
    with pytest.raises(KeyConflict):
        _reverse(world, spent, 2, "another")
    assert world.balance().balance == 8


def test_a_reversal_moves_at_most_what_was_moved(world: World) -> None:
    world.credit(10)
    refused = _reverse(world, world.spend(6), 7)
    assert isinstance(refused, Refused)
    assert (refused.code, refused.details) == ("reversal_exceeds", {"amount": 7, "moved": 6})


def test_a_refused_reversal_stays_refused_for_its_key_when_another_key_succeeds_later(world: World) -> None:
    grant = world.credit(10)
    spent = world.spend(6)
    refused = _reverse(world, grant, key="early")
    assert code(refused) == "insufficient_funds"
    _reverse(world, spent, key="give back")
    assert isinstance(_reverse(world, grant, key="late"), Posted)
    assert code(_reverse(world, grant, key="early")) == "insufficient_funds"
    assert world.findings() == []


def test_a_reversed_grant_takes_its_own_lot_first(world: World) -> None:
    world.credit(10, lot=Lot(bonus=True, expires_at=NOW + DAY))
    grant = world.credit(10, lot=Lot(bonus=False))
    _reverse(world, grant)
    world.now += DAY
    world.sweep()
    assert world.balance().balance == 0
    assert [line.kind for line in world.lines()] == ["grant", "grant", "reversal", "expiry"]
    assert world.findings() == []


def test_a_grant_whose_coins_are_spent_cannot_be_reversed_until_there_are_others(world: World) -> None:
    grant = world.credit(10)
    world.spend(8)
    assert code(_reverse(world, grant, key="1")) == "insufficient_funds"
    world.credit(20)
    assert code(_reverse(world, grant, key="1")) == "insufficient_funds"
    assert _reverse(world, grant, key="2").amount == 10
    assert world.balance().balance == 12


def test_debits_and_reversals_can_be_reversed_too(world: World) -> None:
    world.credit(10)
    taken = world.do(spend, debit(world.user, "coin", 4, "d", reason="fraud", actor="ann"))
    back = _reverse(world, taken)
    assert world.balance().balance == 10
    _reverse(world, back, 3)
    assert world.balance().balance == 7
    assert world.findings() == []


def test_money_between_system_accounts_is_reversed_on_the_journal(world: World) -> None:
    paid = Transfer("paid", world.user, system("clearing:x", "CNY"), system("sales", "CNY"), 600, "payment")
    first = world.do(post, [paid])[0]
    back = _reverse(world, first)
    assert back.version == first.version + 1
    assert world.findings() == []


def test_an_expiry_is_not_reversed_but_granted_anew(world: World) -> None:
    world.credit(10, lot=Lot(expires_at=NOW + DAY))
    world.now += DAY
    world.sweep()
    request = Reverse(world.lines()[-1].transfer, "r", "mistake", "ann")
    assert code(world.do(reverse, request)) == "not_reversible"


def test_coins_that_return_to_an_expired_lot_expire(world: World) -> None:
    world.credit(10, lot=Lot(expires_at=NOW + DAY))
    spent = world.spend(6)
    world.now += DAY
    world.sweep()
    _reverse(world, spent)
    assert code(world.spend(1)) == "insufficient_funds"
    world.sweep()
    assert world.balance().balance == 0
    assert world.findings() == []


def test_a_reversed_spend_counts_no_more_for_the_limit(books: Sessions) -> None:
    world = World(books, rules=LedgerRules(limits={"coin": SpendLimit(day=10)}))
    world.credit(100)
    spent = world.spend(10)
    assert code(world.spend(4)) == "spend_limit"
    _reverse(world, spent, 4)
    assert isinstance(world.spend(4), Posted)


def test_a_reversal_needs_a_transfer_a_reason_and_an_actor(world: World) -> None:
    with pytest.raises(NoSuchEntry):
        world.do(reverse, Reverse(uuid.uuid4(), "k", "mistake", "ann"))
    grant = world.credit(1)
    with pytest.raises(InvalidTransfer):
        world.do(reverse, Reverse(grant.id, "k", "", "ann"))
