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
from app.services.ledger import holdings, post, spend
from app.services.ledger.reversals import Reverse, reverse
from tests.support.wallet_owner import DAY, NOW, WalletOwner, code


def _reverse(owner: WalletOwner, of: Any, amount: int | None = None, key: str = "r") -> Any:
    assert isinstance(of, Posted)
    return owner.do(reverse, Reverse(of.id, key, "mistake", "ann", amount))


def test_a_reversed_spend_goes_back_into_its_lots(owner: WalletOwner) -> None:
    owner.credit(10, lot=Lot(bonus=True))
    owner.credit(10, lot=Lot(bonus=False))
    spent = owner.spend(15)
    back = _reverse(owner, spent, 7)
    assert owner.balance().balance == 12
    owner.spend(2)  # the bonus lot got 2 of the 7 back, and is used first again
    line = owner.lines()[3]
    assert (line.kind, line.amount, line.note, line.transfer) == ("reversal", 7, "mistake", back.id)
    assert owner.findings() == []


def test_a_transfer_is_reversed_at_most_once(owner: WalletOwner) -> None:
    owner.credit(10)
    spent = owner.spend(6)
    first = _reverse(owner, spent, 4)
    assert _reverse(owner, spent, 4, "other key").id == first.id
    with pytest.raises(KeyConflict):
        _reverse(owner, spent, 2, "another")
    assert owner.balance().balance == 8


def test_a_reversal_moves_at_most_what_was_moved(owner: WalletOwner) -> None:
    owner.credit(10)
    refused = _reverse(owner, owner.spend(6), 7)
    assert isinstance(refused, Refused)
    assert (refused.code, refused.details) == ("reversal_exceeds", {"amount": 7, "moved": 6})


def test_a_refused_reversal_stays_refused_for_its_key_when_another_key_succeeds_later(owner: WalletOwner) -> None:
    grant = owner.credit(10)
    spent = owner.spend(6)
    refused = _reverse(owner, grant, key="early")
    assert code(refused) == "insufficient_funds"
    _reverse(owner, spent, key="give back")
    assert isinstance(_reverse(owner, grant, key="late"), Posted)
    assert code(_reverse(owner, grant, key="early")) == "insufficient_funds"
    assert owner.findings() == []


def test_a_reversed_grant_takes_its_own_lot_first(owner: WalletOwner) -> None:
    owner.credit(10, lot=Lot(bonus=True, expires_at=NOW + DAY))
    grant = owner.credit(10, lot=Lot(bonus=False))
    _reverse(owner, grant)
    owner.now += DAY
    owner.sweep()
    assert owner.balance().balance == 0
    assert [line.kind for line in owner.lines()] == ["grant", "grant", "reversal", "expiry"]
    assert owner.findings() == []


def test_a_grant_whose_coins_are_spent_cannot_be_reversed_until_there_are_others(owner: WalletOwner) -> None:
    grant = owner.credit(10)
    owner.spend(8)
    assert code(_reverse(owner, grant, key="1")) == "insufficient_funds"
    owner.credit(20)
    assert code(_reverse(owner, grant, key="1")) == "insufficient_funds"
    assert _reverse(owner, grant, key="2").amount == 10
    assert owner.balance().balance == 12


def test_debits_and_reversals_can_be_reversed_too(owner: WalletOwner) -> None:
    owner.credit(10)
    taken = owner.do(spend, debit(owner.user, "coin", 4, "d", reason="fraud", actor="ann"))
    back = _reverse(owner, taken)
    assert owner.balance().balance == 10
    _reverse(owner, back, 3)
    assert owner.balance().balance == 7
    assert owner.findings() == []


