"""Everything that a store can say of a subscription, over HTTP: its signed notifications come in at the webhook, or are
lost; the user's device hands in proofs; the API shows what is active and what was credited."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine

from app.domain.numbers import slot_of_user
from app.providers.facts import Message, Reply
from app.providers.registry import ProviderAccount, RefundPreference
from app.services.accounts.catalog import import_products, parse_catalogue
from app.services.accounts.users import ensure_user, record_consent
from app.worker import Worker
from plugins.apple.simulated.purchases import PERIOD
from plugins.apple.transactions import SUBSCRIPTION
from tests.plugins.apple.world import Shop
from tests.support.databases import Sessions
from tests.support.web_client import ApiClient, build_client, token
from tests.support.world import CATALOGUE, START, build_world

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
DAY = timedelta(days=1)
PLANS = """
[[products]]
sku = "vip"
title = "VIP, a month"
store_ids = { apple = "vip.monthly" }
entitlements = ["vip"]
plan = { period = "1 month" }
[[products.grants]]
amount = 100

[[products]]
sku = "gold"
title = "Gold, a month"
store_ids = { apple = "gold.monthly" }
entitlements = ["vip", "gold"]
plan = { period = "1 month" }
[[products.grants]]
amount = 300

[[products]]
sku = "basic"
title = "Basic, a month"
store_ids = { apple = "basic.monthly" }
entitlements = ["basic"]
plan = { period = "1 month" }
[[products.grants]]
amount = 40
"""


class Subscriber:
    """Alice, whose device is at the simulated store, and her app's server behind HTTP."""

    def __init__(self, engine: Engine, sessions: Sessions) -> None:
        self.world = build_world(engine, sessions)
        self.shop = Shop(self.world.clock, send=self._receive)
        provider = self.shop.provider(answer_refund_questions=True)
        account = ProviderAccount("apple", "apple", False, provider, refund_preference=RefundPreference.BY_CONSUMPTION)
        self.world.serve(account)
        import_products(self.world.core, parse_catalogue(CATALOGUE + PLANS))
        self.client = build_client(self.world, engine)
        self.newest = ""
        self.signed: list[str] = []

    def _receive(self, url: str, message: Message) -> Reply:
        answer = self.client.post("/webhooks/apple", data=message.body, headers=dict(message.headers))
        return Reply(answer.status_code, answer.content_type or "", answer.data)

    def buy(self, product: str = "vip.monthly", *, user: str = "alice", **more: Any) -> None:
        owner = str(self.world.core.of_user(user).transact(lambda tx: ensure_user(tx, user)).token)
        self.store("buy", product=product, type=SUBSCRIPTION, token=owner, customer="alice", **more)

    def store(self, command: str, **more: Any) -> None:
        """The store does it, tells it, and the notification is delivered."""
        about = {"id": self.newest} if command != "buy" else {}
        made = self.shop.control(command, environment="Sandbox", **{**about, **more})
        self.newest = str(made.get("id", self.newest))
        self.shop.store.notifications.run_due()

    def silently(self, command: str, **more: Any) -> None:
        """The notification is lost."""
        self.shop.store.faults.set(lose=1)
        self.store(command, **more)
        self.shop.store.faults.set(lose=0)

    def hand_in(self, user: str = "alice") -> str:
        """The device's proof, as the store signs it now; what the API says that became of it."""
        signed = self.shop.control("show", id=self.newest, environment="Sandbox")["signed_transaction"]
        answer = self.api(user).post("/v1/receipts/apple", {"signed_transactions": [signed]}).get_json()
        return str(answer["purchases"][0]["status"])

    def api(self, user: str = "alice") -> ApiClient:
        return ApiClient(self.client, token(user))

    def agreement(self, user: str = "alice") -> dict[str, Any]:
        (only,) = self.api(user).get("/v1/agreements").get_json()["agreements"]
        return dict(only)

    def active(self, user: str = "alice") -> set[str]:
        found = self.api(user).get("/v1/entitlements").get_json()["entitlements"]
        return {each["name"] for each in found}

    def coins(self, user: str = "alice") -> int:
        return self.world.coins(user)

    def stands(self, user: str = "alice") -> tuple[str, str, set[str], int]:
        row = self.agreement(user)
        return row["status"], row["ended_by"], self.active(user), self.coins(user)

    def later(self, by: timedelta) -> None:
        self.world.clock.advance(by.total_seconds())

    def work(self) -> None:
        Worker(self.world.core).run_once()


@pytest.fixture
def alice(engine: Engine, sessions: Sessions) -> Subscriber:
    return Subscriber(engine, sessions)


def _first_and_next(one: Subscriber) -> None:
    one.buy()
    assert one.stands() == ("active", "", {"vip"}, 100)
    assert one.hand_in() == "credited"
    one.later(PERIOD)
    assert one.active() == set()
    one.store("renew")
    assert one.stands() == ("active", "", {"vip"}, 200)


