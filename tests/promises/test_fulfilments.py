"""Orders whose coins are with the app's backend: asked for until they are delivered, taken back with the money, and
never in our wallets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select, update
from structlog.testing import capture_logs

from app.domain.fulfilment import ANSWERED_WITHIN, REFUNDED_WITHIN, RefusedFulfilment
from app.domain.seals import Seals
from app.models.fulfilments import FULFILMENTS
from app.models.history import Intervention
from app.models.orders import Order
from app.providers.facts import Kind
from app.services.accounts.catalog import import_products, parse_catalogue
from app.services.audit.orders import audit_orders
from app.services.audit.seals import audit_seals
from app.services.base.errors import NotFound
from app.services.fulfilments import reminders, waiting
from app.services.fulfilments.answers import FulfilmentContradicted, FulfilmentNotAsked
from app.services.fulfilments.waiting import FulfilmentNotOpen
from app.worker import Worker
from tests.conftest import create_schema
from tests.support import databases
from tests.support.backend_wallets import ExternalBuyer, sell_externally
from tests.support.buyer import Buyer
from tests.support.world import CATALOGUE, World, build_world


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One Tillbook for all tests of this module, on each engine; each test has buyers of its own."""
    if request.param == "sqlite":
        yield from _world(f"sqlite:///{tmp_path_factory.mktemp('fulfilled')}/tillbook.sqlite3")
    else:
        with databases.postgres_database() as url:
            yield from _world(url)


def _world(url: str) -> Iterator[World]:
    create_schema(url)
    with databases.engine_for(url) as engine:
        world = sell_externally(build_world(engine, databases.sessions_for(engine)))
        yield world
        world.assert_balanced()


def with_rule(world: World, rule: RefusedFulfilment) -> World:
    return world.with_rules(replace(world.core.rules, refused_fulfilment=rule))


def tell_when_due(buyer: ExternalBuyer) -> None:
    """The worker, once the wish is due."""
    due = buyer.row.next_tell_at
    buyer.world.clock.advance(max(0.0, (due - buyer.world.clock.now()).total_seconds()))
    assert reminders.work_on_fulfilment(buyer.world.core, buyer.order_id)


def listed(world: World) -> list[int]:
    return [row.id for row in waiting.list_waiting_fulfilments(world.core, None, 1000).rows]


# --- paid and delivered ---


def test_a_paid_order_is_money_in_our_books_coins_in_none_and_a_wish_to_the_backend(world: World) -> None:
    buyer, sales = ExternalBuyer(world), world.money("sales")
    assert buyer.world.order_row(buyer.order_id).fulfilment_status is None
    for road in ("notification", "query", "scan"):
        buyer.tell(buyer.paid(), road)
    assert (world.money("sales") - sales, buyer.coins, buyer.status) == (600, 0, "waiting")
    (wish,) = buyer.told()
    assert (wish["type"], wish["order"], wish["payment"]) == (
        "fulfilment.ordered",
        str(buyer.order_id),
        str(buyer.payment_id),
    )
    assert (wish["status"], wish["asks"], wish["revision"], wish["user"]) == ("waiting", "delivery", 1, buyer.user)
    paid, bonus = wish["units"]
    assert paid == {"asset": "coin", "bonus": False, "granted": 60, "due": 60, "expires_at": None}
    assert (bonus["granted"], bonus["bonus"], bonus["expires_at"][:10]) == (6, True, "2026-02-01")
    buyer.assert_balanced()


def test_an_answer_counts_once_and_a_contradiction_is_refused(world: World) -> None:
    buyer = ExternalBuyer(world)
    with pytest.raises(FulfilmentNotAsked):
        buyer.answer("delivered")
    buyer.pay()
    with pytest.raises(FulfilmentNotAsked):
        buyer.answer("taken_back")
    with pytest.raises(FulfilmentNotAsked):
        buyer.answer("delivered", 2)
    buyer.answer("delivered", key="one")
    buyer.answer("delivered", key="one")
    buyer.answer("delivered", key="two")
    with pytest.raises(FulfilmentContradicted) as refused:
        buyer.answer("refused")
    assert refused.value.members["answer"] == "delivered"
    assert (buyer.status, buyer.row.next_tell_at, buyer.row.attention_at) == ("delivered", None, None)
    assert buyer.steps() == [("ordered", 1, [60, 6]), ("delivered", 1, [60, 6])]
    buyer.assert_balanced()


