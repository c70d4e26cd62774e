"""Hopping between the subscriptions of one group: each period is paid only as far as Apple kept its money."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import Any

import pytest

from app.providers import Fact, HttpResponse, Kind, Ref, key_of
from app.providers.testing.doubles import RewritingHttp
from plugins.apple.receipts import SignedTransactionRef
from plugins.apple.simulated.purchases import PERIOD, NotPossible, Purchase
from plugins.apple.transactions import UPGRADED, WHOLE
from tests.plugins.apple.world import STORE_URL, Shop, facts, kinds, receipt

SECONDS = int(PERIOD.total_seconds())


@pytest.fixture
def shop() -> Shop:
    return Shop()


def upgraded(shop: Shop, after: float = SECONDS / 4, product: str = "silver") -> tuple[Purchase, Purchase]:
    """A period and the one that took its place so many seconds later."""
    old = shop.subscribe()
    shop.clock.advance(after)
    return old, shop.store.purchases.upgrade("Sandbox", old.id, product)


def name_of(period: Purchase) -> str:
    return f"{period.payload['originalTransactionId']}-{period.payload['webOrderLineItemId']}"


def given_back(told: tuple[Fact, ...], period: Purchase) -> list[tuple[str | None, int | None]]:
    return [(f.ref.refund, f.share) for f in told if f.kind is Kind.REFUNDED and f.ref.theirs == name_of(period)]


def test_the_notification_pays_the_new_period_and_asks_what_became_of_the_old_one(shop: Shop) -> None:
    old, new = upgraded(shop)
    received = shop.provider().receive(shop.notification("DID_CHANGE_RENEWAL_PREF", "UPGRADE", new))
    assert [(fact.kind, fact.ref.theirs) for fact in received.facts] == [(Kind.PAID, name_of(new))]
    (ask,) = received.asks
    told = shop.provider().query(ask)
    assert given_back(told, old) == [(UPGRADED, 75_000)]
    assert [fact.kind for fact in told if fact.ref.theirs == name_of(new)] == [Kind.PAID]
    assert [fact.kind for fact in told][-1] is Kind.PAID, "what went back is told before what was paid anew"


@pytest.mark.parametrize("confirm", ["before", "after", "no"])
@pytest.mark.parametrize("which", ["old", "new"])
def test_a_receipt_of_either_period_leads_to_what_was_given_back(shop: Shop, confirm: str, which: str) -> None:
    old, new = upgraded(shop)
    provider = shop.provider(confirm=confirm)
    received = provider.receive(shop.receipt(old if which == "old" else new))
    told = tuple(fact for ask in received.asks for fact in provider.query(ask))
    assert given_back(told, old) == [(UPGRADED, 75_000)]
    assert given_back((*received.facts, *told), new) == []


def test_every_road_tells_it_under_one_key_and_with_one_share(shop: Shop) -> None:
    old, new = upgraded(shop, 1_234_567)
    provider, window = shop.provider(), (shop.clock.now() - PERIOD, shop.clock.now() + PERIOD)
    shop.notification("DID_CHANGE_RENEWAL_PREF", "UPGRADE", new)
    text = shop.control("app-receipt", environment="Sandbox")["receipt"]
    legacy = shop.provider(legacy_receipts="verify_receipt")
    (legacy_ask,) = legacy.receive(receipt(app_receipt=text)).asks

    def everything(feed: str) -> tuple[Fact, ...]:
        found: list[Fact] = []
        cursor = None
        while True:
            page = provider.scan(feed, *window, cursor)
            found, cursor = [*found, *page.facts], page.cursor
            if cursor is None:
                return tuple(found)

    roads = {
        "old by name": provider.query(Ref(theirs=name_of(old))),
        "new by name": provider.query(Ref(theirs=name_of(new))),
        "old by number": provider.query(Ref(theirs=old.id)),
        "new by number": provider.query(Ref(theirs=new.id)),
        "agreement": provider.query(Ref(agreement=old.id)),
        "the refund itself": provider.query(Ref(theirs=name_of(old), refund=UPGRADED)),
        "history": everything(f"transactions/{old.id}"),
        "notifications": everything("notifications"),
        "verifyReceipt": legacy.query(legacy_ask),
    }
    left = Fraction(SECONDS - 1_234_567, SECONDS)
    expected = int(left * WHOLE + Fraction(1, 2))
    found = {
        name: {(key_of(f), f.share, f.at) for f in told if f.kind is Kind.REFUNDED} for name, told in roads.items()
    }
    assert found == {road: {(f"refunded:{name_of(old)}:{UPGRADED}", expected, shop.clock.now())} for road in roads}


def test_six_hops_in_six_minutes_leave_the_coins_of_one_period(shop: Shop) -> None:
    provider, period, shares = shop.provider(), shop.subscribe(), Fraction(1)
    for hop in range(6):
        shop.clock.advance(60)
        old, period = period, shop.store.purchases.upgrade("Sandbox", period.id, ("silver", "gold-monthly")[hop % 2])
        told = provider.query(Ref(theirs=name_of(period)))
        ((_, share),) = given_back(told, old)
        shares += 1 - Fraction(share or 0, WHOLE)
    assert 1 < shares < Fraction(1_001, 1_000)


def test_a_period_that_was_renewed_or_bought_anew_gives_nothing_back(shop: Shop) -> None:
    first = shop.subscribe()
    shop.clock.advance(SECONDS)
    second = shop.store.purchases.renew("Sandbox", first.id)
    assert shop.provider().receive(shop.receipt(second)).asks == ()
    shop.store.purchases.expire("Sandbox", second.id)
    shop.clock.advance(3 * SECONDS)
    third = shop.store.purchases.renew("Sandbox", second.id)
    third.payload["transactionReason"] = "PURCHASE"
    told = shop.provider().query(Ref(theirs=name_of(third)))
    assert kinds(told) == ["paid"]


def test_an_upgrade_of_a_free_trial_gives_nothing_back(shop: Shop) -> None:
    trial = shop.subscribe(offerType=1, offerDiscountType="FREE_TRIAL", price=0)
    shop.clock.advance(60)
    new = shop.store.purchases.upgrade("Sandbox", trial.id, "silver")
    new.payload |= {"price": 6000}
    for name in ("offerType", "offerDiscountType"):
        new.payload.pop(name, None)
    told = shop.provider().query(Ref(theirs=name_of(new)))
    assert given_back(told, trial) == []
    assert [fact.ref.theirs for fact in told if fact.kind is Kind.PAID] == [name_of(new)]


def test_an_upgrade_of_what_the_family_shares_takes_and_gives_nothing(shop: Shop) -> None:
    shared = shop.subscribe(inAppOwnershipType="FAMILY_SHARED")
    shop.clock.advance(60)
    new = shop.store.purchases.upgrade("Sandbox", shared.id, "silver")
    received = shop.provider().receive(shop.notification("DID_CHANGE_RENEWAL_PREF", "UPGRADE", new))
    assert ([(fact.kind, fact.product) for fact in received.facts], received.asks) == ([(Kind.SIGNED, "silver")], ())
    assert facts(shop.provider(), shop.receipt(shared)) == (), "the next period tells"


@pytest.mark.parametrize(
    ("revocation", "expected"),
    [
        ({"revocationDate": 1, "revocationReason": 0}, [(UPGRADED, 75_000)]),
        ({"revocationDate": 1, "revocationPercentage": 25_000}, [(UPGRADED, 75_000)]),
        ({"revocationDate": 1, "revocationPercentage": 75_000}, [(UPGRADED, 75_000)]),
        ({"revocationDate": 1, "revocationPercentage": 25_001}, [(UPGRADED, 75_000), ("-25001", 25_001)]),
        ({"revocationDate": 1, "revocationPercentage": 60_000}, [(UPGRADED, 75_000), ("-60000", 60_000)]),
        ({"revocationDate": 1, "revocationType": "REFUND_FULL"}, [(UPGRADED, 75_000), ("-100000", 100_000)]),
        ({"revocationDate": 1, "revocationPercentage": 90_000}, [(UPGRADED, 75_000), ("-90000", 90_000)]),
    ],
)
def test_a_revocation_beside_the_upgrade_counts_where_it_can_only_be_all_that_went_back(
    shop: Shop, revocation: dict[str, Any], expected: list[tuple[str, int]]
) -> None:
    old, _ = upgraded(shop)
    at = shop.store.purchases.milliseconds()
    old.payload |= revocation | {"revocationDate": at}
    found = given_back(shop.provider().query(Ref(theirs=name_of(old))), old)
    assert found == [(number if number == UPGRADED else f"{at}{number}", share) for number, share in expected]


def test_an_upgrade_at_the_end_of_the_period_gives_nothing_back(shop: Shop) -> None:
    old = shop.subscribe()
    shop.clock.advance(SECONDS)
    new = shop.store.purchases.renew("Sandbox", old.id)
    old.payload["isUpgraded"] = True
    new.payload["transactionReason"] = "PURCHASE"
    assert given_back(shop.provider().query(Ref(theirs=name_of(old))), old) == []


def test_an_upgrade_whose_new_period_is_not_shown_yet_is_pending(shop: Shop) -> None:
    old = shop.subscribe()
    old.payload["isUpgraded"] = True
    told = shop.provider().query(Ref(theirs=name_of(old)))
    assert [(fact.kind, fact.ref.refund) for fact in told] == [(Kind.PAID, None), (Kind.REFUND_PENDING, UPGRADED)]
    received = shop.provider().receive(shop.receipt(old))
    assert isinstance(received.asks[0], SignedTransactionRef)


@pytest.mark.parametrize("restored_first", [True, False])
def test_a_restored_copy_of_the_old_period_changes_nothing(shop: Shop, restored_first: bool) -> None:
    """Another device tells the period by a transaction of its own, with its own date, and may not show the upgrade."""
    old = shop.subscribe()
    shop.clock.advance(SECONDS / 8)
    copy = shop.store.purchases.restore("Sandbox", old.id)
    copy.payload["purchaseDate"] = shop.store.purchases.milliseconds()
    shop.clock.advance(SECONDS / 8)
    new = shop.store.purchases.upgrade("Sandbox", (copy if restored_first else old).id, "silver")
    for number in (new.id, old.id, copy.id):
        told = shop.provider().query(Ref(theirs=number))
        if number == new.id or shop.store.purchases.find("Sandbox", number).payload.get("isUpgraded"):
            assert given_back(told, old) == [(UPGRADED, 75_000)]


def test_a_notification_of_an_offer_of_unknown_price_asks(shop: Shop) -> None:
    purchase = shop.subscribe(offerType=1)
    del purchase.payload["price"]
    received = shop.provider().receive(shop.notification("SUBSCRIBED", "INITIAL_BUY", purchase))
    assert kinds(received.facts) == ["signed"]
    assert received.asks == (Ref(theirs=name_of(purchase), agreement=purchase.id),)


def test_the_simulated_store_upgrades_what_apple_upgrades(shop: Shop) -> None:
    old, new = upgraded(shop)
    coins, expired = shop.buy(), shop.subscribe()
    shop.store.purchases.expire("Sandbox", expired.id)
    for number, product in ((old.id, "bronze"), (coins.id, "bronze"), (expired.id, "bronze"), (new.id, "silver")):
        with pytest.raises(NotPossible):
            shop.store.purchases.upgrade("Sandbox", number, product)
    with pytest.raises(NotPossible):
        shop.store.purchases.renew("Sandbox", old.id)
    answer = shop.http.request(
        "POST", f"{STORE_URL}/_control/upgrade", body=json.dumps({"id": coins.id, "product": "x"}).encode()
    )
    assert answer.status == 400
    assert shop.control("upgrade", id=new.id, product="bronze")["id"] != new.id


# What was paid.


@pytest.mark.parametrize(
    "offer",
    [
        {"offerType": 1, "price": None},
        {"offerType": 1, "price": 0},
        {"offerType": 2, "price": None},
        {"offerType": 3, "price": "0"},
        {"offerType": 4, "price": None, "offerDiscountType": ""},
        {"offerDiscountType": "FREE_TRIAL"},
        {"price": 0},
    ],
)
def test_an_offer_that_is_not_known_to_be_paid_pays_nothing(shop: Shop, offer: dict[str, Any]) -> None:
    received = shop.provider(confirm="no").receive(shop.receipt(shop.subscribe(), **offer))
    assert kinds(received.facts) == ["signed"]
    granting = shop.provider(confirm="no", grant_free_trials=True)
    assert kinds(granting.receive(shop.receipt(shop.subscribe(), **offer)).facts) == ["paid"]


@pytest.mark.parametrize(
    "offer",
    [
        {"offerType": 1, "offerDiscountType": "PAY_AS_YOU_GO"},
        {"offerType": 2, "price": 1},
        {"offerType": 1, "offerDiscountType": "PAY_UP_FRONT", "price": None},
        {"price": None},
        {"price": "odd", "offerType": "odd"},
    ],
)
def test_an_offer_with_a_price_is_paid(shop: Shop, offer: dict[str, Any]) -> None:
    assert kinds(facts(shop.provider(), shop.receipt(shop.subscribe(), **offer))) == ["paid"]


def test_an_old_token_of_an_offer_is_asked_about_and_credited_by_what_apple_signs_now(shop: Shop) -> None:
    paid = shop.subscribe(offerType=1, offerDiscountType="PAY_AS_YOU_GO")
    provider = shop.provider(confirm="no")
    received = provider.receive(shop.receipt(paid, offerDiscountType=None, price=None))
    assert kinds(received.facts) == ["signed"]
    (ask,) = received.asks
    assert kinds(provider.query(ask)) == ["paid"]


def test_a_free_consumable_is_not_paid(shop: Shop) -> None:
    received = shop.provider().receive(shop.receipt(shop.buy(), price=0, offerType=3))
    assert received.facts == ()
    assert received.note


def test_verify_receipt_tells_upgrades_and_trials_in_all_its_spellings(shop: Shop) -> None:
    old, _ = upgraded(shop)

    def spelt(flag: object) -> Any:
        def rewrite(answer: HttpResponse) -> HttpResponse:
            document = json.loads(answer.body)
            for record in document.get("receipt", {}).get("in_app", []):
                if "is_upgraded" in record:
                    record["is_upgraded"] = flag
            return HttpResponse(answer.status, answer.headers, json.dumps(document).encode())

        return RewritingHttp(shop.http, rewrite)

    text = shop.control("app-receipt", environment="Sandbox")["receipt"]
    for flag in ("true", True, 1, "1", "True"):
        provider = shop.provider(spelt(flag), legacy_receipts="verify_receipt")
        (ask,) = provider.receive(receipt(app_receipt=text)).asks
        assert given_back(provider.query(ask), old) == [(UPGRADED, 75_000)]
