"""One request of one caller, once: whatever is repeated, however many at once."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from sqlalchemy import func, select

from app.domain.numbers import slot_of_user
from app.models.orders import Order
from app.services.accounts.catalog import import_products, parse_catalogue
from app.services.base.context import Tx
from app.services.base.errors import (
    Invalid,
    KeyReused,
    NotFound,
    OrderNotOpen,
    TooManyPayments,
    UnknownProduct,
    UnknownWay,
)
from app.services.base.idempotency import decided_once, keyed
from app.services.calls import payment_starts
from app.services.payments import orders
from app.services.payments.orders import MOST_PAYMENTS, NewOrder, PayBy
from tests.support.world import CATALOGUE, World

PAGE = PayBy("sandbox", "page")
WANTED = NewOrder("alice", "coins-60", 1, PAGE, "CNY")
REQUEST = keyed("user:alice", "k", "create_order", {"n": 1})


def orders_of_alice(world: World) -> int:
    counted = select(func.count()).select_from(Order).where(Order.slot == slot_of_user("alice"))
    return int(world.core.whole.read(lambda tx: tx.execute(counted).scalar_one()))


def test_a_request_repeated_by_many_at_once_makes_one_order(world: World) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = set(pool.map(lambda _: orders.create_order(world.core, WANTED, REQUEST), range(24)))
    assert len(made) == 1
    assert orders_of_alice(world) == 1


def test_the_same_key_for_something_else_is_refused_and_makes_nothing(world: World) -> None:
    orders.create_order(world.core, WANTED, REQUEST)
    with pytest.raises(KeyReused):
        orders.create_order(world.core, WANTED, keyed("user:alice", "k", "create_order", {"n": 2}))
    with pytest.raises(KeyReused):
        orders.create_order(world.core, WANTED, keyed("user:alice", "k", "another verb", {"n": 1}))
    assert orders_of_alice(world) == 1


def test_another_callers_key_is_another_key(world: World) -> None:
    first = orders.create_order(world.core, WANTED, REQUEST)
    second = orders.create_order(world.core, WANTED, keyed("backend:app:alice", "k", "create_order", {"n": 1}))
    assert first != second


def test_a_repeat_is_answered_though_the_product_is_no_longer_for_sale(world: World) -> None:
    """The first answer may have been lost on its way."""
    first = orders.create_order(world.core, WANTED, REQUEST)
    nothing = parse_catalogue(CATALOGUE.replace("coins-60", "another"))
    import_products(world.core, nothing)
    assert orders.create_order(world.core, WANTED, REQUEST) == first
    with pytest.raises(UnknownProduct):
        orders.create_order(world.core, WANTED, keyed("user:alice", "k2", "create_order", {"n": 1}))


def test_an_order_of_an_unknown_product_stays_refused_under_its_key(world: World) -> None:
    """The product may be for sale later: a no does not become a yes."""
    nothing = parse_catalogue(CATALOGUE.replace("coins-60", "another"))
    import_products(world.core, nothing)
    with pytest.raises(UnknownProduct):
        orders.create_order(world.core, WANTED, REQUEST)
    import_products(world.core, parse_catalogue(CATALOGUE))
    with pytest.raises(UnknownProduct) as again:
        orders.create_order(world.core, WANTED, REQUEST)
    assert again.value.members == {"sku": "coins-60"}
    assert orders_of_alice(world) == 0
    orders.create_order(world.core, WANTED, keyed("user:alice", "a new key", "create_order", {"n": 1}))
    assert orders_of_alice(world) == 1


def test_a_refused_attempt_to_pay_stays_refused_under_its_key(world: World) -> None:
    order = world.order()
    again = keyed("user:alice", "again", "add_payment", {})
    unknown = PayBy("sandbox", "a way of tomorrow")
    for pay_by in (unknown, PAGE):
        with pytest.raises(UnknownWay):
            payment_starts.pay_again(world.core, "alice", order.order.id, pay_by, again)
    view = orders.view_order(world.core, "alice", order.order.id)
    assert [payment.status for payment in view.payments] == ["pending"], "an attempt that is refused shuts no other"


def test_a_refusal_that_two_requests_meet_at_once_is_one_answer(world: World) -> None:
    wrong = NewOrder("alice", "coins-60", 0, PAGE, "CNY")

    def attempt(_: int) -> str:
        with pytest.raises(Invalid) as refused:
            orders.create_order(world.core, wrong, REQUEST)
        return refused.value.detail

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(attempt, range(8)))) == 1


def test_a_conflict_says_which_field_differs(world: World) -> None:
    first = keyed("user:alice", "k", "create_order", {"product": "coins-60", "quantity": 1})
    orders.create_order(world.core, WANTED, first)
    for other, field in (
        (keyed("user:alice", "k", "create_order", {"product": "coins-60", "quantity": 2}), "quantity"),
        (keyed("user:alice", "k", "create_order", {"product": "coins-60", "quantity": 1, "extra": {}}), "extra"),
        (keyed("user:alice", "k", "add_payment", {"order": "1"}), "request"),
    ):
        with pytest.raises(KeyReused) as conflict:
            orders.create_order(world.core, WANTED, other)
        assert conflict.value.members == {"field": field}


def test_another_attempt_repeated_at_once_is_one_attempt(world: World) -> None:
    order_id, _ = orders.create_order(world.core, WANTED, REQUEST)
    again = keyed("user:alice", "again", "add_payment", {})
    with ThreadPoolExecutor(8) as pool:
        made = set(pool.map(lambda _: payment_starts.pay_again(world.core, "alice", order_id, PAGE, again), range(16)))
    assert len(made) == 1
    assert len(orders.view_order(world.core, "alice", order_id).payments) == 2


def test_an_order_takes_ten_attempts_and_the_last_can_be_repeated(world: World) -> None:
    order_id, _ = orders.create_order(world.core, WANTED, REQUEST)

    def attempt(number: int) -> int:
        request = keyed("user:alice", f"again-{number}", "add_payment", {})
        return payment_starts.pay_again(world.core, "alice", order_id, PAGE, request)

    made = [attempt(number) for number in range(1, MOST_PAYMENTS)]
    with pytest.raises(TooManyPayments):
        attempt(MOST_PAYMENTS)
    assert attempt(MOST_PAYMENTS - 1) == made[-1]


def test_a_paid_or_expired_or_foreign_order_takes_no_further_attempt(world: World) -> None:
    paid = world.order(key="paid")
    world.pay(paid.payments[0].id)
    world.deliver()
    expired = world.order(key="expired")
    world.clock.advance(1800)
    for number, view in enumerate((paid, expired)):
        with pytest.raises(OrderNotOpen):
            orders.add_payment(
                world.core, "alice", view.order.id, PAGE, keyed("user:alice", f"x{number}", "add_payment", {})
            )
    with pytest.raises(NotFound):
        orders.add_payment(world.core, "bob", paid.order.id, PAGE, keyed("user:bob", "x", "add_payment", {}))


@pytest.mark.parametrize("is_same", [True, False], ids=["the same request", "another request"])
def test_a_request_that_waited_for_another_with_its_key_finds_what_that_one_made(
    world: World, *, is_same: bool
) -> None:
    """The second one looks for the key before the first has committed, where the database lets it. Then it binds the
    key too late: it runs again, and what it began is undone."""
    slot, second = slot_of_user("alice"), keyed("app", "k", "verb", {"n": 1 if is_same else 2})
    looked, made = threading.Event(), threading.Event()

    def make_first(tx: Tx) -> int:
        waiting.append(pool.submit(decided_once, world.core, slot, second, make_second))
        looked.wait(0.2)  # on SQLite the second one cannot begin before the first has ended
        return 1

    def make_second(tx: Tx) -> int:
        begun.append(tx.is_repeated)
        looked.set()
        made.wait(5)
        return 2

    begun, waiting = list[bool](), list[Future[int]]()
    with ThreadPoolExecutor(1) as pool:
        assert decided_once(world.core, slot, keyed("app", "k", "verb", {"n": 1}), make_first) == 1
        made.set()
        if is_same:
            assert waiting[0].result() == 1
        else:
            with pytest.raises(KeyReused):
                waiting[0].result()
    assert begun in ([], [False]), "it was not made anew when it ran again"
