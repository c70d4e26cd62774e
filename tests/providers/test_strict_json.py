"""The port's JSON reader takes what has one meaning, and says no to the rest without quoting it."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.providers.strict_json import (
    DEEPEST,
    LONGEST_FRACTION,
    LONGEST_INTEGER,
    UnreadableJson,
    read_json,
    read_json_object,
)

WHOLE = st.integers(min_value=-(10**LONGEST_INTEGER) + 1, max_value=10**LONGEST_INTEGER - 1)
PLAIN = st.none() | st.booleans() | WHOLE | st.text()
DOCUMENTS = st.recursive(
    PLAIN, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4), max_leaves=20
)


@given(DOCUMENTS, st.booleans())
def test_a_plain_document_is_read_as_it_was_written(document: object, ascii_only: bool) -> None:
    assert read_json(json.dumps(document, ensure_ascii=ascii_only).encode()) == document


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":1,"a":1}',
        b'{"a":1,"\\u0061":2}',
        b'{"x":{"a":1,"a":2}}',
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b'{"a":-Infinity}',
        b'{"a":6.00}',
        b'{"a":6e2}',
        b'{"a":' + b"9" * (LONGEST_INTEGER + 1) + b"}",
        b'{"a":-' + b"9" * 5_000 + b"}",
        b'{"a":' * (DEEPEST + 1) + b"1" + b"}" * (DEEPEST + 1),
        b"[" * 100_000,
        b"\xef\xbb\xbf{}",
        '{"a":1}'.encode("utf-16"),
        b"\xff",
        b"",
        b"{} {}",
        b'{"private":"Jane" ',
    ],
)
def test_what_could_be_read_in_two_ways_is_refused_and_not_quoted(body: bytes) -> None:
    with pytest.raises(UnreadableJson) as refused:
        read_json(body)
    assert "Jane" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_a_document_may_be_as_deep_as_the_limit_and_hold_brackets_in_texts() -> None:
    body = b'{"a":' * DEEPEST + b'"' + b"[{" * 1_000 + b'\\"["' + b"}" * DEEPEST
    assert isinstance(read_json(body), dict)
    wide = b"[" + b",".join([b"[]"] * 1_000) + b"]"
    assert len(read_json(wide)) == 1_000


def test_a_document_larger_than_the_caller_allows_is_refused() -> None:
    assert read_json(b'"12345678"', most_bytes=10) == "12345678"
    with pytest.raises(UnreadableJson, match="larger than 9 bytes"):
        read_json(b'"12345678"', most_bytes=9)


def test_fractions_are_exact_where_the_caller_wants_them() -> None:
    assert read_json(b"[0.1, 600.00, 1E+2, 7]", decimals=True) == [Decimal("0.1"), Decimal("600"), Decimal(100), 7]


@pytest.mark.parametrize("number", [b"1e400", b"1e-400", b"1e999999999999", b"0." + b"1" * 60, b"1.0e21"])
def test_a_fraction_beyond_reckoning_is_refused(number: bytes) -> None:
    with pytest.raises(UnreadableJson):
        read_json(number, decimals=True)


@pytest.mark.parametrize("body", [b"[]", b"1", b"null", b'"{}"'])
def test_an_object_is_asked_for_and_nothing_else_is_one(body: bytes) -> None:
    with pytest.raises(UnreadableJson, match="not a JSON object"):
        read_json_object(body)


@pytest.mark.parametrize("number", ["6.00", "1e400", "-0.5", "1E+2"])
def test_a_fraction_can_be_kept_as_the_text_that_it_is(number: str) -> None:
    assert read_json_object(f'{{"a":{number},"b":7}}'.encode(), fraction_texts=True) == {"a": number, "b": 7}


def test_a_fraction_that_is_kept_as_text_is_short() -> None:
    longest = "0." + "1" * (LONGEST_FRACTION - 2)
    assert read_json(longest.encode(), fraction_texts=True) == longest
    with pytest.raises(UnreadableJson):
        read_json(longest.encode() + b"1", fraction_texts=True)
