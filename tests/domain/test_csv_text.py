"""CSV that programs read back unchanged and spreadsheets do not run."""

from __future__ import annotations

import csv
import io
import uuid
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.csv_text import csv_line

FORMULAS = [
    "=1+1",
    "+1",
    "-1+cmd",
    "@SUM(A1)",
    '=HYPERLINK("https://x","y")',
    "\t=1",
    "\r=1",
    "\n=1",
    "  =1",
    "\u00a0=1",
    "＝1",
    "＋1",
    "－1",
    "＠x",
]


def read_back(line: str) -> list[str]:
    return next(csv.reader(io.StringIO(line, newline="")))


@pytest.mark.parametrize("text", FORMULAS)
def test_a_text_that_a_spreadsheet_would_run_gets_an_apostrophe(text: str) -> None:
    assert read_back(csv_line([text])) == [f"'{text}"]


@pytest.mark.parametrize("text", ["level-7", "a=b", "周年 礼包", "1-2", "", "x@y"])
def test_other_texts_stay_as_they_are(text: str) -> None:
    assert read_back(csv_line([text, "end"])) == [text, "end"]


def test_numbers_stay_numbers_and_nothing_is_an_empty_cell() -> None:
    assert csv_line([-30, 2**63 - 1, None, True, False]) == "-30,9223372036854775807,,true,false\r\n"


def test_moments_are_in_utc_and_lists_are_json() -> None:
    moment = datetime(2026, 3, 1, 20, 0, 0, 5, tzinfo=timezone(timedelta(hours=8)))
    number = uuid.UUID(int=1)
    line = csv_line([moment, datetime(2026, 3, 1, tzinfo=UTC), number, [{"asset": "coin"}], []])
    assert read_back(line) == [
        "2026-03-01T12:00:00.000005Z",
        "2026-03-01T00:00:00Z",
        str(number),
        '[{"asset":"coin"}]',
        "[]",
    ]


def test_a_cell_that_another_separator_would_split_is_quoted() -> None:
    assert csv_line(["a;=1", "b"]) == '"a;=1",b\r\n'
    assert csv_line(["a\t=1"]) == '"a\t=1"\r\n'


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00")), min_size=2, max_size=5))
def test_whoever_takes_one_apostrophe_off_has_the_texts_as_they_were(texts: list[str]) -> None:
    found = read_back(csv_line(texts))
    assert [cell.removeprefix("'") for cell in found] == texts
    assert all(not cell.lstrip() or cell.lstrip()[0] not in "=+-@＝＋－＠" for cell in found)
