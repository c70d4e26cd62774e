"""A payment of which something went back, nobody says how much, is held: coins are given for money that stayed, when it
is known how much did. It ends by a refund that is told, on any road, by the provider's word, or by a person."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import permutations

import pytest

from app.domain.deciding import Late, PaymentPolicy
from app.domain.money import Money
from app.providers.facts import Fact, Kind, Ref
from app.services.audit.once import audit_once
from app.services.calls.reference_queries import raise_ask
from app.services.facts import parked
from app.services.payments import expiry
from app.services.refunds import overdue
from app.services.refunds.requests import PaymentNotPaid
from app.worker import Worker
from tests.support.buyer import Buyer, target
from tests.support.world import World

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def went_back(buyer: Buyer) -> Fact:
    """Paid, and something went back."""
    return replace(buyer.paid(), refunds_unknown=True)


def held(world: World) -> Buyer:
    buyer = Buyer(world)
    told = buyer.tell(went_back(buyer), "query")
    assert (told.outcome, told.reason) == ("parked", "refunds_unknown")
    assert (status(buyer), buyer.coins) == ("held", 0)
    buyer.assert_balanced()
    return buyer


def status(buyer: Buyer) -> str:
    return str(buyer.world.payment(buyer.payment_id).status)


@pytest.mark.parametrize("minor", [1, 300, 600])
def test_the_refund_that_is_told_has_the_rest_credited(world: World, minor: int) -> None:
    buyer = held(world)
    assert buyer.tell(buyer.fact(Kind.REFUNDED, 30, refund="c1", money=minor), "bill").outcome == "applied"
    assert (status(buyer), buyer.coins, buyer.refunded) == ("paid", 66 - target(minor), minor)
    for again in (went_back(buyer), buyer.paid(), buyer.fact(Kind.REFUNDED, 30, refund="c1", money=minor)):
        assert buyer.tell(again, "scan").outcome == "duplicate"
    assert buyer.coins == 66 - target(minor)
    buyer.assert_balanced()
    assert list(audit_once(world.core.whole.sessions)) == []


@on_sqlite
def test_every_order_of_telling_ends_alike(world: World) -> None:
    shown = []
    for order in permutations(range(4)):
        buyer = Buyer(world)
        facts = (
            went_back(buyer),
            buyer.fact(Kind.REFUND_PENDING, 1, refund="c1", money=200),
            buyer.fact(Kind.REFUNDED, 2, refund="c1", money=200),
            buyer.fact(Kind.REFUNDED, 3, refund="c2", money=100),
        )
        for place in (*order, order[0]):
            buyer.tell(facts[place], "query")
        rows = [(row.number_there, row.status, row.amount_minor, row.coins) for row in buyer.refunds()]
        shown.append((status(buyer), buyer.coins, buyer.refunded, rows))
        assert shown[-1] == shown[0], order
        buyer.assert_proved()
    assert shown[0][:3] == ("paid", 66 - target(300), 300)
    Buyer(world).assert_balanced()


@on_sqlite
def test_a_word_without_a_size_or_about_something_else_credits_nothing(world: World) -> None:
    buyer = held(world)
    told = buyer.fact(Kind.REFUNDED, 2, refund="c1", money=100)
    assert buyer.tell(replace(told, money=None)).outcome == "parked"
    assert buyer.tell(replace(told, ref=replace(told.ref, refund="c2"), money=Money(100, "USD"))).outcome == "parked"
    assert buyer.tell(replace(told, ref=replace(told.ref, theirs="other", refund="c3"))).outcome == "parked"
    assert buyer.tell(replace(told, ref=replace(told.ref, refund="c4"), account="m-2")).outcome == "parked"
    assert buyer.tell(buyer.paid(), "bill").outcome == "duplicate", "a bill's row of the payment speaks of no refund"
    assert buyer.tell(buyer.fact(Kind.CLOSED, 3)).outcome != "applied"
    assert (status(buyer), buyer.coins) == ("held", 0)
    with pytest.raises(PaymentNotPaid):
        buyer.ask(100)
    buyer.assert_balanced()
    assert buyer.tell(told, "bill").outcome == "applied", "the first word, now with its size"
    assert (status(buyer), buyer.refunded) == ("paid", 100)


@on_sqlite
def test_a_provider_that_is_asked_and_speaks_of_no_refund_any_more_has_it_credited(world: World) -> None:
    buyer = held(world)
    assert buyer.tell(buyer.paid(), "query").outcome == "applied"
    assert (status(buyer), buyer.coins) == ("paid", 66)
    buyer.assert_balanced()


@on_sqlite
def test_it_is_in_time_whatever_the_time_when_it_is_known(world: World) -> None:
    """The order expires while its payment is held, and `late_payment` is `refund`."""
    world.core = replace(world.core, rules=replace(world.core.rules, policy=PaymentPolicy(late=Late.REFUND)))
    buyer = held(world)
    world.clock.advance(timedelta(days=1).total_seconds())
    assert expiry.expire_due_orders(world.core, 10) >= 1
    buyer.tell(buyer.fact(Kind.REFUNDED, 30, refund="c1", money=300), "bill")
    assert (status(buyer), buyer.coins, buyer.refunded) == ("paid", 33, 300)
    assert [row.origin for row in buyer.refunds()] == ["provider"]
    buyer.assert_balanced()


@on_sqlite
def test_a_person_who_ends_the_question_has_it_credited_whole_by_the_worker_if_not_before(world: World) -> None:
    for by_worker in (True, False):
        buyer = held(world)
        assert not parked.credit_held(world.core, buyer.payment_id), "nobody has said anything"
        overdue.end_by_hand(world.core, buyer.payment_id, by="Ann", reason="nothing went back")
        if by_worker:
            world.clock.advance(timedelta(hours=1).total_seconds())
            Worker(world.core).run_once()
        else:
            assert parked.credit_held(world.core, buyer.payment_id)
        assert (status(buyer), buyer.coins) == ("paid", 66)
        assert not parked.credit_held(world.core, buyer.payment_id)
        buyer.assert_balanced()


@on_sqlite
def test_a_refund_that_was_told_before_is_the_word_that_is_missing(world: World) -> None:
    buyer = Buyer(world)
    assert buyer.tell(buyer.fact(Kind.REFUNDED, 2, refund="c1", money=300)).outcome == "parked"
    assert buyer.tell(went_back(buyer), "query").outcome == "applied"
    assert (status(buyer), buyer.coins, buyer.refunded) == ("paid", 33, 300)
    buyer.assert_balanced()


@on_sqlite
def test_a_question_that_was_answered_today_is_put_again_for_a_held_payment(world: World) -> None:
    """A message named the payment, its provider said «not paid»; within the day it is paid, and something goes back."""
    buyer = Buyer(world)
    assert raise_ask(world.core, world.account, Ref(ours=str(buyer.payment_id)))
    world.simulator.faults.set(lose=99)
    Worker(world.core).run_once()
    world.pay(buyer.payment_id)
    world.simulator.console_refund(world.at_provider(buyer.payment_id), 300)
    buyer.tell(went_back(buyer), "notification")
    world.clock.advance(120)
    Worker(world.core).run_once()
    assert (status(buyer), buyer.coins) == ("paid", 33)
