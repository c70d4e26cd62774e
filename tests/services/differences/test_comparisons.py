"""Bills and books are compared both ways: each kind of difference is found with its type, and nothing else is."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest

from app.domain.bill_lines import BillLine, LineKind
from app.domain.money import Money
from app.providers.facts import Kind, Ref
from app.services.differences.difference_rows import resolve_difference
from app.services.differences.due_comparisons import compare_due
from tests.support.facts import told
from tests.support.settling_house import DAY, NOON, SECOND_DAY, SettlingHouse, alien_line, line_of, settling_house
from tests.support.world import World

NOBODYS = "1234567890123456789"
"""A number of our shape that was never given out."""


@pytest.fixture
def house(world: World) -> SettlingHouse:
    return settling_house(world)


def test_each_kind_of_difference_is_found_with_its_type_and_nothing_else_is(house: SettlingHouse) -> None:
    same, missing, amount, currency = (house.paid(f"user {n}") for n in range(4))
    fee, status, late = house.paid("fee", fee=Money(6, "CNY")), house.ordered("status"), house.paid("late")
    back, not_back, extra = (house.paid(f"refunded {n}") for n in range(3))
    gone, not_told = house.refunded(back, "R-1", 200), house.refunded(not_back, "R-2", 300)
    twice = house.paid("twice")
    lines = [
        line_of(same),
        line_of(amount, amount_minor=700),
        line_of(currency, currency="JPY"),
        line_of(fee, fee_minor=-5),
        alien_line("T-status", str(status)),
        *(line_of(fact) for fact in (back, not_back, extra, gone)),
        line_of(gone, key="an extra one", theirs=extra.ref.theirs, ours=extra.ref.ours, refund="R-3"),
        line_of(gone, key="undecided", theirs=same.ref.theirs, ours=same.ref.ours, refund="R-4", undecided=True),
        line_of(twice),
        line_of(twice, key="the second row"),
        alien_line("T-nobody", NOBODYS),
        alien_line("T-shop", "shop-77"),
    ]
    house.bring("2026-01-02", lines)
    house.bring("2026-01-12", [line_of(late, at=NOON + 10 * DAY)], SECOND_DAY + 10 * DAY)
    house.world.clock.advance(30 * 86_400)
    done = house.compare()
    assert (done.matched, done.undecided, done.not_ours, done.waiting, done.gaps) == (9, 1, 0, 0, [])
    every = ["ours_not_theirs", "theirs_not_ours", "amount", "currency", "fee", "status", "refund_missing"]
    assert house.types() == Counter([*every, "refund_extra", "duplicate", "late", "not_ours"])
    about = {row.type: (row.theirs, row.refund, row.ours_minor, row.theirs_minor) for row in house.listed()}
    assert about["ours_not_theirs"] == (missing.ref.theirs, None, 600, None)
    assert about["refund_missing"] == (not_told.ref.theirs, "R-2", -300, None)
    assert about["refund_extra"] == (extra.ref.theirs, "R-3", None, -200)
    assert about["amount"] == (amount.ref.theirs, None, 600, 700)
    assert about["fee"] == (fee.ref.theirs, None, -6, -5)
    assert about["late"] == (late.ref.theirs, None, 600, 600)
    before = house.listed()
    again = house.compare()
    assert (again.kept.opened, again.kept.reopened, again.kept.gone) == (0, 0, 0)
    assert house.listed() == before
    assert house.compare(SECOND_DAY + 10 * DAY).kept.opened == 0, "the late one is the same from both of its days"


def _fund(number: int, moved: int, balance: int) -> BillLine:
    at = NOON + timedelta(minutes=number)
    return BillLine(f"F-{number}", LineKind.OTHER, at, moved, "CNY", balance_minor=balance)


def test_nothing_is_a_difference_while_its_row_may_still_come_and_a_neighbouring_day_settles_it(
    house: SettlingHouse,
) -> None:
    midnight = SECOND_DAY + DAY - timedelta(milliseconds=100)
    late, at_once = house.paid("a", at=midnight), house.paid("b")
    house.bring("2026-01-02", [line_of(at_once)])
    house.world.clock.advance(86_400)
    done = house.compare()
    assert (done.matched, done.waiting, house.listed("all")) == (1, 1, [])
    house.bring("2026-01-03", [line_of(late, at=midnight + timedelta(seconds=2))], SECOND_DAY + DAY)
    assert house.compare(days=2).matched == 2
    house.world.clock.advance(10 * 86_400)
    house.compare(days=2)
    assert house.listed("all") == []


def test_a_refund_that_a_bill_tells_as_in_progress_and_that_takes_a_week_is_no_difference(house: SettlingHouse) -> None:
    paid = house.paid("a")
    house.world.clock.advance(8 * 86_400)
    slow = house.refunded(paid, "R-1", 200, at=NOON + 7 * DAY)
    house.bring("2026-01-02", [line_of(paid), line_of(slow, at=NOON, undecided=True)])
    house.bring("2026-01-09", [], SECOND_DAY + 7 * DAY)
    house.world.clock.advance(30 * 86_400)
    for days in (0, 7):
        house.compare(SECOND_DAY + days * DAY)
    assert house.listed("all") == []


def test_a_refund_that_was_done_and_failed_afterwards_is_no_difference_of_the_day_on_which_it_was_done(
    house: SettlingHouse,
) -> None:
    """Its bill tells of it, and a later one of the money that came back. In another size it is a difference."""
    first, second = house.paid("a"), house.paid("b")
    done, other = house.refunded(first, "R-1", 200), house.refunded(second, "R-2", 200)
    house.bring("2026-01-02", [*map(line_of, (first, second, done)), line_of(other, amount_minor=-300)])
    house.world.clock.advance(3 * 86_400)
    for fact in (done, other):
        told(house.world, replace(fact, kind=Kind.REFUND_FAILED, at=NOON + 2 * DAY))
    house.compare()
    [row] = house.listed("all")
    assert (row.type, row.refund) == ("status", "R-2")


@pytest.mark.parametrize("has_trade_bills", [True, False])
def test_money_that_an_account_bill_tells_after_a_week_is_no_difference_where_the_provider_settles_so(
    house: SettlingHouse, has_trade_bills: bool
) -> None:
    house.set_account(settles_within_days=8)
    paid = house.paid("a", fee=Money(6, "CNY"))
    for day in (0, 7):
        moved = [line_of(paid, fee_minor=0, at=NOON + 7 * DAY)] if day else []
        house.bring(f"funds {day}", moved, SECOND_DAY + day * DAY, feed="funds")
    if has_trade_bills:
        house.bring("trades", [line_of(paid)])
    house.world.clock.advance(30 * 86_400)
    for day in (0, 7):
        house.compare(SECOND_DAY + day * DAY)
    assert house.listed("all") == []


def test_the_worker_finds_money_that_is_not_settled_within_the_days_of_its_provider(house: SettlingHouse) -> None:
    house.set_account(settles_within_days=8)
    house.paid("a")
    house.bring("2026-01-02", [], feed="funds")
    found = list[int]()
    for day in range(1, 13):
        house.world.clock.advance(86_400)
        compare_due(house.world.core, [house.account], 10)
        found += [day] if house.types() == Counter(["ours_not_theirs"]) else []
    assert found[:1] == [10], "eight days, and the rest of the last one"


def test_a_wrong_time_that_a_bill_told_is_no_difference_any_more_once_the_bill_is_made_anew(
    house: SettlingHouse,
) -> None:
    paid = house.paid("a")
    house.world.clock.advance(86_400)
    house.bring("2026-01-02", [line_of(paid, at=NOON - 6 * DAY)])
    compare_due(house.world.core, [house.account], 10)
    assert house.types() == Counter(["late"])
    house.bring("2026-01-02", [line_of(paid)])
    compare_due(house.world.core, [house.account], 10)
    assert house.listed() == []


def test_days_without_a_bill_say_nothing_about_the_books(house: SettlingHouse) -> None:
    house.paid("a")
    house.world.clock.advance(30 * 86_400)
    assert house.compare().side is None
    house.bring("2026-01-03", [], SECOND_DAY + DAY)
    assert house.compare(days=2).gaps == [(SECOND_DAY, SECOND_DAY + DAY)]
    assert house.listed("all") == []


def test_rows_of_another_system_on_a_shared_account_are_counted_and_a_lost_payment_of_ours_is_still_found(
    house: SettlingHouse,
) -> None:
    lines = [alien_line("T-1", "shop-1"), alien_line("T-2", None), alien_line("T-3", NOBODYS)]
    house.set_account(shared=True)
    house.bring("2026-01-02", lines)
    assert (house.compare().not_ours, house.types()) == (2, Counter(["theirs_not_ours"]))
    house.set_account(our_numbers="shop-[0-9]+")
    assert house.compare().not_ours == 2
    assert [row.theirs for row in house.listed()] == ["T-1"]


def test_a_row_is_told_twice_in_one_bill_or_over_two_but_not_where_two_bills_cover_one_time(
    house: SettlingHouse,
) -> None:
    paid = house.paid("a")
    refunded = house.refunded(paid, "R-1", 200)
    rows = [line_of(paid), line_of(refunded)]
    house.bring("2026-01-02", rows)
    house.bring("the month", rows)
    assert house.compare().matched == 2
    assert house.listed("all") == []
    house.bring("2026-01-03", rows, SECOND_DAY + DAY)
    house.compare(days=2)
    assert house.types() == Counter({"duplicate": 2})
    house.bring("2026-01-03", [], SECOND_DAY + DAY)
    assert house.compare(days=2).kept.gone == 2
    house.bring("2026-01-02", [*rows, rows[0]])
    house.bring("the month", [])
    house.compare(days=2)
    assert house.types() == Counter(["duplicate"])


def test_a_line_without_the_providers_number_is_matched_by_ours_and_a_refund_by_its_sum(house: SettlingHouse) -> None:
    first, second = house.paid("a"), house.paid("b")
    refunded = house.refunded(second, "R-1", 200)
    house.bring(
        "2026-01-02", [line_of(first, theirs=None), line_of(second), line_of(refunded, refund="their own name")]
    )
    house.world.clock.advance(30 * 86_400)
    assert house.compare().matched == 3
    assert house.listed("all") == []
    again = line_of(second, theirs=None, key="told once more, without the number")
    house.bring("2026-01-02", [line_of(first, theirs=None), line_of(second), line_of(refunded), again])
    house.compare()
    assert house.types() == Counter(["duplicate"])


def test_what_is_not_found_any_more_closes_and_what_a_person_settled_too_early_opens_again(
    house: SettlingHouse,
) -> None:
    paid = house.paid("a")
    house.bring("2026-01-02", [])
    house.world.clock.advance(30 * 86_400)
    house.compare()
    row = house.only()
    resolve_difference(house.world.core, row.id, "the shop says that it is fine", actor="wang")
    assert house.compare().kept.reopened == 1
    house.bring("2026-01-02", [line_of(paid)])
    assert house.compare().kept.gone == 1
    assert (house.again(row).state, house.listed()) == ("gone", [])
    house.bring("2026-01-02", [line_of(paid, theirs="T-another", ours=None, undecided=True)])
    assert house.compare().kept.reopened == 1
    assert house.again(row).closed_at is None


def test_money_in_suspense_is_booked_and_its_refund_too(house: SettlingHouse) -> None:
    paid = house.paid("a")
    parked = replace(paid, ref=Ref(NOBODYS, "T-parked"), owner=None)
    assert told(house.world, parked).outcome == "parked"
    refunded = house.refunded(parked, "R-1", 600)
    house.bring("2026-01-02", [line_of(paid), line_of(parked), line_of(refunded)])
    house.world.clock.advance(30 * 86_400)
    assert house.compare().matched == 3
    assert house.listed("all") == []


def test_an_account_bill_has_to_begin_where_the_one_before_it_ended(house: SettlingHouse) -> None:
    first, last = _fund(1, 600, 600), _fund(2, -4, 596)
    house.bring("day 2", [first, last], feed="funds")
    house.bring("day 3", [_fund(3, 600, 1196)], SECOND_DAY + DAY, feed="funds")
    house.compare(days=2)
    assert house.listed() == []
    house.world.clock.advance(1)
    house.bring("day 2", [first], feed="funds")
    house.compare(SECOND_DAY + DAY)
    assert (house.only().type, house.only().ours_minor, house.only().theirs_minor) == ("balance", 600, 596)
    house.bring("day 2", [first, last], feed="funds")
    house.bring("day 3", [_fund(3, 600, 1196), _fund(4, 600, 1896)], SECOND_DAY + DAY, feed="funds")
    house.compare(SECOND_DAY + DAY)
    assert (house.only().type, house.only().ours_minor, house.only().theirs_minor) == ("balance", 596, None)
