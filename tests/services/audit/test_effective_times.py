"""The effective time of what a fact caused is derived from the fact; rows that are older than these times need none."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import Engine, text

from app.models.base import Moment
from app.services.audit import run
from app.services.audit.ledger import AsOf
from tests.support.database_console import edit
from tests.support.world import World

LATE = timedelta(hours=5)
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def told_late(world: World) -> World:
    """A payment, and a refund of half of it, which are told hours after they happened."""
    payment = world.order().payments[0]
    world.pay(payment.id)
    world.clock.advance(LATE.total_seconds())
    world.deliver()
    world.simulator.console_refund(world.at_provider(payment.id), 300)
    world.clock.advance(LATE.total_seconds())
    world.deliver()
    return world


def _findings(world: World) -> list[str]:
    as_of = AsOf(world.core.rules.ledger, world.core.clock.now)
    return [found.what for found in run.audit(world.core.whole.sessions, as_of)]


def _times(world: World) -> dict[str, timedelta | None]:
    query = text("/* sweep: audit */ SELECT kind, created_at, effective_at FROM transfers")
    rows = world.core.whole.read(lambda tx: tx.execute(query.columns(created_at=Moment, effective_at=Moment)).all())
    return {row.kind: None if row.effective_at is None else row.created_at - row.effective_at for row in rows}


@pytest.mark.one_database
def test_payments_coins_and_refunds_are_effective_when_their_facts_say(told_late: World) -> None:
    times = _times(told_late)
    assert {kind: times[kind] for kind in ("payment", "purchase", "bonus", "refund")} == dict.fromkeys(
        ("payment", "purchase", "bonus", "refund"), LATE
    )
    assert times["clawback"] is None
    assert _findings(told_late) == []


@pytest.mark.parametrize("kind", ["payment", "purchase", "refund"])
@pytest.mark.parametrize("value", ["NULL", "'2026-01-01 00:00:00.000000'"])
def test_whoever_changes_an_effective_time_is_found(told_late: World, engine: Engine, kind: str, value: str) -> None:
    edit(engine, f"UPDATE transfers SET effective_at = {value} WHERE kind = '{kind}'")
    assert "transfer_time" in _findings(told_late)


def test_a_spend_has_no_effective_time(told_late: World, engine: Engine) -> None:
    edit(engine, "UPDATE transfers SET effective_at = '2026-01-01 00:00:00.000000' WHERE kind = 'clawback'")
    assert "ledger_transfers" in _findings(told_late)


def test_transfers_that_are_older_than_effective_times_need_none(told_late: World, engine: Engine) -> None:
    edit(engine, "UPDATE transfers SET effective_at = NULL WHERE effective_at IS NOT NULL")
    assert _findings(told_late) == []
