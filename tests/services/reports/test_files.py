"""Reports as files: what was written is read back by another program, to the last digit."""

from __future__ import annotations

import csv
import io
import tracemalloc
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from openpyxl import load_workbook

from app.domain.report_tables import Amount, Cell, ReportTable
from app.services.reports.files import EXACT_BELOW, csv_lines, write_workbook

SHANGHAI = ZoneInfo("Asia/Shanghai")
ROWS: list[Sequence[Cell]] = [
    [
        "coins-60",
        "1234567890123456789",
        3,
        Amount(600, "CNY"),
        date(2026, 1, 31),
        datetime(2026, 1, 31, 16, 0, tzinfo=UTC),
    ],
    ["=1+1", None, -2, Amount(-7, "CNY"), None, None],
    ["日元", "x", 0, Amount(1200, "JPY"), None, None],
    ["large", "y", EXACT_BELOW, Amount(10**17 + 1, "CNY"), None, None],
]


def report(rows: object = None) -> ReportTable:
    columns = ("product", "payment", "units", "gross", "day", "at")
    return ReportTable("sales", "Sales", columns, ROWS if rows is None else rows)  # type: ignore[arg-type]


def test_csv_has_decimal_money_and_moments_in_utc() -> None:
    first, *rows = csv.reader(io.StringIO("".join(csv_lines(report()))))
    assert first == ["product", "payment", "units", "gross", "day", "at"]
    assert rows[0] == ["coins-60", "1234567890123456789", "3", "6.00", "2026-01-31", "2026-01-31T16:00:00Z"]
    assert [row[3] for row in rows] == ["6.00", "-0.07", "1200", "1000000000000000.01"]
    assert rows[1][0] == "'=1+1"


def test_a_workbook_has_numbers_where_they_are_exact_and_texts_elsewhere(tmp_path: Path) -> None:
    file = tmp_path / "sales.xlsx"
    assert write_workbook(report(), file, SHANGHAI) == 4
    sheet = load_workbook(file)["Sales"]
    names, *rows = sheet.iter_rows(values_only=True)
    assert names == ("product", "payment", "units", "gross", "day", "at")
    assert rows[0] == (
        *("coins-60", "1234567890123456789", 3, 6),
        *(datetime(2026, 1, 31), datetime(2026, 2, 1)),  # noqa: DTZ001 - a workbook knows no zone: the hours are Shanghai's
    )
    assert [row[3] for row in rows] == [6, -0.07, 1200, "1000000000000000.01"]
    assert rows[1][0] == "=1+1"
    assert sheet["A3"].data_type == "s", "a text that looks like a formula is none"
    assert sheet["D2"].number_format == "#,##0.00"
    assert sheet["D4"].number_format == "#,##0"
    assert rows[3][2] == str(EXACT_BELOW)


def test_a_long_report_needs_no_more_memory_than_a_short_one(tmp_path: Path) -> None:
    def rows(count: int) -> Iterator[Sequence[Cell]]:
        return (["coins-60", str(number), 1, Amount(number, "CNY"), None, None] for number in range(count))

    peaks = []
    for count in (500, 20_000):
        tracemalloc.start()
        assert write_workbook(report(rows(count)), tmp_path / f"{count}.xlsx", SHANGHAI) == count
        assert sum(1 for _ in csv_lines(report(rows(count)))) == count + 1
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 2_000_000
