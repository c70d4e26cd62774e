"""Hopping between subscriptions of one group mints no coins: what Apple gave back, the wallet gives back."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine

from app.services.accounts.catalog import import_products, parse_catalogue
from app.worker import Worker
from plugins.apple.transactions import SUBSCRIPTION
from tests.promises.test_store_purchases import Store
from tests.support.databases import Sessions
from tests.support.world import START, build_world

CATALOGUE = "".join(
    f"""
[[products]]
sku = "{sku}"
title = "{sku}"
store_ids = {{ apple = "com.example.{sku}" }}
[[products.grants]]
asset = "coin"
amount = 600
"""
    for sku in ("gold", "silver")
)


@pytest.mark.parametrize("way", ["notification", "receipt of the new period", "receipt of the old period too"])
def test_six_hops_in_six_minutes_leave_the_coins_of_one_period(engine: Engine, sessions: Sessions, way: str) -> None:
    store = Store(build_world(engine, sessions))
    store.core.transact(lambda s: import_products(s, parse_catalogue(CATALOGUE), START))
    device = store.device("alice")
    store.shop.store.faults.lose = 0 if way == "notification" else 10**6
    period = device.buy("com.example.silver", product_type=SUBSCRIPTION, crash=way == "notification")
    store.deliver()
    assert store.world.coins() == 600
    for hop in range(6):
        store.world.clock.advance(61)
        product = f"com.example.{('gold', 'silver')[hop % 2]}"
        old, period = period, store.shop.control("upgrade", id=period, product=product)["id"]
        store.deliver()
        if way != "notification":
            device.resubmit(period)
        if way == "receipt of the old period too":
            device.resubmit(old)
        Worker(store.core).run_once()
    # Six hundredths of a per cent were used: less than half a coin of each period.
    assert store.world.coins() == 600
    store.world.assert_balanced()


def test_a_refund_that_is_reversed_on_an_upgraded_period_leaves_what_the_upgrade_gave_back(
    engine: Engine, sessions: Sessions
) -> None:
    store = Store(build_world(engine, sessions))
    store.core.transact(lambda s: import_products(s, parse_catalogue(CATALOGUE), START))
    first = store.device("alice").buy("com.example.silver", product_type=SUBSCRIPTION, crash=True)
    store.deliver()
    store.world.clock.advance(61)
    store.shop.control("upgrade", id=first, product="com.example.gold")
    store.deliver()
    Worker(store.core).run_once()
    assert store.world.coins() == 600, "of the first period nothing to speak of was used"
    for command, coins in (("refund", 600), ("reverse-refund", 600)):
        store.world.clock.advance(61)
        store.shop.control(command, id=first)
        store.deliver()
        Worker(store.core).run_once()
        assert store.world.coins() == coins, command
    store.world.assert_balanced()


def test_a_refund_that_is_reversed_gives_all_back_where_nothing_was_upgraded(
    engine: Engine, sessions: Sessions
) -> None:
    store = Store(build_world(engine, sessions))
    store.core.transact(lambda s: import_products(s, parse_catalogue(CATALOGUE), START))
    first = store.device("alice").buy("com.example.silver", product_type=SUBSCRIPTION, crash=True)
    store.deliver()
    for command, coins in (("refund", 0), ("reverse-refund", 600)):
        store.world.clock.advance(61)
        store.shop.control(command, id=first)
        store.deliver()
        assert store.world.coins() == coins, command
    store.world.assert_balanced()