def test_what_facts_and_refunds_booked_is_not_reversed_by_a_caller(owner: WalletOwner) -> None:
    issuance = system(ISSUANCE, "coin")
    booked = [
        Transfer("paid", owner.user, system("clearing:x", "CNY"), system("sales", "CNY"), 600, "payment"),
        *(
            Transfer(kind, owner.user, issuance, owner.wallet(), 10, kind)
            for kind in ("purchase", "bonus", "clawback_returned")
        ),
        *(
            Transfer(kind, owner.user, system("clearing:x", "CNY"), system(kind, "CNY"), 5, kind)
            for kind in ("surplus", "suspense", "refund", "forgiven")
        ),
        Transfer("clawback", owner.user, owner.wallet(), issuance, 10, "clawback"),
    ]
    for number, posted in enumerate(owner.do(post, booked)):
        refused = _reverse(owner, posted, key=f"r{number}")
        assert (code(refused), refused.details) == ("not_reversible", {"kind": booked[number].kind})
        assert code(_reverse(owner, posted, key=f"r{number}")) == "not_reversible"
    assert owner.balance().balance == 20
    assert owner.findings() == []


def test_the_reversal_of_what_a_fact_booked_is_not_reversed_either(owner: WalletOwner) -> None:
    """Books from before such reversals were refused may hold one."""
    bought = Transfer("buy", owner.user, system(ISSUANCE, "coin"), owner.wallet(), 10, "purchase")
    posted = owner.do(post, [bought])[0]
    old = Transfer(
        REVERSAL, posted.id.hex, owner.wallet(), system(ISSUANCE, "coin"), 10, REVERSAL, "", "m", "ann", posted.id
    )
    reversed_ = owner.do(post, [old])[0]
    refused = _reverse(owner, reversed_)
    assert (code(refused), refused.details) == ("not_reversible", {"kind": "purchase"})


def test_repayments_are_not_reversed(owner: WalletOwner) -> None:
    _owe(owner, 6)
    owner.credit(4)
    kinds = {line.kind: line.transfer for line in owner.lines()}
    assert code(owner.do(reverse, Reverse(kinds["debt_repayment"], "r", "mistake", "ann"))) == "not_reversible"


def _owe(owner: WalletOwner, amount: int) -> None:
    owed = Transfer("debt", owner.user, system("debts", "coin"), debt_of(owner.wallet()), amount, "debt")
    owner.do(post, [owed])


@pytest.mark.parametrize("days", [0, 2])
def test_a_spend_that_is_reversed_after_its_lot_expired_repays_the_debt_first(owner: WalletOwner, days: int) -> None:
    owner.credit(10, lot=Lot(bonus=False, expires_at=NOW + DAY))
    spent = owner.spend(10)
    _owe(owner, 6)
    owner.now += days * DAY
    _reverse(owner, spent)
    owner.sweep()
    owed = read(owner.sessions, lambda tx: holdings(tx, owner.slot, owner.user)).debts
    assert owed == ()
    assert owner.balance().balance == (0 if days else 4)
    assert owner.findings() == []


def test_an_expiry_is_not_reversed_but_granted_anew(owner: WalletOwner) -> None:
    owner.credit(10, lot=Lot(expires_at=NOW + DAY))
    owner.now += DAY
    owner.sweep()
    request = Reverse(owner.lines()[-1].transfer, "r", "mistake", "ann")
    assert code(owner.do(reverse, request)) == "not_reversible"


def test_coins_that_return_to_an_expired_lot_expire(owner: WalletOwner) -> None:
    owner.credit(10, lot=Lot(expires_at=NOW + DAY))
    spent = owner.spend(6)
    owner.now += DAY
    owner.sweep()
    _reverse(owner, spent)
    assert code(owner.spend(1)) == "insufficient_funds"
    owner.sweep()
    assert owner.balance().balance == 0
    assert owner.findings() == []


def test_a_reversed_spend_counts_no_more_for_the_limit(books: Sessions) -> None:
    owner = WalletOwner(books, rules=LedgerRules(limits={"coin": SpendLimit(day=10)}))
    owner.credit(100)
    spent = owner.spend(10)
    assert code(owner.spend(4)) == "spend_limit"
    _reverse(owner, spent, 4)
    assert isinstance(owner.spend(4), Posted)


def test_a_reversal_needs_a_transfer_a_reason_and_an_actor(owner: WalletOwner) -> None:
    with pytest.raises(NoSuchEntry):
        owner.do(reverse, Reverse(uuid.uuid4(), "k", "mistake", "ann"))
    grant = owner.credit(1)
    with pytest.raises(InvalidTransfer):
        owner.do(reverse, Reverse(grant.id, "k", "", "ann"))
