"""How orders and payments are written: in few statements, in the order of making, whatever clocks and numbers do."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, event, text

from app.domain.numbers import NumberSource
from app.domain.schedule import HINT_GAP_SECONDS
from app.services.base.idempotency import keyed
from app.services.calls import payment_queries, payment_starts
from app.services.payments import orders, payment_rows
from app.services.payments.order_rows import OrderFilter
from app.services.payments.orders import NewOrder, PayBy
from tests.support.watched_wire import watch_wires, watched_cursor
from tests.support.web_client import BACKEND_KEY, ApiClient, build_client, order_body, token
from tests.support.world import World

PAGE = PayBy("sandbox", "page")
AROUND = ("BEGIN", "COMMIT", "ROLLBACK")


class Counter:
    """The statements that reach the database, and the transactions around them."""

    def __init__(self, engine: Engine) -> None:
        self.statements: list[str] = []
        self.transactions = 0
        event.listen(engine, "connect", self._connected)
        watch_wires(engine, self._sent)
        event.listen(engine, "begin", self._began)
        engine.dispose()  # connections made before are not watched

    def clear(self) -> None:
        self.statements.clear()
        self.transactions = 0

    def _began(self, _: object) -> None:
        self.transactions += 1

    def _connected(self, connection: Any, _: object) -> None:
        if isinstance(connection, sqlite3.Connection):
            connection.set_trace_callback(self._seen)
        else:
            connection.cursor_factory = watched_cursor(self._sent)

    def _sent(self, statement: str, _: Any) -> None:
        self._seen(statement)

    def _seen(self, statement: str) -> None:
        if not statement.lstrip().upper().startswith(AROUND):
            self.statements.append(statement)


class Signing:
    """A provider that only signs: nothing is sent, and nothing is told with the start."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def start(self, intent: Any) -> Any:
        return replace(self._inner.start(intent), facts=())


def signing(world: World) -> World:
    account = replace(world.account, provider=Signing(world.account.provider))
    return replace(world, core=replace(world.core, registry=type(world.core.registry)({"sandbox": account})))


def test_an_order_costs_few_statements_and_two_transactions(world: World, engine: Engine) -> None:
    shop = signing(world)
    alice = ApiClient(build_client(shop, engine), token("alice"))
    alice.post("/v1/orders", order_body())
    counter = Counter(engine)
    alice.post("/v1/orders", order_body())  # the watched connection is new
    counter.clear()
    made = alice.post("/v1/orders", order_body())
    assert made.status_code == 201, made.text
    # What came of the start is two statements in a transaction of its own: the payment, and the call that made it.
    assert (len(counter.statements), counter.transactions) == (7, 1), counter.statements
    shown = alice.get(f"/v1/orders/{made.get_json()['number']}").get_json()
    assert made.get_json() == shown, "what was written is what is read"


def test_a_wallet_is_read_in_one_statement(world: World, engine: Engine) -> None:
    alice = ApiClient(build_client(world, engine), token("alice"))
    counter = Counter(engine)
    alice.get("/v1/wallet")
    counter.clear()
    assert alice.get("/v1/wallet").status_code == 200
    assert (len(counter.statements), counter.transactions) == (1, 0), counter.statements


class Stuck(NumberSource):
    """Gives the numbers out twice that another process has given out before."""

    def __init__(self, taken: list[int], fresh: NumberSource) -> None:
        super().__init__(lambda: 0)
        self._taken, self._fresh = list(taken), fresh

    def next(self, slot: int) -> int:
        return self._taken.pop(0) if self._taken else self._fresh.next(slot)


