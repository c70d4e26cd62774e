"""The catalogue's file: checked as a whole, imported idempotently, refused with a message that names the fault."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from app.services.accounts.catalog import (
    BadCatalogue,
    import_products,
    parse_catalogue,
    price_in,
    product_of_store,
    products_for_sale,
)
from app.services.base.errors import NoPrice, UnknownProduct
from app.services.base.idempotency import keyed
from app.services.payments import orders
from app.services.payments.orders import NewOrder, PayBy
from tests.support.world import CATALOGUE, World

TWO = (
    CATALOGUE
    + '[[products]]\nsku = "gems"\ntitle = "Gems"\nstore_ids = { store = "com.gems" }\ngrants = [{ amount = 5 }]\n'
)


def imported(world: World, text: str) -> dict[str, int]:
    catalogue = parse_catalogue(text)
    return import_products(world.core, catalogue)


def for_sale(world: World) -> list[str]:
    return [row.sku for row in world.core.whole.read(lambda s: products_for_sale(s, world.clock.now()))]


def counts(**given: int) -> dict[str, int]:
    return {"added": 0, "changed": 0, "unchanged": 0, "retired": 0, **given}


def test_importing_twice_changes_nothing(world: World) -> None:
    assert imported(world, CATALOGUE) == counts(unchanged=1)
    assert imported(world, TWO) == counts(added=1, unchanged=1)
    assert imported(world, TWO) == counts(unchanged=2)


def test_what_the_file_no_longer_names_is_retired_and_can_come_back(world: World) -> None:
    imported(world, TWO)
    assert imported(world, CATALOGUE) == counts(unchanged=1, retired=1)
    assert imported(world, CATALOGUE) == counts(unchanged=1)
    assert for_sale(world) == ["coins-60"]
    with pytest.raises(UnknownProduct):
        orders.create_order(
            world.core, NewOrder("alice", "gems", 1, PayBy("sandbox", "page")), keyed("a", "k", "o", {})
        )
    found: Any = world.core.whole.read(lambda tx: product_of_store(tx, "store", "com.gems"))
    assert found.sku == "gems", "it was bought in the store while it was for sale"
    assert imported(world, TWO) == counts(changed=1, unchanged=1)


def test_a_new_price_is_a_change_and_does_not_touch_orders_that_were_made(world: World) -> None:
    view = world.order()
    assert imported(world, CATALOGUE.replace("6.00", "7.00").replace("amount = 60", "amount = 70")) == counts(changed=1)
    assert world.order(key="k2").order.amount_minor == 700
    world.pay(view.payments[0].id)
    world.deliver()
    assert world.coins() == 66
    world.assert_balanced()


def test_a_product_is_for_sale_inside_its_window_only(world: World) -> None:
    start, end = world.clock.now() + timedelta(seconds=10), world.clock.now() + timedelta(seconds=20)
    window = f"starts_at = {start.isoformat()}\nends_at = {end.isoformat()}\n"
    imported(world, CATALOGUE.replace("[[products.grants]]", window + "[[products.grants]]", 1))
    seen = []
    for _ in range(4):
        seen.append(for_sale(world))
        world.clock.advance(9)
    assert seen == [[], [], ["coins-60"], []]


GRANTS = "[[products.grants]]"
BAD = {
    "not TOML": ("[[products", "not TOML"),
    "nothing": ("", "products"),
    "another table": (CATALOGUE + "[shop]\n", "shop"),
    "a misspelt member": (CATALOGUE.replace("title", "titel"), "titel"),
    "a float as price": (CATALOGUE.replace('"6.00"', "6.00"), "text"),
    "a price with three places": (CATALOGUE.replace("6.00", "6.005"), "CNY"),
    "a price of nothing": (CATALOGUE.replace("6.00", "0.00"), "out of range"),
    "a negative price": (CATALOGUE.replace("6.00", "-6.00"), "CNY"),
    "a price beyond all bounds": (CATALOGUE.replace("6.00", "9" * 16), "out of range"),
    "a yen with parts": (CATALOGUE.replace("120", "120.5"), "JPY"),
    "a currency in small letters": (CATALOGUE.replace("CNY", "cny"), "cny"),
    "no coins": (CATALOGUE.replace("amount = 60", "amount = 0"), "grants"),
    "coins as text": (CATALOGUE.replace("amount = 60", 'amount = "60"'), "grants"),
    "coins as a truth": (CATALOGUE.replace("amount = 60", "amount = true"), "grants"),
    "too many coins": (CATALOGUE.replace("amount = 60", f"amount = {10**13}"), "grants"),
    "no grants": ('[[products]]\nsku="a"\ntitle="A"\nprices={CNY="1"}\n', "grants"),
    "no price and no store": ('[[products]]\nsku="a"\ntitle="A"\ngrants=[{amount=1}]\n', "price or a store id"),
    "a sku twice": (CATALOGUE + CATALOGUE, "coins-60"),
    "a sku with a blank": (CATALOGUE.replace("coins-60", "coins 60"), "sku"),
    "an empty title": (CATALOGUE.replace('"60 coins"', '"  "'), "title"),
    "an end before its start": (
        CATALOGUE.replace(GRANTS, f"starts_at=2026-02-01T00:00:00Z\nends_at=2026-01-01T00:00:00Z\n{GRANTS}", 1),
        "starts_at",
    ),
    "a local time": (CATALOGUE.replace(GRANTS, f"starts_at=2026-02-01T00:00:00\n{GRANTS}", 1), "starts_at"),
    "one store id for two": (
        TWO + '[[products]]\nsku="b"\ntitle="B"\nstore_ids={store="com.gems"}\ngrants=[{amount=1}]\n',
        "com.gems",
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", sorted(BAD))
def test_a_bad_file_is_refused_as_a_whole_and_says_why(fault: str) -> None:
    text, word = BAD[fault]
    with pytest.raises(BadCatalogue, match=word):
        parse_catalogue(text)


def test_the_price_is_in_the_wanted_currency_or_the_providers_first() -> None:
    prices = {"CNY": 600, "JPY": 120}
    assert price_in(prices, ("CNY", "JPY"), None) == (600, "CNY")
    assert price_in(prices, ("USD", "JPY", "CNY"), None) == (120, "JPY")
    assert price_in(prices, ("CNY", "JPY"), "JPY") == (120, "JPY")
    for currencies, wanted in ((("USD",), None), (("CNY",), "JPY"), ((), None)):
        with pytest.raises(NoPrice):
            price_in(prices, currencies, wanted)


def test_a_plan_may_be_delivered_by_the_backend_if_there_is_something_to_deliver() -> None:
    text = """
[[products]]
sku = "monthly"
title = "monthly"
fulfilment = "external"
prices = { CNY = "6.00" }
plan = { period = "1 month" }
grants = [{ asset = "coin", amount = 60 }]
"""
    (product,) = parse_catalogue(text).products
    assert (product.fulfilment, product.plan is not None) == ("external", True)
    text = text.replace("grants = [{", 'entitlements = ["vip"] # [{')
    with pytest.raises(BadCatalogue, match="an external product needs grants"):
        parse_catalogue(text)
