"""Whose a period of a subscription is: what the store signs now about its owner wins, and what was credited stays."""

from __future__ import annotations

from datetime import timedelta
from itertools import permutations
from typing import Any

import pytest
from sqlalchemy import Engine, text

from app.providers.facts import Fact, Kind, Ref
from app.services.base.reported_fact import ReportedFact
from app.services.facts import claims
from app.services.facts.owner import tell
from app.services.facts.record import Applied
from plugins.apple.transactions import SUBSCRIPTION
from tests.promises.test_store_purchases import PRODUCT, Store
from tests.support.databases import Sessions
from tests.support.world import START, build_world

MONTH = 31 * 86400
OTHER_PEOPLE = "3f2c9b1e-5a77-4c59-9d10-2b6f6f5b1abc"


@pytest.fixture
def store(engine: Engine, sessions: Sessions) -> Store:
    return Store(build_world(engine, sessions))


def paid(store: Store, period: str, month: int, user: str | None = None, **changes: Any) -> Fact:
    """A period of the agreement `sub`, paid in that month."""
    values: dict[str, Any] = {
        "kind": Kind.PAID,
        "ref": Ref(theirs=period, agreement="sub"),
        "at": START + timedelta(days=30 * month),
        "product": PRODUCT,
        "quantity": 1,
        "owner": store.token(user) if user else None,
        "account": store.account.provider.account,
        "live": False,
    }
    return Fact(**values | changes)


def told(store: Store, fact: Fact, holder: str | None = None) -> Applied:
    return tell(store.core, ReportedFact(store.account, fact, "notification"), holder=holder)


def agreement_owner(store: Store) -> str | None:
    reference = claims.agreement_reference("sub")
    return claims.owner_of(store.core, "apple", "sandbox", reference)


def coins(store: Store) -> tuple[int, int]:
    return store.world.coins("alice"), store.world.coins("bob")


def test_one_who_subscribes_anew_on_anothers_store_account_has_the_coins_of_their_own_period(store: Store) -> None:
    """Reported as j3k0/cordova-plugin-purchase #1109: the second user's transaction has the first one's original id."""
    first = store.device("alice").buy(PRODUCT, product_type=SUBSCRIPTION)
    store.deliver()
    store.world.clock.advance(MONTH)
    purchases = store.shop.store.purchases
    purchases.expire("Sandbox", first)
    renewed = purchases.renew("Sandbox", first)
    renewed.payload["appAccountToken"] = store.token("bob")
    store.shop.store.notifications.tell("SUBSCRIBED", "RESUBSCRIBE", renewed)
    store.deliver()
    assert coins(store) == (600, 600)
    assert store.submit("bob", renewed.id, "alice").purchases[0].status == "credited"
    assert store.submit("alice", renewed.id, "alice").purchases[0].status == "not_yours"
    store.world.assert_balanced()


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_each_period_is_the_users_whom_the_store_names_in_every_order_of_telling(
    store: Store, order: tuple[int, ...]
) -> None:
    periods = [paid(store, "p0", 0, "alice"), paid(store, "p1", 1, "bob"), paid(store, "p2", 2, "alice")]
    for number in order:
        told(store, periods[number])
    assert coins(store) == (1200, 600)
    assert agreement_owner(store) == "alice", "the newest period is hers"
    for fact in periods:
        assert told(store, fact).outcome == "duplicate"
    store.world.assert_balanced()


def test_an_older_period_told_late_leaves_the_agreement_with_its_newest_owner(store: Store) -> None:
    told(store, paid(store, "p1", 1, "bob"))
    told(store, paid(store, "p0", 0, "alice"))
    assert agreement_owner(store) == "bob"
    told(store, paid(store, "p2", 2))
    assert coins(store) == (600, 1200), "a period that names nobody follows the agreement"
    store.world.assert_balanced()


def test_what_was_credited_stays_whoever_is_named_later(store: Store) -> None:
    told(store, paid(store, "p0", 0), holder="alice")
    told(store, paid(store, "p0", 0, "bob"))
    assert coins(store) == (600, 0)
    store.world.assert_balanced()


