"""Posting and spending: lots in order, repeats, refusals that stay, limits."""

from __future__ import annotations

from datetime import timedelta, timezone

import pytest
from sqlalchemy import select, update

from app.domain.ledger import (
    MAX_AMOUNT,
    BalanceOverflow,
    InsufficientFunds,
    KeyConflict,
    Lot,
    Posted,
    Refused,
    Transfer,
    system,
    wallet,
)
from app.domain.limits import LedgerRules, SpendLimit
from app.domain.lots import SpendOrder
from app.domain.spending import debit
from app.models.ledger import ACCOUNTS, LOTS, TRANSFERS
from app.services.base.transaction import Sessions, read, transact
from app.services.ledger import balances, post, spend
from tests.support.wallet_owner import DAY, NOW, WalletOwner, code


def _lots(owner: WalletOwner) -> list[tuple[int, int]]:
    """What is left of each lot, by version, wherever it is kept."""
    left = select(LOTS.c.version, LOTS.c.remaining, ACCOUNTS.c.open_lot, ACCOUNTS.c.open_left).join(
        ACCOUNTS, (ACCOUNTS.c.slot == LOTS.c.slot) & (ACCOUNTS.c.id == LOTS.c.account_id)
    )
    rows = read(
        owner.sessions, lambda s: s.execute(left.where(LOTS.c.slot == owner.slot).order_by(LOTS.c.version)).all()
    )
    return [(v, opened if v == lot else remaining) for v, remaining, lot, opened in rows]


def _paid_order(owner: WalletOwner, number: str = "P1") -> list[Transfer]:
    return [
        Transfer("paid", number, system("clearing:x", "CNY"), system("sales", "CNY"), 600, "payment", number),
        Transfer("coins", number, system("issuance", "coin"), owner.wallet(), 60, "grant", lot=Lot(bonus=False)),
        Transfer("bonus", number, system("issuance", "coin"), owner.wallet(), 10, "grant", lot=Lot(bonus=True)),
    ]


def test_a_paid_order_moves_money_and_coins_together_and_once(owner: WalletOwner) -> None:
    first = owner.do(post, _paid_order(owner))
    again = owner.do(post, _paid_order(owner))
    assert [p.repeated for p in first] == [False] * 3
    assert [p.repeated for p in again] == [True] * 3
    assert [p.id for p in first] == [p.id for p in again]
    assert owner.balance().balance == 70
    assert owner.findings() == []


def test_a_key_with_other_content_is_a_conflict_and_books_nothing(owner: WalletOwner) -> None:
    owner.do(post, _paid_order(owner))
    changed = _paid_order(owner)
    changed[1] = Transfer("coins", "P1", system("issuance", "coin"), owner.wallet(), 61, "grant", lot=Lot(bonus=False))
    with pytest.raises(KeyConflict):
        owner.do(post, changed)
    other_lot = Transfer("coins", "P1", system("issuance", "coin"), owner.wallet(), 60, "grant", lot=Lot(bonus=True))
    with pytest.raises(KeyConflict):
        owner.do(post, [other_lot])
    assert owner.balance().balance == 70


def test_all_or_nothing_when_one_transfer_cannot_be_booked(owner: WalletOwner) -> None:
    takes = Transfer("x", "1", owner.wallet(), system("revenue", "coin"), 1000, "correction")
    with pytest.raises(InsufficientFunds):
        owner.do(post, [*_paid_order(owner), takes])
    assert owner.balance().balance == 0
    assert owner.lines() == ()


def test_a_balance_above_63_bits_is_a_clear_refusal(owner: WalletOwner) -> None:
    owner.credit(MAX_AMOUNT)
    with pytest.raises(BalanceOverflow):
        owner.credit(1)
    assert owner.balance().balance == MAX_AMOUNT
    assert isinstance(owner.spend(MAX_AMOUNT), Posted)
    owner.credit(1)
    assert code(owner.spend(1)) == "spend_limit"  # 2^63 coins in one day: what was spent could not be counted any more
    assert owner.findings() == []


def test_sandbox_coins_and_other_assets_lie_apart(owner: WalletOwner) -> None:
    owner.credit(5)
    owner.credit(7, asset="gem")
    issue, mine = system("issuance", "coin", "sandbox"), wallet(owner.user, "coin", "sandbox")
    owner.do(post, [Transfer("t", "s", issue, mine, 9, "grant")])
    found = read(owner.sessions, lambda s: balances(s, owner.slot, owner.user))
    assert [(b.asset, b.environment, b.available) for b in found] == [
        ("coin", "live", 5),
        ("coin", "sandbox", 9),
        ("gem", "live", 7),
    ]
    assert code(owner.spend(6)) == "insufficient_funds"


def test_a_spend_takes_the_lot_that_expires_first_then_bonus_then_the_oldest(owner: WalletOwner) -> None:
    owner.credit(10, lot=Lot(bonus=False))
    owner.credit(10, lot=Lot(bonus=True))
    owner.credit(10, lot=Lot(bonus=False, expires_at=NOW + 2 * DAY))
    owner.credit(10, lot=Lot(bonus=False, expires_at=NOW + DAY))
    owner.credit(10, lot=Lot(bonus=True))
    owner.spend(4)
    assert _lots(owner) == [(1, 10), (2, 10), (3, 10), (4, 6), (5, 10)]
    owner.spend(20)
    assert _lots(owner) == [(1, 10), (2, 6), (3, 0), (4, 0), (5, 10)]
    owner.spend(17)
    assert _lots(owner) == [(1, 9), (2, 0), (3, 0), (4, 0), (5, 0)]
    assert owner.findings() == []


