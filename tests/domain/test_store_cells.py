"""Units and money of a store's reports, beside what our own facts say."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.bill_lines import BillLine, LineKind, StoreCell
from app.domain.store_cells import (
    StoreFigure,
    UnitDifference,
    UnitEntry,
    UnitFault,
    compare_months,
    compare_units,
    estimated_share,
    figures_of_store,
    shares_of_store,
)

FIRST = date(2026, 4, 1)
DAYS = [FIRST + timedelta(days=number) for number in range(6)]
OURS, THEIRS, NOT_OURS = UnitFault.OURS_NOT_THEIRS, UnitFault.THEIRS_NOT_OURS, UnitFault.NOT_OURS


def entries(*days: tuple[int, int], territory: str | None = "CN", product: str = "coins") -> list[UnitEntry]:
    return [UnitEntry(product, DAYS[day], units, territory) for day, units in days]


def shown(found: list[UnitDifference]) -> list[tuple[str, int, int]]:
    return [(one.fault.value, DAYS.index(one.day), one.units) for one in found]


def test_units_of_neighbouring_days_are_one_purchase_and_of_others_are_not() -> None:
    assert compare_units(entries((1, 3), (2, 1)), entries((2, 3), (3, 1)), reported=DAYS) == []
    assert shown(compare_units(entries((1, 1)), entries((3, 1)), reported=DAYS)) == [
        ("ours_not_theirs", 1, 1),
        ("theirs_not_ours", 3, 1),
    ]


def test_each_planted_difference_is_found_with_its_type_and_no_other() -> None:
    ours = [*entries((1, 5), (2, 7)), *entries((2, 2), territory="JP")]
    theirs = [*entries((1, 5), (2, 8)), *entries((2, 1), territory="JP"), *entries((3, 4), product="gems")]
    assert compare_units(ours, theirs, reported=DAYS, products={"coins"}) == [
        UnitDifference(THEIRS, "coins", "CN", DAYS[2], 1),
        UnitDifference(OURS, "coins", "JP", DAYS[2], 1),
        UnitDifference(NOT_OURS, "gems", "CN", DAYS[3], 4),
    ]


def test_an_entry_of_ours_is_missed_only_where_all_days_that_may_tell_it_were_reported() -> None:
    assert compare_units(entries((2, 1)), [], reported=DAYS[:3]) == []
    assert shown(compare_units(entries((2, 1)), [], reported=DAYS[:4])) == [("ours_not_theirs", 2, 1)]


def test_a_purchase_of_unknown_territory_is_the_one_that_a_territory_has_too_many() -> None:
    ours = [*entries((1, 1)), *entries((1, 2), territory=None)]
    theirs = [*entries((1, 2)), *entries((2, 1), territory="JP")]
    assert compare_units(ours, theirs, reported=DAYS) == []
    assert compare_units([*ours, *entries((2, 1), territory=None)], theirs, reported=DAYS) == [
        UnitDifference(OURS, "coins", None, DAYS[2], 1)
    ]


_counts = st.lists(st.integers(0, 2), min_size=4, max_size=4)


@given(_counts, _counts)
def test_no_other_pairing_explains_more(ours: list[int], theirs: list[int]) -> None:
    """Beside all pairings that there are, tried one after another."""
    mine = entries(*((day + 1, units) for day, units in enumerate(ours) if units))
    other = entries(*((day + 1, units) for day, units in enumerate(theirs) if units))
    found = compare_units(mine, other, reported=DAYS)
    left = sum(one.units for one in found if one.fault is OURS)
    assert left == sum(ours) - _most_pairs(tuple(ours), tuple(theirs))
    assert sum(one.units for one in found if one.fault is THEIRS) == sum(theirs) - (sum(ours) - left)


def _most_pairs(ours: tuple[int, ...], theirs: tuple[int, ...]) -> int:
    return _pairs(tuple(day for day, units in enumerate(ours) for _ in range(units)), theirs)


@cache
def _pairs(days: tuple[int, ...], left: tuple[int, ...]) -> int:
    """The first purchase stays alone, or takes one of the units that it may; whichever is best for the rest."""
    if not days:
        return 0
    best = _pairs(days[1:], left)
    for there in (days[0] - 1, days[0], days[0] + 1):
        if 0 <= there < len(left) and left[there]:
            taken = (*left[:there], left[there] - 1, *left[there + 1 :])
            best = max(best, 1 + _pairs(days[1:], taken))
    return best


def test_refunds_are_compared_by_month() -> None:
    ours = [UnitEntry("coins", FIRST, 3, "CN"), UnitEntry("coins", FIRST, 1, None)]
    theirs = [UnitEntry("coins", FIRST, 2, "CN"), UnitEntry("coins", FIRST, 1, "JP"), UnitEntry("gems", FIRST, 1, "CN")]
    assert compare_months(ours, theirs, {"coins"}) == [
        UnitDifference(OURS, "coins", "CN", FIRST, 1),
        UnitDifference(NOT_OURS, "gems", "CN", FIRST, 1),
    ]


def test_an_entry_without_units_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="units"):
        compare_units(entries((1, 0)), [], reported=DAYS)


def line(minor: int, units: int, price: int, *, currency: str = "CNY", price_currency: str = "CNY") -> BillLine:
    kind = LineKind.PAYMENT if units > 0 else LineKind.REFUND
    cell = StoreCell("coins", "CN", units, price, price_currency)
    return BillLine("k", kind, datetime(2026, 4, 1, tzinfo=UTC), minor, currency, cell=cell)


def test_what_the_store_keeps_is_the_gross_less_what_it_pays_returns_taken_off() -> None:
    figures = figures_of_store([line(5292, 12, 600), line(-882, -2, 600), line(930, 1, 1200)])
    assert figures == [StoreFigure("coins", "CN", "CNY", "CNY", 11, 7200, 5340)]
    assert shares_of_store(figures) == {"CNY": 7200 - 5340}


def test_a_share_in_another_currency_than_the_price_is_no_amount() -> None:
    figures = figures_of_store([line(97, 1, 1100, currency="EUR", price_currency="NOK"), line(441, 1, 600)])
    assert [figure.share_minor for figure in figures] == [159, None]
    assert shares_of_store(figures) == {"CNY": 159}


def test_an_estimate_is_rounded_half_up_and_returns_are_its_mirror() -> None:
    assert [estimated_share(minor, 30_000) for minor in (600, 5, -5, 0)] == [180, 2, -2, 0]
    with pytest.raises(ValueError, match="part of the price"):
        estimated_share(600, 100_001)
