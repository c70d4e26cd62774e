"""A caller's cap for the day holds under eight requests at the same time, whichever users and slots they are about."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine, text

from app.caller_settings import CallerSettings
from tests.support.web_client import BACKEND_KEY, ApiClient, build_client, order_body, token
from tests.support.world import World

AT_ONCE = 8


def _app(world: World, engine: Engine, **caps: Any) -> Flask:
    return build_client(world, engine, callers={"backend": CallerSettings.model_validate(caps)}).application


def _statuses_at_once(app: Flask, attempt: Callable[[ApiClient, int], int]) -> Counter[int]:
    start = threading.Barrier(AT_ONCE)
    statuses: Counter[int] = Counter()

    def run(number: int) -> None:
        client = ApiClient(app.test_client(), BACKEND_KEY)
        start.wait()
        statuses[attempt(client, number)] += 1

    threads = [threading.Thread(target=run, args=(number,)) for number in range(AT_ONCE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return statuses


def _used(world: World) -> list[int]:
    return list(world.core.whole.read(lambda tx: tx.execute(text("SELECT used FROM caller_days")).scalars().all()))


def _grant(client: ApiClient, user: str, amount: int, key: str) -> int:
    body = {"user": user, "asset": "coin", "amount": amount, "environment": "sandbox", "reason": "r"}
    return client.post("/v1/grants", body, key=key).status_code


def test_grants_to_different_users_at_once_do_not_pass_the_cap_of_the_day(world: World, engine: Engine) -> None:
    app = _app(world, engine, grants={"coin": {"per_day": 35}})
    statuses = _statuses_at_once(app, lambda client, number: _grant(client, f"user-{number}", 10, f"k{number}"))
    assert statuses == {201: 3, 429: AT_ONCE - 3}
    assert _used(world) == [30]
    assert sum(world.coins(f"user-{number}") for number in range(AT_ONCE)) == 30


def test_one_grant_sent_eight_times_at_once_is_counted_once(world: World, engine: Engine) -> None:
    app = _app(world, engine, grants={"coin": {"per_day": 10}})
    statuses = _statuses_at_once(app, lambda client, _: _grant(client, "alice", 10, "one"))
    assert statuses == {201: AT_ONCE}
    assert (_used(world), world.coins()) == ([10], 10)


@pytest.mark.one_database
def test_batches_at_once_keep_to_the_cap_together(world: World, engine: Engine) -> None:
    """Each batch grants to the users of the others, in another order: rows of users are locked before the day's."""
    app = _app(world, engine, grants={"coin": {"per_day": 50}})

    def batch(client: ApiClient, number: int) -> int:
        users = [f"user-{(number + step) % AT_ONCE}" for step in range(AT_ONCE)]
        common = {"type": "grant", "asset": "coin", "amount": 1, "environment": "sandbox", "reason": "r"}
        items = [{**common, "user": user, "key": f"{number}-{user}"} for user in users]
        return client.post("/v1/transfers/batch", {"all_or_nothing": True, "items": items}).status_code

    assert _statuses_at_once(app, batch) == {200: 6, 429: 2}
    assert _used(world) == [48]
    world.assert_balanced()


def test_refunds_of_different_orders_at_once_do_not_pass_the_cap_of_the_day(world: World, engine: Engine) -> None:
    users = [f"user-{number}" for number in range(AT_ONCE)]
    shop = build_client(world, engine)
    orders = []
    for user in users:
        order: dict[str, Any] = ApiClient(shop, token(user)).post("/v1/orders", order_body()).get_json()
        world.pay(int(order["payments"][0]["number"]))
        orders.append(order["number"])
    world.deliver()
    app = _app(world, engine, refunds={"CNY": {"per_day": 1900}})

    def refund(client: ApiClient, number: int) -> int:
        return client.post("/v1/refunds", {"order": orders[number], "reason": "r"}).status_code

    assert _statuses_at_once(app, refund) == {201: 3, 429: AT_ONCE - 3}
    assert (_used(world), world.money("sales")) == ([1800], (AT_ONCE - 3) * 600)
    world.assert_balanced()
