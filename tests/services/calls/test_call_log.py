"""Each call to a provider is remembered: with its outcome, in the transaction that follows it, for some months."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import event, insert, select

from app import metrics
from app.domain.facts import Fact, Kind, Ref
from app.domain.numbers import slot_of_number
from app.domain.refunding import Clawback
from app.models.base import AnyRow
from app.models.history import CallMade, Telling
from app.models.slot_guard import sweep
from app.providers import Started
from app.providers.errors import Declined, Retryable, Unknown
from app.services.base.errors import PaymentDeclined, ProviderUnavailable
from app.services.base.idempotency import keyed
from app.services.calls import call_log, payment_queries, reference_queries, refund_calls
from app.services.calls.payment_cancels import cancel
from app.services.refunds.requests import Wanted
from app.worker import Worker
from tests.support.altered_provider import altered
from tests.support.world import World

_c, _t = CallMade.__table__.c, Telling.__table__.c


def remembered(world: World) -> list[AnyRow]:
    wanted = select(*_c).prefix_with(sweep("operator")).order_by(_c.at, _c.id)
    return world.core.whole.read(lambda tx: list(tx.execute(wanted)))


def ends(world: World) -> list[tuple[str, str, str]]:
    return [(row.verb, row.outcome, row.said) for row in remembered(world)]


def test_starting_asking_and_closing_are_remembered_with_what_was_said(world: World) -> None:
    payment_id = world.order().payments[0].id
    asked = payment_queries.ask(world.core, payment_id)
    assert asked is not None
    assert cancel(world.core, asked).row.status == "closed"
    assert ends(world) == [
        ("start", "answered", "pending"),
        ("query", "answered", "pending"),
        ("cancel", "answered", "closed"),
    ]
    assert {row.payment_id for row in remembered(world)} == {payment_id}
    assert {row.slot for row in remembered(world)} == {slot_of_number(payment_id)}
    assert {row.provider_account for row in remembered(world)} == {"sandbox"}


@pytest.mark.parametrize(
    ("error", "outcome", "raised"),
    [
        (Unknown("no answer: ReadTimeout"), "unknown", ProviderUnavailable),
        (Retryable("no connection"), "not_done", ProviderUnavailable),
        (Declined("no", code="LIMIT"), "declined", PaymentDeclined),
    ],
)
def test_a_start_that_failed_is_remembered_with_its_reason(
    world: World, error: Exception, outcome: str, raised: type[Exception]
) -> None:
    provider = altered(world)

    def refuse(_: object) -> Any:
        raise error

    provider.start = refuse
    with pytest.raises(raised):
        world.order()
    (row,) = remembered(world)
    assert (row.verb, row.outcome) == ("start", outcome)
    assert str(error) in row.problem


def test_a_payment_that_is_only_signed_here_called_nobody(world: World) -> None:
    altered(world).start = lambda intent: Started({"type": "order_string", "order_string": "signed"})
    assert world.order().payments[0].status == "pending"
    assert remembered(world) == []


def test_questions_about_refunds_and_named_payments_are_remembered(world: World) -> None:
    payment_id = world.order().payments[0].id
    world.pay(payment_id)
    world.deliver()
    world.clock.advance(60)
    wanted = Wanted(payment_id, None, 100, "r", Clawback.DEBT, "backend:desk")
    refund = refund_calls.request_refund(world.core, wanted, keyed("backend:desk", "r", "refund", {}))
    assert reference_queries.raise_ask(world.core, world.account, Ref(ours=str(payment_id)))
    world.clock.advance(60)
    Worker(world.core).run_once()
    rows = remembered(world)
    assert [(row.verb, row.refund_id) for row in rows] == [("start", None), ("refund", refund.id), ("query", None)]
    assert {row.payment_id for row in rows} == {payment_id}


def test_a_refund_without_an_answer_and_one_that_is_refused_are_remembered(world: World) -> None:
    payment_id = world.order().payments[0].id
    world.pay(payment_id)
    world.deliver()
    provider = altered(world)
    for number, refusal in enumerate((Unknown("no answer"), Declined("not enough"))):
        world.clock.advance(60)
        provider.refusal = refusal
        wanted = Wanted(payment_id, None, 100, "r", Clawback.DEBT, "backend:desk")
        refund_calls.request_refund(world.core, wanted, keyed("backend:desk", f"r{number}", "refund", {}))
    assert [row.outcome for row in remembered(world) if row.verb == "refund"] == ["unknown", "declined"]


@pytest.mark.one_database
def test_the_call_is_written_in_the_transaction_of_the_fact_that_it_brought(world: World) -> None:
    """No transaction is added: a question that brings a fact takes as many as before there was a log."""
    payment_id = world.order().payments[0].id
    world.simulator.faults.lose = 1
    world.pay(payment_id)
    begun: list[object] = []
    engine = world.core.whole.sessions.kw["bind"]

    def began(connection: object) -> None:
        begun.append(connection)

    event.listen(engine, "begin", began)
    payment_queries.ask(world.core, payment_id)
    event.remove(engine, "begin", began)
    assert len(begun) == 3, "the payment is read, the fact is applied, the payment is read again"
    assert ends(world)[-1] == ("query", "answered", "paid")


def test_an_answer_that_brings_several_facts_is_remembered_once(world: World) -> None:
    payment_id = world.order().payments[0].id
    provider = altered(world)

    def twice(facts: tuple[Fact, ...]) -> tuple[Fact, ...]:
        return (*facts, *(replace(fact, kind=Kind.CLOSED, money=None) for fact in facts))

    provider.answers = twice
    payment_queries.ask(world.core, payment_id)
    assert ends(world)[1:] == [("query", "answered", "pending, closed")]


def test_a_plain_repeat_writes_nothing_and_a_new_road_writes_one_row(world: World) -> None:
    payment_id = world.order().payments[0].id
    world.pay(payment_id)
    world.deliver()
    for _ in range(2):
        world.receive(world.notification(payment_id))
    wanted = select(*_t).prefix_with(sweep("operator"))
    assert world.core.whole.read(lambda tx: tx.execute(wanted).all()) == []
    for _ in range(3):
        payment_queries.ask(world.core, payment_id)
    (row,) = world.core.whole.read(lambda tx: tx.execute(wanted).all())
    assert (row.road, row.differs, row.message_id) == ("query", "", None)


def counted() -> Counter[tuple[str, str]]:
    """Calls to the sandbox by verb and end, as monitoring counts them in this process."""
    (family,) = metrics.PROVIDER_CALLS.collect()
    found: Counter[tuple[str, str]] = Counter()
    for sample in family.samples:
        if sample.name.endswith("_count") and sample.labels["provider_account"] == "sandbox":
            found[sample.labels["verb"], sample.labels["end"]] = int(sample.value)
    return found


def test_no_call_is_forgotten_whatever_it_is_made_for(world: World) -> None:
    """As many rows as monitoring counts calls: started, asked, captured, shut, refunded, asked about again."""
    before = counted()
    provider = altered(world)
    captured = world.order("carl", key="k3", way="card").payments[0].id
    world.pay(captured)
    world.deliver()
    paid, unpaid = world.order("ann").payments[0].id, world.order("bob", key="k2").payments[0].id
    world.pay(paid)
    world.deliver()
    worker = Worker(world.core)
    refusals = (Unknown("no answer"), None)
    for number, provider.refusal in enumerate(refusals):
        world.clock.advance(60)
        wanted = Wanted(paid, None, 100, "r", Clawback.DEBT, "backend:desk")
        refund_calls.request_refund(world.core, wanted, keyed("backend:desk", f"r{number}", "refund", {}))
    assert reference_queries.raise_ask(world.core, world.account, Ref(ours=str(paid)))
    for seconds in (6, 30, 1800, 901, 3600):
        world.clock.advance(seconds)
        worker.run_once()
    assert world.payment(unpaid).status == "closed"
    made = counted() - before
    assert Counter((row.verb, row.outcome) for row in remembered(world)) == made
    assert {verb for verb, _ in made} >= {"start", "query", "refund"}


def test_old_calls_are_deleted_and_younger_ones_are_kept(world: World) -> None:
    days = world.core.rules.call_days
    old = [world.order(f"user-{at}").payments[0].id for at in range(5)]
    assert len(remembered(world)) == len(old)
    world.clock.advance(days * 86_400 - 60)
    young = world.order("young").payments[0].id
    assert call_log.delete_old_calls(world.core) == 0
    world.clock.advance(120)
    assert call_log.delete_old_calls(world.core) == len(old)
    assert call_log.delete_old_calls(world.core) == 0
    assert [row.payment_id for row in remembered(world)] == [young]


def test_the_worker_deletes_old_calls_in_batches(world: World) -> None:
    slot = slot_of_number(world.order().order.id)
    row = {name: getattr(remembered(world)[0], name) for name in _c.keys()}  # noqa: SIM118 - a collection of columns, no dictionary
    rows = [{**row, "id": world.core.numbers.next(slot)} for _ in range(2 * call_log.MOST_DELETED)]
    world.core.whole.transact(lambda tx: tx.execute(insert(CallMade), rows))
    world.clock.advance(world.core.rules.call_days * 86_400 + 60)
    worker = Worker(world.core)
    (lane,) = [lane for lane in worker.lanes if lane.name == "old calls"]
    assert [lane.round() for _ in range(4)] == [call_log.MOST_DELETED, call_log.MOST_DELETED, 1, 0]
    assert remembered(world) == []
