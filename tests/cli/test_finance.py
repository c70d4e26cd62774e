"""The commands of finance: an entry by two persons, a month closed by two, what bills book, and the chart."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from openpyxl import load_workbook

from app.cli import main
from app.services.base.transaction import Sessions
from tests.support.books import START, Books

Run = Callable[..., Result]


@pytest.fixture
def run(sessions: Sessions, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("TILLBOOK_ENV", "test")
    monkeypatch.setenv("TILLBOOK_DATABASE_URL", database_url)
    monkeypatch.setenv("TILLBOOK_FINANCE", '{"accounts": {"clearing:ali": {"number": "1122.01", "name": "支付宝"}}}')
    return lambda *arguments: CliRunner().invoke(main, list(arguments))


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_an_entry_is_posted_by_two_persons_and_listed(run: Run) -> None:
    entry = ["journal", "post", "--document", "D-1", "--reason", "found", "--currency", "CNY", "--debit"]
    entry += ["suspense=6.00", "--credit", "bank:ali=6", "--effective", "2026-01-31", "--actor"]
    made = run(*entry, "mei")
    assert made.exit_code == 0, made.output
    number = re.findall(r"journal entry (\d+): proposed", made.output)[0]
    assert number in run(*entry, "mei").output, "the same command again is one entry"
    assert "another person" in run("journal", "confirm", number, "--actor", "mei").output
    assert "posted" in run("journal", "confirm", number, "--actor", "li").output
    assert "posted" in run("journal", "confirm", number, "--actor", "li").output
    assert run("journal", "withdraw", number, "--actor", "li").exit_code == 1
    assert "bank:ali  debit 0.00  credit 6.00" in run("journal", "show", number).output
    back = run("journal", "reverse", number, "--document", "D-2", "--reason", "wrong", "--actor", "mei")
    assert "proposed" in back.output
    table = run("journal", "list", "--status", "posted").output.splitlines()
    assert len(table) == 3
    assert table[1].startswith(f"{number},posted,D-1,2026-01-31")
    assert table[1].endswith("suspense,600,0,CNY,found")
    report = run("report", "trial-balance", "--at", "2026-01-31").output
    assert re.search(r"bank:ali +0\.00 +6\.00 +6\.00", report)
    table = run("report", "trial-balance", "--at", "2026-01-31", "--format", "csv").output.splitlines()
    assert "live,CNY,house,bank:ali,,Paid out to the bank,0.00,6.00,6.00" in table
    booked = run("report", "trial-balance", "--at", "2026-01-31", "--by", "booking")
    assert (booked.exit_code, "bank:ali" in booked.output) == (0, False)
    assert "bank:ali" not in run("report", "trial-balance", "--from", "2026-02-01").output
    assert run("report", "trial-balance", "--to", "2026-02-01").exit_code == 2


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("wrong", ["suspense=6.001", "suspense", "suspense=-1", "wallet=6.00", "sales=6.00"])
def test_an_entry_that_is_none_is_refused(run: Run, wrong: str) -> None:
    done = run(
        *["journal", "post", "--document", "D", "--reason", "r", "--currency", "CNY", "--actor", "mei"],
        *["--debit", wrong, "--credit", "bank:ali=6.00"],
    )
    assert done.exit_code in (1, 2)
    assert run("journal", "list").output.count("\n") == 1


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_month_is_closed_by_two_persons(run: Run, sessions: Sessions) -> None:
    books = Books(sessions)
    books.issue(5, START)
    assert "checkpoints are behind" in run("close", "2026-03", "--actor", "mei").output
    books.work(START + timedelta(days=200))
    assert "proposed by operator:mei" in run("close", "2026-03", "--actor", "mei").output
    assert "another person" in run("close", "2026-03", "--actor", "mei", "--confirm").output
    assert "closed by operator:li" in run("close", "2026-03", "--actor", "li", "--confirm").output
    assert run("closings").output.startswith("2026-03: closed by operator:li")
    assert "one after another" in run("close", "2026-05", "--actor", "mei").output
    assert run("report", "adjustments", "--from", "2026-03-01", "--to", "2026-04-30").output.count("\n") == 1
    assert "not a month" in run("close", "March", "--actor", "mei").output


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_chart_has_the_numbers_of_the_company_and_unknown_accounts_are_told(run: Run, tmp_path: Path) -> None:
    table = run("report", "chart").output.splitlines()
    workbook = tmp_path / "chart.xlsx"
    assert run("report", "chart", "--output", str(workbook)).exit_code == 0
    rows = list(load_workbook(workbook).worksheets[0].iter_rows(values_only=True))
    assert [len(rows), "支付宝" in {row[-1] for row in rows}] == [len(table), True]
    assert "sales,liability,credit,Contract liability,合同负债,," in table
    assert "clearing:ali,asset,debit,Receivable from the provider,应收账款（支付渠道）,1122.01,支付宝" in table
    assert "no provider account" in run("report", "clearing", "ali", "2026-01-02").output
    assert "no provider account" in run("book-bills", "ali", "2026-01-02", "2026-01-03").output
