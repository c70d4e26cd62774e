"""Figures for finance come out as CSV."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from app.cli import main
from app.domain.numbers import slot_of_user
from app.domain.spending import Spend
from app.services import ledger
from tests.support.world import World


def test_deferred_revenue_is_what_unspent_paid_coins_were_bought_for(
    world: World, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    payment = world.order().payments[0]
    world.pay(payment.id)
    world.deliver()
    spend = Spend("alice", "coin", 26, "s1", environment="sandbox")  # 6 bonus coins first, then 20 of the 60 paid
    world.core.whole.transact(lambda s: ledger.spend(s, slot_of_user("alice"), spend))
    monkeypatch.setenv("TILLBOOK_ENV", "test")
    monkeypatch.setenv("TILLBOOK_DATABASE_URL", database_url)
    done = CliRunner().invoke(main, ["report", "deferred-revenue"])
    assert done.exit_code == 0, done.output
    assert done.output.splitlines() == [
        "environment,product,month,asset,coins,value,currency",
        "sandbox,coins-60,2026-01,coin,40,4.00,CNY",
    ]
