"""The map of the slots: each slot in exactly one database, or a sentence that says which is not."""

from __future__ import annotations

import pytest

from app.domain.numbers import SLOTS
from app.domain.slot_map import (
    ONLY_DATABASE,
    SlotMap,
    map_of,
    map_of_document,
    map_of_one,
    parse_ranges,
    text_of_ranges,
)


def of(*databases: tuple[str, str]) -> SlotMap:
    return map_of([(name, parse_ranges(slots)) for name, slots in databases])


def test_ranges_and_single_slots_are_read_and_written_likewise() -> None:
    assert parse_ranges(" 0-2, 5 ,9-4095") == [(0, 2), (5, 5), (9, 4095)]
    assert text_of_ranges(parse_ranges("0-2,5,9-4095")) == "0-2,5,9-4095"
    assert parse_ranges("") == []


@pytest.mark.parametrize("text", ["a", "1-", "-1", "1-2-3", "1;2", "12345", "1.5"])
def test_what_is_no_list_of_slots_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="ranges and single slots"):
        parse_ranges(text)


@pytest.mark.parametrize(
    ("databases", "told"),
    [
        ([("a", "0-2047"), ("b", "2047-4095")], "the slot 2047 is given to 'a' and to 'b'"),
        ([("a", "0-2047"), ("b", "2049-4094")], "the slots 2048,4095 are in no database"),
        ([("a", "0-4096")], "0-4096 are no slots"),
        ([("a", "9-3,0-4095")], "9-3 are no slots"),
        ([("a", "1-4095"), ("b", "0")], "'a', must hold the slot 0"),
        ([("a", "0-4095"), ("a", "")], "two databases have the name 'a'"),
        ([], "0-4095 are in no database"),
    ],
)
def test_a_map_in_which_a_slot_is_not_in_exactly_one_database_is_refused(
    databases: list[tuple[str, str]], told: str
) -> None:
    with pytest.raises(ValueError, match=told):
        of(*databases)


def test_each_slot_has_the_number_of_its_database() -> None:
    shared = of(("home", "0-9,4000-4095"), ("b", "10,12-3999"), ("c", "11"))
    assert [shared.numbers[slot] for slot in (0, 9, 10, 11, 12, 3999, 4000, 4095)] == [0, 0, 1, 2, 1, 1, 0, 0]
    assert shared.ranges("b") == [(10, 10), (12, 3999)]
    assert shared.other_ranges("b") == [(0, 9), (11, 11), (4000, 4095)]
    assert str(shared) == 'home "0-9,4000-4095", b "10,12-3999", c "11"'


def test_a_map_is_the_same_after_it_was_kept() -> None:
    shared = of(("home", "0-9"), ("b", "10-4095"))
    assert map_of_document(shared.document) == shared
    assert shared.document == {
        "databases": [{"name": "home", "slots": [[0, 9]]}, {"name": "b", "slots": [[10, 4095]]}],
    }


@pytest.mark.parametrize("document", [None, [], {}, {"databases": [{}]}, {"databases": [{"name": "a", "slots": [1]}]}])
def test_a_document_that_is_no_map_is_refused(document: object) -> None:
    with pytest.raises(ValueError, match=r"."):
        map_of_document(document)


def test_maps_are_equal_if_each_slot_lies_in_the_same_database() -> None:
    one = of(("home", "0"), ("b", "1"), ("c", "2-4095"))
    assert one == of(("home", "0"), ("c", "2-4095"), ("b", "1"), ("empty", ""))
    assert one != of(("home", "0-1"), ("b", ""), ("c", "2-4095"))
    assert map_of_one() == of((ONLY_DATABASE, f"0-{SLOTS - 1}"))
    assert map_of_one() != of(("other", "0-4095"))
