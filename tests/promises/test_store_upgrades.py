"""Hopping between subscriptions of one group mints no coins: what Apple gave back, the wallet gives back."""

from __future__ import annotations

from itertools import permutations

import pytest
from sqlalchemy import Engine, text

from app.domain.gifts import GiftClawback
from app.domain.numbers import slot_of_user
from app.providers.facts import Message, Reply
from app.services.accounts.catalog import import_products, parse_catalogue
from app.services.refunds import requests
from app.worker import Worker
from plugins.apple.transactions import SUBSCRIPTION
from tests.promises.test_store_purchases import Store
from tests.support.databases import Sessions
from tests.support.friends import friends_in
from tests.support.world import World, build_world

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
    import_products(store.core, parse_catalogue(CATALOGUE))
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
    # Six hundredths of a per cent were used: less than half a coin of each period. No worker had to come.
    assert store.world.coins() == 600
    told = _refunds(store)
    Worker(store.core).run_once()
    assert store.world.coins() == 600, "the store, asked, says what we knew"
    assert _refunds(store) == told
    store.world.assert_balanced()


def test_what_an_upgrade_gives_back_is_taken_in_any_order_of_telling_and_without_a_worker(
    engine: Engine, sessions: Sessions
) -> None:
    """Three periods of 30 days, each replaced ten days after its start: 200 of each replaced one, 600 of the last."""
    store = _HoldingStore(build_world(engine, sessions))
    import_products(store.core, parse_catalogue(CATALOGUE))
    shown = []
    for order in permutations(range(3)):
        user = "user-" + "".join(map(str, order))
        period = store.device(user).buy("com.example.silver", product_type=SUBSCRIPTION, crash=True)
        for product in ("gold", "silver"):
            store.world.clock.advance(10 * 24 * 3600)
            period = store.shop.control("upgrade", id=period, product=f"com.example.{product}")["id"]
        store.deliver()
        messages, store.held = store.held, []
        for place in (*order, *order):
            assert store.receive(messages[place]).status == 200
        assert store.world.coins(user) == 200 + 200 + 600, order
        shown.append(_refunds(store, user))
        assert shown[-1] == shown[0], f"rows do not depend on the order of telling: {order}"
    Worker(store.core).run_once()
    for order in permutations(range(3)):
        assert store.world.coins("user-" + "".join(map(str, order))) == 1000, order
    store.world.assert_balanced()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_an_upgrade_whose_proof_is_handed_in_before_it_is_told_gives_back_what_is_left(
    engine: Engine, sessions: Sessions
) -> None:
    """The proof of the new period does not say that the period replaced another one: only the notification does."""
    store = Store(build_world(engine, sessions), confirm="no")
    import_products(store.core, parse_catalogue(CATALOGUE))
    device = store.device("alice")
    period = device.buy("com.example.silver", product_type=SUBSCRIPTION)
    store.deliver()
    store.world.clock.advance(15 * 24 * 3600)
    new = store.shop.control("upgrade", id=period, product="com.example.gold")["id"]
    store.shop.store.faults.error500 = 10**6  # nothing can be asked
    store.submit("alice", new, "alice")
    assert store.world.coins() == 600 + 600
    store.deliver()
    assert store.world.coins() == 300 + 600
    assert len(_refunds(store)) == 1
    store.world.assert_balanced()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_an_upgrade_of_which_only_the_proof_is_seen_is_asked_about_until_the_store_answers(
    engine: Engine, sessions: Sessions
) -> None:
    store = Store(build_world(engine, sessions), confirm="no")
    import_products(store.core, parse_catalogue(CATALOGUE))
    period = store.device("alice").buy("com.example.silver", product_type=SUBSCRIPTION)
    store.deliver()
    store.world.clock.advance(15 * 24 * 3600)
    store.shop.store.faults.lose = store.shop.store.faults.error500 = 10**6
    new = store.shop.control("upgrade", id=period, product="com.example.gold")["id"]
    worker = Worker(store.core)
    for _ in range(3):
        assert store.submit("alice", new, "alice").status == "pending"
        store.world.clock.advance(3600)
        worker.run_once()
    assert store.world.coins() == 600 + 600
    store.shop.store.faults.error500 = 0
    store.world.clock.advance(24 * 3600)
    worker.run_once()
    assert store.world.coins() == 300 + 600
    assert store.submit("alice", new, "alice").status == "settled"
    store.world.assert_balanced()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_two_users_who_hop_on_one_account_at_the_store_are_put_right_without_a_worker(
    engine: Engine, sessions: Sessions
) -> None:
    """Each period names the user who was signed in: alice, bob, alice, replaced ten days after its start. Where the
    first one is told last, nobody knows here that bob's came between, until the store is asked."""
    store = _HoldingStore(build_world(engine, sessions))
    import_products(store.core, parse_catalogue(CATALOGUE))
    for order in permutations(range(3)):
        names = [f"{name}-{'-'.join(map(str, order))}" for name in ("alice", "bob")]
        period = store.device(names[0]).buy("com.example.silver", product_type=SUBSCRIPTION, crash=True)
        store.deliver()
        for user, product in ((names[1], "gold"), (names[0], "silver")):
            store.world.clock.advance(10 * 24 * 3600)
            purchases = store.shop.store.purchases
            new = purchases.upgrade("Sandbox", period, f"com.example.{product}")
            new.payload["appAccountToken"] = store.token(user)
            store.shop.store.notifications.tell("DID_CHANGE_RENEWAL_PREF", "UPGRADE", new)
            period = new.id
            store.deliver()
        messages, store.held = store.held, []
        for place in (*order, order[0]):
            assert store.receive(messages[place]).status == 200
        if order[-1] != 0:
            assert [store.world.coins(name) for name in names] == [200 + 600, 200], order
    Worker(store.core).run_once()
    store.world.clock.advance(120)
    Worker(store.core).run_once()
    for order in permutations(range(3)):
        names = [f"{name}-{'-'.join(map(str, order))}" for name in ("alice", "bob")]
        assert [store.world.coins(name) for name in names] == [200 + 600, 200], order
    store.world.assert_balanced()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("setting", "alice", "bob"), [(GiftClawback.RECEIVER_FIRST, 600, 200), (GiftClawback.GIVER_ONLY, 200, 600)]
)
def test_what_an_upgrade_takes_back_follows_the_coins_to_whom_they_were_given(
    engine: Engine, sessions: Sessions, setting: GiftClawback, alice: int, bob: int
) -> None:
    friends = friends_in(build_world(engine, sessions), clawback=setting)
    world = friends.world
    store = Store(world)
    import_products(store.core, parse_catalogue(CATALOGUE))
    period = store.device("alice").buy("com.example.silver", product_type=SUBSCRIPTION, crash=True)
    store.deliver()
    friends.give("alice", "bob", 600)
    world.clock.advance(10 * 24 * 3600)
    store.shop.control("upgrade", id=period, product="com.example.gold")
    store.deliver()
    friends.work()
    assert friends.coins("alice", "bob") == [alice, bob]
    world.assert_balanced()