def test_an_order_that_is_none_is_nothing_to_answer(world: World) -> None:
    buyer = ExternalBuyer(world)
    buyer.order_id += 1 << 20
    with pytest.raises(NotFound):
        buyer.answer("delivered")


# --- refunds ---


def test_what_is_due_follows_the_refunds_down_and_up_again_as_a_total(world: World) -> None:
    buyer = ExternalBuyer(world)
    buyer.pay()
    buyer.answer("delivered")
    buyer.tell(buyer.fact(Kind.REFUNDED, 1, refund="r1", money=300))
    buyer.tell(buyer.fact(Kind.REFUNDED, 1, refund="r1", money=300), "query")
    assert (buyer.due, buyer.status) == ([30, 3], "delivered")
    buyer.answer("taken_back", 2)
    buyer.tell(buyer.fact(Kind.REFUNDED, 2, refund="r2", money=300))
    assert (buyer.due, buyer.status) == ([0, 0], "taken_back")
    buyer.answer("taken_back", 3)
    buyer.tell(buyer.fact(Kind.REFUND_UNDONE, 3, refund="r2"))
    assert (buyer.due, buyer.row.next_tell_at is not None) == ([30, 3], True)
    buyer.answer("delivered", 4)
    assert buyer.steps() == [
        ("ordered", 1, [60, 6]),
        ("delivered", 1, [60, 6]),
        ("take_back", 2, [30, 3]),
        ("taken_back", 2, [30, 3]),
        ("take_back", 3, [0, 0]),
        ("taken_back", 3, [0, 0]),
        ("ordered", 4, [30, 3]),
        ("delivered", 4, [30, 3]),
    ]
    assert (buyer.status, buyer.coins, buyer.refunds()[0].coins) == ("delivered", 0, [])
    buyer.assert_balanced()


def test_our_own_refund_asks_for_the_units_back_when_it_is_done(world: World) -> None:
    buyer = ExternalBuyer(world)
    buyer.pay()
    buyer.answer("delivered")
    assert buyer.ask_and_send().status == "done"
    assert buyer.steps()[-1] == ("take_back", 2, [0, 0])
    buyer.assert_balanced()


def test_a_refund_before_the_delivery_takes_back_at_once_and_orders_never_again(world: World) -> None:
    early, late = ExternalBuyer(world), ExternalBuyer(world)
    early.tell(early.fact(Kind.REFUNDED, 1, refund="r1", money=600))
    early.tell(early.paid())
    late.pay()
    late.tell(late.fact(Kind.REFUNDED, 1, refund="r1", money=600))
    for buyer in (early, late):
        assert buyer.steps() == [("ordered", 1, [60, 6]), ("take_back", 2, [0, 0])]
        for _ in range(3):
            tell_when_due(buyer)
        assert {step[0] for step in buyer.steps()[2:]} == {"take_back"}
        buyer.answer("taken_back", 2)
        assert (buyer.status, buyer.row.next_tell_at) == ("taken_back", None)
        buyer.answer("delivered", 1)
        assert buyer.status == "taken_back", "the answer to the older wish was overtaken"
        buyer.assert_balanced()


def test_the_delivery_that_was_under_way_when_money_went_back_is_still_to_be_taken_back(world: World) -> None:
    buyer = ExternalBuyer(world)
    buyer.pay()
    buyer.tell(buyer.fact(Kind.REFUNDED, 1, refund="r1", money=600))
    buyer.answer("delivered", 1)
    assert (buyer.status, buyer.row.next_tell_at is not None) == ("delivered", True)
    buyer.assert_balanced()
    buyer.answer("taken_back", 2)
    assert buyer.status == "taken_back"


def test_money_that_was_held_when_a_part_of_it_went_back_orders_the_rest(world: World) -> None:
    buyer = ExternalBuyer(world)
    buyer.tell(replace(buyer.paid(), refunds_unknown=True), "query")
    assert buyer.told() == []
    buyer.tell(buyer.fact(Kind.REFUNDED, 30, refund="c1", money=300), "bill")
    assert (buyer.status, buyer.due, buyer.row.wishes[-1]["asks"]) == ("waiting", [30, 3], "take_back")
    buyer.assert_balanced()
    buyer.answer("taken_back", 2)


# --- told again ---


