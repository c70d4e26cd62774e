"""`scan`: what was missed during an outage is found."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from app.providers import Declined, Fact, HttpResponse, Kind, Unknown, key_of
from app.providers.testing.doubles import RewritingHttp
from plugins.apple.simulated.certificates import make_signer
from plugins.apple.simulated.notifications import Record
from plugins.apple.simulated.purchases import PERIOD
from tests.plugins.apple.world import Shop, facts, kinds


@pytest.fixture
def shop() -> Shop:
    return Shop()


def scanned(shop: Shop, feed: str, days: int = 2, **settings: Any) -> list[Fact]:
    provider, cursor, found = shop.provider(**settings), None, []
    for _ in range(50):
        page = provider.scan(feed, shop.clock.now() - timedelta(days=days), shop.clock.now() + timedelta(1), cursor)
        found += page.facts
        cursor = page.cursor
        if cursor is None:
            return found
    raise AssertionError("the scan does not end")


def test_what_did_not_arrive_is_found_in_both_environments(shop: Shop) -> None:
    shop.answers += [503, 503]
    lost = [shop.buy(environment=environment) for environment in ("Production", "Sandbox")]
    told = [facts(shop.provider(), shop.notification("ONE_TIME_CHARGE", "", one))[0] for one in lost]
    arrived = shop.buy()
    shop.notification("ONE_TIME_CHARGE", "", arrived)
    assert [key_of(fact) for fact in scanned(shop, "failed_notifications")] == [key_of(fact) for fact in told]
    assert {fact.ref.theirs for fact in scanned(shop, "notifications")} == {one.id for one in (*lost, arrived)}


def test_many_pages_are_one_scan(shop: Shop) -> None:
    bought = [shop.buy() for _ in range(45)]
    for purchase in bought:
        shop.store.notifications.tell("ONE_TIME_CHARGE", "", purchase)
    assert [fact.ref.theirs for fact in scanned(shop, "notifications")] == [one.id for one in bought]


def test_all_refunds_of_the_app_are_one_feed(shop: Shop) -> None:
    purchase = shop.buy()
    shop.notification("ONE_TIME_CHARGE", "", purchase)
    shop.store.purchases.refund("Sandbox", purchase.id)
    shop.notification("REFUND", "", purchase)
    assert kinds(tuple(scanned(shop, "refunds"))) == ["refunded"]


def test_a_window_further_back_than_apple_keeps_is_cut(shop: Shop) -> None:
    shop.store.notifications.tell("ONE_TIME_CHARGE", "", shop.buy())
    shop.clock.advance(20 * 86_400)
    assert kinds(tuple(scanned(shop, "notifications", days=1_000))) == ["paid"]
    page = shop.provider().scan(
        "notifications", shop.clock.now() - timedelta(900), shop.clock.now() - timedelta(800), None
    )
    assert page.facts == ()


def test_a_customers_transactions_are_found_by_any_of_them(shop: Shop) -> None:
    first = shop.subscribe(customer="c")
    shop.clock.advance(PERIOD.total_seconds())
    second = shop.store.purchases.renew("Sandbox", first.id)
    coins = shop.buy(customer="c")
    shop.buy(customer="somebody else")
    found = scanned(shop, f"transactions/{coins.id}", days=100)
    assert [fact.raw["transactionId"] for fact in found] == [first.id, second.id, coins.id]
    assert {fact.kind for fact in found} == {Kind.PAID}


def test_a_customers_refunds_are_found_whenever_they_were(shop: Shop) -> None:
    bought = [shop.buy(customer="c") for _ in range(25)]
    for one in bought:
        shop.store.purchases.refund("Sandbox", one.id)
    found = scanned(shop, f"refunds/{bought[0].id}")
    assert kinds(tuple(found)) == ["paid", "refunded"] * 25


def test_a_customer_whom_apple_does_not_know_has_no_history(shop: Shop) -> None:
    assert scanned(shop, "transactions/404404") == []


@pytest.mark.parametrize(
    "feed", ["", "bills", "transactions", "transactions/", "transactions/../x", "refunds/0", "a/1"]
)
def test_a_feed_that_does_not_exist_is_declined(shop: Shop, feed: str) -> None:
    with pytest.raises(Declined):
        scanned(shop, feed)


@pytest.mark.parametrize("cursor", ["", "x", "Xcode|", "|"])
def test_a_cursor_of_another_account_is_declined(shop: Shop, cursor: str) -> None:
    with pytest.raises(Declined):
        shop.provider().scan("notifications", shop.clock.now() - timedelta(1), shop.clock.now(), cursor)


def test_a_record_that_apple_did_not_sign_is_not_believed(shop: Shop) -> None:
    forged = make_signer(shop.clock.now()).sign({"signedDate": 1, "data": {"environment": "Sandbox"}})
    shop.store.notifications.records.append(record(shop, forged))
    with pytest.raises(Unknown):
        scanned(shop, "notifications")


def test_a_genuine_record_of_no_use_does_not_stop_the_scan(shop: Shop) -> None:
    signed_date = shop.store.purchases.milliseconds()
    useless = shop.store.signer.sign({"signedDate": signed_date, "hologram": {}, "notificationType": "X"})
    shop.store.notifications.records.append(record(shop, useless))
    shop.store.notifications.tell("ONE_TIME_CHARGE", "", shop.buy())
    assert kinds(tuple(scanned(shop, "notifications"))) == ["paid"]


def record(shop: Shop, signed: str) -> Record:
    return Record("Sandbox", "X", "", "u", shop.store.purchases.milliseconds(), signed, None)


@pytest.mark.parametrize("body", [b"{}", b'{"notificationHistory":7}', b'{"notificationHistory":[{}],"hasMore":false}'])
def test_an_odd_page_is_unknown(shop: Shop, body: bytes) -> None:
    provider = shop.provider(RewritingHttp(shop.http, lambda _: HttpResponse(200, {}, body)))
    with pytest.raises(Unknown):
        provider.scan("notifications", shop.clock.now() - timedelta(1), shop.clock.now(), None)
