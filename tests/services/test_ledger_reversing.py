"""Reversal: at most once, at most as much, back into the lots that the coins came from."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from app.domain.ledger import (
    ISSUANCE,
    REVERSAL,
    InvalidTransfer,
    KeyConflict,
    Lot,
    NoSuchEntry,
    Posted,
    Refused,
    Transfer,
    debt_of,
    system,
)
from app.domain.limits import LedgerRules, SpendLimit
from app.domain.spending import debit
from app.services.base.transaction import Sessions, read
from app.services.ledger import debts, post, spend
from app.services.ledger.reversals import Reverse, reverse
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


def test_what_facts_and_refunds_booked_is_not_reversed_by_a_caller(world: World) -> None:
    issuance = system(ISSUANCE, "coin")
    booked = [
        Transfer("paid", world.user, system("clearing:x", "CNY"), system("sales", "CNY"), 600, "payment"),
        *(
            Transfer(kind, world.user, issuance, world.wallet(), 10, kind)
            for kind in ("purchase", "bonus", "clawback_returned")
        ),
        *(
            Transfer(kind, world.user, system("clearing:x", "CNY"), system(kind, "CNY"), 5, kind)
            for kind in ("surplus", "suspense", "refund", "forgiven")
        ),
        Transfer("clawback", world.user, world.wallet(), issuance, 10, "clawback"),
    ]
    for number, posted in enumerate(world.do(post, booked)):
        refused = _reverse(world, posted, key=f"r{number}")
        assert (code(refused), refused.details) == ("not_reversible", {"kind": booked[number].kind})
        assert code(_reverse(world, posted, key=f"r{number}")) == "not_reversible"
    assert world.balance().balance == 20
    assert world.findings() == []


def test_the_reversal_of_what_a_fact_booked_is_not_reversed_either(world: World) -> None:
    """Books from before such reversals were refused may hold one."""
    bought = Transfer("buy", world.user, system(ISSUANCE, "coin"), world.wallet(), 10, "purchase")
    posted = world.do(post, [bought])[0]
    old = Transfer(
        REVERSAL, posted.id.hex, world.wallet(), system(ISSUANCE, "coin"), 10, REVERSAL, "", "m", "ann", posted.id
    )
    reversed_ = world.do(post, [old])[0]
    refused = _reverse(world, reversed_)
    assert (code(refused), refused.details) == ("not_reversible", {"kind": "purchase"})


def test_repayments_are_not_reversed(world: World) -> None:
    _owe(world, 6)
    world.credit(4)
    kinds = {line.kind: line.transfer for line in world.lines()}
    assert code(world.do(reverse, Reverse(kinds["debt_repayment"], "r", "mistake", "ann"))) == "not_reversible"


def _owe(world: World, amount: int) -> None:
    owed = Transfer("debt", world.user, system("debts", "coin"), debt_of(world.wallet()), amount, "debt")
    world.do(post, [owed])


@pytest.mark.parametrize("days", [0, 2])
def test_a_spend_that_is_reversed_after_its_lot_expired_repays_the_debt_first(world: World, days: int) -> None:
    world.credit(10, lot=Lot(bonus=False, expires_at=NOW + DAY))
    spent = world.spend(10)
    _owe(world, 6)
    world.now += days * DAY
    _reverse(world, spent)
    world.sweep()
    owed = read(world.sessions, lambda session: debts.owed(session, world.slot, world.user))
    assert owed == ()
    assert world.balance().balance == (0 if days else 4)
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
