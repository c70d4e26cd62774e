"""`tillbook report contract-liability` and `report revenue`: figures of whole days, as CSV."""

from __future__ import annotations

import pytest
from click.testing import CliRunner, Result

from app.cli import main
from app.services.finance import recognition
from tests.support.buyer import Buyer
from tests.support.world import World

DAY = 86_400.0


def test_both_reports_are_csv_of_days_that_are_worked_out(
    world: World, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TILLBOOK_ENV", "test")
    monkeypatch.setenv("TILLBOOK_DATABASE_URL", database_url)

    def run(name: str, since: str, until: str) -> Result:
        return CliRunner().invoke(main, ["report", name, "--from", since, "--to", until])

    buyer = Buyer(world)
    buyer.pay()
    buyer.spend(6 + 15)
    assert "worked out no day" in run("revenue", "2026-01-02", "2026-01-02").output
    world.clock.advance(3 * DAY)
    assert recognition.recognise_next(world.core)
    liability = run("contract-liability", "2026-01-01", "2026-01-02").output.splitlines()
    assert liability == [
        "environment,currency,asset,product,sale_month,opening_coins,sold_coins,brought_in_coins,used_coins,"
        "expired_coins,refunded_coins,taken_back_coins,other_coins,closing_coins,opening,sold,brought_in,used,expired,"
        "refunded,taken_back,other,closing",
        "sandbox,CNY,coin,coins-60,2026-01,0,60,0,15,0,0,0,0,45,0.00,6.00,0.00,1.50,0.00,0.00,0.00,0.00,4.50",
    ]
    assert run("revenue", "2026-01-01", "2026-01-03").output.splitlines() == [
        "day,environment,currency,asset,product,sale_month,coins,earned,breakage",
        "2026-01-02,sandbox,CNY,coin,coins-60,2026-01,15,1.50,0.00",
    ]
    late = run("revenue", "2026-01-01", "2026-01-04")
    assert (late.exit_code, "the days until 2026-01-03" in late.output) == (1, True)
    assert run("revenue", "2026-01-02", "2026-01-01").exit_code == 2
