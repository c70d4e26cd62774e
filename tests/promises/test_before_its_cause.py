"""Promise 2: a fact that comes before its order (a restored backup) is parked, matched later, and applied once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import insert, text

from app.domain.money import Money
from app.models.orders import Order, Payment
from app.services.calls import payment_queries
from app.services.facts import inbox
from app.services.intake import notifications
from tests.support.facts import paid_fact, told
from tests.support.world import World

HOUR = 3600


def kept(world: World) -> list[Any]:
    return world.core.whole.read(inbox.waiting_messages)


def _forget(world: World, view: Any) -> tuple[Any, Any]:
    """The order and its payment are gone, as after a restore from yesterday's backup."""
    order, payment = view.order, world.payment(view.payments[0].id)
    _run(world, "DELETE FROM facts WHERE slot = :slot AND payment_id = :id", slot=payment.slot, id=payment.id)
    _run(world, "DELETE FROM payments WHERE slot = :slot AND id = :id", slot=payment.slot, id=payment.id)
    _run(world, "DELETE FROM orders WHERE slot = :slot AND id = :id", slot=order.slot, id=order.id)
    _run(world, "DELETE FROM idempotency WHERE slot = :slot AND resource_id = :id", slot=order.slot, id=order.id)
    return order, payment


def _remember(world: World, order: Any, payment: Any) -> None:
    def work(session: Any) -> None:
        session.execute(insert(Order).values(**order._asdict()))
        session.execute(insert(Payment).values(**payment._asdict()))

    world.core.whole.transact(work)


def _run(world: World, sql: str, **values: Any) -> None:
    world.core.whole.transact(lambda tx: tx.execute(text(sql), values))


@pytest.mark.parametrize("road", ["told again", "replayed a week later", "asked"])
def test_money_that_came_before_its_order_is_applied_when_the_order_is_back(world: World, road: str) -> None:
    view = world.order()
    payment_id = view.payments[0].id
    gone = _forget(world, view)
    world.pay(payment_id)
    message = world.notification(payment_id)
    assert world.receive(message).status == 200
    assert (world.money("suspense"), world.coins()) == (600, 0)
    assert [row.reason for row in kept(world)] == ["parked"]
    world.assert_balanced()
    _remember(world, *gone)
    if road == "told again":
        assert world.receive(message).status == 200
    elif road == "asked":
        payment_queries.ask(world.core, payment_id)
    else:
        world.clock.advance(7 * 24 * HOUR)
        assert str(notifications.replay(world.core, kept(world)[0].id)) == "applied"
        assert kept(world) == []
    assert world.order_row(view.order.id).status == "paid"
    assert (world.coins(), world.money("suspense"), world.money("sales")) == (66, 0, 600)
    assert world.money("clearing:sandbox") == -600
    world.assert_balanced()


def test_parked_money_found_by_many_at_once_is_applied_once(world: World) -> None:
    view = world.order()
    gone = _forget(world, view)
    world.pay(view.payments[0].id)
    messages = [world.notification(view.payments[0].id) for _ in range(16)]
    world.receive(messages[0])
    _remember(world, *gone)
    with ThreadPoolExecutor(8) as pool:
        assert {reply.status for reply in pool.map(world.receive, messages)} == {200}
    assert [outcome for kind, outcome, _ in world.outcomes() if kind == "paid"] == ["applied"]
    assert (world.coins(), world.money("sales"), world.money("suspense")) == (66, 600, 0)
    world.assert_balanced()


def test_parked_money_that_then_turns_out_not_to_match_stays_in_suspense(world: World) -> None:
    view = world.order()
    payment_id = view.payments[0].id
    fact = paid_fact(world, payment_id, money=Money(599, "CNY"))
    gone = _forget(world, view)
    assert told(world, fact).reason == "unknown_number"
    _remember(world, *gone)
    assert told(world, fact).reason == "other_amount"
    assert world.payment(payment_id).status == "held"
    assert (world.money("suspense"), world.coins()) == (599, 0)
    world.assert_balanced()