@pytest.mark.parametrize("token", [True, False], ids=["owner named", "owner known by the agreement"])
def test_a_refund_that_is_told_before_its_renewal_leaves_no_coins(
    engine: Engine, sessions: Sessions, token: bool
) -> None:
    store = _HoldingStore(build_world(engine, sessions))
    import_products(store.core, parse_catalogue(CATALOGUE))
    first = store.device("alice", token=token).buy("com.example.silver", product_type=SUBSCRIPTION)
    store.deliver()
    store.held = []
    store.world.clock.advance(30 * 24 * 3600)
    renewal = store.shop.control("renew", id=first)["id"]
    store.deliver()
    store.world.clock.advance(60)
    store.shop.control("refund", id=renewal)
    store.deliver()
    for message in reversed(store.held):
        assert store.receive(message).status == 200
    assert store.world.coins() == 600, "those of the first period"
    store.world.assert_balanced()


class _HoldingStore(Store):
    """Keeps what the store sends, to be told in an order of the test's own."""

    held: list[Message]

    def __init__(self, world: World) -> None:
        self.held = []
        super().__init__(world)

    def _notified(self, url: str, message: Message) -> Reply:
        self.held.append(message)
        return Reply(200, "text/plain", b"")


def _refunds(store: Store, user: str = "alice") -> list[tuple[str, str, object]]:
    """The refunds of the user's orders, by the moment at which the period began."""

    wanted = text("SELECT id FROM orders WHERE slot = :slot AND user_id = :user ORDER BY paid_at")
    orders = store.core.whole.read(lambda tx: list(tx.scalars(wanted, {"slot": slot_of_user(user), "user": user})))
    rows = [row for order in orders for row in requests.list_refunds_of_order(store.core, order)]
    return [(row.number_there, row.status, row.coins) for row in rows]


def test_a_refund_that_is_reversed_on_an_upgraded_period_leaves_what_the_upgrade_gave_back(
    engine: Engine, sessions: Sessions
) -> None:
    store = Store(build_world(engine, sessions))
    import_products(store.core, parse_catalogue(CATALOGUE))
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


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_what_the_store_signs_about_a_replaced_period_wins_over_what_follows_from_its_times(
    engine: Engine, sessions: Sessions
) -> None:
    """By the times 99.998 % of it were left; the store gives 99 % back, and then says that it did not."""
    store = Store(build_world(engine, sessions))
    import_products(store.core, parse_catalogue(CATALOGUE))
    first = store.device("alice").buy("com.example.silver", product_type=SUBSCRIPTION, crash=True)
    store.deliver()
    store.world.clock.advance(61)
    store.shop.control("upgrade", id=first, product="com.example.gold")
    store.deliver()
    for command, more, coins in (("refund", {"percentage": 99_000}, 606), ("reverse-refund", {}, 600)):
        store.world.clock.advance(61)
        store.shop.control(command, id=first, **more)
        store.deliver()
        Worker(store.core).run_once()
        assert store.world.coins() == coins, command
    store.world.assert_balanced()


def test_a_refund_that_is_reversed_gives_all_back_where_nothing_was_upgraded(
    engine: Engine, sessions: Sessions
) -> None:
    store = Store(build_world(engine, sessions))
    import_products(store.core, parse_catalogue(CATALOGUE))
    first = store.device("alice").buy("com.example.silver", product_type=SUBSCRIPTION, crash=True)
    store.deliver()
    for command, coins in (("refund", 0), ("reverse-refund", 600)):
        store.world.clock.advance(61)
        store.shop.control(command, id=first)
        store.deliver()
        assert store.world.coins() == coins, command
    store.world.assert_balanced()
