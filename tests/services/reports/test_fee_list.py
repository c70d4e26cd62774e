"""Each fee is listed with the row behind it, and the list sums to what is booked."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from app.domain.accounting_time import Span
from app.domain.bill_figures import FEE_KINDS
from app.domain.bill_lines import BillLine, LineKind
from app.domain.limits import LedgerRules
from app.services.base.context import Rules, Tx
from app.services.finance import bill_bookings
from app.services.finance.bill_sums import figures
from app.services.reports.bill_days import bill_day
from app.services.reports.catalogue import ReportWanted, draw_report
from tests.support.settling_house import DAY, NOON, SECOND_DAY, SettlingHouse, alien_line, line_of, settling_house
from tests.support.world import World

CHINA = ZoneInfo("Asia/Shanghai")
WHOLE = Span(SECOND_DAY, SECOND_DAY + 2 * DAY)


@pytest.fixture
def house(world: World) -> SettlingHouse:
    world.core = replace(world.core, rules=Rules(ledger=LedgerRules(zone=CHINA)))
    return settling_house(world)


def listed(house: SettlingHouse, span: Span = WHOLE) -> list[dict[str, Any]]:
    def rows(tx: Tx) -> list[dict[str, Any]]:
        table = draw_report(tx, "fees", ReportWanted(span))
        return [dict(zip(table.columns, row, strict=True)) for row in table.rows]

    return house.world.core.whole.read(rows, snapshot=True)


def booked(house: SettlingHouse) -> Counter[tuple[str, str]]:
    """By day and kind."""

    def added(tx: Tx) -> Counter[tuple[str, str]]:
        sums = Counter[tuple[str, str]]()
        for day in (date(2026, 1, 2), date(2026, 1, 3)):
            for (kind, _), minor in figures(tx, bill_day(tx, "sandbox", day, CHINA)).items():
                if kind in FEE_KINDS:
                    sums[str(day), kind] += minor
        return sums

    return house.world.core.whole.read(added, snapshot=True)


def test_each_fee_has_its_payment_and_its_row_and_the_list_sums_to_what_is_booked(house: SettlingHouse) -> None:
    first, second = house.paid("first", fee=None), house.paid("second", fee=None)
    back = house.refunded(first, "R-1", 200)
    trades = [line_of(first, fee_minor=-4), line_of(second, fee_minor=-5), line_of(back, fee_minor=1)]
    house.bring("2026-01-02", [*trades, replace(alien_line("T-shop", "shop-77"), fee_minor=-9)])
    found = [(row["kind"], row["amount"].written(), row["payment"], row["refund"], row["row"]) for row in listed(house)]
    assert found == [
        ("bill_fee", "-0.04 CNY", first.ref.ours, None, 1),
        ("bill_fee", "-0.05 CNY", second.ref.ours, None, 2),
        ("bill_fee_return", "0.01 CNY", first.ref.ours, "R-1", 3),
    ], "another system's fee is its own"
    assert {(row["feed"], row["bill"], row["provider_account"]) for row in listed(house)} == {
        ("trade", "2026-01-02", "sandbox")
    }
    assert sums(house) == booked(house) == {("2026-01-02", "bill_fee"): -9, ("2026-01-02", "bill_fee_return"): 1}
    fee = BillLine("f", LineKind.FEE, NOON, -6, "CNY", theirs=first.ref.theirs, word="fee")
    paid = BillLine("p", LineKind.PAYMENT, NOON, 600, "CNY", theirs=first.ref.theirs)
    house.bring("funds", [paid, fee], feed="funds")
    [only] = listed(house)
    assert (only["amount"].minor, only["bill"], only["row"], only["word"]) == (-6, "funds", 2, "fee")
    assert only["payment"] == first.ref.ours, "the account bill names the payment by the provider's number alone"
    assert sums(house) == booked(house)
    bill_bookings.book_due_bills(house.world.core, 10)
    house.world.assert_balanced()


def test_a_fee_counts_on_the_day_of_its_bill(house: SettlingHouse) -> None:
    paid = house.paid("alice", at=SECOND_DAY + DAY, fee=None)
    house.bring("2026-01-03", [line_of(paid, fee_minor=-4)], SECOND_DAY + DAY)
    assert listed(house, Span(SECOND_DAY, SECOND_DAY + DAY)) == []
    assert [row["day"] for row in listed(house)] == [date(2026, 1, 3)]
    assert listed(house, Span(SECOND_DAY, SECOND_DAY + 2 * DAY - DAY / 24)) == [], "the day is not over"


def sums(house: SettlingHouse) -> Counter[tuple[str, str]]:
    found = Counter[tuple[str, str]]()
    for row in listed(house):
        found[str(row["day"]), row["kind"]] += row["amount"].minor
    return found