def test_the_setting_puts_paid_coins_first_also_after_a_lot_was_opened(books: Sessions) -> None:
    owner = WalletOwner(books)
    owner.credit(10, lot=Lot(bonus=False))
    owner.credit(10, lot=Lot(bonus=True))
    owner.spend(1)
    owner.rules = LedgerRules(SpendOrder.PAID_FIRST)
    owner.spend(2)
    assert _lots(owner) == [(1, 8), (2, 9)]
    owner.rules = LedgerRules(SpendOrder.BONUS_FIRST)
    owner.spend(3)
    assert _lots(owner) == [(1, 8), (2, 6)]


def test_a_spend_over_several_lots_is_one_transfer_and_repeats_as_one(owner: WalletOwner) -> None:
    for _ in range(3):
        owner.credit(10)
    first = owner.spend(25, "k")
    owner.credit(100)
    again = owner.spend(25, "k")
    assert isinstance(first, Posted)
    assert isinstance(again, Posted)
    assert (again.id, again.version, again.balance, again.repeated) == (first.id, first.version, first.balance, True)
    uses = select(TRANSFERS.c.lot, TRANSFERS.c.uses).where(TRANSFERS.c.slot == owner.slot, TRANSFERS.c.kind == "spend")
    assert read(owner.sessions, lambda s: s.execute(uses).all()) == [(0, [[1, 10], [2, 10], [3, 5]])]
    assert owner.balance().balance == 105


def test_a_new_lot_that_comes_first_is_used_first(owner: WalletOwner) -> None:
    owner.credit(10)
    owner.spend(1)
    owner.credit(10, lot=Lot(expires_at=NOW + DAY))
    owner.spend(1)
    assert _lots(owner) == [(1, 9), (3, 9)]


def test_a_refusal_stays_a_refusal_for_its_key(owner: WalletOwner) -> None:
    owner.credit(5)
    first = owner.spend(6, "k")
    owner.credit(100)
    again = owner.spend(6, "k")
    assert isinstance(first, Refused)
    assert first.details == {"amount": 6, "balance": 5, "held": 0, "available": 5}
    assert isinstance(again, Refused)
    assert (again.code, again.details, again.repeated) == (first.code, first.details, True)
    assert isinstance(owner.spend(6, "k2"), Posted)
    with pytest.raises(KeyConflict):
        owner.spend(7, "k")


def test_one_key_of_two_users_is_two_requests(books: Sessions) -> None:
    owners = [WalletOwner(books), WalletOwner(books)]
    for owner in owners:
        owner.credit(10)
        assert isinstance(owner.spend(3, "same"), Posted)
        assert owner.balance().balance == 7


def test_a_user_without_a_wallet_is_refused(owner: WalletOwner) -> None:
    assert code(owner.spend(1, "k")) == "insufficient_funds"
    assert code(owner.spend(1, "k")) == "insufficient_funds"


def test_a_frozen_account_spends_nothing_and_still_receives(owner: WalletOwner) -> None:
    owner.credit(10)
    freeze = update(ACCOUNTS).where(ACCOUNTS.c.slot == owner.slot, ACCOUNTS.c.user_id == owner.user)
    transact(owner.sessions, lambda s: s.execute(freeze.values(frozen=True)))
    assert code(owner.spend(1)) == "wallet_frozen"
    owner.credit(5)
    assert owner.balance().balance == 15


@pytest.mark.parametrize(("period", "limit"), [("day", SpendLimit(day=10)), ("month", SpendLimit(month=10))])
def test_a_spend_over_the_limit_is_refused_with_the_limit(books: Sessions, period: str, limit: SpendLimit) -> None:
    owner = WalletOwner(books, rules=LedgerRules(limits={"coin": limit}))
    owner.credit(100)
    owner.credit(100, asset="gem")
    assert isinstance(owner.spend(7), Posted)
    refused = owner.spend(4)
    assert isinstance(refused, Refused)
    assert refused.code == "spend_limit"
    assert refused.details == {"period": period, "limit": 10, "spent": 7, "amount": 4}
    assert isinstance(owner.spend(3), Posted)
    assert isinstance(owner.spend(90, asset="gem"), Posted)
    owner.now += DAY if period == "day" else 31 * DAY
    assert isinstance(owner.spend(10), Posted)


def test_days_are_those_of_the_configured_zone(books: Sessions) -> None:
    beijing = timezone(timedelta(hours=8))
    owner = WalletOwner(books, rules=LedgerRules(limits={"coin": SpendLimit(day=10)}, zone=beijing))
    owner.credit(100)
    owner.now = NOW.replace(hour=15, minute=59)
    assert isinstance(owner.spend(10), Posted)
    assert code(owner.spend(1)) == "spend_limit"
    owner.now = NOW.replace(hour=16)  # midnight in Beijing
    assert isinstance(owner.spend(10), Posted)


def test_an_operators_debit_names_reason_and_actor_and_ignores_limits(books: Sessions) -> None:
    owner = WalletOwner(books, rules=LedgerRules(limits={"coin": SpendLimit(day=1)}))
    owner.credit(100)
    request = debit(owner.user, "coin", 40, "d", reason="chargeback", actor="ann")
    assert isinstance(owner.do(spend, request), Posted)
    line = owner.lines()[-1]
    assert (line.kind, line.amount, line.note, line.other) == ("debit", -40, "chargeback", "adjustment")
    assert isinstance(owner.spend(1), Posted)
    assert code(owner.do(spend, debit(owner.user, "coin", 60, "e", reason="more", actor="ann"))) == "insufficient_funds"
    assert owner.findings() == []


def test_times_of_an_account_never_go_back(owner: WalletOwner) -> None:
    owner.credit(10)
    owner.now -= DAY
    assert isinstance(owner.spend(1), Posted)
    assert [line.at for line in owner.lines()] == [NOW, NOW]
    assert owner.findings() == []