def test_an_unanswered_wish_is_told_again_with_growing_pauses_and_alarmed_once(world: World) -> None:
    buyer = ExternalBuyer(world)
    buyer.pay()
    asked_at, pauses = buyer.row.asked_at, []
    with capture_logs() as logs:
        for _ in range(14):
            before = world.clock.now()
            tell_when_due(buyer)
            pauses.append((world.clock.now() - before).total_seconds())
            assert buyer.row.asked_at == asked_at
    assert 48 <= pauses[0] <= 72, "a minute, give or take a fifth"
    assert all(minutes * 48 <= pause <= minutes * 72 for minutes, pause in zip((1, 2, 4, 8, 16), pauses, strict=False))
    assert 0.8 * 86_400 <= pauses[-1] <= 1.2 * 86_400
    wishes = buyer.told()
    assert len({wish["id"] for wish in wishes}) == 15, "each is an event of its own"
    assert {(wish["type"], wish["order"], wish["revision"]) for wish in wishes} == {
        ("fulfilment.ordered", str(buyer.order_id), 1)
    }
    alarms = [entry for entry in logs if entry["event"] == "fulfilment_unanswered"]
    assert [alarm["order"] for alarm in alarms] == [buyer.order_id]
    assert not reminders.work_on_fulfilment(world.core, buyer.order_id), "it is not due"
    buyer.answer("delivered")
    assert len(buyer.told()) == 16


def test_the_worker_tells_again_what_is_due(world: World) -> None:
    buyer = ExternalBuyer(world)
    buyer.pay()
    worker = Worker(world.core)
    worker.run_once()
    assert len(buyer.told()) == 1
    world.clock.advance(73)
    worker.run_once()
    assert len(buyer.told()) == 2
    buyer.answer("delivered")


# --- what a person sees ---


def test_what_waits_for_too_long_is_listed_until_a_person_ends_it_by_name(world: World) -> None:
    buyer, other = ExternalBuyer(world), ExternalBuyer(world)
    buyer.pay()
    other.pay()
    assert not {buyer.order_id, other.order_id} & set(listed(world))
    world.clock.advance(ANSWERED_WITHIN.total_seconds() + 1)
    mine = [number for number in listed(world) if number in (buyer.order_id, other.order_id)]
    assert mine == [buyer.order_id, other.order_id]
    first = waiting.list_waiting_fulfilments(world.core, None, 1)
    assert first.next is not None
    assert [row.id for row in waiting.list_waiting_fulfilments(world.core, first.next, 1000).rows] == listed(world)[1:]
    with pytest.raises(FulfilmentNotOpen, match="who you are"):
        waiting.end_fulfilment_by_hand(world.core, buyer.order_id, by=" ", reason="?")
    waiting.end_fulfilment_by_hand(world.core, buyer.order_id, by="mei", reason="handed over by support")
    with pytest.raises(FulfilmentNotOpen, match="nobody needs"):
        waiting.end_fulfilment_by_hand(world.core, buyer.order_id, by="mei", reason="again")
    assert (buyer.row.ended_by, buyer.row.next_tell_at, buyer.status) == ("mei", None, "waiting")
    assert listed(world).count(buyer.order_id) == 0
    i = Intervention.__table__.c
    kept = select(i.what, i.actor, i.reason).where(i.slot == buyer.slot, i.payment_id == buyer.payment_id)
    assert [tuple(row) for row in world.core.whole.read(lambda tx: tx.execute(kept).all())] == [
        ("fulfilment_ended", "mei", "handed over by support")
    ]
    buyer.answer("delivered")
    assert buyer.status == "delivered", "the backend's word counts all the same"
    other.answer("delivered")


# --- refused ---


def test_a_refused_order_waits_for_a_person_until_its_money_is_back(world: World) -> None:
    held = with_rule(world, RefusedFulfilment.HOLD)
    buyer = ExternalBuyer(held)
    buyer.pay()
    buyer.answer("refused", reason="the wallet is full")
    assert (buyer.status, list(buyer.refunds()), listed(held).count(buyer.order_id)) == ("refused", [], 1)
    assert buyer.told()[-1]["reason"] == "the wallet is full"
    buyer.ask_and_send()
    assert (buyer.status, buyer.due, listed(held).count(buyer.order_id)) == ("refused", [0, 0], 0)
    assert [step[0] for step in buyer.steps()] == ["ordered", "refused"], "nothing is taken back that was not delivered"
    buyer.assert_balanced()


