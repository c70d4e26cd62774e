"""Statements, balances in the past, lots that expire, deferred revenue."""

from __future__ import annotations

import pytest

from app.domain.ledger import InvalidTransfer, Lot, Posted, Transfer, system
from app.services.base.transaction import read
from app.services.ledger import balance_at, post, statement
from app.services.ledger.deferred import deferred_revenue
from tests.support.wallet_owner import DAY, HOUR, NOW, WalletOwner, code


def test_a_statement_pages_without_gaps_in_both_directions(owner: WalletOwner) -> None:
    owner.credit(100)
    for i in range(1, 12):
        owner.spend(i)
    for newest_first in (False, True):
        versions: list[int] = []
        cursor: int | None = None
        while True:
            page = read(
                owner.sessions,
                lambda s, c=cursor, n=newest_first: statement(
                    s, owner.slot, owner.wallet(), cursor=c, limit=5, newest_first=n
                ),
            )
            versions += [line.version for line in page.lines]
            cursor = page.cursor
            if cursor is None:
                break
        assert versions == (list(range(12, 0, -1)) if newest_first else list(range(1, 13)))


def test_each_line_says_what_moved_where_and_what_was_left(owner: WalletOwner) -> None:
    owner.credit(10, key=f"a{owner.user}")
    owner.spend(3, "k", reference="level-7", note="sword")
    lines = owner.lines()
    assert [(line.amount, line.balance, line.other) for line in lines] == [(10, 10, "issuance"), (-3, 7, "revenue")]
    assert (lines[1].kind, lines[1].reference, lines[1].note, lines[1].at) == ("spend", "level-7", "sword", NOW)


def test_an_account_that_was_never_used_has_an_empty_statement(owner: WalletOwner) -> None:
    page = read(owner.sessions, lambda s: statement(s, owner.slot, owner.wallet()))
    assert (page.lines, page.cursor) == ((), None)
    assert read(owner.sessions, lambda s: balance_at(s, owner.slot, owner.wallet(), NOW)) == 0
    assert owner.balance().balance == 0


def test_a_system_account_has_no_statement(owner: WalletOwner) -> None:
    with pytest.raises(InvalidTransfer):
        read(owner.sessions, lambda s: statement(s, owner.slot, system("revenue", "coin")))


def test_the_balance_at_a_moment_is_that_after_the_last_posting_until_then(owner: WalletOwner) -> None:
    owner.credit(100)
    for _ in range(9):
        owner.now += HOUR
        owner.spend(10)
    moments = {NOW - HOUR: 0, NOW: 100, NOW + HOUR / 2: 100, NOW + HOUR: 90, NOW + 5 * HOUR: 50, NOW + DAY: 10}
    for moment, expected in moments.items():
        found = read(owner.sessions, lambda s, m=moment: balance_at(s, owner.slot, owner.wallet(), m))
        assert found == expected, moment


def test_expired_coins_leave_by_a_transfer_that_the_statement_shows(owner: WalletOwner) -> None:
    owner.credit(10, lot=Lot(expires_at=NOW + DAY))
    owner.credit(5)
    owner.spend(4)
    owner.now += DAY
    assert code(owner.spend(6)) == "insufficient_funds"
    assert isinstance(owner.spend(5), Posted)
    owner.sweep()
    assert [(line.kind, line.amount, line.balance) for line in owner.lines()] == [
        ("grant", 10, 10),
        ("grant", 5, 15),
        ("spend", -4, 11),
        ("expiry", -6, 5),
        ("spend", -5, 0),
    ]
    assert owner.findings() == []


def test_the_worker_expires_lots_that_nobody_touches(owner: WalletOwner) -> None:
    owner.credit(10, lot=Lot(expires_at=NOW + DAY))
    owner.credit(10, lot=Lot(expires_at=NOW + 2 * DAY))
    owner.now += 3 * DAY
    assert owner.sweep() >= 1
    assert owner.balance().balance == 0
    assert [line.other for line in owner.lines()[2:]] == ["expired", "expired"]
    assert owner.sweep() == 0
    assert owner.findings() == []


def test_deferred_revenue_is_the_value_of_unspent_paid_coins(owner: WalletOwner) -> None:
    pack = f"pack-{owner.user}"

    def buy(key: str, coins: int, cents: int) -> None:
        lot = Lot(bonus=False, payment=key, product=pack, value_minor=cents, currency="CNY")
        issue = system("issuance", "coin")
        owner.do(post, [Transfer(f"buy {owner.user}", key, issue, owner.wallet(), coins, "grant", lot=lot)])

    def report() -> list[tuple[str, int, int]]:
        found = read(owner.sessions, deferred_revenue)
        return [(k.month, v.coins, v.value_minor) for k, v in found.items() if k.product == pack]

    buy("1", 60, 600)
    owner.credit(10, lot=Lot(bonus=True, product=pack))
    assert report() == [("2026-03", 60, 600)]
    owner.spend(10 + 25)  # the bonus first, then 25 of the paid
    assert report() == [("2026-03", 35, 350)]
    owner.now += 31 * DAY
    buy("2", 3, 100)
    owner.spend(35 + 1)
    assert report() == [("2026-04", 2, 67)]
    owner.spend(2)
    assert report() == []
