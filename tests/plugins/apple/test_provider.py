"""`start`, and what holds for the provider as a whole."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.providers import Declined
from app.providers.testing.conformance import make_intent
from app.providers.testing.doubles import NoNetwork
from tests.plugins.apple.world import Shop


@pytest.fixture
def shop() -> Shop:
    return Shop()


def test_start_tells_the_device_what_to_buy_and_for_whom(shop: Shop) -> None:
    intent = replace(make_intent(shop.clock, "store", None), quantity=3)
    started = shop.provider(NoNetwork()).start(intent)
    assert started.facts == ()
    assert started.action == {
        "type": "store_product",
        "product_id": "coins-600",
        "quantity": 3,
        "app_account_token": intent.owner,
    }


def test_the_same_intent_is_the_same_action(shop: Shop) -> None:
    intent = make_intent(shop.clock, "store", None)
    assert shop.provider(NoNetwork()).start(intent) == shop.provider(NoNetwork()).start(intent)


@pytest.mark.parametrize("quantity", [0, -1, 11])
def test_the_store_sells_one_to_ten_at_a_time(shop: Shop, quantity: int) -> None:
    with pytest.raises(Declined):
        shop.provider(NoNetwork()).start(replace(make_intent(shop.clock, "store", None), quantity=quantity))


def test_an_owner_that_the_store_would_drop_is_declined(shop: Shop) -> None:
    with pytest.raises(Declined):
        shop.provider(NoNetwork()).start(replace(make_intent(shop.clock, "store", None), owner="user-7"))
