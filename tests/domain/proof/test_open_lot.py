"""The open lot of a wallet: it exists, nothing that can be spent comes before it, and both rows tell of its rest."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from app.domain.lots import NEVER, SpendOrder, rank
from app.domain.proof.lots import CLOCKS_DIFFER_US
from tests.support.written_book import BEGINNING, WrittenBook

SOON = BEGINNING + timedelta(days=1)
FIRST = "lot 1 comes before its open lot"


def two_lots() -> WrittenBook:
    """A lot that expires soon, which is open, and a lot that never expires."""
    made = WrittenBook()
    made.credit(10, expires_at=SOON)
    made.credit(20, bonus=False)
    return made


def open_at_second() -> dict[str, Any]:
    """The columns of an account whose second lot is open since its credit."""
    order = SpendOrder.BONUS_FIRST
    return {"open_lot": 2, "open_left": 20, "open_rank": rank(NEVER, False, order), "open_version": 2}


def test_the_first_lot_in_order_may_be_open() -> None:
    made = two_lots()
    assert made.account.open_lot == 1
    assert made.findings() == []


def test_a_lot_that_comes_later_may_not_be_open_as_long_as_an_earlier_one_can_be_spent() -> None:
    made = two_lots()
    account = made.account._replace(**open_at_second())
    assert made.findings(account) == [f"accounts: {FIRST}"]


@pytest.mark.parametrize(("late_us", "found"), [(-1, True), (0, False)])
def test_an_earlier_lot_that_expires_within_what_clocks_may_differ_is_passed_over(late_us: int, found: bool) -> None:
    made = two_lots()
    account = made.account._replace(**open_at_second())
    made.now = SOON - timedelta(microseconds=CLOCKS_DIFFER_US - late_us)
    assert (f"accounts: {FIRST}" in made.findings(account)) is found


def test_an_empty_lot_is_passed_over() -> None:
    made = two_lots()
    made.spend(10)
    made.spend(1)
    assert made.account.open_lot == 2
    assert made.findings() == []


def test_bonus_comes_first_among_lots_that_expire_together_and_then_age() -> None:
    made = WrittenBook()
    for bonus in (False, True, True):
        made.credit(5, bonus=bonus)
    made.spend(1)
    assert made.account.open_lot == 2
    assert made.findings() == []


def test_a_lot_that_came_in_may_come_first_until_the_next_spend_looks() -> None:
    made = WrittenBook()
    made.credit(20, bonus=False)
    made.credit(10, expires_at=SOON)
    assert (made.account.open_lot, made.account.open_order) == (1, 0)
    assert made.findings() == []
    made.spend(1)
    assert (made.account.open_lot, made.account.open_order) == (2, SpendOrder.BONUS_FIRST)
    assert made.findings() == []


def test_a_second_look_that_no_new_lot_asked_for_is_found() -> None:
    made = two_lots()
    made.spend(12)
    account = made.account._replace(open_order=0)
    assert made.findings(account) == ["accounts: its open lot is to be looked for again, but none came in"]


@pytest.mark.parametrize("left", [0, 9, 11])
def test_another_rest_of_the_open_lot_than_the_derived_one_is_found(left: int) -> None:
    made = two_lots()
    assert made.findings(made.account._replace(open_left=left)) == [f"lots: {left} remain, derived 10"]


@pytest.mark.parametrize("remaining", [0, 9, 11])
def test_the_row_of_the_open_lot_keeps_what_was_left_when_it_was_opened(remaining: int) -> None:
    made = two_lots()
    made.spend(3)
    assert made.rows[0].lot is not None
    assert made.rows[0].lot.remaining == 10
    found = made.findings(rows=made.with_lot(0, remaining=remaining))
    assert found == [f"lots: {remaining} remained when it was opened, derived 10"]


@pytest.mark.parametrize(("remaining", "right"), [(6, False), (7, True), (10, True), (11, False)])
def test_of_an_account_that_never_wrote_down_when_its_lot_was_opened_only_the_bounds_are_proved(
    remaining: int, right: bool
) -> None:
    made = two_lots()
    made.spend(3)
    account = made.account._replace(open_version=None)
    assert (made.findings(account, made.with_lot(0, remaining=remaining)) == []) is right


@pytest.mark.parametrize("column", ["open_left", "open_rank", "open_order", "open_version"])
def test_an_account_without_an_open_lot_tells_nothing_of_one(column: str) -> None:
    made = WrittenBook()
    assert made.findings() == []
    told: dict[str, Any] = {column: 1}
    assert made.findings(made.account._replace(**told)) == ["accounts: it tells of an open lot, and has none"]


def test_an_expired_lot_is_closed_and_the_next_one_opened() -> None:
    made = two_lots()
    made.now = SOON + timedelta(seconds=1)
    made.expire()
    assert [row.posting.kind for row in made.rows] == ["grant", "grant", "expiry"]
    assert made.account.open_lot == 2
    assert made.findings() == []