def _billing_retry(one: Subscriber) -> None:
    one.buy()
    one.later(PERIOD)
    one.store("fail")
    assert one.stands() == ("past_due", "", set(), 100)
    one.later(9 * DAY)
    one.store("renew", subtype="BILLING_RECOVERY")
    assert one.stands() == ("active", "", {"vip"}, 200)


def _grace(one: Subscriber) -> None:
    one.buy()
    one.later(PERIOD)
    one.store("fail", grace_days=16)
    assert one.stands() == ("past_due", "", {"vip"}, 100)
    one.later(16 * DAY)
    one.store("end-grace")
    assert one.stands() == ("past_due", "", set(), 100)
    one.later(44 * DAY)
    one.store("expire", subtype="BILLING_RETRY")
    assert one.stands() == ("ended", "unpaid", set(), 100)


def _offers(one: Subscriber) -> None:
    free = {"offerType": 1, "offerDiscountType": "FREE_TRIAL", "price": 0}
    one.buy(more=free)
    assert one.stands() == ("active", "", {"vip"}, 0), "tried for nothing: no coins"
    one.later(PERIOD)
    one.store("renew")
    assert one.stands() == ("active", "", {"vip"}, 100)
    one.later(PERIOD)
    one.silently("renew")
    one.store("tell", type="OFFER_REDEEMED")
    assert one.stands() == ("active", "", {"vip"}, 200)


def _upgrade(one: Subscriber) -> None:
    one.buy()
    one.later(PERIOD / 2)
    one.store("upgrade", product="gold.monthly")
    one.work()
    assert one.stands() == ("active", "", {"vip", "gold"}, 350), "half of the first period went back"
    assert one.agreement()["product"] == "gold"


def _crossgrade(one: Subscriber) -> None:
    one.buy()
    one.later(PERIOD / 4)
    one.store("upgrade", product="basic.monthly")
    one.work()
    assert one.stands() == ("active", "", {"basic"}, 100 - 75 + 40)


def _downgrade(one: Subscriber) -> None:
    one.buy("gold.monthly")
    one.store("downgrade", product="basic.monthly")
    assert (one.agreement()["next_product"], one.active()) == ("basic", {"vip", "gold"})
    one.later(PERIOD)
    one.store("renew")
    assert one.stands() == ("active", "", {"basic"}, 340)
    assert (one.agreement()["product"], one.agreement()["next_product"]) == ("basic", None)


def _higher_price(one: Subscriber) -> None:
    one.buy()
    one.store("raise-price")
    assert one.agreement()["price_increase"] == "pending"
    one.later(DAY)
    one.store("raise-price", accepted=True)
    assert one.agreement()["price_increase"] == "accepted"
    one.later(PERIOD - DAY)
    one.store("renew")
    assert (one.agreement()["price_increase"], one.coins()) == (None, 200)


def _no_consent_to_a_price(one: Subscriber) -> None:
    one.buy()
    one.store("raise-price")
    one.later(PERIOD)
    one.store("expire", subtype="PRICE_INCREASE")
    assert one.stands() == ("ended", "payer", set(), 100)


def _switched_off(one: Subscriber) -> None:
    one.buy()
    one.store("switch-renewal")
    assert (one.agreement()["renews"], one.active()) == (False, {"vip"})
    one.later(PERIOD)
    one.store("expire")
    assert one.stands() == ("ended", "time", set(), 100)


def _not_for_sale(one: Subscriber) -> None:
    one.buy()
    one.later(PERIOD)
    one.store("expire", subtype="PRODUCT_NOT_FOR_SALE")
    assert one.stands() == ("ended", "provider", set(), 100)


def _refund(one: Subscriber) -> None:
    one.buy()
    one.later(3 * DAY)
    one.store("refund")
    assert (one.active(), one.coins()) == (set(), 0)
    one.later(DAY)
    one.store("reverse-refund")
    assert (one.active(), one.coins()) == ({"vip"}, 100)
    one.later(DAY)
    one.store("refund", percentage=40_000)
    assert (one.active(), one.coins()) == ({"vip"}, 60), "a part leaves what is active"


def _longer(one: Subscriber) -> None:
    one.buy()
    one.store("extend", days=10)
    one.later(PERIOD + 9 * DAY)
    assert one.stands() == ("active", "", {"vip"}, 100)
    one.later(DAY)
    assert one.active() == set()


def _subscribed_anew(one: Subscriber) -> None:
    one.buy()
    one.later(PERIOD)
    one.store("expire")
    assert one.stands()[:2] == ("ended", "time")
    one.later(20 * DAY)
    one.silently("renew")
    one.store("tell", type="SUBSCRIBED", subtype="RESUBSCRIBE")
    assert one.stands() == ("active", "", {"vip"}, 200)


