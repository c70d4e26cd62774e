"""The file of an anchor: no byte of it can be changed, and what it says of a row is what every database gives back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from app.domain.facts import Fact, Kind, Ref, content_of
from app.domain.proof.anchors import (
    ANCHORED,
    FACT_CONTENT,
    AnchoredAccount,
    AnchoredClaim,
    AnchoredRow,
    AnchoredSlot,
    AnchorHeader,
    AnchorUnreadable,
    check_of,
    contents,
    proved_header,
    said_by,
    signed_lines,
)
from app.domain.seals import Seals

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HEADER = AnchorHeader("2026-03-01T12:00:00+00:00", "https://pay.test")
KEYED, OTHER = Seals(b"k" * 32, since=NOW), Seals(b"o" * 32, since=NOW)
SLOT = AnchoredSlot(
    5,
    [
        AnchoredAccount(4101, "爱丽丝", "wallet", "coin", "live", 3, 60, "ab" * 32, 1, "cd" * 32),
        AnchoredAccount(8197, "", "sales", "CNY", "live", 0, 0, "", 0, None),
    ],
    {"orders": [AnchoredRow(12293, "abc", 0, "1 × coins-60")], "facts": [AnchoredRow(1, "x", 9, "-")], "refunds": []},
)
CLAIMS = [AnchoredClaim("store", "live", "2000000000001", "alice")]


def file_of(seals: Seals = KEYED) -> list[bytes]:
    return list(signed_lines(HEADER, [SLOT.line(), {"claims": CLAIMS}], seals))


@pytest.mark.parametrize("seals", [KEYED, Seals()], ids=["with a key", "without a key"])
def test_what_was_written_is_read(seals: Seals) -> None:
    lines = file_of(seals)
    assert proved_header(lines, seals) == HEADER
    assert list(contents(lines)) == [SLOT, CLAIMS]


def test_a_former_key_still_fits() -> None:
    assert proved_header(file_of(), Seals(b"n" * 32, (KEYED.key,), NOW)) == HEADER


@pytest.mark.parametrize(
    ("written", "read"), [(KEYED, OTHER), (KEYED, Seals()), (Seals(), KEYED)], ids=["other key", "no key", "unsigned"]
)
def test_an_anchor_of_no_key_of_ours_is_refused(written: Seals, read: Seals) -> None:
    with pytest.raises(AnchorUnreadable, match="key"):
        proved_header(file_of(written), read)


def test_no_byte_of_it_can_be_changed() -> None:
    whole = b"".join(file_of())
    for place in range(len(whole)):
        changed = whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]
        with pytest.raises(AnchorUnreadable):
            proved_header(changed.splitlines(keepends=True), KEYED)


def test_a_file_that_was_cut_anywhere_is_refused() -> None:
    whole = b"".join(file_of())
    for length in range(len(whole)):
        with pytest.raises(AnchorUnreadable):
            proved_header(whole[:length].splitlines(keepends=True), KEYED)


def test_a_line_taken_out_put_twice_or_moved_is_refused() -> None:
    header, slot, claims, signature = file_of()
    for lines in (
        [header, slot, signature],
        [header, slot, slot, claims, signature],
        [header, claims, slot, signature],
    ):
        with pytest.raises(AnchorUnreadable, match="changed"):
            proved_header(lines, KEYED)


GARBAGE = [
    b"",
    b"\n",
    b"[]\n",
    b"{}\n",
    b"\xff\xfe\n",
    b'{"anchor":1}\n',
    b'{"anchor":1}\n{"signature":7}\n',
    b"[" * 9999,
]


@pytest.mark.parametrize(
    "garbage", [*GARBAGE, b'{"anchor":2}\n{"signature":"00"}\n', b'{"anchor":1}\n{"signature":"x"}\n']
)
def test_what_is_no_anchor_is_refused(garbage: bytes) -> None:
    with pytest.raises(AnchorUnreadable):
        proved_header(garbage.splitlines(keepends=True), Seals())


@pytest.mark.parametrize(
    "line",
    [
        b'{"slot":5}\n',
        b'{"slot":"x","accounts":[],"orders":[],"facts":[],"refunds":[]}\n',
        b'{"slot":5,"accounts":[[1]],"orders":[],"facts":[],"refunds":[]}\n',
        b'{"slot":5,"accounts":7,"orders":[],"facts":[],"refunds":[]}\n',
        b'{"slot":5,"accounts":[],"orders":[1],"facts":[],"refunds":[]}\n',
        b'{"claims":[["a"]]}\n',
        b'{"claims":null}\n',
    ],
)
def test_a_line_that_says_something_else_is_refused(line: bytes) -> None:
    with pytest.raises(AnchorUnreadable):
        list(contents([line]))


ORDER: dict[str, Any] = {
    "id": 4097,
    "user_id": "alice",
    "environment": "live",
    "sku": "coins-60",
    "quantity": 1,
    "amount_minor": 600,
    "currency": "CNY",
    "grants": [{"asset": "coin", "amount": 60}],
    "created_at": NOW,
    "expires_at": NOW + timedelta(minutes=30),
    "status": "open",
}
REFUND: dict[str, Any] = dict.fromkeys(ANCHORED["refunds"], "x") | {
    "origin": "asked",
    "amount_minor": 1,
    "currency": "CNY",
    "created_at": NOW,
}


@pytest.mark.parametrize("column", ANCHORED["orders"])
def test_every_column_that_never_changes_counts(column: str) -> None:
    other = ORDER["expires_at"] + timedelta(days=1) if column.endswith("_at") else "other"
    assert check_of("orders", {**ORDER, column: other}) != check_of("orders", ORDER)


def test_what_may_change_and_how_a_database_spells_it_do_not_count() -> None:
    elsewhere = NOW.astimezone(timezone(timedelta(hours=8)))
    spelled = {"grants": [{"amount": 60.0, "asset": "coin"}], "created_at": elsewhere, "status": "paid"}
    assert check_of("orders", {**ORDER, **spelled}) == check_of("orders", ORDER)


def test_the_size_of_a_refund_counts_where_we_asked_and_follows_facts_where_the_provider_decided() -> None:
    for column, other in (("amount_minor", 2), ("currency", "JPY"), ("created_at", NOW + timedelta(seconds=1))):
        assert check_of("refunds", {**REFUND, column: other}) != check_of("refunds", REFUND)
        theirs = {**REFUND, "origin": "provider"}
        assert check_of("refunds", {**theirs, column: other}) == check_of("refunds", theirs)


def test_what_a_fact_said_counts_and_what_is_added_later_does_not() -> None:
    content = {"theirs": "T-1", "amount_minor": 600, "currency": "CNY", "product": None}
    fact = dict.fromkeys(ANCHORED["facts"], "x") | {"content": content}
    said = said_by(content)
    check = check_of("facts", fact, said)
    assert check_of("facts", {**fact, "content": {**content, "product": "coins-60"}}, said) == check
    for name, other in (("amount_minor", 599), ("theirs", "T-2"), ("currency", None)):
        assert check_of("facts", {**fact, "content": {**content, name: other}}, said) != check


def test_everything_that_a_fact_can_say_is_anchored() -> None:
    fact = Fact(kind=Kind.PAID, ref=Ref(ours="1"), at=NOW, live=True)
    assert sorted(content_of(fact)) == sorted(FACT_CONTENT)
