"""The pages for finance, in two languages, say what the code does: chart, bookings, repairs, reports, commands."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from datetime import UTC, date
from pathlib import Path

import click
import pytest

from app.cli import main
from app.domain.accounting_time import BILL_KINDS, DERIVED_KINDS, FACT_KINDS, HAND_KINDS
from app.domain.bill_figures import BillDay
from app.domain.chart import CHART
from app.domain.differences import DifferenceType
from app.services.differences.repairs import OFFERED, Repair
from app.services.reports.catalogue import REPORTS

DOCS = Path(__file__).resolve().parents[2] / "docs"
SIDES = {
    "finance.md": ("debit", "credit", "yes", "no", "by hand"),
    "finance.zh-CN.md": ("借方", "贷方", "可", "否", "手工分录"),
}
PAGES = [pytest.param((DOCS / name).read_text(encoding="utf-8"), words, id=name) for name, words in SIDES.items()]
COINS = {"purchase", "bonus"}
"""Kinds of transfer that move coins: the pages are about money."""
NEVER_BOOKED = {"store_tax"}
"""No report of a store tells taxes apart."""
PLACEHOLDERS = {"NUMBER": "1", "DAY": "2026-01-31", "ACCOUNT": "alipay", "FOLDER": "bills", "REASON": "r"}


def _rows(page: str) -> list[list[str]]:
    """The cells of all tables, line by line."""
    lines = (line for line in page.splitlines() if line.startswith("| "))
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def _commands(page: str) -> Iterator[list[str]]:
    """Every whole command: in code, or in a line of a block."""
    fenced = re.findall(r"```sh\n(.*?)```", page, re.S)
    indented = re.findall(r"^ {4}(tillbook .*)$", page, re.M)
    inline = re.findall(r"`(tillbook [^`…]*)`", re.sub(r"```.*?```", "", page, flags=re.S))
    lines = [line for block in fenced for line in block.replace("\\\n", " ").splitlines()]
    for line in [*lines, *indented, *inline]:
        words = shlex.split(line.replace("\n", " "), comments=True)
        if words:
            assert words[0] == "tillbook", line
            yield [PLACEHOLDERS.get(word, word) for word in words[1:]]


@pytest.mark.parametrize(("page", "words"), PAGES)
def test_the_chart_on_the_page_is_the_chart_of_the_code(page: str, words: tuple[str, ...]) -> None:
    debit, credit, by_hand, not_by_hand, by_hand_heading = words
    told = {row[0].strip("`"): row for row in _rows(page) if len(row) == 7}
    for account in CHART:
        row = told.pop(account.code)
        assert row[2] == (debit if account.nature.grows_by_debit else credit), account.code
        assert {account.title, account.title_zh} & set(row[3:5]), account.code
        assert row[5] == (by_hand if account.by_hand else not_by_hand), account.code
    assert [row[5] for row in told.values()] == [by_hand_heading], f"not in the chart: {sorted(told)}"


@pytest.mark.parametrize(("page", "words"), PAGES)
def test_each_booking_of_money_is_on_the_page_with_its_account(page: str, words: tuple[str, ...]) -> None:
    del words
    events = {kind: row for row in _rows(page) if len(row) == 5 for kind in re.findall(r"`([a-z_]+)`", row[3])}
    kinds = (FACT_KINDS | BILL_KINDS | HAND_KINDS | DERIVED_KINDS) - COINS - NEVER_BOOKED
    assert kinds <= events.keys(), sorted(kinds - events.keys())
    day = BillDay("alipay", "live", date(2026, 1, 2), UTC)
    for kind in BILL_KINDS:
        takes = day.transfer(kind, "CNY", -1, 0)
        assert f"`{takes.debit.code}`" in "".join(events[kind][1:3]), kind


@pytest.mark.parametrize(("page", "words"), PAGES)
def test_each_type_of_difference_is_on_the_page_with_its_repairs(page: str, words: tuple[str, ...]) -> None:
    del words
    told = {row[0].strip("`"): row[-1] for row in _rows(page) if len(row) in (3, 4)}
    for kind in DifferenceType:
        offered = [str(repair) for repair in OFFERED.get(kind, ())]
        assert [word for word in re.findall(r"`([a-z_]+)`", told[kind]) if word in set(Repair)] == offered, kind


@pytest.mark.parametrize(("page", "words"), PAGES)
def test_each_report_is_on_the_page_with_all_its_forms(page: str, words: tuple[str, ...]) -> None:
    del words
    told = {row[0].strip("`"): row[3] for row in _rows(page) if len(row) == 4 and row[0].startswith("`")}
    for name in REPORTS:
        assert {"CSV", "XLSX", "API"} <= set(re.split("[,、] *", told[name])), name


@pytest.mark.parametrize(("page", "words"), PAGES)
def test_each_command_on_the_page_can_be_given(page: str, words: tuple[str, ...], tmp_path: Path) -> None:
    del words
    file = tmp_path / "bill.csv"
    file.write_text("")
    given = 0
    for words_of_command in _commands(page):
        context = click.Context(main)
        command: click.Command = main
        rest = [str(file) if word == "FILE" else word for word in words_of_command]
        while isinstance(command, click.Group):
            found = command.get_command(context, rest.pop(0))
            assert found is not None, words_of_command
            command = found
        command.make_context("tillbook", rest, parent=context)
        given += 1
    assert given > 20
