"""The limits of the port: what a fact may say, and what becomes of words that are beyond them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.providers import LONGEST_REFERENCE, Fact, Kind, Ref, faults_of
from app.providers.limits import EARLIEST, LARGEST_QUANTITY, LATEST, fits
from app.services.base.sanitize import BEGINNING, name_of, printable, storable_text, without_faults

NOW = datetime(2026, 1, 2, tzinfo=UTC)
FACT = Fact(Kind.PAID, Ref("1", "2", "3", "4"), NOW, product="p", quantity=1, owner="o", account="a")
texts = st.text(st.characters(), max_size=200) | st.text(st.sampled_from("a\x00\ud800"), max_size=200)
documents: st.SearchStrategy[Any] = st.recursive(
    texts | st.none() | st.booleans() | st.integers() | st.floats() | st.binary() | st.datetimes(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts | st.integers(), inner, max_size=3),
    max_leaves=10,
)


@pytest.mark.parametrize(
    "change",
    [
        {"at": EARLIEST},
        {"at": LATEST - timedelta(microseconds=1)},
        {"quantity": LARGEST_QUANTITY},
        {"share": 0},
        {"share": 100_000},
        {"product": "x" * LONGEST_REFERENCE},
        {"owner": ""},
        {"product": "道具\U0001f4b0"},
        {"cause": "\x00" * 1000},
    ],
)
def test_what_is_just_within_the_limits_is_usable(change: dict[str, Any]) -> None:
    assert faults_of(replace(FACT, **change)) == ()


@pytest.mark.parametrize(
    "change",
    [
        {"at": EARLIEST - timedelta(microseconds=1)},
        {"at": LATEST},
        {"quantity": LARGEST_QUANTITY + 1},
        {"share": -1},
        {"product": "x" * (LONGEST_REFERENCE + 1)},
        {"owner": 7},
        {"shared": True},
    ],
)
def test_what_is_just_beyond_is_not_and_is_named_without_being_quoted(change: dict[str, Any]) -> None:
    [fault] = faults_of(replace(FACT, **change))
    [(name, value)] = change.items()
    assert fault.startswith(name)
    assert str(value) not in fault or isinstance(value, int)


@given(texts, texts)
def test_other_texts_have_other_names_and_every_name_fits(one: str, other: str) -> None:
    assert fits(name_of(one))
    assert (name_of(one) == name_of(other)) == (one == other)
    if fits(one):
        assert name_of(one) == one


def test_the_beginning_of_an_unusable_name_is_shown() -> None:
    assert name_of("ab\x00" + "x" * 500).startswith("ab\ufffd" + "x" * (BEGINNING - 3) + "…")


@given(texts)
def test_a_fact_without_its_faults_can_be_written_down(text: str) -> None:
    odd = replace(FACT, ref=Ref(text, text, text, text), owner=text, at=datetime.max.replace(tzinfo=UTC), quantity=0)
    assert faults_of(without_faults(odd, NOW)) == ()


@given(documents)
def test_whatever_a_provider_says_can_be_kept_for_audit(document: Any) -> None:
    kept = printable({"said": document})
    assert storable_text(str(kept)) == str(kept)
    assert printable(kept) == kept, "what is kept once is kept as it is"