def test_a_refused_order_is_refunded_by_the_rule_and_asked_for_anew_if_the_refund_is_undone(world: World) -> None:
    refunding = with_rule(world, RefusedFulfilment.REFUND)
    buyer = ExternalBuyer(refunding)
    buyer.pay()
    buyer.tell(buyer.fact(Kind.REFUNDED, 1, refund="r1", money=200))
    buyer.answer("refused", 1, reason="sold out")
    buyer.answer("refused", 1, reason="sold out")
    given = [row for row in buyer.refunds() if row.origin == "automatic"]
    assert [(row.amount_minor, row.reason) for row in given] == [(400, "the delivery was refused: sold out")]
    assert buyer.row.attention_at == refunding.clock.now() + REFUNDED_WITHIN
    assert buyer.work(given[0].id) == "done"
    assert (buyer.due, buyer.status, buyer.row.attention_at) == ([0, 0], "refused", None)
    buyer.tell(buyer.fact(Kind.REFUND_UNDONE, 9, refund=str(given[0].id)))
    assert (buyer.status, buyer.due, buyer.steps()[-1][0]) == ("waiting", [40, 4], "ordered")
    buyer.assert_balanced()
    buyer.answer("delivered", buyer.steps()[-1][1])
    assert buyer.status == "delivered"
    buyer.assert_balanced()


def test_what_was_delivered_once_is_not_refused_later(world: World) -> None:
    buyer = ExternalBuyer(world)
    buyer.pay()
    buyer.answer("delivered")
    buyer.tell(buyer.fact(Kind.REFUNDED, 1, refund="r1", money=300))
    buyer.answer("taken_back", 2)
    buyer.tell(buyer.fact(Kind.REFUND_UNDONE, 2, refund="r1"))
    with pytest.raises(FulfilmentContradicted) as refused:
        buyer.answer("refused", 3)
    assert refused.value.members["fulfilment_status"] == "taken_back"
    buyer.answer("delivered", 3)


# --- the proof ---


def _execute(world: World, statement: Any) -> None:
    world.core.whole.transact(lambda tx: tx.execute(statement))


def test_the_audit_finds_a_fulfilment_that_is_not_what_the_facts_say(world: World) -> None:
    def findings() -> set[str]:
        return {found.what for found in audit_orders(world.core.whole.sessions)}

    f = FULFILMENTS.c
    buyer = ExternalBuyer(world)
    buyer.pay()
    here = (f.slot == buyer.slot, f.id == buyer.order_id)
    row = buyer.row
    assert findings() == set()
    for column, value, what in (
        ("units", [{**unit, "due": 0} for unit in row.units], "fulfilment_units"),
        ("wishes", [{"asks": "delivery", "answer": "delivered"}], "fulfilment_status"),
    ):
        _execute(world, update(FULFILMENTS).where(*here).values({column: value}))
        assert findings() == {what}
        kept = getattr(row, column)
        _execute(world, update(FULFILMENTS).where(*here).values({column: kept}))
    _execute(world, FULFILMENTS.delete().where(*here))
    assert findings() == {"fulfilment_missing"}
    _execute(world, FULFILMENTS.insert().values(**row._asdict()))
    assert findings() == set()
    buyer.answer("delivered")


def test_who_makes_an_order_one_of_our_wallets_breaks_its_seal(world: World) -> None:
    buyer, o = ExternalBuyer(world), Order.__table__.c
    for fulfilment, is_whole in (("wallet", False), ("external", True)):
        change = update(Order).where(o.slot == buyer.slot, o.id == buyer.order_id).values(fulfilment=fulfilment)
        _execute(world, change)
        assert (list(audit_seals(world.core.whole.sessions, Seals())) == []) is is_whole


def test_an_order_keeps_the_fulfilment_that_its_product_had(world: World) -> None:
    buyer = ExternalBuyer(world)
    import_products(world.core, parse_catalogue(CATALOGUE))
    inside = Buyer(world)
    sell_externally(world)
    inside.pay()
    buyer.pay()
    assert (inside.coins, buyer.coins, buyer.status) == (66, 0, "waiting")
    assert world.order_row(inside.order_id).fulfilment_status is None
    buyer.answer("delivered")
