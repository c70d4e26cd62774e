"""What Apple tells by itself."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from app.providers import Forged, Kind, Message, Ref, key_of
from plugins.apple.mapping import ROWS, Meaning
from plugins.apple.simulated.certificates import make_signer
from plugins.apple.simulated.notifications import as_message
from tests.plugins.apple.world import TOKEN, Shop, facts, kinds

KINDS = {
    Meaning.PURCHASE: ["paid"],
    Meaning.REDEEMED: ["paid", "signed"],
    Meaning.SUBSCRIPTION_START: ["paid", "signed"],
    Meaning.UPGRADE: ["paid"],
    Meaning.REFUND: ["refunded"],
    Meaning.REFUND_UNDONE: ["refund_undone"],
    Meaning.REFUND_ASKED: ["refund_asked"],
    Meaning.REFUND_REFUSED: ["refund_failed"],
    Meaning.REVOKED: ["ended"],
    Meaning.ENDED: ["ended"],
    Meaning.PAST_DUE: ["past_due"],
    Meaning.STANDING: ["signed"],
    Meaning.NOTHING: [],
}


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.mark.parametrize("row", ROWS, ids="-".join)
def test_every_row_states_what_it_says_and_is_answered_200(row: tuple[str, str]) -> None:
    shop, meaning = Shop(), ROWS[row]
    purchase = shop.subscribe()
    if meaning is Meaning.REFUND:
        shop.store.purchases.refund("Sandbox", purchase.id)
    received = shop.provider().receive(shop.notification(*row, purchase))
    assert kinds(received.facts) == KINDS[meaning]
    assert (received.reply.status, received.failure.status) == (200, 503)
    assert received.note == ""


def test_a_type_of_tomorrow_says_nothing_is_answered_200_and_noted(shop: Shop) -> None:
    received = shop.provider().receive(shop.notification("SOLD_TO_THE_MOON", "APOLLO", shop.buy()))
    assert (received.facts, received.reply.status) == ((), 200)
    assert "SOLD_TO_THE_MOON APOLLO" in received.note


def test_a_notification_is_known_by_its_uuid(shop: Shop) -> None:
    received = shop.provider().receive(shop.notification("ONE_TIME_CHARGE", "", shop.buy()))
    assert received.message_id == shop.store.notifications.records[-1].uuid
    assert received.signed_at == shop.clock.now()
    assert received.asks == ()


def test_it_credits_without_the_client_under_the_clients_key(shop: Shop) -> None:
    purchase = shop.buy()
    (told,) = facts(shop.provider(), shop.notification("ONE_TIME_CHARGE", "", purchase))
    (handed_in,) = facts(shop.provider(), shop.receipt(purchase))
    assert key_of(told) == key_of(handed_in)
    assert told.owner == TOKEN
    assert replace(told, raw={}) == replace(handed_in, raw={})


def test_a_billing_problem_repeats_the_last_transaction_and_pays_nothing(shop: Shop) -> None:
    (told,) = facts(shop.provider(), shop.notification("DID_FAIL_TO_RENEW", "GRACE_PERIOD", shop.subscribe()))
    assert told.kind is Kind.PAST_DUE


def test_a_refund_has_the_same_key_by_notification_and_by_receipt(shop: Shop) -> None:
    purchase = shop.buy(quantity=3)
    shop.store.purchases.refund("Sandbox", purchase.id, 33_333)
    (told,) = facts(shop.provider(), shop.notification("REFUND", "", purchase))
    _, shown = facts(shop.provider(), shop.receipt(purchase))
    assert (told.share, key_of(told)) == (33_333, key_of(shown))


def test_a_refund_that_its_transaction_does_not_show_is_asked_about(shop: Shop) -> None:
    (pending,) = facts(shop.provider(), shop.notification("REFUND", "", shop.buy()))
    assert pending.kind is Kind.REFUND_PENDING


def test_each_reversal_is_another_fact(shop: Shop) -> None:
    purchase = shop.buy()
    told = [facts(shop.provider(), shop.notification("REFUND_REVERSED", "", purchase))[0] for _ in range(2)]
    assert key_of(told[0]) != key_of(told[1])
    assert {fact.ref.theirs for fact in told} == {purchase.id}


def test_a_question_carries_its_reason_and_is_told_from_the_next_one(shop: Shop) -> None:
    purchase = shop.buy()
    asked = [shop.notification("CONSUMPTION_REQUEST", "", purchase, consumptionRequestReason="LEGAL") for _ in range(2)]
    first, second = (facts(shop.provider(), message)[0] for message in asked)
    assert (first.kind, first.cause) == (Kind.REFUND_ASKED, "LEGAL")
    assert key_of(first) != key_of(second)


def test_a_subscription_may_end_begin_again_and_end_again(shop: Shop) -> None:
    purchase = shop.subscribe()
    first = facts(shop.provider(), shop.notification("EXPIRED", "VOLUNTARY", purchase))[0]
    shop.clock.advance(90 * 86_400)
    again = shop.store.purchases.renew("Sandbox", purchase.id)
    begun = facts(shop.provider(), shop.notification("SUBSCRIBED", "RESUBSCRIBE", again))[1]
    second = facts(shop.provider(), shop.notification("EXPIRED", "BILLING_RETRY", again))[0]
    assert (first.ref.agreement, begun.ref.agreement, second.ref.agreement) == (purchase.id,) * 3
    assert key_of(first) != key_of(second)
    assert begun.kind is Kind.SIGNED


def test_a_family_member_who_loses_access_loses_no_coins(shop: Shop) -> None:
    shared = shop.subscribe(inAppOwnershipType="FAMILY_SHARED")
    shop.store.purchases.refund("Sandbox", shared.id)
    assert kinds(facts(shop.provider(), shop.notification("REVOKE", "", shared))) == ["ended"]
    assert facts(shop.provider(), shop.notification("REFUND", "", shared)) == ()
    assert facts(shop.provider(), shop.notification("CONSUMPTION_REQUEST", "", shared)) == ()


def nested(shop: Shop, kind: str = "ONE_TIME_CHARGE", **data: Any) -> Message:
    """A notification truly signed around whatever is given."""
    payload = {
        "notificationType": kind,
        "notificationUUID": "1b2f4f0c-6a43-4c38-9d80-64b07a5bb8a1",
        "signedDate": shop.store.purchases.milliseconds(),
        "data": {"environment": "Sandbox", "bundleId": shop.store.config.bundle_id} | data,
    }
    return as_message(shop.store.signer.sign(payload))


def test_what_is_nested_is_verified_too(shop: Shop) -> None:
    purchase, stranger = shop.subscribe(), make_signer(shop.clock.now())
    good, renewal = shop.signed(purchase), shop.store.notifications.signed_renewal(purchase)
    assert facts(shop.provider(), nested(shop, signedTransactionInfo=good, signedRenewalInfo=renewal))
    other = shop.store.notifications.signed_renewal(shop.subscribe())
    foreign = shop.signed(purchase, bundleId="com.example.other")
    production = shop.signed(purchase, environment="Production")
    elsewhere = shop.store.signer.sign(
        {
            "originalTransactionId": purchase.id,
            "environment": "Production",
            "signedDate": shop.store.purchases.milliseconds(),
        }
    )
    for data in (
        {"signedTransactionInfo": shop.signed(purchase, stranger)},
        {"signedTransactionInfo": foreign},
        {"signedTransactionInfo": production},
        {"signedTransactionInfo": good, "signedRenewalInfo": other},
        {"signedTransactionInfo": good, "signedRenewalInfo": elsewhere},
        {"signedTransactionInfo": good, "signedRenewalInfo": good[:-4] + "AAAA"},
        {"signedTransactionInfo": 7},
        {},
    ):
        with pytest.raises(Forged):
            shop.provider().receive(nested(shop, **data))


@pytest.mark.parametrize(
    "container",
    [
        {"summary": {"environment": "Sandbox", "bundleId": "com.example.coins", "requestIdentifier": "r"}},
        {"externalPurchaseToken": {"externalPurchaseId": "SANDBOX_1", "bundleId": "com.example.coins"}},
        {"appData": {"environment": "Sandbox", "bundleId": "com.example.coins"}},
    ],
)
def test_other_containers_name_the_app_in_their_own_way(shop: Shop, container: dict[str, Any]) -> None:
    payload = {
        "notificationType": "RENEWAL_EXTENSION",
        "subtype": "SUMMARY",
        "notificationUUID": "1b2f4f0c-6a43-4c38-9d80-64b07a5bb8a1",
        "signedDate": shop.store.purchases.milliseconds(),
    } | container
    assert facts(shop.provider(), as_message(shop.store.signer.sign(payload))) == ()
    (content,) = container.values()
    content["bundleId"] = "com.example.other"
    with pytest.raises(Forged):
        shop.provider().receive(as_message(shop.store.signer.sign(payload)))


def test_a_notification_of_version_1_is_refused(shop: Shop) -> None:
    body = json.dumps({"notification_type": "CANCEL", "unified_receipt": {}}).encode()
    with pytest.raises(Forged):
        shop.provider().receive(Message("notification", body))


def test_a_refusal_is_answered_so_that_apple_sends_again(shop: Shop) -> None:
    """Since 2026-03 a 400 is not repeated; a refusal may be our own wrong setting."""
    message = shop.notification("ONE_TIME_CHARGE", "", shop.buy())
    with pytest.raises(Forged) as caught:
        shop.provider(bundle_id="com.example.typo").receive(message)
    assert caught.value.reply.status == 403


def test_a_readable_number_rides_along_as_a_hint(shop: Shop) -> None:
    purchase, stranger = shop.buy(), make_signer(shop.clock.now())
    forged = [
        nested(shop, signedTransactionInfo=shop.signed(purchase, stranger)),
        shop.receipt(purchase, signer=stranger),
    ]
    for message in forged:
        with pytest.raises(Forged) as caught:
            shop.provider().receive(message)
        assert caught.value.hint == Ref(theirs=purchase.id)


def test_there_is_no_hint_at_other_apps_purchases(shop: Shop) -> None:
    stranger = make_signer(shop.clock.now())
    for changes in ({"bundleId": "com.example.other"}, {"environment": "Xcode"}, {"transactionId": "../../x"}):
        with pytest.raises(Forged) as caught:
            shop.provider().receive(shop.receipt(shop.buy(), signer=stranger, **changes))
        assert caught.value.hint is None
