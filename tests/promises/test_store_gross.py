"""What a store's customer paid is in the books, gross; refunds take back their share of it, and coins without a price
are there without a value."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import Engine, text

from app.services.accounts.catalog import import_products, parse_catalogue
from plugins.apple.transactions import SUBSCRIPTION
from tests.promises.test_store_purchases import PRODUCT, Store
from tests.support.databases import Sessions
from tests.support.world import build_world

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
GOLD = """
[[products]]
sku = "gold"
title = "gold"
store_ids = { apple = "gold", other = "gold-there" }
[[products.grants]]
asset = "coin"
amount = 300
"""


@pytest.fixture
def store(engine: Engine, sessions: Sessions) -> Store:
    return Store(build_world(engine, sessions), grant_free_trials=True)


def money(store: Store, currency: str = "CNY") -> tuple[int, int]:
    """What the store owes us and what we owe customers, as finance reads them."""
    return -store.world.money("clearing:apple", currency), store.world.money("sales", currency)


def values(store: Store) -> list[tuple[int, str]]:
    """The value and currency of each lot of paid coins, oldest first."""
    query = text("/* sweep: audit */ SELECT value_minor, currency FROM lots ORDER BY value_minor, currency")
    return [(row.value_minor, row.currency) for row in store.core.whole.read(lambda tx: tx.execute(query).all())]


def test_a_purchase_is_booked_at_what_the_customer_paid_in_his_currency(store: Store) -> None:
    device = store.device()
    number = device.buy(PRODUCT, quantity=3)
    device.buy(PRODUCT, price=120_000, currency="JPY", storefront="JPN")
    device.buy(PRODUCT, price=4_990, currency="GBP", storefront="GBR")
    store.deliver()
    assert device.resubmit(number)
    assert (money(store), money(store, "JPY"), money(store, "GBP")) == ((1800, 1800), (120, 120), (499, 499))
    assert values(store) == [(120, "JPY"), (499, "GBP"), (1800, "CNY")]
    store.world.assert_balanced()


def test_a_refund_by_share_takes_back_that_share_of_the_gross_and_its_reversal_brings_it_back(store: Store) -> None:
    number = store.device().buy(PRODUCT)
    store.shop.control("refund", id=number, percentage=33_333)
    store.deliver()
    assert money(store) == (400, 400)  # 600 × 0.33333 is 199.998
    store.world.clock.advance(60)
    store.shop.control("refund", id=number)
    store.deliver()
    assert money(store) == (0, 0)
    store.shop.control("reverse-refund", id=number)
    store.deliver()
    assert money(store) == (600, 600)
    store.world.assert_balanced()


@on_sqlite
def test_an_upgrade_takes_the_unused_part_of_the_price_back(store: Store) -> None:
    import_products(store.core, parse_catalogue(GOLD))
    import_products(store.core, parse_catalogue(GOLD.replace("gold", "silver")))
    period = store.device().buy("silver", product_type=SUBSCRIPTION, price=3_000)
    store.world.clock.advance(timedelta(days=10).total_seconds())
    store.shop.control("upgrade", id=period, product="gold")
    store.deliver()
    assert money(store) == (100 + 300, 100 + 300)
    store.world.assert_balanced()


@on_sqlite
def test_coins_without_an_exact_price_are_credited_without_a_value(store: Store) -> None:
    """Signed before prices were; with a price that the currency cannot have; and what cost nothing, which has the value
    that was paid for it."""
    device = store.device()
    for more in ({"price": None}, {"price": 6_001}, {"price": 6_000, "currency": "yuan"}, {"price": 0}):
        device.buy(PRODUCT, **more)
    assert store.world.coins() == 4 * 600
    assert money(store) == (0, 0)
    assert values(store) == [(0, "")] * 4
    store.world.assert_balanced()


def test_a_purchase_that_was_booked_without_a_price_stays_so_when_it_is_told_with_one(store: Store) -> None:
    """Facts of an older version: what was booked follows from the fact as it was booked, for the audit, too."""
    device = store.device()
    number = device.buy(PRODUCT, price=None)
    store.shop.store.purchases.find("Sandbox", number).payload["price"] = 6_000
    assert device.resubmit(number)
    store.deliver()
    assert (store.world.coins(), money(store)) == (600, (0, 0))
    store.shop.control("refund", id=number, percentage=50_000)
    store.deliver()
    assert (store.world.coins(), money(store)) == (300, (0, 0))
    store.world.assert_balanced()


@on_sqlite
def test_a_purchase_that_waited_for_its_product_is_booked_with_the_price_that_was_told_last(store: Store) -> None:
    device = store.device()
    number = device.buy("gold", price=None)
    store.shop.store.purchases.find("Sandbox", number).payload["price"] = 6_000
    assert (store.world.coins(), money(store)) == (0, (0, 0))
    import_products(store.core, parse_catalogue(GOLD))
    device.resubmit(number)
    assert (store.world.coins(), money(store)) == (300, (600, 600))
    store.world.assert_balanced()
