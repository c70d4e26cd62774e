"""The book of one wallet, proved without a database: what the domain wrote is right, and every edit of it is found."""

from __future__ import annotations

import random
import uuid
from datetime import timedelta
from typing import Any

import pytest

from tests.support.written_book import BEGINNING, Written, WrittenBook

DAY = timedelta(days=1)


@pytest.fixture
def story() -> WrittenBook:
    """Two credits, a spend from the open lot, a spend from two lots, a reversal of a part, a last spend."""
    made = WrittenBook()
    made.credit(10, expires_at=BEGINNING + DAY)
    made.credit(100, bonus=False)
    made.spend(4)
    made.spend(20)
    made.reverse(made.rows[3], 3)
    made.spend(1)
    return made


def test_what_the_domain_wrote_is_proved(story: WrittenBook) -> None:
    assert [row.posting.balance for row in story.rows] == [10, 110, 106, 86, 89, 88]
    assert story.findings() == []


@pytest.mark.parametrize(
    "change",
    [
        {"version": 9},
        {"id": uuid.UUID(int=4096 + 7)},
        {"id": uuid.UUID(int=4096 + 8)},
        {"debit": 4},
        {"credit": 4},
        {"credit": 99},
        {"amount": 5},
        {"balance": 1},
        {"lot": 9},
        {"at": BEGINNING},
        {"at": BEGINNING + DAY},
        {"cause": uuid.UUID(int=1)},
        {"hash": b"\x00" * 32},
        {"kind": "debit"},
        {"reference": "shield"},
        {"note": "a gift"},
        {"actor": "ann"},
        {"uses": [[1, 1], [2, 2]]},
        {"uses": [[1]]},
    ],
    ids=str,
)
@pytest.mark.parametrize("index", [2, 5])
def test_an_edited_column_of_a_spend_is_found(story: WrittenBook, index: int, change: dict[str, Any]) -> None:
    assert story.findings(rows=story.with_posting(index, **change)) != []


@pytest.mark.parametrize("index", range(6))
def test_a_posting_that_was_deleted_is_found(story: WrittenBook, index: int) -> None:
    assert story.findings(rows=[*story.rows[:index], *story.rows[index + 1 :]]) != []


def test_postings_that_changed_places_are_found(story: WrittenBook) -> None:
    first, second, *rest = story.rows
    assert "transfers: version 2 follows 0" in story.findings(rows=[second, first, *rest])


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        ({"balance": 89}, "balance is 89, derived 88"),
        ({"version": 7}, "version is 7, derived 6"),
        ({"held": 1}, "held is 1, derived 0"),
        ({"floor": -5}, "floor is -5, derived 0"),
        ({"head": b"\x00" * 32}, "head is 0000000000000000"),
        ({"changed_us": 1}, "its time is not that of its last posting"),
        ({"day_spent": 0}, "day_spent is 0, derived 22"),
        ({"month_spent": 23}, "month_spent is 23, derived 22"),
        ({"open_lot": 9}, "its open lot 9 does not exist"),
        ({"open_rank": 1}, "open_rank 1 is not that of its open lot"),
        ({"open_order": 3}, "there is no spend order 3"),
        ({"open_version": 99}, "there is no posting 99 to open a lot"),
    ],
)
def test_an_edited_column_of_the_account_is_named(story: WrittenBook, change: dict[str, Any], finding: str) -> None:
    found = story.findings(account=story.account._replace(**change))
    assert any(line.startswith(f"accounts: {finding}") for line in found), found


@pytest.mark.parametrize(
    "change",
    [
        {"granted": 101},
        {"remaining": 0},
        {"bonus": True},
        {"expires_at": BEGINNING + 2 * DAY},
        {"payment": "4712"},
        {"product": "pack"},
        {"value_minor": 1},
        {"currency": "CNY"},
        {"created_at": BEGINNING + DAY},
    ],
    ids=str,
)
def test_an_edited_column_of_a_lot_is_found(story: WrittenBook, change: dict[str, Any]) -> None:
    assert story.findings(rows=story.with_lot(1, **change)) != []


def test_a_lot_that_no_posting_made_is_found(story: WrittenBook) -> None:
    stray = story.rows[2]._replace(lot=story.rows[1].lot)
    assert "lots: no posting made it" in story.findings(rows=[*story.rows[:2], stray, *story.rows[3:]])


def test_a_reversal_of_more_than_was_spent_is_found(story: WrittenBook) -> None:
    of = story.rows[4].reversed_
    assert of is not None
    small = story.rows[4]._replace(reversed_=of._replace(amount=2))
    found = story.findings(rows=[*story.rows[:4], small, *story.rows[5:]])
    assert "transfers: it is not what it reverses, the other way round" in found


def test_one_edit_is_one_finding_and_the_walk_goes_on(story: WrittenBook) -> None:
    assert story.findings(rows=story.with_posting(0, note="a gift")) == [
        "transfers: its content does not give its hash"
    ]


@pytest.mark.parametrize("seed", range(25))
def test_whatever_happens_to_a_wallet_can_be_proved(seed: int) -> None:
    """A second account of the coins is kept here, as one number. The last posting is then edited, and found."""
    chance, made, coins = random.Random(seed), WrittenBook(), 0
    reversible: list[Written] = []
    for _ in range(40):
        made.now += timedelta(minutes=chance.randrange(600))
        made.expire()
        coins = made.book.balance
        what = chance.choice(("credit", "spend", "spend", "reverse"))
        if what == "reverse" and reversible:
            spent = reversible.pop(chance.randrange(len(reversible)))
            amount = chance.randint(1, spent.posting.amount)
            made.reverse(spent, amount)
            coins += amount
        elif what == "spend" and coins:
            amount = chance.randint(1, coins)
            made.spend(amount)
            reversible.append(made.rows[-1])
            coins -= amount
        else:
            amount = chance.randint(1, 50)
            until = chance.choice((None, made.now + chance.randint(1, 9) * DAY))
            made.credit(amount, bonus=chance.random() < 0.5, expires_at=until)
            coins += amount
        assert made.book.balance == coins
    assert made.findings() == []
    assert len({row.posting.kind for row in made.rows}) > 2
    assert made.findings(rows=made.with_posting(len(made.rows) - 1, actor="somebody")) != []
