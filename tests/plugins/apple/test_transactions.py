"""What one signed transaction states, however it came."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from app.domain.money import Money
from app.providers import Forged, Kind, key_of
from plugins.apple.simulated.purchases import PERIOD
from plugins.apple.territories import TWO_LETTERS
from plugins.apple.transactions import NON_CONSUMABLE, NON_RENEWING, SUBSCRIPTION
from tests.plugins.apple.world import TOKEN, Shop, facts, kinds, receipt


@pytest.fixture
def shop() -> Shop:
    return Shop()


def test_a_consumable_is_paid_under_its_transaction_id(shop: Shop) -> None:
    purchase = shop.buy(quantity=3)
    (paid,) = facts(shop.provider(), shop.receipt(purchase))
    assert paid.kind is Kind.PAID
    assert paid.ref.theirs == purchase.id
    assert (paid.ref.ours, paid.ref.refund, paid.ref.agreement) == (None, None, None)
    assert (paid.product, paid.quantity, paid.owner, paid.account) == ("coins-600", 3, TOKEN, "com.example.coins")
    assert paid.money is None
    assert paid.fee is None
    assert paid.at == shop.clock.now()
    assert paid.raw["price"] == 18_000


def test_production_is_live_and_the_sandbox_is_not(shop: Shop) -> None:
    for environment, live in (("Production", True), ("Sandbox", False)):
        (paid,) = facts(shop.provider(), shop.receipt(shop.buy(environment=environment)))
        assert paid.live is live


def test_a_resubmission_has_other_bytes_and_the_same_key(shop: Shop) -> None:
    purchase = shop.buy()
    first, later = shop.receipt(purchase), shop.receipt(purchase, deviceVerificationNonce="n")
    assert first.body != later.body
    one, other = facts(shop.provider(), first)[0], facts(shop.provider(), later)[0]
    assert key_of(one) == key_of(other)


def test_a_subscription_period_is_named_by_its_line_item(shop: Shop) -> None:
    first = shop.subscribe()
    shop.clock.advance(PERIOD.total_seconds())
    second = shop.store.purchases.renew("Sandbox", first.id)
    again = shop.store.purchases.restore("Sandbox", second.id)
    said = [facts(shop.provider(), shop.receipt(one))[0] for one in (first, second, again)]
    assert said[0].ref.theirs == f"{first.id}-{first.payload['webOrderLineItemId']}"
    assert said[1].ref.theirs == f"{first.id}-{second.payload['webOrderLineItemId']}"
    assert said[2].ref.theirs == said[1].ref.theirs
    assert {one.ref.agreement for one in said} == {first.id}
    assert said[1].period_end == shop.clock.now() + PERIOD


def test_a_period_without_a_line_item_is_named_by_its_purchase_date(shop: Shop) -> None:
    purchase = shop.subscribe()
    (paid,) = facts(shop.provider(), shop.receipt(purchase, webOrderLineItemId=None))
    assert paid.ref.theirs == f"{purchase.id}-p{purchase.payload['purchaseDate']}"


def test_a_restored_non_consumable_is_the_same_purchase(shop: Shop) -> None:
    first = shop.buy("no-ads", product_type=NON_CONSUMABLE)
    again = shop.store.purchases.restore("Sandbox", first.id)
    assert again.id != first.id
    said = [facts(shop.provider(), shop.receipt(one))[0] for one in (first, again)]
    assert [one.ref.theirs for one in said] == [first.id, first.id]


def test_a_non_renewing_subscription_is_an_ordinary_purchase(shop: Shop) -> None:
    purchase = shop.buy("season", product_type=NON_RENEWING)
    (paid,) = facts(shop.provider(), shop.receipt(purchase))
    assert (paid.ref.theirs, paid.ref.agreement) == (purchase.id, None)


@pytest.mark.parametrize(("percentage", "share"), [(100_000, 100_000), (33_333, 33_333), (0, 0), (None, 100_000)])
def test_a_revoked_transaction_is_paid_and_refunded(shop: Shop, percentage: int | None, share: int) -> None:
    purchase = shop.buy()
    shop.clock.advance(60)
    shop.store.purchases.refund("Sandbox", purchase.id, reason=1)
    purchase.payload["revocationPercentage"] = percentage
    paid, refunded = facts(shop.provider(), shop.receipt(purchase))
    assert (paid.kind, refunded.kind) == (Kind.PAID, Kind.REFUNDED)
    assert (refunded.share, refunded.money, refunded.total) == (share, None, None)
    assert refunded.at == paid.at + timedelta(minutes=1)
    milliseconds = purchase.payload["revocationDate"]
    assert refunded.ref.refund == (f"{milliseconds}-{share}" if share != 100_000 else str(milliseconds))
    assert "issue with the app" in refunded.cause


def test_more_given_back_later_is_another_refund(shop: Shop) -> None:
    purchase = shop.buy()
    keys = set()
    for percentage in (30_000, 60_000, 100_000):
        shop.store.purchases.refund("Sandbox", purchase.id, percentage)
        keys.add(key_of(facts(shop.provider(), shop.receipt(purchase))[1]))
    assert len(keys) == 3


@pytest.mark.parametrize("ownership", ["ASSIGNED", "LENT"])
def test_what_its_holder_did_not_buy_is_not_paid(shop: Shop, ownership: str) -> None:
    purchase = shop.subscribe(inAppOwnershipType=ownership)
    received = shop.provider(confirm="before").receive(shop.receipt(purchase))
    assert (received.facts, received.asks) == ((), ())
    assert "did not buy" in received.note


def test_a_free_trial_is_paid_only_where_the_shop_wants_it(shop: Shop) -> None:
    purchase = shop.subscribe(offerDiscountType="FREE_TRIAL", price=0)
    assert kinds(facts(shop.provider(), shop.receipt(purchase))) == ["signed"]
    assert kinds(facts(shop.provider(grant_free_trials=True), shop.receipt(purchase))) == ["paid"]


def test_an_unknown_product_type_is_pending(shop: Shop) -> None:
    (pending,) = facts(shop.provider(), shop.receipt(shop.buy(product_type="Hologram")))
    assert pending.kind is Kind.PENDING
    assert "Hologram" in pending.cause


@pytest.mark.parametrize(
    ("token", "owner"),
    [(TOKEN.upper(), TOKEN), (None, None), ("not-a-uuid", "not-a-uuid")],
)
def test_the_owner_is_the_token_in_one_spelling(shop: Shop, token: str | None, owner: str | None) -> None:
    (paid,) = facts(shop.provider(), shop.receipt(shop.buy(token=token)))
    assert paid.owner == owner


@pytest.mark.parametrize(
    "changes",
    [
        {"transactionId": None},
        {"originalTransactionId": None},
        {"productId": None},
        {"type": None},
        {"purchaseDate": None},
        {"signedDate": None},
        {"inAppOwnershipType": None},
        {"transactionId": "../notifications/test"},
        {"transactionId": 12345},
        {"transactionId": "1" * 21},
        {"transactionId": "１２"},
        {"quantity": 0},
        {"quantity": 11},
        {"quantity": True},
        {"quantity": "1"},
        {"purchaseDate": 1.5},
        {"revocationPercentage": 100_001},
        {"revocationPercentage": -1},
        {"revocationDate": "yesterday"},
        {"appAccountToken": 7},
    ],
)
def test_a_genuine_transaction_without_what_must_be_there_is_refused(shop: Shop, changes: dict[str, Any]) -> None:
    with pytest.raises(Forged):
        shop.provider().receive(shop.receipt(shop.buy(), **changes))


def test_a_purchase_an_hour_ahead_is_taken(shop: Shop) -> None:
    """Seen at the end of daylight saving time."""
    ahead = shop.store.purchases.milliseconds() + 3_600_000
    (paid,) = facts(shop.provider(), shop.receipt(shop.buy(), purchaseDate=ahead))
    assert paid.at == shop.clock.now() + timedelta(hours=1)


def test_times_are_exact_to_the_millisecond(shop: Shop) -> None:
    (paid,) = facts(shop.provider(), shop.receipt(shop.buy(), purchaseDate=1_767_323_045_999))
    assert paid.at == datetime(2026, 1, 2, 3, 4, 5, 999_000, tzinfo=UTC)


def test_many_transactions_come_in_one_receipt(shop: Shop) -> None:
    purchases = [shop.buy(), shop.subscribe(), shop.buy("no-ads", product_type=NON_CONSUMABLE)]
    message = receipt(signed_transactions=[shop.signed(one) for one in purchases])
    assert kinds(facts(shop.provider(), message)) == ["paid", "paid", "paid"]
    assert SUBSCRIPTION in {fact.raw["type"] for fact in facts(shop.provider(), message)}


@pytest.mark.parametrize(
    ("price", "currency", "told"),
    [
        (6_000, "CNY", Money(600, "CNY")),
        (120_000, "JPY", Money(120, "JPY")),
        (1_099_000, "KRW", Money(1099, "KRW")),
        (1_234, "KWD", Money(1234, "KWD")),  # three places
        (990, "USD", Money(99, "USD")),
        (6_001, "CNY", None),  # a tenth of a fen
        (120_500, "JPY", None),
        (-6_000, "CNY", None),
        ("6000", "CNY", None),
        (6_000.5, "CNY", None),
        (True, "CNY", None),
        (6_000, None, None),
        (6_000, "cny", None),
        (6_000, 156, None),
        (2**63, "KWD", None),
        (None, "CNY", None),
    ],
)
def test_the_price_is_told_only_if_it_is_exact_and_stops_no_purchase(
    shop: Shop, price: object, currency: object, told: Money | None
) -> None:
    (paid,) = facts(shop.provider(), shop.receipt(shop.buy(price=price, currency=currency, quantity=2)))
    assert (paid.kind, paid.price, paid.money) == (Kind.PAID, told, None)


@pytest.mark.parametrize(
    ("storefront", "told"), [("CHN", "CN"), ("USA", "US"), ("XKS", "XK"), ("ZZZ", None), (7, None), (None, None)]
)
def test_the_storefront_has_two_letters_on_every_fact(shop: Shop, storefront: object, told: str | None) -> None:
    purchase = shop.store.purchases.refund(shop.environment, shop.buy(storefront=storefront).id)
    paid, refunded = facts(shop.provider(), shop.receipt(purchase))
    assert (paid.storefront, refunded.storefront, refunded.price) == (told, told, None)


def test_every_country_has_one_pair_of_codes() -> None:
    """Beside the list of the system's time zones, which has the two letters."""
    lines = Path("/usr/share/zoneinfo/iso3166.tab")
    assert len(set(TWO_LETTERS.values())) == len(TWO_LETTERS) == 250
    if lines.exists():
        known = {line[:2] for line in lines.read_text().splitlines() if not line.startswith("#")}
        assert known <= set(TWO_LETTERS.values())