def test_numbers_that_another_process_gave_out_are_replaced(world: World) -> None:
    first = world.order()
    order_id, payment_id = first.order.id, first.payments[0].id
    fresh = world.core.numbers
    taken = [order_id, payment_id, fresh.next(order_id & 4095), payment_id]
    core = replace(world.core, numbers=Stuck(taken, fresh))
    request = keyed("user:alice", "k2", "create_order", {"n": 2})
    made = orders.create_order(core, NewOrder("alice", "coins-60", 1, PAGE), request)
    assert made.order_id != order_id
    assert made.payment_id != payment_id
    assert len(orders.list_orders(world.core, OrderFilter("alice"), None, 10).rows) == 2
    assert len(orders.view_order(world.core, "alice", order_id).payments) == 1


def test_payments_of_an_order_stand_in_the_order_of_making_whatever_the_clocks(world: World) -> None:
    """The second attempt is made by a process whose clock is an hour behind: its number is lower."""
    order = world.order()
    behind = NumberSource(lambda: int((world.clock.now() - timedelta(hours=1)).timestamp() * 1000))
    slow = replace(world.core, numbers=behind)
    second = payment_starts.pay_again(slow, "alice", order.order.id, PAGE, keyed("user:alice", "2", "add_payment", {}))
    third = payment_starts.pay_again(
        world.core, "alice", order.order.id, PAGE, keyed("user:alice", "3", "add_payment", {})
    )
    assert second < order.payments[0].id
    wanted = [order.payments[0].id, second, third]
    assert [one.id for one in orders.view_order(world.core, "alice", order.order.id).payments] == wanted
    listed = orders.list_orders(world.core, OrderFilter("alice"), None, 10).rows
    assert [one.id for one in listed[0].payments] == wanted


def test_a_repeat_starts_the_first_payment_whatever_the_clocks(world: World) -> None:
    request = keyed("user:alice", "k1", "create_order", {"product": "coins-60", "quantity": 1})
    order = world.order()
    behind = NumberSource(lambda: int((world.clock.now() - timedelta(hours=1)).timestamp() * 1000))
    slow = replace(world.core, numbers=behind)
    payment_starts.pay_again(slow, "alice", order.order.id, PAGE, keyed("user:alice", "2", "add_payment", {}))
    again = orders.create_order(world.core, NewOrder("alice", "coins-60", 1, PAGE, "CNY"), request)
    assert again.payment_id == order.payments[0].id


@pytest.mark.parametrize("column", ["last_query_at", "hinted_at"])
def test_a_stamp_of_a_clock_that_was_ahead_counts_as_none(world: World, column: str) -> None:
    order = world.order()
    payment = order.payments[0]
    ahead = world.clock.now() + timedelta(days=1)
    stamp = text(f"UPDATE payments SET {column} = :ahead WHERE slot = :slot AND id = :id")
    values = {"ahead": ahead, "slot": payment.slot, "id": payment.id}
    world.core.whole.transact(lambda tx: tx.execute(stamp, values))
    now = world.clock.now()
    if column == "last_query_at":
        world.simulator.faults.lose = 1
        world.pay(payment.id)
        payment_queries.ask_if_due(world.core, payment.id)
        assert world.payment(payment.id).status == "paid"
    else:
        before = now - timedelta(seconds=HINT_GAP_SECONDS)
        hinted = world.core.whole.transact(
            lambda tx: payment_rows.bring_forward(tx, payment.slot, payment.id, now=now, hinted_before=before)
        )
        assert hinted


def test_a_backend_reads_an_order_without_naming_its_user(world: World, engine: Engine) -> None:
    number = str(world.order().order.id)
    client = build_client(world, engine)
    backend = ApiClient(client, BACKEND_KEY)
    shown = backend.get(f"/v1/orders/{number}")
    assert (shown.status_code, shown.get_json()["user"]) == (200, "alice")
    assert backend.get(f"/v1/orders/{number}", user="alice").get_json() == shown.get_json()
    assert backend.get(f"/v1/orders/{number}", user="bob").status_code == 404
    assert backend.get("/v1/orders/12345").status_code == 404
    assert ApiClient(client, token("bob")).get(f"/v1/orders/{number}").status_code == 404
    assert [order["number"] for order in backend.get("/v1/orders").get_json()["orders"]] == [number]
