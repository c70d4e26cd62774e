"""One refund may be done, fail and be done again, and a dispute may cost a fee: no order of telling matters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import permutations

import pytest

from app.domain.facts import content_of, fact_of, key_of
from app.domain.money import Money
from app.providers.facts import Fact, Kind
from tests.support.buyer import Buyer, target
from tests.support.world import World

DONE, FAILED, UNDONE = Kind.REFUNDED, Kind.REFUND_FAILED, Kind.REFUND_UNDONE
Story = Sequence[tuple[Kind, str]]
"""What happened, hour after hour: each kind, with what tells it from an earlier one."""
STORIES: list[tuple[Story, int, str]] = [
    ([(DONE, ""), (FAILED, ""), (DONE, "2")], 600, "done"),
    ([(DONE, ""), (UNDONE, ""), (DONE, "2")], 600, "done"),
    ([(DONE, ""), (FAILED, ""), (DONE, "2"), (FAILED, "2")], 0, "declined"),
]


def facts_of(buyer: Buyer, story: Story) -> list[Fact]:
    facts = []
    for hour, (kind, occurrence) in enumerate(story, 1):
        fact = buyer.fact(kind, hour, refund="R-1", money=None if kind is UNDONE else 600)
        facts.append(replace(fact, occurrence=occurrence))
    return facts


@pytest.mark.parametrize(("story", "refunded", "status"), STORIES)
@pytest.mark.parametrize("repeats", [1, 2])
def test_the_latest_word_by_the_providers_time_is_how_the_refund_stands(
    world: World, story: Story, refunded: int, status: str, repeats: int
) -> None:
    for order in permutations(range(len(story))):
        buyer = Buyer(world)
        buyer.pay()
        facts = facts_of(buyer, story)
        for place in order * repeats:
            assert buyer.tell(facts[place]).outcome != "conflict"
        (refund,) = buyer.refunds()
        assert (refund.status, buyer.refunded, buyer.coins + buyer.debt) == (status, refunded, 66 - target(refunded))
        buyer.assert_proved()


def test_a_refund_that_the_sandbox_sends_once_more_is_done_after_all(world: World) -> None:
    buyer = Buyer(world)
    buyer.pay()
    payment = world.at_provider(buyer.payment_id)
    refund = world.simulator.console_refund(payment, 600)
    world.deliver()
    for status in ("FAILED", "DONE"):
        world.clock.advance(3600)
        world.simulator.decide_refund(payment, refund, status)
        world.deliver()
    (row,) = buyer.refunds()
    assert (row.status, buyer.refunded, buyer.coins) == ("done", 600, 0)
    buyer.assert_balanced()


def test_the_fee_of_a_dispute_is_kept_with_the_refund_whichever_road_tells_it(world: World) -> None:
    buyer = Buyer(world)
    buyer.pay()
    without = buyer.fact(DONE, 1, refund="D-1", money=600)
    buyer.tell(without)
    assert [row.dispute_fee_minor for row in buyer.refunds()] == [None]
    charged = replace(without, dispute_fee=Money(150, "USD"))
    buyer.tell(charged, "bill")
    buyer.tell(without, "query")
    (row,) = buyer.refunds()
    assert (row.dispute_fee_minor, row.dispute_fee_currency, row.amount_minor) == (150, "USD", 600)
    assert buyer.refunded == 600
    buyer.tell(replace(buyer.fact(UNDONE, 2, refund="D-1"), dispute_fee=Money(0, "USD")))
    assert [row.dispute_fee_minor for row in buyer.refunds()] == [0]
    buyer.assert_balanced()


def test_a_dispute_at_the_sandbox_brings_its_fee(world: World) -> None:
    buyer = Buyer(world)
    buyer.pay()
    world.simulator.dispute(world.at_provider(buyer.payment_id), 600, 150)
    world.deliver()
    (row,) = buyer.refunds()
    assert (row.status, row.dispute_fee_minor, row.dispute_fee_currency) == ("done", 150, "CNY")


def test_a_fact_that_is_read_back_is_the_fact_that_was_told(world: World) -> None:
    told = replace(Buyer(world).fact(DONE, 1, refund="D:1", money=600), occurrence="2", dispute_fee=Money(0, "CNY"))
    told = replace(told, spares="D:2", replaces="D:3", refunds_unknown=True)
    assert fact_of(told.kind, told.at, content_of(told), told.raw) == told
    assert key_of(told) != key_of(replace(told, occurrence=""))
