"""Promise 1: a payment that succeeded at the provider is credited exactly once, whichever roads told us."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from app.services.calls import payment_queries
from tests.support.world import World


def test_a_paid_order_is_credited_once_with_money_and_coins(world: World) -> None:
    view = world.order()
    payment = view.payments[0]
    assert payment.status == "pending"
    assert payment.action is not None
    world.pay(payment.id)
    assert world.deliver() == 1
    assert world.order_row(view.order.id).status == "paid"
    assert world.payment(payment.id).status == "paid"
    assert world.coins() == 66
    assert world.money("clearing:sandbox") == -600
    assert world.money("sales") == 600
    world.assert_balanced()


def test_fifty_identical_notifications_at_once_credit_once(world: World) -> None:
    payment = world.order().payments[0]
    world.pay(payment.id)
    messages = [world.notification(payment.id) for _ in range(50)]
    with ThreadPoolExecutor(16) as pool:
        replies = list(pool.map(world.receive, messages))
    assert {reply.status for reply in replies} == {200}
    assert world.coins() == 66
    world.assert_balanced()


def test_notification_and_query_at_once_credit_once(world: World) -> None:
    payment = world.order().payments[0]
    world.pay(payment.id)
    with ThreadPoolExecutor(8) as pool:
        told = [pool.submit(world.receive, world.notification(payment.id)) for _ in range(4)]
        asked = [pool.submit(payment_queries.ask, world.core, payment.id) for _ in range(4)]
        for future in [*told, *asked]:
            future.result()
    assert world.coins() == 66
    world.assert_balanced()
