"""What a family shares at a store: its member has what the product makes active, and never a coin."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest
from sqlalchemy import Engine, text

from app.services.accounts.catalog import import_products, parse_catalogue
from app.services.agreements.entitlements import entitlements_of_user
from app.services.audit import run
from app.services.audit.ledger import AsOf
from app.services.intake import receipts
from app.services.intake.receipts import Submitted
from app.worker import Worker
from plugins.apple.simulated.purchases import PERIOD, Purchase
from plugins.apple.transactions import SUBSCRIPTION
from tests.promises.test_store_purchases import Store
from tests.support.databases import Sessions
from tests.support.world import build_world

PLAN = """
[[products]]
sku = "vip"
title = "VIP, a month"
store_ids = { apple = "vip.monthly" }
entitlements = ["vip"]
plan = { period = "1 month" }
[[products.grants]]
amount = 100
"""
DAY = timedelta(days=1)


class Family:
    """Alice subscribes and shares with bob, who has an account of his own at the store and in the app."""

    def __init__(self, store: Store) -> None:
        self.store, self.shop, self.core = store, store.shop, store.core
        import_products(self.core, parse_catalogue(PLAN))
        self.purchases, self.notifications = self.shop.store.purchases, self.shop.store.notifications
        self.bought = self.purchases.find(
            "Sandbox", store.device("alice").buy("vip.monthly", product_type=SUBSCRIPTION)
        )
        store.deliver()
        self.end = store.world.clock.now() + PERIOD

    def share(self, *, is_told: bool = True) -> Purchase:
        shared = self.purchases.share("Sandbox", self.bought.id, "bob")
        if is_told:
            self.tell("SUBSCRIBED", "INITIAL_BUY", shared)
        return shared

    def tell(self, kind: str, subtype: str, purchase: Purchase) -> None:
        self.notifications.tell(kind, subtype, purchase)
        self.store.deliver()

    def revoke(self, shared: Purchase, *, is_told: bool = True) -> None:
        self.purchases.revoke("Sandbox", shared.id)
        if is_told:
            self.tell("REVOKE", "", shared)

    def share_again(self, shared: Purchase, *, is_told: bool = True) -> None:
        self.purchases.share_again("Sandbox", shared.id)
        if is_told:
            self.tell("SUBSCRIBED", "RESUBSCRIBE", shared)

    def proof(self, shared: Purchase) -> bytes:
        return json.dumps({"signed_transactions": [self.notifications.signed_transaction(shared)]}).encode()

    def hand_in(self, proof: bytes, user: str = "bob") -> tuple[str, bool]:
        done = receipts.submit(self.core, "apple", user, proof)
        (purchase,) = done.purchases
        assert purchase.order is None
        return purchase.status, purchase.finish

    def active(self, user: str = "bob") -> dict[str, datetime]:
        return {each.name: each.until for each in entitlements_of_user(self.core, user)}

    def later(self, by: timedelta) -> None:
        self.store.world.clock.advance(by.total_seconds())
        Worker(self.core).run_once()

    def rows(self, query: str) -> list[str]:
        return self.core.whole.read(lambda tx: list(tx.scalars(text(f"/* sweep: audit */ {query}"))))

    def assert_nobody_was_paid(self) -> None:
        """Alice's one purchase is all that the books have."""
        assert self.rows("SELECT user_id FROM orders") == ["alice"]
        assert (self.store.world.coins("alice"), self.store.world.coins("bob")) == (100, 0)
        self.store.world.assert_balanced()
        assert list(run.audit(self.core.whole.sessions, AsOf(self.core.rules.ledger, self.core.clock.now))) == []


@pytest.fixture
def family(engine: Engine, sessions: Sessions) -> Family:
    return Family(Store(build_world(engine, sessions)))


@pytest.fixture
def careful_family(engine: Engine, sessions: Sessions) -> Family:
    """Nothing is believed before the store confirms it."""
    return Family(Store(build_world(engine, sessions), confirm="before"))


