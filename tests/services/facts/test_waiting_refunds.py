"""Refunds that wait for their payment are found by one sweep, wherever a person let their money go."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import text

from app.domain.facts import Kind, Ref
from app.domain.money import Money
from app.domain.numbers import slot_of_number
from app.services.facts import waiting_refunds
from app.services.facts.assigned import assign, plan_assignment
from tests.support.facts import paid_fact, told
from tests.support.world import World

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
NUMBERS = ("1234567890123456789", "1234567890123456790")
"""Numbers of an earlier system, which lie in other slots than any order here."""


def test_a_damaged_refund_keeps_no_other_one_waiting(world: World) -> None:
    order = world.order()
    paid = [paid_fact(world, order.payments[0].id, owner=None, ref=Ref(ours, f"T-{ours}")) for ours in NUMBERS]
    given = told(world, paid[1])
    assert given.fact_id is not None
    assign(world.core, plan_assignment(world.core, given.fact_id, order.order.id), actor="wang", reason="her receipt")
    assert world.coins() == 66
    refunds = [
        replace(fact, kind=Kind.REFUNDED, ref=replace(fact.ref, refund=f"R-{fact.ref.ours}"), money=Money(200, "CNY"))
        for fact in paid
    ]
    damaged, whole = (told(world, refund).fact_id for refund in refunds)
    assert damaged is not None
    assert whole is not None
    assert damaged < whole
    damage = text("UPDATE facts SET content = '{}' WHERE slot = :slot AND id = :id")
    world.core.of_number(damaged).transact(
        lambda tx: tx.execute(damage, {"slot": slot_of_number(damaged), "id": damaged})
    )
    assert waiting_refunds.look_at_waiting_refunds(world.core, 0) == (1, 0)
    assert (world.coins(), world.money("sales")) == (44, 400)
    assert waiting_refunds.look_at_waiting_refunds(world.core, 0) == (0, 0), "only the damaged one waits"
