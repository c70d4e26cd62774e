"""Reports of finance say what the books say: sums by hand of what happened, in the period in which it counts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from openpyxl import load_workbook

from app.cli import main
from app.domain.accounting_time import Basis, Span
from app.domain.report_tables import Amount, Cell
from app.services.base.context import Tx
from app.services.calls import refund_calls
from app.services.reports.catalogue import ReportWanted, draw_report
from app.services.reports.unspent_coins import unspent_coins
from tests.support.buyer import Buyer
from tests.support.world import World

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)
FEBRUARY, MARCH = datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC)
JANUARY = Span(NEW_YEAR, FEBRUARY)


def rows_of(world: World, name: str, span: Span = JANUARY, basis: Basis = Basis.EFFECTIVE) -> list[dict[str, Cell]]:
    def drawn(tx: object) -> list[dict[str, Cell]]:
        table = draw_report(tx, name, ReportWanted(span, basis=basis))  # type: ignore[arg-type]
        return [dict(zip(table.columns, row, strict=True)) for row in table.rows]

    return world.core.whole.read(drawn, snapshot=True)


def cny(minor: int) -> Amount:
    return Amount(minor, "CNY")


@pytest.fixture
def three(world: World) -> list[Buyer]:
    """Three who paid 6 yuan each in January; the first got 2 yuan back, the second, weeks later, everything."""
    buyers = [Buyer(world) for _ in range(3)]
    for buyer in buyers:
        buyer.pay()
        world.clock.advance(60)
    refund_calls.work_on_refund(world.core, buyers[0].ask(200))
    world.clock.advance(timedelta(days=35).total_seconds())
    refund_calls.work_on_refund(world.core, buyers[1].ask())
    return buyers


def test_sales_and_refunds_are_those_of_their_period(world: World, three: list[Buyer]) -> None:
    (january,) = rows_of(world, "sales")
    assert january == {
        **{"environment": "sandbox", "product": "coins-60", "provider_account": "sandbox", "currency": "CNY"},
        **{"payments": 3, "units": 3, "gross": cny(1800), "refunded": cny(200), "net": cny(1600)},
        "unvalued_coins": None,
    }
    (february,) = rows_of(world, "sales", Span(FEBRUARY, MARCH))
    assert (february["payments"], february["refunded"], february["net"]) == (0, cny(600), cny(-600))
    (back,) = rows_of(world, "refunds")
    assert (back["user"], back["amount"], back["kind"]) == (three[0].user, cny(200), "refund")
    assert back["payment"] == str(three[0].payment_id)
    assert rows_of(world, "sales", Span(MARCH, MARCH + timedelta(days=31))) == []


def test_the_journal_balances_and_sums_to_the_accounts(world: World, three: list[Buyer]) -> None:
    lines = rows_of(world, "journal", Span(NEW_YEAR, MARCH))
    sums: dict[object, int] = {}
    for line in lines:
        debit, credit = line["debit"], line["credit"]
        minor = (credit.minor if isinstance(credit, Amount) else 0) - (debit.minor if isinstance(debit, Amount) else 0)
        sums[line["account"]] = sums.get(line["account"], 0) + minor
    assert sums == {"clearing:sandbox": -1000, "sales": 1000}
    documents = [line["document"] for line in lines]
    assert documents == sorted(documents)
    assert all(documents.count(document) == 2 for document in documents)
    assert {line["account_name"] for line in lines} == {"Receivable from the provider", "Contract liability"}


def test_a_payment_that_is_told_late_counts_when_it_was_made_or_when_it_was_booked(world: World) -> None:
    buyer = Buyer(world)
    world.clock.advance(timedelta(days=40).total_seconds())
    buyer.tell(buyer.paid())
    assert [row["gross"] for row in rows_of(world, "sales")] == [cny(600)]
    assert rows_of(world, "sales", basis=Basis.BOOKING) == []
    assert [row["gross"] for row in rows_of(world, "sales", Span(FEBRUARY, MARCH), Basis.BOOKING)] == [cny(600)]


@pytest.mark.one_database
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_command_writes_csv_and_workbooks(
    world: World, three: list[Buyer], database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TILLBOOK_ENV", "test")
    monkeypatch.setenv("TILLBOOK_DATABASE_URL", database_url)
    period = ("--from", "2026-01-01", "--to", "2026-01-31")
    run = CliRunner().invoke
    shown = run(main, ["report", "sales", *period])
    assert shown.output.splitlines()[1] == "sandbox,coins-60,sandbox,CNY,3,3,18.00,2.00,16.00,"
    file = tmp_path / "refunds.xlsx"
    assert run(main, ["report", "refunds", *period, "--output", str(file)]).exit_code == 0
    (_, row) = load_workbook(file).active.iter_rows(values_only=True)
    assert row[8:] == (2, "CNY")
    assert run(main, ["report", "fees", *period]).output.startswith("day,provider_account,")
    assert "no provider account 'nobody'" in run(main, ["report", "fees", *period, "--account", "nobody"]).output
    assert run(main, ["report", "sales", "--from", "2026-02-30", "--to", "2026-03-01"]).exit_code == 2
    assert run(main, ["report", "sales", "--from", "2026-02-02", "--to", "2026-02-01"]).exit_code == 2
    assert run(main, ["report", "sales", *period, "--format", "xlsx"]).exit_code == 2


def test_unspent_coins_are_listed_by_user_and_sum_to_the_contract_liability(world: World) -> None:
    first, second, third = (Buyer(world) for _ in range(3))
    for buyer in (first, second, third):
        buyer.pay()
    first.spend(6 + 23)
    second.spend(6 + 60)
    refund_calls.work_on_refund(world.core, third.ask(199))

    def listed(tx: Tx) -> list[tuple[Cell, ...]]:
        return [tuple(row) for row in unspent_coins(tx).rows]

    lines = world.core.whole.read(listed, snapshot=True)
    about = ("sandbox", "coins-60")
    assert [(*line[:4], *line[5:]) for line in lines] == [
        (first.user, *about, str(first.payment_id), "coin", 37, cny(370), "CNY"),
        (third.user, *about, str(third.payment_id), "coin", 40, cny(401), "CNY"),
    ]
