"""Everything that happened to an order is in its timeline: from every road, in order, page by page."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import insert

from app.domain.facts import Kind
from app.domain.money import Money
from app.domain.numbers import slot_of_number, slot_of_user
from app.domain.refunding import Clawback
from app.models.history import CallMade
from app.providers.errors import Unknown
from app.services.base.errors import NotACursor, NotFound
from app.services.base.idempotency import keyed
from app.services.base.reported_fact import ReportedFact
from app.services.calls import payment_queries, refund_calls
from app.services.facts.owner import tell
from app.services.ledger import freezes
from app.services.lookup.entries import EntryKind, TimelineEntry, sentence
from app.services.lookup.timeline import timeline
from app.services.payments import expiry
from app.services.refunds import overdue
from app.services.refunds.requests import Wanted
from app.worker import Worker
from tests.support.altered_provider import altered
from tests.support.facts import paid_fact, told
from tests.support.world import World


def everything(world: World, order_id: int) -> list[TimelineEntry]:
    page = timeline(world.core, order_id)
    assert page.cursor is None
    return page.entries


def shown(world: World, order_id: int, *kinds: EntryKind) -> list[TimelineEntry]:
    return [entry for entry in everything(world, order_id) if entry.kind in kinds]


def refunded(world: World, payment_id: int, minor: int, key: str = "r1") -> Any:
    wanted = Wanted(payment_id, None, minor, "a mistake", Clawback.DEBT, "backend:desk")
    return refund_calls.request_refund(world.core, wanted, keyed("backend:desk", key, "refund", {"amount": minor}))


def test_a_lost_notification_is_read_from_the_queries(world: World) -> None:
    """The payer paid, the provider's word was lost, and the worker's question found it."""
    view = world.order()
    payment_id = view.payments[0].id
    worker = Worker(world.core)
    world.clock.advance(6)
    worker.run_once()
    world.clock.advance(2)
    world.simulator.faults.lose = 1
    world.pay(payment_id)
    world.clock.advance(20)
    worker.run_once()
    entries = [entry for entry in everything(world, view.order.id) if entry.kind is not EntryKind.EVENT]
    kinds = [(entry.kind, entry.what, entry.road, entry.outcome) for entry in entries]
    assert kinds[:8] == [
        (EntryKind.ORDER_MADE, "coins-60", None, None),
        (EntryKind.PAYMENT_MADE, "page", None, "paid"),
        (EntryKind.CALL, "start", None, "answered"),
        (EntryKind.FACT, "pending", "reply", "noted"),
        (EntryKind.CALL, "query", None, "answered"),
        (EntryKind.TOLD_AGAIN, "pending", "query", "duplicate"),
        (EntryKind.CALL, "query", None, "answered"),
        (EntryKind.FACT, "paid", "query", "applied"),
    ]
    assert sorted(kinds[8:]) == [(EntryKind.TRANSFER, what, None, None) for what in ("bonus", "payment", "purchase")]
    asked = shown(world, view.order.id, EntryKind.CALL)
    assert [entry.detail for entry in asked] == ["pending", "pending", "paid"]
    assert all(entry.ms is not None and entry.ms >= 0 for entry in asked)
    (paid,) = [entry for entry in shown(world, view.order.id, EntryKind.FACT) if entry.what == "paid"]
    assert paid.happened_at == paid.at - timedelta(seconds=20)


def test_a_question_without_an_answer_is_shown_with_its_reason(world: World) -> None:
    view = world.order()
    provider = altered(world)

    def silent(_: Any) -> Any:
        raise Unknown("no answer: ReadTimeout")

    provider.answers = silent
    payment_queries.ask(world.core, view.payments[0].id)
    (_, asked) = shown(world, view.order.id, EntryKind.CALL)
    assert (asked.outcome, asked.detail) == ("unknown", "no answer: ReadTimeout")
    assert "unknown" in sentence(asked)


def test_a_question_whose_process_died_is_shown_as_unfinished(world: World) -> None:
    view = world.order()
    world.clock.advance(6)
    assert payment_queries.take_due(world.core, view.payments[0].id)
    (entry,) = shown(world, view.order.id, EntryKind.CALL_UNFINISHED)
    assert (entry.payment, entry.at) == (view.payments[0].id, world.clock.now())
    world.clock.advance(1)
    payment_queries.ask(world.core, view.payments[0].id)
    assert shown(world, view.order.id, EntryKind.CALL_UNFINISHED) == []


def test_a_fact_that_another_road_tells_again_is_shown_once_for_each_road(world: World) -> None:
    view = world.order()
    payment_id = view.payments[0].id
    world.pay(payment_id)
    world.deliver()
    for _ in range(3):
        world.clock.advance(10)
        world.receive(world.notification(payment_id))
        payment_queries.ask(world.core, payment_id)
    (paid,) = [entry for entry in shown(world, view.order.id, EntryKind.FACT) if entry.what == "paid"]
    (again,) = shown(world, view.order.id, EntryKind.TOLD_AGAIN)
    assert (paid.road, again.road, again.number) == ("notification", "query", paid.number)
    assert again.at == paid.at + timedelta(seconds=10)
    assert again.outcome == "duplicate"


def test_a_road_that_contradicts_is_shown_with_the_fields_that_differ(world: World) -> None:
    view = world.order()
    fact = paid_fact(world, view.payments[0].id)
    told(world, fact)
    tell(world.core, ReportedFact(world.account, replace(fact, money=Money(601, "CNY")), "bill"))
    (again,) = shown(world, view.order.id, EntryKind.TOLD_AGAIN)
    assert (again.road, again.outcome) == ("bill", "conflict")
    assert "amount_minor" in again.detail


def test_refunds_are_shown_with_their_calls_their_bookings_and_who_wanted_them(world: World) -> None:
    view = world.order()
    payment_id = view.payments[0].id
    world.pay(payment_id)
    world.deliver()
    world.clock.advance(60)
    refund = refunded(world, payment_id, 300)
    made, done = shown(world, view.order.id, EntryKind.REFUND_MADE, EntryKind.REFUND_DONE)
    assert (made.number, made.actor, made.reason, made.amount) == (str(refund.id), "backend:desk", "a mistake", 300)
    assert (done.kind, done.outcome) == (EntryKind.REFUND_DONE, "done")
    (call,) = [entry for entry in shown(world, view.order.id, EntryKind.CALL) if entry.what == "refund"]
    assert (call.refund, call.outcome, call.detail) == (str(refund.id), "answered", "refunded")
    booked = [entry.what for entry in shown(world, view.order.id, EntryKind.TRANSFER)]
    assert sorted(booked[:3]) == ["bonus", "payment", "purchase"]
    assert sorted(booked[3:]) == ["clawback", "clawback", "refund"]


def test_what_people_did_is_shown_with_name_and_reason(world: World) -> None:
    view = world.order()
    payment_id = view.payments[0].id
    provider = altered(world)

    def silent(_: Any) -> Any:
        raise Unknown("no answer")

    provider.answers = silent
    world.clock.advance(1800 + 901)
    expiry.close_by_hand(world.core, payment_id, actor="operator:kim", reason="the bank says no")
    (closed,) = shown(world, view.order.id, EntryKind.INTERVENTION)
    assert (closed.what, closed.actor, closed.reason) == ("payment_closed", "operator:kim", "the bank says no")
    assert closed.at == world.clock.now()
    assert shown(world, view.order.id, EntryKind.ORDER_EXPIRED)[0].at == view.order.expires_at


def test_a_refund_ended_by_hand_and_frozen_wallets_are_shown(world: World) -> None:
    view = world.order()
    payment_id = view.payments[0].id
    world.pay(payment_id)
    world.deliver()
    provider = altered(world)
    provider.refusal = Unknown("no answer")
    refund = refunded(world, payment_id, 300)
    world.clock.advance(60)
    overdue.end_by_hand(world.core, refund.id, by="kim", reason="nothing went back")
    (ended,) = shown(world, view.order.id, EntryKind.INTERVENTION)
    assert (ended.what, ended.refund, ended.actor) == ("refund_ended", str(refund.id), "kim")
    world.clock.advance(60)
    for frozen in (True, False):
        change = freezes.Change("alice", "sandbox", None, frozen, "looked into", "operator:lee")
        world.core.whole.transact(partial(freezes.apply, slot=slot_of_user("alice"), wanted=change))
        world.clock.advance(1)
    entries = shown(world, view.order.id, EntryKind.FREEZE, EntryKind.UNFREEZE)
    assert [(entry.kind, entry.actor) for entry in entries] == [
        (EntryKind.FREEZE, "operator:lee"),
        (EntryKind.UNFREEZE, "operator:lee"),
    ]


def test_a_message_that_was_kept_about_a_payment_is_shown(world: World) -> None:
    view = world.order()
    payment_id = view.payments[0].id
    told(world, paid_fact(world, payment_id))
    world.simulator.pay(world.at_provider(payment_id))
    world.receive(world.notification(payment_id))
    kept = shown(world, view.order.id, EntryKind.MESSAGE)
    facts = [(entry.what, entry.outcome) for entry in shown(world, view.order.id, EntryKind.FACT)]
    assert ("paid", "surplus") in facts
    assert [(entry.payment, entry.what) for entry in kept] == [(payment_id, "surplus")]


def test_a_long_timeline_comes_in_pages_that_miss_and_repeat_nothing(world: World) -> None:
    view = world.order()
    payment_id, slot = view.payments[0].id, slot_of_number(view.order.id)
    rows = [
        {
            "slot": slot,
            "id": world.core.numbers.next(slot),
            "payment_id": payment_id,
            "provider_account": "sandbox",
            "verb": "query",
            "outcome": "answered",
            "said": "pending",
            "ms": at,
            "problem": "",
            "at": view.order.created_at + timedelta(seconds=at // 4),
        }
        for at in range(1000)
    ]
    world.core.whole.transact(lambda tx: tx.execute(insert(CallMade), rows))
    found: list[TimelineEntry] = []
    cursor, pages = None, 0
    while pages == 0 or cursor is not None:
        page = timeline(world.core, view.order.id, cursor=cursor, limit=7)
        assert len(page.entries) <= 7
        found += page.entries
        cursor, pages = page.cursor, pages + 1
    assert pages == -(-len(found) // 7)
    assert [entry.ms for entry in found if entry.what == "query"] == list(range(1000))
    assert len({(entry.kind, entry.number) for entry in found}) == len(found) == 1004
    assert [entry.at for entry in found] == sorted(entry.at for entry in found)
    assert len(timeline(world.core, view.order.id, limit=10_000).entries) == 200


@pytest.mark.parametrize("cursor", ["x", "1-", "-1-1", "9" * 18 + "-1", "1-10000", "1-1 "])
def test_what_is_no_cursor_is_refused(world: World, cursor: str) -> None:
    with pytest.raises(NotACursor):
        timeline(world.core, world.order().order.id, cursor=cursor)


def test_another_orders_things_are_not_in_it_and_an_order_that_never_was_is_not_found(world: World) -> None:
    first, second = world.order("alice", key="a"), world.order("alice", key="b")
    world.pay(second.payments[0].id)
    world.deliver()
    assert [entry.kind for entry in everything(world, first.order.id)] == [
        EntryKind.ORDER_MADE,
        EntryKind.PAYMENT_MADE,
        EntryKind.CALL,
        EntryKind.FACT,
    ]
    with pytest.raises(NotFound):
        timeline(world.core, first.order.id + 4096)


def test_every_kind_of_entry_has_a_sentence(world: World) -> None:
    for kind in EntryKind:
        said = sentence(
            TimelineEntry(at=world.clock.now(), kind=kind, number="77", provider_account="box", reason="so {x}")
        )
        assert said
        assert "None" not in said
        assert "{" not in said.replace("so {x}", "")


def test_what_the_backend_is_told_about_the_order_is_shown_and_nothing_else(world: World) -> None:
    view = world.order()
    payment_id = view.payments[0].id
    other = world.order(key="k2")
    for order in (view, other):
        world.pay(order.payments[0].id)
        world.deliver()
    world.clock.advance(60)
    refunded(world, payment_id, 300)
    events = shown(world, view.order.id, EntryKind.EVENT)
    assert sorted(entry.what for entry in events) == [
        "coins.clawed_back",
        "coins.clawed_back",
        "coins.credited",
        "coins.credited",
        "order.paid",
        "refund.done",
        "refund.requested",
    ]
    assert {entry.outcome for entry in events} == {"waiting"}
    Worker(world.core).run_once()
    assert {entry.outcome for entry in shown(world, view.order.id, EntryKind.EVENT)} == {"in_feed"}


def test_a_refund_fact_shows_its_share_of_money(world: World) -> None:
    view = world.order()
    paid = paid_fact(world, view.payments[0].id)
    told(world, paid)
    told(world, replace(paid, kind=Kind.REFUNDED, ref=replace(paid.ref, refund="R-1"), money=Money(100, "CNY")))
    (fact,) = [entry for entry in shown(world, view.order.id, EntryKind.FACT) if entry.what == "refunded"]
    assert (fact.amount, fact.asset, fact.refund) == (100, "CNY", "R-1")
