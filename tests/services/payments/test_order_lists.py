"""Lists of orders: of one user, and of all users over all slots."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import event

from app.domain.status import OrderStatus
from app.services.base.list_pages import ListPlace, TimeSpan
from app.services.payments.order_rows import OrderFilter
from app.services.payments.orders import OrderView, list_orders
from tests.support import databases
from tests.support.world import World, build_world

USERS = [f"user-{number}" for number in range(6)]


def _listed(world: World, wanted: OrderFilter, size: int, between: Any = None) -> list[OrderView]:
    """All pages; `between` is called after each."""
    found: list[OrderView] = []
    place: ListPlace | None = None
    while True:
        page = list_orders(world.core, wanted, place, size)
        assert len(page.rows) == size or page.next is None
        found += page.rows
        place = page.next
        if place is None:
            return found
        if between is not None:
            between()


def _some_orders(world: World) -> list[OrderView]:
    """Two of each user, two of them paid. Several are made in one moment."""
    made = []
    for number, user in enumerate([*USERS, *USERS]):
        made.append(world.order(user, key=f"k{number}"))
        if number % 4 == 3:
            world.clock.advance(60)
    for view in made[1], made[8]:
        world.pay(view.payments[0].id)
        world.deliver()
    return made


def _numbers(views: list[OrderView]) -> list[int]:
    return [view.order.id for view in views]


def test_all_users_orders_are_listed_newest_first_each_once(world: World) -> None:
    made = _some_orders(world)
    expected = [view.order.id for view in sorted(made, key=lambda v: (v.order.created_at, v.order.id), reverse=True)]
    for size in (1, 4, 5, 12, 200):
        views = _listed(world, OrderFilter(), size)
        assert _numbers(views) == expected
        assert all(len(view.payments) == 1 for view in views)
    assert len({view.order.slot for view in made}) > 1


def test_a_page_that_ends_the_list_says_so(world: World) -> None:
    _some_orders(world)
    assert list_orders(world.core, OrderFilter(), None, 12).next is None
    assert list_orders(world.core, OrderFilter(user_id=USERS[0]), None, 2).next is None
    assert list_orders(world.core, OrderFilter(user_id=USERS[0]), None, 1).next is not None


def test_orders_are_found_by_status_and_time_of_one_user_or_of_all(world: World) -> None:
    made = _some_orders(world)
    start = made[0].order.created_at
    second = TimeSpan(start + timedelta(minutes=1), start + timedelta(minutes=2))
    for user in (None, USERS[1], USERS[2]):
        own = [view.order for view in made if user in (None, view.order.user_id)]
        paid = {order.id for order in own} & {made[1].order.id, made[8].order.id}
        assert set(_numbers(_listed(world, OrderFilter(user, OrderStatus.PAID), 1))) == paid
        still_open = {order.id for order in own} - paid
        assert set(_numbers(_listed(world, OrderFilter(user, OrderStatus.OPEN), 3))) == still_open
        assert _listed(world, OrderFilter(user, OrderStatus.EXPIRED), 3) == []
        inside = {order.id for order in own if second.since <= order.created_at < second.until}  # type: ignore[operator]
        assert set(_numbers(_listed(world, OrderFilter(user, made=second), 3))) == inside
        both = OrderFilter(user, OrderStatus.OPEN, second)
        assert set(_numbers(_listed(world, both, 3))) == inside & still_open


def test_orders_that_are_made_and_paid_while_somebody_pages_hide_none_and_repeat_none(world: World) -> None:
    made = _some_orders(world)
    waiting = iter(made[3:6])

    def between() -> None:
        world.order("newcomer", key=f"n{world.clock.now()}")
        view = next(waiting, None)
        if view is not None:
            world.pay(view.payments[0].id)
            world.deliver()
        world.clock.advance(1)

    found = _numbers(_listed(world, OrderFilter(), 3, between))
    assert sorted(found) == sorted(_numbers(made))


def test_the_list_of_all_users_reads_no_more_than_its_page(sqlite_template: Path, tmp_path: Path) -> None:
    """SQLite's own words about each read: by the index, the place included, and without sorting all orders."""
    said: list[str] = []
    with databases.engine_for(f"sqlite:///{shutil.copy(sqlite_template, tmp_path)}") as engine:
        world = build_world(engine, databases.sessions_for(engine))
        _some_orders(world)
        event.listen(engine, "checkout", lambda connection, *_: connection.set_trace_callback(said.append))
        first = list_orders(world.core, OrderFilter(status=OrderStatus.OPEN), None, 2)
        list_orders(world.core, OrderFilter(), first.next, 2)
        statements = [text for text in said if "sweep: lists" in text]
        assert len(statements) == 2, "one for each page, whatever the number of slots"
        with engine.connect() as connection:
            plans = [
                [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}") if " orders " in row[3]]
                for sql in statements
            ]
    assert [len(plan) for plan in plans] == [1, len(OrderStatus)]
    for line in (line for plan in plans for line in plan):
        assert line.startswith("SEARCH orders USING INDEX ix_orders_listed (status=?")
    assert all(line.endswith("AND (created_at,id)<(?,?))") for line in plans[1])