def test_a_member_is_entitled_until_the_signed_end_and_gets_no_coin(family: Family) -> None:
    shared = family.share()
    assert family.active() == {}, "nobody knows yet who the member is"
    for _ in range(2):
        assert family.hand_in(family.proof(shared)) == ("entitled", True)
    assert family.active() == family.active("alice") == {"vip": family.end}
    assert family.rows("SELECT type FROM events WHERE user_id = 'bob' AND type LIKE 'agreement%'") == [
        "agreement.signed"
    ]
    family.later(PERIOD)
    assert family.active() == {}
    family.assert_nobody_was_paid()


def test_a_member_is_believed_when_the_store_confirms(careful_family: Family) -> None:
    family = careful_family
    proof = family.proof(family.share())
    family.shop.store.faults.set(error500=1)
    assert (family.hand_in(proof), family.active()) == (("pending", False), {})
    family.later(timedelta(minutes=5))
    assert family.active() == {"vip": family.end}
    assert family.hand_in(proof) == ("entitled", True)
    family.assert_nobody_was_paid()


def test_words_about_a_member_whom_nobody_here_is_alarm_nobody(family: Family) -> None:
    shared = family.share()
    family.revoke(shared)
    assert family.rows("SELECT reason FROM messages") == []
    assert (
        family.rows("SELECT outcome FROM facts WHERE kind IN ('signed', 'ended') ORDER BY id")[1:] == ["not_ours"] * 2
    )


def test_what_is_shared_is_of_whoever_hands_it_in_first(family: Family) -> None:
    shared = family.share()
    assert family.hand_in(family.proof(shared)) == ("entitled", True)
    assert family.hand_in(family.proof(shared), "mallory") == ("not_yours", False)
    assert (set(family.active()), family.active("mallory")) == ({"vip"}, {})


def test_of_users_who_hand_it_in_at_once_one_has_it(family: Family) -> None:
    proof, users = family.proof(family.share()), [f"user-{n}" for n in range(6)]
    with ThreadPoolExecutor(len(users)) as pool:
        statuses = list(pool.map(lambda user: family.hand_in(proof, user)[0], users))
    assert sorted(statuses) == ["entitled", *["not_yours"] * 5]
    assert sum(bool(family.active(user)) for user in users) == 1


def test_a_revocation_ends_it_at_once_and_for_good(family: Family) -> None:
    shared = family.share()
    proof = family.proof(shared)
    family.hand_in(proof)
    family.later(DAY)
    family.revoke(shared)
    assert family.active() == {}
    assert family.hand_in(proof) == ("ended", True), "an old proof does not know"
    family.tell("SUBSCRIBED", "INITIAL_BUY", shared)
    family.tell("REVOKE", "", shared)
    assert (family.active(), set(family.active("alice"))) == ({}, {"vip"})
    family.assert_nobody_was_paid()


@pytest.mark.parametrize("road", ["notification", "receipt"])
def test_what_is_shared_again_in_one_period_is_active_again_and_may_be_revoked_once_more(
    family: Family, road: str
) -> None:
    shared = family.share()
    old = family.proof(shared)
    family.hand_in(old)
    for _ in range(2):
        family.later(DAY)
        family.revoke(shared, is_told=road == "notification")
        if road == "receipt":
            assert family.hand_in(family.proof(shared)) == ("ended", True)
        assert family.active() == {}
        family.later(timedelta(hours=2))
        assert family.hand_in(old) == ("ended", True), "an old proof does not know"
        family.share_again(shared, is_told=road == "notification")
        if road == "receipt":
            assert (family.hand_in(family.proof(shared)), family.active()) == (("entitled", True), {"vip": family.end})
        assert family.active() == {"vip": family.end}
        assert family.hand_in(old) == ("entitled", True), "the store, asked now, says so"
    family.revoke(shared, is_told=False)
    family.later(DAY + timedelta(minutes=1))
    assert (family.active(), set(family.active("alice"))) == ({}, {"vip"})
    told = family.rows("SELECT type FROM events WHERE user_id = 'bob' AND type LIKE 'agreement%' ORDER BY version")
    assert told == ["agreement.signed", "agreement.ended"] * 3
    family.assert_nobody_was_paid()


