"""The daily settlement sheet: our total, the differences and the boundary of days come to what the bills say."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from app.domain.accounting_time import Span
from app.domain.bill_figures import BillDay
from app.domain.bill_lines import LineKind
from app.domain.limits import LedgerRules
from app.domain.report_tables import Amount
from app.services.base.context import Rules
from app.services.finance.bill_sums import figures
from app.services.reports.catalogue import ReportWanted, draw_report
from tests.support.settling_house import DAY, SECOND_DAY, alien_line, line_of, settling_house
from tests.support.world import World

NOBODYS = "1234567890123456789"


def test_each_day_settles_with_its_differences_and_its_boundary(world: World) -> None:
    world.core = replace(world.core, rules=Rules(ledger=LedgerRules(zone=ZoneInfo("Asia/Shanghai"))))
    house = settling_house(world)
    end = SECOND_DAY + DAY
    same, other = house.paid("same", fee=None), house.paid("amount")
    house.paid("missing in the bill")
    at_midnight = house.paid("midnight", at=end - timedelta(milliseconds=100))
    back = house.refunded(same, "R-1", 200)
    lines = [line_of(same, fee_minor=-4), line_of(other, amount_minor=700), line_of(back)]
    house.bring("2026-01-02", [*lines, alien_line("T-nobody", NOBODYS), alien_line("T-shop", "shop-77", minor=900)])
    house.bring("2026-01-03", [line_of(at_midnight, at=end + timedelta(seconds=1))], end)
    for number in range(2, 8):
        house.bring(f"quiet-{number}", [], SECOND_DAY + number * DAY)
    house.world.clock.advance(30 * 86_400)
    house.compare(days=2)

    def rows(tx: Any) -> list[dict[str, Any]]:
        table = draw_report(tx, "settlement", ReportWanted(Span(SECOND_DAY, SECOND_DAY + 3 * DAY)))
        return [dict(zip(table.columns, row, strict=True)) for row in table.rows]

    first, second = world.core.whole.read(rows, snapshot=True)
    assert {name: cell.minor for name, cell in first.items() if isinstance(cell, Amount)} == {
        **{"our_payments": 2400, "our_refunds": 200, "bill_payments": 1900, "bill_refunds": 200, "bill_fees": -4},
        **{"others": 900, "difference_amount": 100, "day_boundary": -600},
    }
    assert (first["day"], first["differences"]) == (date(2026, 1, 2), 4)
    assert {name: cell.minor for name, cell in second.items() if isinstance(cell, Amount)} == {
        **{"our_payments": 0, "our_refunds": 0, "bill_payments": 600, "bill_refunds": 0, "bill_fees": 0},
        **{"others": 0, "difference_amount": 0, "day_boundary": 600},
    }
    assert first["day_boundary"].minor + second["day_boundary"].minor == 0


def test_the_rule_of_the_account_says_whose_a_line_is(world: World) -> None:
    house = settling_house(world)
    house.bring("2026-01-02", [alien_line("T-shop", "shop-77", minor=900)])

    def told(tx: Any) -> list[tuple[int, int]]:
        table = draw_report(tx, "settlement", ReportWanted(Span(SECOND_DAY, SECOND_DAY + DAY)))
        rows = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
        return [(row["bill_payments"].minor, row["others"].minor) for row in rows]

    assert world.core.whole.read(told, snapshot=True) == [(0, 900)]
    house.set_account(our_numbers="shop-.*")
    assert world.core.whole.read(told, snapshot=True) == [(900, 0)]


def test_a_row_counts_once_in_the_sheet_and_in_the_books_however_many_bills_tell_it(world: World) -> None:
    """The month's bill has another fee than the day's. A row of the next day with a known key is a second one: the bill
    has more than the books, and a difference says so."""
    house = settling_house(world)
    paid, twice = house.paid("told by day and month"), house.paid("twice")
    alien = alien_line("T-shop", "shop-77", minor=900)
    rows = [line_of(paid, fee_minor=-4), line_of(twice, fee_minor=-4), replace(alien, fee_minor=-9)]
    rows.append(
        replace(line_of(paid), key="refund", kind=LineKind.REFUND, amount_minor=-200, ours=None, theirs="T-shop")
    )
    house.bring("2026-01-02", rows)
    house.bring("January", [line_of(paid, fee_minor=-5), *rows[1:]])
    house.bring("2026-01-03", [line_of(twice, fee_minor=-4)], SECOND_DAY + DAY)
    house.compare(days=2)
    assert house.types()["duplicate"] == 1

    def told(tx: Any) -> dict[str, int]:
        table = draw_report(tx, "settlement", ReportWanted(Span(SECOND_DAY, SECOND_DAY + DAY)))
        [row] = (dict(zip(table.columns, row, strict=True)) for row in table.rows)
        return {name: cell.minor for name, cell in row.items() if isinstance(cell, Amount)}

    sheet = world.core.whole.read(told, snapshot=True)
    assert (sheet["bill_payments"], sheet["bill_fees"], sheet["others"]) == (1800, -5 - 4 - 4, 900 - 9 - 200)
    assert (sheet["our_payments"], sheet["difference_amount"], sheet["day_boundary"]) == (1200, 600, 0)
    day = BillDay("sandbox", "sandbox", date(2026, 1, 2), ZoneInfo("Asia/Shanghai"))
    booked = world.core.whole.read(lambda tx: figures(tx, day))
    assert booked == {("bill_fee", "CNY"): -9, ("bill_others_money", "CNY"): 691}


def test_a_bill_without_rows_is_a_bill_and_no_bill_is_none(world: World) -> None:
    world.core = replace(world.core, rules=Rules(ledger=LedgerRules(zone=ZoneInfo("Asia/Shanghai"))))
    house = settling_house(world)
    world.clock.advance((3 * DAY).total_seconds())
    house.paid("told by nobody")
    house.paid("of a day without a bill", at=SECOND_DAY + DAY)
    house.bring("2026-01-02", [])

    def told(tx: Any) -> list[tuple[Any, ...]]:
        table = draw_report(tx, "settlement", ReportWanted(Span(SECOND_DAY, SECOND_DAY + 2 * DAY)))
        rows = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
        return [(row["bill_payments"], row["day_boundary"]) for row in rows]

    assert world.core.whole.read(told, snapshot=True) == [(Amount(0, "CNY"), Amount(-600, "CNY")), (None, None)]
