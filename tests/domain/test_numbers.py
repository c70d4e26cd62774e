"""Numbers and slots. The vectors are frozen: stored data lies where they say."""

from __future__ import annotations

import hashlib
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.numbers import (
    EPOCH_MS,
    MAX_NUMBER,
    SLOTS,
    NumberSource,
    keyed_number,
    keyed_uuid,
    parse_number,
    slot_of_number,
    slot_of_user,
)

SLOT_VECTORS = {"alice": 175, "bob": 1754, "user-1": 1458, "1": 3297, "Ünïcode": 1769}
UUID_VECTORS = {
    (0, "scope", "key"): "afc2eb7e-2fc0-8a7e-a611-dbcdfb8ce000",
    (4095, "fact:sandbox:sandbox", "paid:sbx_1:money"): "528f1fd8-bb38-8c54-815b-a468da395fff",
    (1, "", ""): "df3f6198-04a9-8fdb-8057-192dc43dd001",
}
slots = st.integers(0, SLOTS - 1)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=50)


@pytest.mark.parametrize(("user", "slot"), SLOT_VECTORS.items())
def test_the_slot_of_a_user_is_frozen(user: str, slot: int) -> None:
    assert slot_of_user(user) == slot


@pytest.mark.parametrize(("parts", "text"), UUID_VECTORS.items())
def test_the_name_of_a_keyed_operation_is_frozen(parts: tuple[int, str, str], text: str) -> None:
    assert keyed_uuid(*parts) == uuid.UUID(text)


def test_users_spread_over_the_slots() -> None:
    used = {slot_of_user(f"user-{number}") for number in range(20_000)}
    assert len(used) > SLOTS * 0.95


@given(slots, texts, texts)
def test_a_keyed_name_is_a_valid_uuid_that_carries_its_slot(slot: int, scope: str, key: str) -> None:
    name = keyed_uuid(slot, scope, key)
    assert (name.version, name.variant) == (8, uuid.RFC_4122)
    assert name.int % SLOTS == slot
    assert name == keyed_uuid(slot, scope, key)


@given(texts, texts, texts, texts)
def test_no_two_pairs_of_scope_and_key_share_a_name(scope: str, key: str, other_scope: str, other_key: str) -> None:
    same = (scope, key) == (other_scope, other_key)
    assert (keyed_uuid(7, scope, key) == keyed_uuid(7, other_scope, other_key)) is same


@given(texts.filter(len), texts)
def test_a_character_moved_from_scope_to_key_makes_another_name(scope: str, key: str) -> None:
    assert keyed_uuid(7, scope, key) != keyed_uuid(7, scope[:-1], scope[-1] + key)


@given(slots, st.integers(EPOCH_MS + 1, EPOCH_MS + 2**41 - 2))
def test_a_number_is_time_then_sequence_then_slot(slot: int, now_ms: int) -> None:
    number = NumberSource(lambda: now_ms).next(slot)
    assert 0 < number <= MAX_NUMBER
    assert slot_of_number(number) == slot
    assert (number >> 22) + EPOCH_MS == now_ms
    assert parse_number(str(number)) == number


def test_numbers_rise_when_the_clock_stands_still_or_goes_back() -> None:
    times = iter([EPOCH_MS + 5000, *[EPOCH_MS + 4000] * 5000])
    source = NumberSource(lambda: next(times))
    given_out = [source.next(3) for _ in range(5000)]
    assert given_out == sorted(set(given_out))
    assert {slot_of_number(number) for number in given_out} == {3}


def test_threads_never_get_the_same_number() -> None:
    source = NumberSource(lambda: EPOCH_MS + 1000)
    barrier = threading.Barrier(8)

    def take(_: int) -> list[int]:
        barrier.wait()
        return [source.next(1) for _ in range(500)]

    with ThreadPoolExecutor(8) as pool:
        taken = [number for numbers in pool.map(take, range(8)) for number in numbers]
    assert len(set(taken)) == 4000


@pytest.mark.parametrize(
    "text", [None, "", "0", "01", "-1", "+1", " 1", "1 ", "1\n", "1.0", "1e3", "0x1", "१", "1_0", str(2**63), "9" * 19]
)
def test_a_number_has_one_spelling_only(text: str | None) -> None:
    assert parse_number(text) is None


@given(st.integers(1, MAX_NUMBER))
def test_every_number_reads_back(number: int) -> None:
    assert parse_number(str(number)) == number


@given(st.text(max_size=25))
def test_what_reads_as_a_number_is_its_own_spelling(text: str) -> None:
    number = parse_number(text)
    assert number is None or str(number) == text


@given(st.integers(0, SLOTS - 1), st.text(max_size=20), st.text(max_size=20))
def test_a_keyed_number_is_a_number_of_its_slot_and_always_the_same(slot: int, scope: str, key: str) -> None:
    number = keyed_number(slot, scope, key)
    assert number == keyed_number(slot, scope, key)
    assert slot_of_number(number) == slot
    assert parse_number(str(number)) == number


def test_the_keyed_number_of_a_known_request_is_frozen() -> None:
    """By hand: SHA-256 of the scope's length in four bytes, scope and key; its first 51 bits, then the slot."""
    digest = hashlib.sha256(b"\x00\x00\x00\x06refundkey-1").digest()
    assert keyed_number(77, "refund", "key-1") == (int.from_bytes(digest[:8], "big") >> 13) << 12 | 77
    assert keyed_number(77, "refund", "key-1") != keyed_number(77, "refun", "dkey-1")
