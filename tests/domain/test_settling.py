"""The rules by which lines and entries are compared, without a database."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import pytest

from app.domain.differences import BookedEntry, DifferenceType, Told, difference_number, judge_entry, judge_line
from app.domain.settling import (
    MOST_LEFT_OVER,
    Ends,
    Moved,
    TooMuchLeftOver,
    Whose,
    balance_ends,
    pool_is_over,
    reconcile,
)

AT = datetime(2026, 1, 2, 4, tzinfo=UTC)
DAY = timedelta(days=1)
Row = TypeVar("Row", Told, BookedEntry)


def line(theirs: str, minor: int = 600, *, refund: str | None = None, reading: int = 1, key: str = "") -> Told:
    kind = "payment" if refund is None else "refund"
    name = key or f"{kind}:{theirs}:{refund}"
    return Told(theirs, kind, name, "1", refund, minor, "CNY", AT, 0, False, reading)


def entry(theirs: str, minor: int = 600, *, refund: str | None = None, fee: int | None = None) -> BookedEntry:
    kind = "payment" if refund is None else "refund"
    return BookedEntry(theirs, kind, "1", refund, minor, "CNY", AT, fee, 1, None)


def test_a_comparison_agrees_with_one_that_knows_everything_at_once() -> None:
    chance = random.Random(47)
    for _ in range(200):
        numbers = [f"T-{number}" for number in range(chance.randint(0, 12))]
        told = {number: chance.choice([600, 700]) for number in numbers if chance.random() < 0.8}
        booked = {number: chance.choice([600, 700]) for number in numbers if chance.random() < 0.8}
        parts = [(number, f"R-{part}") for number in numbers for part in range(2)]
        back_told = {part: -chance.choice([10, 20]) for part in parts if chance.random() < 0.5}
        back_booked = {part: -chance.choice([10, 20]) for part in parts if chance.random() < 0.5}
        lines = [line(number, minor) for number, minor in told.items()]
        lines += [line(number, minor, refund=name) for (number, name), minor in back_told.items()]
        entries = [entry(number, minor) for number, minor in booked.items()]
        entries += [entry(number, minor, refund=name) for (number, name), minor in back_booked.items()]
        done = reconcile(_sorted(lines, chance), _sorted(entries, chance), Whose())
        every_told, every_booked = {**told, **back_told}, {**booked, **back_booked}
        both = every_told.keys() & every_booked.keys()
        other = sum(every_told[name] != every_booked[name] for name in both)
        # Refunds of one payment under two names are one if they have one sum: nothing else tells them apart.
        alone_told, alone_booked = back_told.keys() - both, back_booked.keys() - both
        renamed = Counter((part[0], back_told[part]) for part in alone_told)
        renamed &= Counter((part[0], back_booked[part]) for part in alone_booked)
        assert Counter(found.type for found in done.found) == Counter({DifferenceType.AMOUNT: other} if other else {})
        assert done.matched == len(both) + renamed.total()
        assert len(done.left_lines) == len(every_told) - done.matched
        assert len(done.left_entries) == len(every_booked) - done.matched


def _sorted(things: list[Row], chance: random.Random) -> list[Row]:
    chance.shuffle(things)
    return sorted(things, key=lambda thing: thing.theirs)


def test_numbers_are_in_the_order_of_code_points() -> None:
    numbers = sorted(["a", "B", "é", "1", "10", "9", "中", "_"])
    done = reconcile([line(number) for number in numbers], [entry(number) for number in numbers], Whose())
    assert (done.matched, done.left_lines, done.left_entries) == (8, [], [])


def test_a_fee_is_compared_only_where_the_provider_told_one_when_it_was_asked() -> None:
    told = line("T-1")._replace(fee_minor=-4)
    assert reconcile([told], [entry("T-1")], Whose()).found == []
    assert reconcile([told], [entry("T-1", fee=4)], Whose()).found == []
    [found] = reconcile([told], [entry("T-1", fee=5)], Whose()).found
    assert (found.type, found.ours_minor, found.theirs_minor, found.moved_minor()) == ("fee", -5, -4, {})


def test_what_a_write_off_books_is_what_the_bill_has_more() -> None:
    assert judge_entry(entry("T-1"), None).moved_minor() == {"CNY": -600}
    assert judge_entry(entry("T-1", -200, refund="R"), None).moved_minor() == {"CNY": 200}
    assert judge_line(line("T-1"), None, None).moved_minor() == {"CNY": 600}
    assert judge_line(line("T-1"), entry("T-1"), None).moved_minor() == {}
    other = replace(judge_line(line("T-1")._replace(currency="JPY"), entry("T-1"), None))
    assert (other.type, other.moved_minor()) == ("currency", {"JPY": 600, "CNY": -600})


def test_the_pool_ends_with_the_bills_of_three_days_or_with_time() -> None:
    def covered(days: int) -> bool:
        return pool_is_over(AT, lambda moment: AT <= moment < AT + days * DAY, AT + DAY)

    assert (covered(3), covered(4)) == (False, True)
    assert pool_is_over(AT, lambda moment: False, AT + 4 * DAY)


def test_balances_follow_in_whatever_order_the_rows_are_and_a_missing_row_breaks_them() -> None:
    moves, balance, rows = [600, -4, 0, 600, -4, -900, 7], 100, list[Moved]()
    for moved in moves:
        balance += moved
        rows.append(Moved("CNY", balance, moved))
    random.Random(1).shuffle(rows)
    assert balance_ends(rows) == {"CNY": Ends(100, 399, 0)}
    assert balance_ends(row for row in rows if row.moved_minor != -900) == {"CNY": Ends(None, None, 1)}
    assert balance_ends([*rows, Moved("JPY", 5, 5)])["JPY"] == Ends(0, 5, 0)
    assert balance_ends([*rows, Moved("CNY", 1292, -4)])["CNY"].broken == 1
    assert balance_ends([*rows[1:], rows[0]._replace(balance_minor=None)]) == {}


def test_a_difference_has_one_number_for_ever_and_every_other_another() -> None:
    found = judge_entry(entry("T-1"), None)
    number = difference_number("shop", "trades", found)
    assert number == difference_number("shop", "trades", replace(found, ours_minor=5, at=AT + DAY))
    others = [("another", "trades", found), ("shop", "funds", found)]
    others.append(("shop", "trades", judge_entry(entry("T-2"), None)))
    assert number not in {difference_number(*other) for other in others}
    assert 0 < number < 2**63


def test_what_one_side_alone_has_in_masses_is_no_list_of_differences() -> None:
    one = line("T-1")
    with pytest.raises(TooMuchLeftOver):
        reconcile((one._replace(theirs=f"{number:09}") for number in range(MOST_LEFT_OVER + 1)), [], Whose())
    aliens = Whose(shared=True, our_numbers="x")
    assert reconcile([one, line("T-2")], [], aliens).not_ours == 2


def test_lines_of_one_payment_are_one_systems_and_a_refund_without_the_payments_number_is_found_by_its_own() -> None:
    """Account bills name a refund by the provider's number of its payment, or by the refund's number alone."""
    payment, refund = line("T-1")._replace(ours="shop-1"), line("T-1", -200, refund="R-1")._replace(ours=None)
    done = reconcile([payment, refund], [], Whose())
    assert (Counter(found.type for found in done.found), done.left_lines) == (Counter(not_ours=2), [])
    assert reconcile([payment, refund], [], Whose(shared=True)).not_ours == 2
    lines = [line("", -200, refund=name)._replace(ours=None) for name in ("R-1", "R-2")]
    done = reconcile(lines, [entry("T-1", -200, refund="R-1")], Whose(shared=True))
    assert (done.matched, done.not_ours, done.left_entries) == (1, 1, [])