def test_a_revocation_of_before_a_stale_answer_ends_the_share_when_the_store_is_asked_again(family: Family) -> None:
    shared = family.share()
    family.hand_in(family.proof(shared))
    family.later(DAY + timedelta(minutes=1))
    assert family.active() == {"vip": family.end}, "the store was asked, and said so"
    family.revoke(shared, is_told=False)
    shared.payload["revocationDate"] -= 30_000
    family.tell("REVOKE", "", shared)
    family.later(DAY + timedelta(minutes=1))
    assert family.active() == {}


def test_words_of_a_share_that_come_in_another_order_leave_the_newest(family: Family) -> None:
    shared = family.share()
    family.hand_in(family.proof(shared))
    family.later(DAY)
    family.revoke(shared, is_told=False)
    family.shop.store.faults.set(delay=7200.0)
    family.tell("REVOKE", "", shared)
    family.shop.store.faults.set(delay=0.0)
    family.later(timedelta(hours=1))
    family.share_again(shared)
    assert family.active() == {"vip": family.end}
    family.store.world.clock.advance(7200)
    family.store.deliver()
    assert family.rows("SELECT kind FROM facts WHERE kind = 'ended'") == ["ended"], "it has come"
    assert family.active() == {"vip": family.end}, "it was revoked before it was shared again"


def test_a_revocation_before_the_receipt_is_known_when_the_receipt_comes(family: Family) -> None:
    shared = family.share()
    proof = family.proof(shared)
    family.store.world.clock.advance(3600)
    family.revoke(shared)
    assert (family.hand_in(proof), family.active()) == (("ended", True), {})


def test_a_revocation_before_the_receipt_is_asked_for_until_the_store_answers(family: Family) -> None:
    shared = family.share(is_told=False)
    proof = family.proof(shared)
    family.store.world.clock.advance(3600)
    family.revoke(shared)
    family.shop.store.faults.set(error500=1)
    family.hand_in(proof)
    family.later(timedelta(minutes=5))
    assert (family.active(), family.hand_in(proof)) == ({}, ("ended", True))


def test_a_renewal_makes_it_longer_and_a_lost_one_is_asked_for(family: Family) -> None:
    shared = family.share()
    family.hand_in(family.proof(shared))
    ends = [family.end + n * PERIOD for n in range(3)]
    family.store.world.clock.advance(PERIOD.total_seconds())
    shared = family.purchases.renew("Sandbox", shared.id)
    family.tell("DID_RENEW", "", shared)
    assert family.active() == {"vip": ends[1]}
    family.store.world.clock.advance(PERIOD.total_seconds())
    family.purchases.renew("Sandbox", shared.id)
    assert family.active() == {}
    family.later(timedelta(hours=1, minutes=1))
    assert family.active() == {"vip": ends[2]}
    family.assert_nobody_was_paid()


def test_a_lost_revocation_is_found_within_a_day(family: Family) -> None:
    shared = family.share()
    family.hand_in(family.proof(shared))
    family.revoke(shared, is_told=False)
    family.later(DAY + timedelta(minutes=1))
    assert family.active() == {}


def test_grace_is_the_members_too(family: Family) -> None:
    shared = family.share()
    family.hand_in(family.proof(shared))
    family.store.world.clock.advance(PERIOD.total_seconds())
    family.purchases.fail("Sandbox", shared.id, 6 * DAY)
    family.tell("DID_FAIL_TO_RENEW", "GRACE_PERIOD", shared)
    assert family.active() == {"vip": family.end + 6 * DAY}
    family.purchases.fail("Sandbox", shared.id)
    family.tell("GRACE_PERIOD_EXPIRED", "", shared)
    assert family.active() == {}


def test_what_is_over_when_it_is_handed_in_is_told_so(family: Family) -> None:
    shared = family.share(is_told=False)
    proof = family.proof(shared)
    family.store.world.clock.advance((PERIOD + DAY).total_seconds())
    family.purchases.expire("Sandbox", shared.id)
    assert (family.hand_in(proof), family.active()) == (("ended", True), {})


def test_a_number_alone_proves_no_share(family: Family) -> None:
    shared = family.share()
    done: Submitted = receipts.submit(
        family.core, "apple", "mallory", json.dumps({"transaction_id": shared.id}).encode()
    )
    assert ([each.status for each in done.purchases], family.active("mallory")) == (["unknown"], {})
