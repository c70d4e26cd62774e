"""Batches: all or nothing, or one by one; each item with its own key and answer."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain.ledger import MAX_AMOUNT, BalanceOverflow, InvalidTransfer, KeyConflict, Posted, system, wallet
from app.domain.spending import Spend, grant
from app.services.base.transaction import Sessions
from app.services.ledger import post
from app.services.ledger.batches import BatchResult, book_batch
from tests.support.wallet_owner import WalletOwner, code


@pytest.fixture
def users(books: Sessions) -> list[WalletOwner]:
    """Twenty users, in slots of their own, with 10 coins each."""
    owners = [WalletOwner(books) for _ in range(20)]
    for owner in owners:
        owner.credit(10)
    return owners


def _batch(users: list[WalletOwner], items: list[Any], *, together: bool) -> BatchResult:
    return users[0].books.transact(lambda tx: book_batch(tx, items, all_or_nothing=together))


def _grant(owner: WalletOwner, amount: int, key: str) -> Any:
    return grant(owner.user, "coin", amount, key, reason="event", actor="app")


def test_a_batch_books_spends_and_grants_of_many_users(users: list[WalletOwner]) -> None:
    items = [Spend(owner.user, "coin", 3, "s") for owner in users] + [_grant(owner, 5, "g") for owner in users]
    result = _batch(users, items, together=True)
    assert result.applied
    assert all(isinstance(answer, Posted) for answer in result.answers)
    assert {owner.balance().balance for owner in users} == {12}
    again = _batch(users, items, together=True)
    assert [a.id for a in again.answers] == [a.id for a in result.answers]
    assert all(answer.repeated for answer in again.answers)
    assert {owner.balance().balance for owner in users} == {12}
    assert all(owner.findings() == [] for owner in users)


def test_all_or_nothing_books_nothing_if_one_is_refused_and_remembers_nothing(users: list[WalletOwner]) -> None:
    items = [Spend(users[0].user, "coin", 3, "a"), Spend(users[1].user, "coin", 11, "b")]
    result = _batch(users, items, together=True)
    assert not result.applied
    assert [code(answer) for answer in result.answers] == ["", "insufficient_funds"]
    assert [owner.balance().balance for owner in users[:2]] == [10, 10]
    users[1].credit(1)
    assert _batch(users, items, together=True).applied


def test_one_by_one_books_what_can_be_booked_and_remembers_the_refusal(users: list[WalletOwner]) -> None:
    items = [Spend(users[0].user, "coin", 3, "a"), Spend(users[1].user, "coin", 11, "b"), _grant(users[2], 1, "c")]
    result = _batch(users, items, together=False)
    assert result.applied
    assert [code(answer) for answer in result.answers] == ["", "insufficient_funds", ""]
    users[1].credit(1)
    assert code(users[1].spend(11, "b")) == "insufficient_funds"


def test_items_of_one_user_see_each_other(users: list[WalletOwner]) -> None:
    user = users[0]
    items = [Spend(user.user, "coin", 8, "1"), Spend(user.user, "coin", 8, "2"), _grant(user, 6, "3")]
    items += [Spend(user.user, "coin", 8, "4")]
    result = _batch(users, items, together=False)
    assert [code(answer) for answer in result.answers] == ["", "insufficient_funds", "", ""]
    assert user.balance().balance == 0
    assert [line.version for line in user.lines()] == [1, 2, 3, 4]
    assert user.findings() == []


def test_a_key_twice_in_a_batch_is_one_request(users: list[WalletOwner]) -> None:
    item = Spend(users[0].user, "coin", 3, "k")
    other = Spend(users[0].user, "coin", 4, "k")
    result = _batch(users, [item, item, other], together=False)
    assert [code(answer) for answer in result.answers] == ["", "", "key_conflict"]
    assert result.answers[1].repeated
    assert users[0].balance().balance == 7


def test_a_used_key_and_an_overflow_are_answers_of_their_items(users: list[WalletOwner]) -> None:
    users[0].spend(1, "k")
    items = [
        Spend(users[0].user, "coin", 2, "k"),
        _grant(users[1], MAX_AMOUNT, "g"),
        Spend(users[2].user, "coin", 1, "x"),
    ]
    result = _batch(users, items, together=False)
    assert [code(answer) for answer in result.answers] == ["key_conflict", "balance_overflow", ""]


def test_a_batch_has_one_to_500_items_and_books_on_wallets(users: list[WalletOwner]) -> None:
    for items in ([], [Spend(users[0].user, "coin", 1, str(i)) for i in range(501)]):
        with pytest.raises(InvalidTransfer):
            _batch(users, items, together=True)


def test_two_transfers_with_one_key_in_one_post_are_refused(users: list[WalletOwner]) -> None:
    owner = users[0]
    with pytest.raises(InvalidTransfer):
        owner.do(post, [_grant(owner, 1, "k"), _grant(owner, 2, "k")])


def test_a_key_that_was_refused_cannot_be_posted(users: list[WalletOwner]) -> None:
    owner = users[0]
    request = Spend(owner.user, "coin", 11, "k")
    assert code(owner.spend(11, "k")) == "insufficient_funds"
    with pytest.raises(KeyConflict):
        owner.do(post, [request.transfer])
    assert request.transfer.debit == wallet(owner.user, "coin")
    assert request.transfer.credit == system("revenue", "coin")


def test_an_overflow_stays_refused_under_its_key_when_there_is_room(users: list[WalletOwner]) -> None:
    owner = users[0]
    item = _grant(owner, MAX_AMOUNT, "g")
    first = _batch(users, [item, Spend(owner.user, "coin", 10, "s"), item], together=False)
    assert [code(answer) for answer in first.answers] == ["balance_overflow", "", "balance_overflow"]
    assert owner.balance().balance == 0, "there is room now"
    again = _batch(users, [item], together=False).answers[0]
    assert (code(again), again.repeated) == ("balance_overflow", True)
    with pytest.raises(BalanceOverflow):
        owner.do(post, [item])
    assert owner.balance().balance == 0
    assert code(_batch(users, [_grant(owner, MAX_AMOUNT, "another")], together=False).answers[0]) == ""
    assert owner.findings() == []


def test_an_overflow_in_a_batch_of_all_or_nothing_is_not_remembered(users: list[WalletOwner]) -> None:
    owner = users[1]
    item = _grant(owner, MAX_AMOUNT, "g")
    assert not _batch(users, [item], together=True).applied
    owner.spend(10, "s")
    assert _batch(users, [item], together=True).applied
