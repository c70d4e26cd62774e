"""A whole plugin's bills, read by the worker: what went well settles, and what its bills have wrong is found."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from app.services.base.idempotency import keyed
from app.services.bills import readings
from app.services.calls import refund_calls, scans
from app.services.differences.difference_lists import DifferenceFilter, list_differences
from app.services.differences.due_comparisons import compare_due
from app.services.refunds.requests import Wanted
from app.worker import Worker
from tests.support.world import World

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def bought(world: World, user: str) -> int:
    payment = int(world.order(user, key=f"order of {user}").payments[-1].id)
    world.pay(payment)
    world.deliver()
    return payment


def test_days_with_real_bills_settle_but_for_what_the_bills_have_wrong(world: World) -> None:
    desk = world.simulator.bills
    world.serve(replace(world.account, scan={"trade_bill": 600, "fund_bill": 600}))
    payments = [bought(world, f"user {number}") for number in range(4)]
    wanted = Wanted(payments[0], None, 250, "asked", None, "backend")
    refund_calls.request_refund(world.core, wanted, keyed("backend", "r", "refund", {"payment": str(payments[0])}))
    desk.missing.add(f"{world.at_provider(payments[1]).id}-payment")
    desk.twice.add(f"{world.at_provider(payments[2]).id}-payment")
    worker = Worker(world.core)
    for _ in range(7):
        worker.run_once()
        world.clock.advance(86_400)
    worker.run_once()
    read = world.core.whole.read(readings.list_readings)
    assert {row.status for row in read} == {"read"}
    found = list_differences(world.core, DifferenceFilter(), None, 100).rows
    assert Counter((row.type, row.ours) for row in found if row.side == "trades") == Counter(
        [("ours_not_theirs", str(payments[1])), ("duplicate", str(payments[2]))]
    )
    world.assert_balanced()


def test_a_bill_that_is_made_anew_within_three_days_is_fetched_once_more_and_counts(world: World) -> None:
    desk = world.simulator.bills
    world.serve(replace(world.account, scan={"trade_bill": 600}))
    payment = bought(world, "alice")
    desk.missing.add(f"{world.at_provider(payment).id}-payment")
    worker = Worker(world.core)
    for day in range(9):
        worker.run_once()
        world.clock.advance(86_400)
        if day == 2:
            desk.missing.clear()
            desk.made.clear()
    read = [row for row in world.core.whole.read(readings.list_readings) if "2026-01-02" in row.name]
    assert sorted((row.status, row.lines) for row in read) == [("read", 1), ("replaced", 0)]
    assert list_differences(world.core, DifferenceFilter(state="all"), None, 100).rows == []


def test_the_bills_of_trades_and_of_funds_of_one_day_are_compared_once(world: World) -> None:
    world.serve(replace(world.account, scan={"trade_bill": 600, "fund_bill": 600}))
    bought(world, "alice")
    world.clock.advance(2 * 86_400)
    scans.scan_due(world.core, world.account, "trade_bill", timedelta(days=1))
    scans.scan_due(world.core, world.account, "fund_bill", timedelta(days=1))
    readings.read_unread(world.core, [world.account], 10)
    days = {(row.since, row.side) for row in world.core.whole.read(readings.list_readings)}
    assert {side for _, side in days} == {"trades", "funds"}
    with capture_logs() as told:
        assert compare_due(world.core, [world.account], 10) == len(days)
        assert compare_due(world.core, [world.account], 10) == 0
    compared = [line for line in told if line["event"] == "bills_compared"]
    assert len(compared) == len({since for since, _ in days})
