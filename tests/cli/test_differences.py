"""What finance does about differences by the command."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner, Result

from app.cli import main
from app.domain.accounting_time import end_of_day, start_of_day
from app.domain.bill_lines import BillLine, BillSide, LineKind
from tests.support.bill_writer import BillWriter
from tests.support.settling_house import SettlingHouse, alien_line, bill_bytes_of, line_of, settling_house
from tests.support.world import SECRET, World

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
ACCOUNT = {
    "plugin": "sandbox",
    "live": "false",
    "base_url": "https://sandbox.test",
    "merchant": "m-1",
    "secret": SECRET,
}


def run(*words: str) -> Result:
    return CliRunner().invoke(main, list(words))


@pytest.fixture
def house(world: World, database_url: str, monkeypatch: pytest.MonkeyPatch) -> SettlingHouse:
    monkeypatch.setenv("TILLBOOK_ENV", "test")
    monkeypatch.setenv("TILLBOOK_DATABASE_URL", database_url)
    for name, value in ACCOUNT.items():
        monkeypatch.setenv(f"TILLBOOK_PROVIDER_ACCOUNTS__SANDBOX__{name.upper()}", value)
    return settling_house(world)


def test_a_difference_is_listed_shown_worked_on_and_written_off_by_two(house: SettlingHouse) -> None:
    paid = house.paid("alice")
    house.bring("2026-01-02", [line_of(paid, amount_minor=450), alien_line("T-shop", "shop-1")])
    house.compare()
    [amount] = [row for row in house.listed() if row.type == "amount"]
    assert len(run("differences", "list").output.splitlines()) == 2
    [head, line] = run("differences", "list", "--type", "amount", "--csv").output.splitlines()
    assert (head.split(",")[0], line.split(",")[0], line.split(",")[3]) == ("number", str(amount.id), "amount")
    number = str(amount.id)
    assert "in_work  wang" in run("differences", "take", number, "--actor", "wang").output
    assert "«asked»" in run("differences", "note", number, "asked", "--actor", "wang").output
    assert "would ask sandbox about payment" in run("differences", "repair", number).output
    assert run("differences", "repair", number, "--yes").exit_code == 2
    assert "it has: ask, refund" in run("differences", "repair", number, "--by", "apply").output
    done = run("differences", "write-off", number, "--reason", "too small", "--actor", "wang")
    assert "would book 1.50 CNY, debit writeoff, credit clearing:sandbox" in done.output
    same = run("differences", "write-off", number, "--confirm", "--actor", "wang")
    assert (same.exit_code, "another person" in same.output) == (1, True)
    assert "books 6.00  on its way" in run("report", "clearing", "sandbox", "2026-01-02").output
    table = run("report", "clearing", "sandbox", "2026-01-02", "--format", "csv").output.splitlines()
    assert table[1] == "2026-01-02,sandbox,sandbox,CNY,,6.00,0.00,"
    again = ("book-bills", "sandbox", "2026-01-02", "2026-01-02")
    assert [run(*again).output.splitlines()[-1] for _ in "12"] == ["sandbox: 1 transfers", "sandbox: 0 transfers"]
    assert "are those of Asia/Shanghai" in run(*again, "--zone", "UTC").output
    assert "written_off" in run("differences", "write-off", number, "--confirm", "--actor", "li").output
    shown = run("differences", "show", number).output
    assert [line.split("  ")[2] for line in shown.splitlines()[1:-1]] == [
        *("opened", "taken", "noted", "write_off_proposed", "written_off")
    ]
    assert (
        "resolved" in run("differences", "resolve", str(house.only().id), "--reason", "a shop", "--actor", "li").output
    )
    assert run("differences", "list").output == ""


def test_what_cannot_be_done_is_said_in_a_sentence(house: SettlingHouse, tmp_path: Path) -> None:
    assert run("differences", "show", "12").output == "Error: there is no such difference\n"
    assert run("differences", "show", "twelve").exit_code == 2
    assert "no provider account 'nobody'" in run("differences", "run", "nobody", "2026-01-02").output
    file = tmp_path / "bill.json"
    file.write_bytes(bill_bytes_of([]))
    done = run("bills", "import", str(file), "--account", "nobody", "--feed", "trade")
    assert (done.exit_code, "no provider account 'nobody'" in done.output) == (1, True)
    assert "no provider account 'nobody'" in run("bills", "read-again", "nobody").output


def test_the_other_side_of_a_difference_is_proposed_and_never_matched_by_its_sum(house: SettlingHouse) -> None:
    paid = house.paid("alice")
    house.bring("2026-01-02", [alien_line("T-elsewhere", "1234567890123456789")])
    house.world.clock.advance(30 * 86_400)
    house.compare()
    ours, theirs = sorted(house.listed(), key=lambda row: str(row.type))
    assert f"perhaps the other side: {theirs.id}" in run("differences", "show", str(ours.id)).output
    assert f"theirs={paid.ref.theirs}" in run("differences", "show", str(theirs.id)).output


def test_bills_are_listed_with_what_became_of_them_and_line_by_line(house: SettlingHouse) -> None:
    paid = house.paid("alice")
    house.bring("2026-01-02", [line_of(paid)])
    assert run("bills", "readings").output == "sandbox  trade  2026-01-02  trades  read  1 lines\n"
    assert run("bills", "readings", "--status", "refused").output == ""
    [line] = run("bills", "lines", "sandbox", "--days", "2026-01-02").output.splitlines()
    assert f"payment  6.00 CNY  ours={paid.ref.ours}  theirs={paid.ref.theirs}" in line
    assert run("bills", "lines", "sandbox", "--days", "2026-01-03").output == ""
    [head, row] = run("bills", "lines", "sandbox", "--csv").output.splitlines()
    assert row.split(",")[head.split(",").index("amount_minor")] == "600"


def test_days_are_those_of_the_accounts_own_bills(house: SettlingHouse) -> None:
    """In another zone, hours of each day looked as if a bill was missing."""
    at = datetime(2026, 1, 2, 15, 30, tzinfo=UTC)  # the third of January in Tokyo, the second in Shanghai
    tokyo = ZoneInfo("Asia/Tokyo")
    span = start_of_day(date(2026, 1, 3), tokyo), end_of_day(date(2026, 1, 3), tokyo)
    bills = BillWriter(house.world.core.home.sessions, zone=tokyo.key)
    bills.write("a day", BillSide.FUNDS, *span, [BillLine("1", LineKind.FEE, at, -4, "CNY")], at)
    assert run("bills", "lines", "sandbox", "--days", "2026-01-02").output == ""
    assert run("bills", "lines", "sandbox", "--days", "2026-01-03").output.startswith(
        "2026-01-03 00:30:00+0900  fee  -0.04 CNY"
    )
    of_tokyo = '"since": "2026-01-02T15:00:00+00:00", "until": "2026-01-03T15:00:00+00:00"'
    assert of_tokyo in run("differences", "run", "sandbox", "2026-01-03").output
