"""Of an account that the provider pays out by itself, a payout that does not come is a difference until it comes."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from app.domain.bill_lines import BillLine, LineKind
from app.services.differences.difference_rows import resolve_difference
from tests.support.settling_house import DAY, NOON, SECOND_DAY, SettlingHouse, settling_house
from tests.support.world import World


@pytest.fixture
def house(world: World) -> SettlingHouse:
    return settling_house(world)


def row(kind: LineKind, day: int, minor: int, balance: int, hours: int = 0) -> BillLine:
    at = NOON + day * DAY + timedelta(hours=hours)
    return BillLine(f"{kind} {at}", kind, at, minor, "CNY", balance_minor=balance)


def bring(house: SettlingHouse, day: int, *lines: BillLine) -> list[tuple[str, int | None]]:
    """A day's account bill, and what is missing then."""
    house.bring(f"day {day}", lines, _begin(day), feed="funds")
    house.compare(_begin(day))
    return [(row.state, row.theirs_minor) for row in house.listed("all") if row.type == "payout_missing"]


def _begin(day: int) -> datetime:
    return SECOND_DAY + day * DAY


def test_money_that_is_not_paid_out_within_the_days_of_the_setting_is_told_once_and_gone_when_it_is_paid(
    house: SettlingHouse,
) -> None:
    house.set_account(pays_out_within_days=2)
    other = LineKind.OTHER
    assert bring(house, 0, row(other, 0, 600, 600), row(LineKind.PAYOUT, 0, -500, 100, 1)) == []
    assert bring(house, 1, row(other, 1, 300, 400)) == []
    assert bring(house, 2, row(other, 2, 50, 450)) == [], "what came in on the day before may be paid out on this day"
    assert bring(house, 3) == [("open", 300)]
    assert bring(house, 4, row(other, 4, 9, 459)) == [("open", 300)]
    only = house.only()
    resolve_difference(house.world.core, only.id, "the bank was closed", actor="mei")
    assert bring(house, 5, row(other, 5, 9, 468)) == [("resolved", 300)]
    assert bring(house, 6, row(LineKind.PAYOUT, 6, -368, 100)) == [("resolved", 300)]
    assert bring(house, 7) == [("resolved", 300)], "100 stay there: a reserve"
    assert bring(house, 8) == [("resolved", 300)]
    bring(house, 9, row(other, 9, 40, 140))
    bring(house, 10)
    assert sorted(bring(house, 11)) == [("open", 40), ("resolved", 300)]
    assert sorted(bring(house, 12, row(LineKind.PAYOUT, 12, -140, 0))) == [("gone", 40), ("resolved", 300)]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_no_payout_is_missed_where_a_bill_is_missing_or_nobody_expects_one(house: SettlingHouse) -> None:
    in_row = row(LineKind.OTHER, 0, 600, 600)
    assert [bring(house, 0, in_row), bring(house, 1), bring(house, 2), bring(house, 3)] == [[], [], [], []]
    house.set_account(pays_out_within_days=2)
    assert bring(house, 5) == [], "the fourth day's bill is not there"
    assert bring(house, 4) == [("open", 600)]
