"""Told against expected: each difference is found, in a fixed order; what a road does not say is no difference."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.facts import Fact, Kind, Ref, contradictions
from app.domain.matching import Expected, Mismatch, foreign, mismatch
from app.domain.money import Money

EXPECTED = Expected(
    account="m-1", live=True, money=Money(600, "CNY"), product="coins-60", quantity=1, owner="AAAA-bbbb"
)
TOLD = Fact(
    Kind.PAID,
    Ref(theirs="T1"),
    datetime(2026, 3, 1, tzinfo=UTC),
    money=Money(600, "CNY"),
    product="coins-60",
    quantity=1,
    owner="aaaa-BBBB",
    account="m-1",
)
DIFFERENCES: list[tuple[dict[str, Any], Mismatch]] = [
    ({"account": "m-2"}, Mismatch.OTHER_ACCOUNT),
    ({"live": False}, Mismatch.OTHER_ENVIRONMENT),
    ({"ref": Ref()}, Mismatch.NO_PROVIDER_NUMBER),
    ({"ref": Ref(theirs="")}, Mismatch.NO_PROVIDER_NUMBER),
    ({"money": None}, Mismatch.NO_AMOUNT),
    ({"money": Money(600, "JPY")}, Mismatch.OTHER_CURRENCY),
    ({"money": Money(599, "CNY")}, Mismatch.OTHER_AMOUNT),
    ({"money": Money(601, "CNY")}, Mismatch.OTHER_AMOUNT),
    ({"product": "coins-600"}, Mismatch.OTHER_PRODUCT),
    ({"quantity": 2}, Mismatch.OTHER_QUANTITY),
    ({"owner": "somebody-else"}, Mismatch.OTHER_OWNER),
]


def test_what_we_asked_for_matches_whatever_case_the_owner_token_has() -> None:
    assert mismatch(TOLD, EXPECTED) is None


@pytest.mark.parametrize(("change", "found"), DIFFERENCES)
def test_each_difference_is_found(change: dict[str, Any], found: Mismatch) -> None:
    assert mismatch(replace(TOLD, **change), EXPECTED) is found


@pytest.mark.parametrize("first", range(len(DIFFERENCES)))
def test_the_graver_difference_is_named_first(first: int) -> None:
    """Whose money it is comes before which environment, that before amounts, those before goods."""
    everything: dict[str, Any] = {}
    for change, _ in reversed(DIFFERENCES[first:]):
        everything |= change
    assert mismatch(replace(TOLD, **everything), EXPECTED) is DIFFERENCES[first][1]


@pytest.mark.parametrize("silent", ["account", "product", "quantity", "owner"])
def test_what_a_road_does_not_say_is_no_difference(silent: str) -> None:
    assert mismatch(replace(TOLD, **{silent: None}), EXPECTED) is None


def test_where_the_store_sets_the_price_any_amount_will_do() -> None:
    store = replace(EXPECTED, money=None)
    assert mismatch(TOLD, store) is None
    assert mismatch(replace(TOLD, money=None), store) is None


def test_foreign_facts_are_those_of_another_merchant_or_environment() -> None:
    assert foreign("m-1", True, "m-1", True) is None
    assert foreign(None, True, "m-1", True) is None
    assert foreign("m-1", True, "m-9", True) is Mismatch.OTHER_ACCOUNT
    assert foreign("m-1", True, "m-1", False) is Mismatch.OTHER_ENVIRONMENT


contents = st.dictionaries(st.sampled_from("abc"), st.none() | st.integers(0, 2))


@given(contents, contents)
def test_contradictions_are_symmetric_and_silence_is_none(first: dict[str, int], again: dict[str, int]) -> None:
    assert contradictions(first, again) == contradictions(again, first)
    assert contradictions(first, first) == []
    assert contradictions(first, dict.fromkeys(again)) == []
    for name in contradictions(first, again):
        assert first[name] != again[name]