def test_a_period_that_names_a_user_who_is_not_here_is_not_the_holders(store: Store) -> None:
    applied = told(store, paid(store, "p0", 0, owner=OTHER_PEOPLE), holder="alice")
    assert (applied.outcome, coins(store)) == ("parked", (0, 0))
    store.world.assert_balanced()


def test_the_holder_of_a_proof_that_names_nobody_does_not_take_anothers_agreement(store: Store) -> None:
    told(store, paid(store, "p0", 0, "alice"))
    assert told(store, paid(store, "p1", 1), holder="bob").buyer == "alice"
    assert coins(store) == (1200, 0)


def test_a_refund_follows_the_period_and_not_the_agreement(store: Store) -> None:
    told(store, paid(store, "p0", 0, "alice"))
    told(store, paid(store, "p1", 1, "bob"))
    ref = Ref(theirs="p0", agreement="sub", refund="r0")
    told(store, paid(store, "p0", 2, kind=Kind.REFUNDED, ref=ref, share=100_000))
    assert coins(store) == (0, 600)
    store.world.assert_balanced()


@pytest.mark.parametrize("token", [True, False])
def test_a_refund_before_its_period_is_taken_up_by_whoever_gets_the_period(store: Store, token: bool) -> None:
    told(store, paid(store, "p0", 0, "alice"))
    ref = Ref(theirs="p1", agreement="sub", refund="r1")
    told(store, paid(store, "p1", 2, "bob" if token else None, kind=Kind.REFUNDED, ref=ref, share=100_000))
    told(store, paid(store, "p1", 1, "bob"))
    assert coins(store) == (600, 0)
    store.world.assert_balanced()


@pytest.mark.parametrize("kind", [Kind.SIGNED, Kind.ENDED])
def test_what_is_told_of_the_agreement_itself_is_about_the_user_whom_the_store_names(store: Store, kind: Kind) -> None:
    told(store, paid(store, "p0", 0, "alice"))
    assert told(store, paid(store, "p0", 1, "bob", kind=kind, ref=Ref(agreement="sub"))).buyer == "bob"
    assert told(store, paid(store, "p0", 2, kind=kind, ref=Ref(agreement="sub"))).buyer == "alice"


def test_a_process_that_dies_between_the_period_and_its_agreement_notes_it_at_the_next_telling(store: Store) -> None:
    told(store, paid(store, "p0", 0, "alice"))
    claims.claim(store.core, "apple", "sandbox", "p1", "bob")
    told(store, paid(store, "p1", 1, "bob"))
    assert (agreement_owner(store), coins(store)) == ("bob", (600, 600))


def test_an_agreement_claimed_by_an_older_version_goes_over_with_a_period_after_that_claim(store: Store) -> None:
    told(store, paid(store, "p0", 0, "alice"))
    store.core.whole.transact(lambda tx: tx.execute(text("UPDATE claims SET newest_at = NULL")))
    told(store, paid(store, "old", -1, "bob"))
    assert agreement_owner(store) == "alice"
    told(store, paid(store, "p1", 1, "bob"))
    assert agreement_owner(store) == "bob"


@pytest.mark.parametrize("token", ["", " ", "\u00a0", "00000000-0000-0000-0000-000000000000"])
def test_a_blank_owner_token_is_none(store: Store, token: str) -> None:
    """Reported as hyochan/react-native-iap #2522: `"appAccountToken": ""`."""
    purchase = store.shop.store.purchases.buy("Sandbox", PRODUCT, token=None, customer="alice")
    purchase.payload["appAccountToken"] = token
    store.shop.store.notifications.tell("ONE_TIME_CHARGE", "", purchase)
    store.deliver()
    assert store.world.coins("alice") == 0
    assert store.submit("alice", purchase.id, "alice").purchases[0].status == "credited"
    assert store.world.coins("alice") == 600
    told(store, paid(store, "single", 0, owner=token, ref=Ref(theirs="single")), holder="bob")
    assert store.world.coins("bob") == 600
    store.world.assert_balanced()
