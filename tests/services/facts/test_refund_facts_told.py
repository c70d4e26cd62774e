"""How the fact about a refund is written down: once, with what became of it, whoever told it before."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import count

from sqlalchemy import select

from app.domain.facts import Kind
from app.domain.numbers import slot_of_user
from app.domain.status import Outcome
from app.models.base import AnyRow
from app.models.orders import FactRow
from app.services.base.context import Tx
from app.services.base.reported_fact import ReportedFact
from app.services.facts.apply import apply_fact
from tests.support.buyer import ROADS, Buyer
from tests.support.world import World

_f = FactRow.__table__.c


def _facts(buyer: Buyer) -> list[AnyRow]:
    """What was told of refunds in the slot of this buyer."""
    wanted = select(*_f).where(_f.slot == buyer.slot, _f.kind == Kind.REFUNDED).order_by(_f.id)
    return buyer.world.core.at(buyer.slot).read(lambda tx: list(tx.execute(wanted)))


def test_a_new_fact_is_stored_with_what_it_changed(world: World) -> None:
    buyer = Buyer(world)
    buyer.tell(buyer.paid())
    applied = buyer.tell(buyer.fact(Kind.REFUNDED, 1, refund="r1", money=300))
    (fact,) = _facts(buyer)
    assert (fact.id, fact.payment_id) == (applied.fact_id, buyer.payment_id)
    assert (fact.outcome, fact.reason) == (Outcome.APPLIED, "")
    buyer.assert_proved()


def test_what_the_fact_left_is_handed_on_as_it_is_stored(world: World) -> None:
    buyer = Buyer(world)
    buyer.pay()
    buyer.spend(50)
    ours = buyer.ask(300)
    for fact in (
        buyer.fact(Kind.REFUND_PENDING, 1, refund=str(ours), money=300),
        buyer.fact(Kind.REFUNDED, 2, refund=str(ours), money=300),
        buyer.fact(Kind.REFUNDED, 3, refund="elsewhere", money=100),
        buyer.fact(Kind.REFUND_FAILED, 4, refund=str(ours)),
    ):
        applied = buyer.tell(fact)
        assert {row.id: row._asdict() for row in applied.refunds} == {row.id: row._asdict() for row in buyer.refunds()}
    buyer.assert_proved()


def test_a_refund_told_on_all_roads_at_once_is_one_fact_and_one_refund(world: World) -> None:
    buyer = Buyer(world)
    buyer.tell(buyer.paid())
    fact = buyer.fact(Kind.REFUNDED, 1, refund="r1", money=300)
    with ThreadPoolExecutor(len(ROADS)) as pool:
        outcomes = Counter(applied.outcome for applied in pool.map(lambda road: buyer.tell(fact, road), ROADS))
    assert outcomes == {Outcome.APPLIED: 1, Outcome.DUPLICATE: len(ROADS) - 1}
    assert (len(_facts(buyer)), len(buyer.refunds()), buyer.refunded) == (1, 1, 300)
    buyer.assert_proved()


def test_a_refund_that_another_payment_has_is_found_there_and_changes_nothing(world: World) -> None:
    """It is no news of this payment: its row cannot be written, so that nothing which was begun for it stays."""
    first = Buyer(world)
    neighbour = next(name for name in map("neighbour-{}".format, count()) if slot_of_user(name) == first.slot)
    second = Buyer(world, neighbour)
    for buyer in (first, second):
        buyer.tell(buyer.paid())
    told = first.fact(Kind.REFUNDED, 1, refund="r1", money=300)
    assert first.tell(told).outcome is Outcome.APPLIED
    stray = replace(told, ref=replace(told.ref, ours=str(second.payment_id)))
    assert second.tell(stray).outcome is Outcome.CONFLICT
    assert (first.refunded, second.refunded, len(_facts(first))) == (300, 0, 1)
    first.assert_proved()


def test_a_refund_that_waited_for_the_lock_of_its_order_counts_what_was_told_meanwhile(world: World) -> None:
    buyer = Buyer(world)
    buyer.tell(buyer.paid())
    is_applied, never = threading.Event(), threading.Event()
    first = ReportedFact(world.account, buyer.fact(Kind.REFUNDED, 1, refund="r1", money=300), "notification")

    def apply_slowly(tx: Tx) -> Outcome:
        applied = apply_fact(tx, first)
        tx.flush()
        is_applied.set()
        never.wait(0.3)  # so that the other one comes to wait
        return applied.outcome

    with ThreadPoolExecutor(2) as pool:
        slow = pool.submit(world.core.at(buyer.slot).transact, apply_slowly)
        is_applied.wait(5)
        second = pool.submit(buyer.tell, buyer.fact(Kind.REFUNDED, 2, refund="r2", money=300))
        assert (slow.result(), second.result().outcome) == (Outcome.APPLIED, Outcome.APPLIED)
    assert (buyer.refunded, buyer.coins, len(buyer.refunds())) == (600, 0, 2)
    buyer.assert_balanced()
