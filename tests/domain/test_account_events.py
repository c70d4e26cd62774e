"""The marks of an account: each part is in the hash, and the hashes are written out a second time."""

from __future__ import annotations

import hashlib
import json
import uuid
from dataclasses import fields, replace
from datetime import UTC, datetime
from typing import Any

import pytest

from app.domain.account_events import (
    ENDED,
    FREEZING,
    FROZEN,
    HELD,
    LET_GO,
    MADE,
    REFUSED,
    UNFROZEN,
    Freezing,
    Mark,
    first_head,
    refusal_content,
)
from app.domain.ledger import system, wallet

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
AT_US = 1_772_366_400_000_000
ALICE = wallet("alice", "coin")
MARK = Mark(HELD, uuid.UUID(int=5), 50, AT_US, b"c" * 32)
ENTRY = Freezing(5, "alice", None, "live", True, "a look at it", "operator:ann", None, AT)


def sha256_of(*content: object) -> bytes:
    """The canonical spelling by hand: a JSON array without spaces."""
    return hashlib.sha256(json.dumps(content, separators=(",", ":"), ensure_ascii=False).encode()).digest()


def test_the_chain_of_marks_hashes_what_it_says() -> None:
    head = b"h" * 32
    numbers = (50).to_bytes(8, "big") + AT_US.to_bytes(8, "big")
    expected = hashlib.sha256(head + b"c" * 32 + uuid.UUID(int=5).bytes + numbers + b"held").digest()
    assert MARK.after(head) == expected


@pytest.mark.parametrize(
    "change",
    [{"kind": REFUSED}, {"subject": uuid.UUID(int=6)}, {"amount": -50}, {"at_us": 0}, {"content": b"d" * 32}],
    ids=str,
)
def test_every_part_of_a_mark_and_the_head_before_it_are_in_the_new_head(change: dict[str, Any]) -> None:
    head = first_head(7, ALICE)
    assert replace(MARK, **change).after(head) != MARK.after(head)
    assert MARK.after(first_head(8, ALICE)) != MARK.after(head)


def test_a_chain_begins_with_the_name_of_its_account() -> None:
    assert first_head(7, ALICE) == sha256_of("marks-1", 7, "alice", "wallet", "coin", "live")
    names = [ALICE, wallet("bob", "coin"), wallet("alice", "gem"), wallet("alice", "coin", "sandbox")]
    assert len({first_head(7, name) for name in (*names, system("revenue", "coin"))}) == 5


def test_a_refusal_is_hashed_with_its_details_in_the_order_of_their_keys() -> None:
    spelled = '{"available":3,"wanted":9,"why":"金币"}'
    expected = sha256_of("refusal-1", "ff", "insufficient_funds", spelled)
    for details in ({"why": "金币", "wanted": 9, "available": 3}, {"available": 3, "wanted": 9, "why": "金币"}):
        assert refusal_content(b"\xff", "insufficient_funds", details) == expected


def test_a_freezing_is_hashed_in_the_spelling_of_its_age() -> None:
    """Entries from before requests were named keep the first spelling, and so their hash."""
    parts = (5, "alice", None, "live", True, "a look at it", "operator:ann", None, AT_US)
    assert ENTRY.content() == sha256_of("freezing-1", *parts)
    request = uuid.UUID(int=9)
    assert replace(ENTRY, request=request).content() == sha256_of("freezing-2", *parts, request.hex)


def test_every_field_of_a_freezing_is_in_its_hash() -> None:
    others: dict[str, Any] = {
        "id": 6,
        "user_id": "bob",
        "asset": "coin",
        "environment": "sandbox",
        "frozen": False,
        "reason": "",
        "actor": "",
        "refund_id": 1,
        "at": datetime(2026, 3, 2, tzinfo=UTC),
        "request": uuid.UUID(int=1),
    }
    assert set(others) == {field.name for field in fields(Freezing)}
    changed = {replace(ENTRY, **{name: value}).content() for name, value in others.items()}
    assert len({ENTRY.content(), *changed}) == len(others) + 1


def test_a_freezing_tells_its_kind_and_its_subject() -> None:
    assert (ENTRY.kind, ENTRY.subject) == (FROZEN, uuid.UUID(int=5))
    assert replace(ENTRY, frozen=False).kind == UNFROZEN


@pytest.mark.parametrize(
    ("asset", "name", "concerned"),
    [
        (None, ALICE, True),
        (None, wallet("alice", "gem"), True),
        ("coin", ALICE, True),
        ("coin", wallet("alice", "gem"), False),
        (None, wallet("bob", "coin"), False),
        (None, wallet("alice", "coin", "sandbox"), False),
        (None, system("revenue", "coin"), False),
    ],
)
def test_a_freezing_concerns_the_users_wallets_of_its_asset_and_environment(
    asset: str | None, name: Any, concerned: bool
) -> None:
    assert replace(ENTRY, asset=asset).concerns(name) is concerned


def test_no_kind_of_mark_means_two_things() -> None:
    groups = (MADE, LET_GO, FREEZING, {REFUSED})
    assert len(frozenset[str]().union(*groups)) == sum(map(len, groups))
    assert set(ENDED) < LET_GO