def _by_another_user(one: Subscriber, other: str = "bob") -> None:
    one.buy()
    one.later(PERIOD)
    one.store("expire")
    one.silently("renew")
    named = str(one.world.core.of_user(other).transact(lambda tx: ensure_user(tx, other)).token)
    one.shop.store.purchases.find("Sandbox", one.newest).payload["appAccountToken"] = named
    one.store("tell", type="SUBSCRIBED", subtype="RESUBSCRIBE")
    assert one.stands() == ("ended", "time", set(), 100)
    assert one.stands(other) == ("active", "", {"vip"}, 100)


def _by_a_user_of_the_same_slot(one: Subscriber) -> None:
    """Users who lie in one slot are two users all the same."""
    others = (f"user-{number}" for number in itertools.count())
    other = next(user for user in others if slot_of_user(user) == slot_of_user("alice"))
    _by_another_user(one, other)
    number = one.agreement(other)["number"]
    one.later(PERIOD)
    one.store("renew")
    assert (one.agreement(other)["number"], one.coins(other), one.coins()) == (number, 200, 100)


def _lost_words(one: Subscriber) -> None:
    """No notification comes: the statuses are asked for."""
    one.buy()
    one.later(PERIOD)
    one.silently("renew")
    one.later(timedelta(hours=2))
    one.work()
    assert one.stands() == ("active", "", {"vip"}, 200)
    one.silently("switch-renewal")
    one.later(2 * DAY)
    number = one.agreement()["number"]
    assert one.api().get(f"/v1/agreements/{number}").get_json()["renews"] is False, "who looks has the store asked"
    one.later(PERIOD)
    one.silently("expire")
    one.work()
    assert one.stands() == ("ended", "time", set(), 200)


def _without_a_token(one: Subscriber) -> None:
    """Who hands in the proof has it, and the store is told so: its next words name the user by themselves."""
    one.store("buy", product="vip.monthly", type=SUBSCRIPTION, customer="alice")
    assert one.coins() == 0
    assert one.hand_in() == "credited"
    assert one.hand_in("mallory") == "not_yours"
    one.work()
    named = one.shop.store.purchases.find("Sandbox", one.newest).payload.get("appAccountToken")
    assert named == str(one.world.core.of_user("alice").transact(lambda tx: ensure_user(tx, "alice")).token)
    one.later(PERIOD)
    one.store("renew")
    assert one.stands() == ("active", "", {"vip"}, 200)


def _asked_about_a_refund(one: Subscriber) -> None:
    one.buy()
    one.world.core.of_user("alice").transact(lambda tx: record_consent(tx, user_id="alice", moment=START))
    one.store("ask-refund")
    one.work()
    (report,) = one.shop.store.purchases.find("Sandbox", one.newest).reports
    told = {name: report.get(name) for name in ("customerConsented", "deliveryStatus", "refundPreference")}
    assert told == {"customerConsented": True, "deliveryStatus": "DELIVERED", "refundPreference": "GRANT_FULL"}
    assert "consumptionPercentage" not in report, "of a subscription the store knows that by itself"
    one.store("decline-refund")
    assert one.stands() == ("active", "", {"vip"}, 100)


def _shared(one: Subscriber) -> None:
    one.buy()
    one.store("share", member="bob")
    assert one.hand_in("bob") == "entitled"
    assert (one.active("bob"), one.coins("bob")) == ({"vip"}, 0)
    one.later(DAY)
    one.store("revoke")
    assert one.stands("bob") == ("ended", "provider", set(), 0)
    one.later(DAY)
    one.store("share-again")
    assert one.stands("bob") == ("active", "", {"vip"}, 0)
    assert one.stands() == ("active", "", {"vip"}, 100)


STORIES: dict[str, Callable[[Subscriber], None]] = {
    "initial buy and renewal": _first_and_next,
    "billing retry": _billing_retry,
    "grace, and its end": _grace,
    "offers": _offers,
    "upgrade": _upgrade,
    "crossgrade with what goes back": _crossgrade,
    "downgrade": _downgrade,
    "price increase": _higher_price,
    "price increase without consent": _no_consent_to_a_price,
    "expiry of what was switched off": _switched_off,
    "expiry of what is not for sale": _not_for_sale,
    "refund and its reversal": _refund,
    "extension": _longer,
    "resubscription": _subscribed_anew,
    "resubscription by another user": _by_another_user,
    "resubscription by another user of the same slot": _by_a_user_of_the_same_slot,
    "statuses asked for": _lost_words,
    "account token set": _without_a_token,
    "consumption request": _asked_about_a_refund,
    "family, revocation, shared again": _shared,
}


@pytest.mark.parametrize("story", list(STORIES))
def test_what_the_store_says_of_a_subscription_is_active_and_credited(alice: Subscriber, story: str) -> None:
    STORIES[story](alice)
    alice.world.assert_balanced()
