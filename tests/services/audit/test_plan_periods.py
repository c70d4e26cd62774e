"""Whoever changes until when a period is earned is found."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine

from app.domain.facts import Fact, Kind, Ref
from app.domain.money import Money
from app.services.accounts.users import ensure_user
from app.services.audit.plan_periods import audit_plan_periods
from tests.support.agreement_house import AgreementHouse, agreement_house
from tests.support.database_console import edit
from tests.support.world import World

JANUARY, FEBRUARY = datetime(2026, 1, 2, tzinfo=UTC), datetime(2026, 2, 2, tzinfo=UTC)
OF_OURS = "agreement_id IN (SELECT id FROM agreements WHERE NOT by_store)"
OF_STORE = "agreement_id IN (SELECT id FROM agreements WHERE by_store) AND number = 0"
CHANGES = {
    "longer": f"UPDATE agreement_periods SET earned_until = '2026-12-02 00:00:00+00:00' WHERE {OF_OURS}",
    "never": f"UPDATE agreement_periods SET earned_until = NULL WHERE {OF_OURS}",
    "a store's is shorter": f"UPDATE agreement_periods SET earned_until = '2026-01-20 00:00:00+00:00' WHERE {OF_STORE}",
    "nobody paid": f"UPDATE agreement_periods SET status = 'free', payment_id = NULL WHERE {OF_OURS}",
    "it has coins": "UPDATE orders SET grants = '[{}]' WHERE id IN (SELECT order_id FROM agreement_periods)",
}


@pytest.fixture
def house(world: World) -> AgreementHouse:
    """A plan of our own, and a store's period that the next one has cut."""
    house = agreement_house(world)
    token = str(house.core.whole.transact(lambda tx: ensure_user(tx, "dora")).token)
    house.signed("alice", "basic")
    house.at(JANUARY + timedelta(hours=9))
    told = {"owner": token, "product": "vip.monthly", "account": "store-app", "live": False, "quantity": 1}
    names = Ref(theirs="t-1", agreement="original")
    paid = Fact(Kind.PAID, names, JANUARY, period_end=FEBRUARY, price=Money(3100, "CNY"), **told)  # type: ignore[arg-type]
    house.tell(paid, "store")
    house.world.clock.advance(timedelta(days=8).total_seconds())
    later = JANUARY + timedelta(days=8)
    names = Ref(theirs="t-2", agreement="original")
    house.tell(replace(paid, ref=names, at=later, period_end=FEBRUARY + timedelta(days=8)), "store")
    return house


@pytest.mark.parametrize("change", CHANGES)
def test_a_period_is_earned_until_the_end_that_was_sold(house: AgreementHouse, engine: Engine, change: str) -> None:
    assert list(audit_plan_periods(house.core.whole.sessions)) == []
    edit(engine, CHANGES[change])
    found = list(audit_plan_periods(house.core.whole.sessions))
    assert {one.what for one in found} == {"plan_period"}
