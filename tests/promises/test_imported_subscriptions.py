"""Subscriptions that began with an earlier system go on here: what it credited stays, what follows is credited."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine

from app.domain.imported_agreements import agreement_line
from app.services.accounts.catalog import import_products, parse_catalogue
from app.services.base.transaction import Sessions
from app.services.intake.imported_agreements import faults_of_agreements, import_agreements
from plugins.apple.transactions import SUBSCRIPTION
from tests.promises.test_store_purchases import PRODUCT, Store
from tests.support.world import build_world

OLD_TOKEN = "3f2c9b1e-5a77-4c59-9d10-2b6f6f5b1abc"
PLAN = """
[[products]]
sku = "gold"
title = "Gold, a month"
store_ids = { apple = "com.example.coins600" }
entitlements = ["gold"]
plan = { period = "1 month" }
[[products.grants]]
amount = 600
"""


@pytest.fixture
def store(engine: Engine, sessions: Sessions) -> Store:
    made = Store(build_world(engine, sessions))
    import_products(made.core, parse_catalogue(PLAN))
    return made


@pytest.mark.parametrize("is_told_before", [False, True])
def test_a_subscription_with_an_old_token_goes_on_with_its_next_renewal(store: Store, is_told_before: bool) -> None:
    purchases, tellings = store.shop.store.purchases, store.shop.store.notifications
    first = purchases.buy("Sandbox", PRODUCT, product_type=SUBSCRIPTION, token=OLD_TOKEN, customer="alice")
    if is_told_before:
        tellings.tell("SUBSCRIBED", "INITIAL_BUY", first)
        store.deliver()
    paid_until = datetime.fromtimestamp(first.payload["expiresDate"] / 1000, UTC)
    cells = {"provider_account": "apple", "provider_number": first.id, "user": "alice", "product": "gold"}
    cells |= {"status": "active", "paid_until": paid_until.isoformat()}
    line = agreement_line(cells, store.core.clock.now())
    assert list(faults_of_agreements(store.core, [(2, line)])) == []
    for done in ((1, 0), (0, 1)):
        assert import_agreements(store.core, [line]) == done
    for _ in range(2):  # the client restores its purchases
        (purchase,) = store.submit("alice", first.id, "alice").purchases
        assert (purchase.status, purchase.finish, purchase.order) == ("credited", True, None)
    assert store.submit("bob", first.id, "alice").purchases[0].status == "not_yours"
    assert store.world.coins() == 0
    store.world.clock.advance((paid_until - store.core.clock.now()).total_seconds())
    renewed = purchases.renew("Sandbox", first.id)
    for _ in range(2):
        tellings.tell("DID_RENEW", "", renewed)
        store.deliver()
    assert store.submit("alice", renewed.id, "alice").purchases[0].status == "credited"
    assert (store.world.coins(), store.world.coins("bob")) == (600, 0)
    store.world.assert_balanced()
