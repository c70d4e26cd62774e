"""What a payment keeps of its request once it has ended: only what a late fact is compared with."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.domain.facts import Kind
from app.services.calls import payment_starts
from app.services.payments import expiry, payment_rows
from tests.support.facts import paid_fact, told
from tests.support.world import World

KEPT = {"product": "coins-60"}


def test_the_request_and_the_next_step_go_with_the_end_and_stay_until_then(world: World) -> None:
    payment_id = world.order().payments[0].id
    open_one = world.payment(payment_id)
    assert open_one.action["type"]
    assert open_one.intent["notify_url"]
    told(world, replace(paid_fact(world, payment_id), kind=Kind.AUTHORIZED))
    assert world.payment(payment_id).intent == open_one.intent
    told(world, paid_fact(world, payment_id))
    ended = world.payment(payment_id)
    assert (ended.status, ended.intent, ended.action) == ("paid", KEPT, {})


@pytest.mark.parametrize("end", [Kind.FAILED, Kind.CLOSED])
def test_late_money_for_a_payment_that_ended_is_compared_with_what_is_kept(world: World, end: Kind) -> None:
    came = {}
    for user, product in (("alice", "another"), ("bob", "coins-60")):
        payment_id = world.order(user).payments[0].id
        told(world, replace(paid_fact(world, payment_id), kind=end))
        assert world.payment(payment_id).intent == KEPT
        came[user] = told(world, replace(paid_fact(world, payment_id), product=product))
    assert (came["alice"].outcome, came["alice"].reason) == ("parked", "other_product")
    assert came["bob"].outcome == "applied"


def test_a_payment_that_a_person_closes_loses_its_request_too(world: World) -> None:
    payment_id, other = (world.order(user).payments[0].id for user in ("alice", "bob"))
    world.clock.advance(30 * 86_400)
    expiry.close_by_hand(world.core, payment_id, actor="ann", reason="the shop is closed")
    assert (world.payment(payment_id).action, world.payment(payment_id).intent) == ({}, KEPT)
    assert world.payment(other).action["type"]


def test_a_repeated_request_for_a_payment_that_failed_later_is_no_refusal(world: World) -> None:
    """It was started once, so the first answer was not a no; that a query went wrong later does not make it one."""
    payment_id = world.order().payments[0].id
    slot = world.payment(payment_id).slot
    world.core.whole.transact(lambda tx: payment_rows.set_problem(tx, slot, payment_id, "TIMEOUT at a query"))
    told(world, replace(paid_fact(world, payment_id), kind=Kind.FAILED))
    assert payment_starts.start_payment(world.core, payment_id) is None
