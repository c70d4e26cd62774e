"""Reports as files: CSV for programs, XLSX workbooks for people. Both are written line by line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, tzinfo
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any

import xlsxwriter

from app.domain.csv_text import csv_line
from app.domain.money import exponent
from app.domain.report_tables import Amount, Cell, ReportTable

LINES_OF_A_SHEET = 1_048_575
"""Beside the line of names: a worksheet has 2^20 lines. A longer report goes on in the next sheet."""
EXACT_BELOW = 2**53
"""Workbooks keep numbers as floating point: larger ones are written as text, so that no digit is lost."""
_DAY, _MOMENT = "yyyy-mm-dd", "yyyy-mm-dd hh:mm:ss"
_LEAST_WIDTH, _MOST_WIDTH = 10, 40


class ReportFormat(StrEnum):
    CSV = "csv"
    XLSX = "xlsx"


MEDIA_TYPES = {
    ReportFormat.CSV: "text/csv; charset=utf-8",
    ReportFormat.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


def csv_lines(report: ReportTable, end: str = "\r\n") -> Iterator[str]:
    """The line of names, then a line for each row. Money is decimal, as `6.00`: its currency has a column of its own.
    Moments are UTC."""
    yield csv_line(report.columns, end)
    for row in report.rows:
        yield csv_line([Decimal(cell.decimal()) if isinstance(cell, Amount) else cell for cell in row], end)


def write_workbook(report: ReportTable, file: Path, zone: tzinfo) -> int:
    """Write the report as an XLSX workbook with moments in that zone; how many rows it has. Needs little memory: a row
    is on the disk before the next one comes."""
    with xlsxwriter.Workbook(str(file), {"constant_memory": True, "strings_to_formulas": False}) as book:
        return _Sheets(book, report, zone).write(report.rows)


class _Sheets:
    """The sheets of one workbook, filled one after another."""

    def __init__(self, book: Any, report: ReportTable, zone: tzinfo) -> None:
        self._book, self._report, self._zone = book, report, zone
        self._names = book.add_format({"bold": True, "bottom": 1})
        self._day = book.add_format({"num_format": _DAY})
        self._moment = book.add_format({"num_format": _MOMENT})
        self._money: dict[int, Any] = {}
        self._sheet = self._next_sheet(1)

    def write(self, rows: Iterable[Sequence[Cell]]) -> int:
        count = 0
        for row in rows:
            if count and count % LINES_OF_A_SHEET == 0:
                self._sheet = self._next_sheet(count // LINES_OF_A_SHEET + 1)
            line = count % LINES_OF_A_SHEET + 1
            for column, cell in enumerate(row):
                self._put(line, column, cell)
            count += 1
        return count

    def _next_sheet(self, number: int) -> Any:
        title = self._report.title[:28]  # a sheet's name has at most 31 characters
        sheet = self._book.add_worksheet(title if number == 1 else f"{title} {number}")
        sheet.freeze_panes(1, 0)
        for column, name in enumerate(self._report.columns):
            sheet.set_column(column, column, min(_MOST_WIDTH, max(_LEAST_WIDTH, len(name) + 6)))
            sheet.write_string(0, column, name, self._names)
        return sheet

    def _put(self, line: int, column: int, cell: Cell) -> None:
        if isinstance(cell, Amount):
            self._put_amount(line, column, cell)
        elif isinstance(cell, datetime):
            local = cell.astimezone(self._zone).replace(tzinfo=None)
            self._sheet.write_datetime(line, column, local, self._moment)
        elif isinstance(cell, date):
            self._sheet.write_datetime(line, column, cell, self._day)
        elif isinstance(cell, int) and abs(cell) < EXACT_BELOW:
            self._sheet.write_number(line, column, cell)
        elif cell is not None:
            self._sheet.write_string(line, column, str(cell))

    def _put_amount(self, line: int, column: int, amount: Amount) -> None:
        if abs(amount.minor) >= EXACT_BELOW:
            self._sheet.write_string(line, column, amount.decimal())
            return
        digits = exponent(amount.currency)
        if digits not in self._money:
            form = "#,##0" + (f".{'0' * digits}" if digits else "")
            self._money[digits] = self._book.add_format({"num_format": form})
        self._sheet.write_number(line, column, amount.minor / 10**digits, self._money[digits])
