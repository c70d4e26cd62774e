"""What a family shares: its member pays nothing, and has it as long as the store says."""

from __future__ import annotations

from datetime import timedelta

import pytest

from app.providers import Ending, Kind, Ref, key_of
from plugins.apple.simulated.purchases import PERIOD, Purchase
from plugins.apple.transactions import NON_CONSUMABLE
from tests.plugins.apple.world import TOKEN, Shop, facts


@pytest.fixture
def shop() -> Shop:
    return Shop()


def shared_in(shop: Shop) -> Purchase:
    return shop.store.purchases.share("Sandbox", shop.subscribe().id, "member")


def test_what_is_shared_is_in_force_until_the_signed_end_and_paid_by_nobody(shop: Shop) -> None:
    shared = shared_in(shop)
    shop.clock.advance(60)
    received = shop.provider().receive(shop.receipt(shared))
    (fact,) = received.facts
    assert (fact.kind, fact.shared, fact.price, fact.money) == (Kind.SIGNED, True, None, None)
    assert (fact.ref.agreement, fact.period_end) == (shared.id, shop.clock.now() - timedelta(minutes=1) + PERIOD)
    assert [ref.theirs for ref in received.asks] == [fact.ref.theirs], "it may be shared no more"
    asked = shop.provider(confirm="before").receive(shop.receipt(shared))
    assert (asked.facts, len(asked.asks)) == ((), 1)


def test_a_token_in_what_is_shared_names_nobody(shop: Shop) -> None:
    """It could only be the buyer's: Apple has none for the others."""
    (fact,) = facts(shop.provider(), shop.receipt(shared_in(shop), appAccountToken=TOKEN))
    assert fact.owner is None


def test_the_renewal_of_what_is_shared_is_a_later_end(shop: Shop) -> None:
    shared = shared_in(shop)
    shop.clock.advance(PERIOD.total_seconds())
    renewed = shop.store.purchases.renew("Sandbox", shared.id)
    for message in (shop.notification("DID_RENEW", "", renewed), shop.receipt(renewed)):
        (fact,) = facts(shop.provider(), message)
        assert (fact.kind, fact.ref.agreement, fact.period_end) == (Kind.SIGNED, shared.id, shop.clock.now() + PERIOD)


def test_every_road_tells_that_it_is_shared_no_more_under_one_key(shop: Shop) -> None:
    shared = shared_in(shop)
    shop.clock.advance(86_400)
    shop.store.purchases.revoke("Sandbox", shared.id)
    shop.clock.advance(3600)
    provider = shop.provider()
    purchase = next(iter(provider.receive(shop.receipt(shared)).asks))
    told = [
        facts(provider, shop.notification("REVOKE", "", shared)),
        facts(provider, shop.receipt(shared)),
        provider.query(purchase),
        provider.query(Ref(theirs=purchase.theirs)),
        provider.query(Ref(agreement=shared.id)),
    ]
    ends = [fact for answer in told for fact in answer]
    assert {(fact.kind, fact.ending, fact.shared) for fact in ends} == {(Kind.ENDED, Ending.PROVIDER, True)}
    assert {(key_of(fact), fact.at) for fact in ends} == {
        (key_of(ends[0]), shop.clock.now() - timedelta(hours=1)),
    }


def test_a_revocation_that_its_transaction_does_not_date_is_of_now(shop: Shop) -> None:
    shared = shared_in(shop)
    shop.clock.advance(60)
    (fact,) = facts(shop.provider(), shop.notification("REVOKE", "", shared))
    assert (fact.kind, fact.at) == (Kind.ENDED, shop.clock.now())


def test_the_status_of_what_is_shared_is_asked_for_by_the_members_own_number(shop: Shop) -> None:
    shared = shared_in(shop)
    (fact,) = shop.provider().query(Ref(agreement=shared.id))
    assert (fact.kind, fact.shared, fact.renews) == (Kind.SIGNED, True, True)


def test_the_grace_of_what_is_shared_is_told_for_the_member(shop: Shop) -> None:
    shared = shared_in(shop)
    shop.store.purchases.fail("Sandbox", shared.id, timedelta(days=6))
    (fact,) = facts(shop.provider(), shop.notification("DID_FAIL_TO_RENEW", "GRACE_PERIOD", shared))
    assert (fact.kind, fact.shared, fact.period_end) == (Kind.PAST_DUE, True, shop.clock.now() + timedelta(days=6))


def test_what_is_shared_for_ever_has_no_end_and_is_nothing_here(shop: Shop) -> None:
    bought = shop.buy("no-ads", product_type=NON_CONSUMABLE, inAppOwnershipType="FAMILY_SHARED")
    assert facts(shop.provider(), shop.receipt(bought)) == ()
