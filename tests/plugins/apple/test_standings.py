"""How a subscription stands: told by notifications, and alike by the answer about its status."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from appstoreserverlibrary.models.ExpirationIntent import ExpirationIntent
from appstoreserverlibrary.models.Status import Status

from app.providers import Ending, Fact, HttpResponse, Kind, PriceIncrease, Ref, Unknown, key_of
from app.providers.testing.doubles import RewritingHttp
from plugins.apple.simulated.control import run
from plugins.apple.simulated.notifications import as_message
from plugins.apple.simulated.purchases import Purchase
from plugins.apple.standings import BILLING_RETRY, EXPIRED, GRACE_PERIOD, INTENTS, REVOKED, renewal_of
from tests.plugins.apple.world import Shop, facts


@pytest.fixture
def shop() -> Shop:
    return Shop()


def told_after(shop: Shop, command: str, purchase: Purchase, **document: Any) -> Fact:
    """Time passes, something happens to the subscription; the last fact of the notification about that."""
    shop.clock.advance(60)
    run(shop.store, command, {"id": purchase.id, **document})
    message = as_message(shop.store.notifications.records[-1].signed_payload)
    return facts(shop.provider(), message)[-1]


def asked(shop: Shop, purchase: Purchase) -> Fact:
    """What the status says of the subscription itself."""
    original: str = purchase.payload["originalTransactionId"]
    found: tuple[Fact, ...] = shop.provider().query(Ref(agreement=original))
    return found[-1]


def test_a_failed_renewal_with_grace_may_be_used_until_the_grace_is_over(shop: Shop) -> None:
    purchase = shop.subscribe()
    told = told_after(shop, "fail", purchase, grace_days=16)
    assert (told.kind, told.at) == (Kind.PAST_DUE, shop.clock.now())
    assert told.period_end == shop.clock.now() + timedelta(days=16)
    assert told.renews is True
    assert key_of(asked(shop, purchase)) == key_of(told)
    over = told_after(shop, "end-grace", purchase)
    assert (over.kind, over.period_end) == (Kind.PAST_DUE, None)
    assert key_of(asked(shop, purchase)) == key_of(over) != key_of(told)


def test_a_failed_renewal_without_grace_leaves_nothing_to_use(shop: Shop) -> None:
    purchase = shop.subscribe()
    told = told_after(shop, "fail", purchase)
    assert (told.kind, told.period_end) == (Kind.PAST_DUE, None)
    assert key_of(asked(shop, purchase)) == key_of(told)


def test_a_failure_in_a_later_period_is_another_fact(shop: Shop) -> None:
    purchase = shop.subscribe()
    first = told_after(shop, "fail", purchase)
    renewed = shop.store.purchases.renew("Sandbox", purchase.id)
    assert asked(shop, purchase).kind is Kind.SIGNED
    second = told_after(shop, "fail", renewed)
    assert key_of(first) != key_of(second)


def test_a_higher_price_is_told_until_the_next_period_by_notifications_and_by_the_status_alike(shop: Shop) -> None:
    purchase = shop.subscribe()
    (_, begun) = facts(shop.provider(), shop.notification("SUBSCRIBED", "INITIAL_BUY", purchase))
    assert (begun.price_increase, asked(shop, purchase).price_increase) == (None, None)
    keys = {key_of(begun)}
    for accepted, told in ((False, PriceIncrease.PENDING), (True, PriceIncrease.ACCEPTED)):
        by_notification = told_after(shop, "raise-price", purchase, accepted=accepted)
        by_status = asked(shop, purchase)
        for fact in (by_notification, by_status):
            assert (fact.kind, fact.renews, fact.price_increase, fact.at) == (Kind.SIGNED, True, told, shop.clock.now())
        keys |= {key_of(by_notification), key_of(by_status)}
    assert len(keys) == 5, "each is a fact of its own, though the period has not changed"


def test_a_cheaper_product_of_the_next_period_is_told_by_notifications_and_by_the_status_alike(shop: Shop) -> None:
    purchase = shop.subscribe()
    own, cheaper = purchase.payload["productId"], "com.example.coins.less"
    keys = {key_of(asked(shop, purchase))}
    for chosen, told in ((cheaper, cheaper), (own, None), (cheaper, cheaper)):
        by_notification = told_after(shop, "downgrade", purchase, product=chosen)
        for fact in (by_notification, asked(shop, purchase)):
            assert (fact.kind, fact.renews, fact.product, fact.next_product) == (Kind.SIGNED, True, own, told)
        keys |= {key_of(by_notification), key_of(asked(shop, purchase))}
    assert len(keys) == 5, "by the status alone: that there is a change, and that there is none"
    assert told_after(shop, "switch-renewal", purchase, on=False).next_product is None
    told_after(shop, "switch-renewal", purchase, on=True)
    shop.clock.advance(30 * 86_400)
    renewed = shop.store.purchases.renew("Sandbox", purchase.id)
    assert renewed.payload["productId"] == cheaper
    assert asked(shop, renewed).next_product is None


@pytest.mark.parametrize("odd", [7, "", "x" * 201, None, ["a"]])
def test_a_next_product_of_another_form_is_as_good_as_none(odd: object) -> None:
    assert renewal_of({"autoRenewProductId": odd, "autoRenewStatus": 1}).product is None


def test_each_switch_of_the_renewal_is_a_fact_of_its_own(shop: Shop) -> None:
    purchase = shop.subscribe()
    (_, begun) = facts(shop.provider(), shop.notification("SUBSCRIBED", "INITIAL_BUY", purchase))
    assert begun.renews is True
    told = [told_after(shop, "switch-renewal", purchase, on=on) for on in (False, True, False)]
    assert [(fact.kind, fact.renews) for fact in told] == [
        (Kind.SIGNED, False),
        (Kind.SIGNED, True),
        (Kind.SIGNED, False),
    ]
    assert len({key_of(fact) for fact in (begun, *told)}) == 4
    assert begun.at < told[0].at < told[1].at < told[2].at


def test_a_switch_that_nobody_told_is_found_by_a_query(shop: Shop) -> None:
    purchase = shop.subscribe()
    before = asked(shop, purchase)
    shop.clock.advance(60)
    shop.store.purchases.switch_renewal("Sandbox", purchase.id, on=False)
    after = asked(shop, purchase)
    assert (before.renews, after.renews) == (True, False)
    assert key_of(after) != key_of(before)
    assert after.at == shop.clock.now()
    shop.clock.advance(60)
    assert key_of(asked(shop, purchase)) == key_of(after)


def test_a_present_of_time_is_a_later_end_and_no_payment(shop: Shop) -> None:
    purchase = shop.subscribe()
    before = asked(shop, purchase)
    told = told_after(shop, "extend", purchase, days=7)
    assert before.period_end is not None
    assert (told.kind, told.period_end) == (Kind.SIGNED, before.period_end + timedelta(days=7))
    assert asked(shop, purchase).period_end == told.period_end


@pytest.mark.parametrize(
    ("subtype", "ending"),
    [
        ("VOLUNTARY", Ending.TIME),
        ("BILLING_RETRY", Ending.UNPAID),
        ("PRICE_INCREASE", Ending.PAYER),
        ("PRODUCT_NOT_FOR_SALE", Ending.PROVIDER),
    ],
)
def test_an_end_says_how_in_the_notification_and_in_the_status(subtype: str, ending: Ending) -> None:
    shop = Shop()
    purchase = shop.subscribe()
    told = told_after(shop, "expire", purchase, subtype=subtype)
    assert (told.kind, told.ending) == (Kind.ENDED, ending)
    found = asked(shop, purchase)
    assert (found.ending, key_of(found)) == (ending, key_of(told))


def test_the_end_of_what_was_past_due_comes_after_that(shop: Shop) -> None:
    purchase = shop.subscribe()
    shop.clock.advance(40 * 86_400)
    late = told_after(shop, "fail", purchase)
    told = told_after(shop, "expire", purchase, subtype="BILLING_RETRY")
    assert told.at > late.at
    assert asked(shop, purchase).at > late.at


def test_a_revocation_is_the_providers_end(shop: Shop) -> None:
    (told,) = facts(shop.provider(), shop.notification("REVOKE", "", shop.subscribe()))
    assert (told.kind, told.ending) == (Kind.ENDED, Ending.PROVIDER)


def test_a_renewal_info_of_another_subscription_is_not_believed(shop: Shop) -> None:
    purchase, other = shop.subscribe(), shop.subscribe()
    strange = shop.store.notifications.signed_renewal(other)

    def mixed_up(answer: HttpResponse) -> HttpResponse:
        content = json.loads(answer.body)
        if "data" not in content:  # the environment that does not know it
            return answer
        content["data"][0]["lastTransactions"][0]["signedRenewalInfo"] = strange
        return replace(answer, body=json.dumps(content).encode())

    provider = shop.provider(RewritingHttp(shop.http, mixed_up))
    with pytest.raises(Unknown, match="another subscription"):
        provider.query(Ref(agreement=purchase.id))


def test_odd_members_of_a_renewal_info_say_nothing() -> None:
    odds: tuple[Any, ...] = (None, "1", True, -1, 9, [], 1e3, 10**30)
    for odd in odds:
        names = ("autoRenewStatus", "gracePeriodExpiresDate", "expirationIntent", "signedDate")
        read = renewal_of(dict.fromkeys(names, odd))
        assert (read.renews, read.ending) == (None, None)
        assert read.grace_until is None or odd == 9


def test_the_numbers_are_those_of_apples_library() -> None:
    assert (Status.EXPIRED, Status.BILLING_RETRY, Status.BILLING_GRACE_PERIOD, Status.REVOKED) == (
        EXPIRED,
        BILLING_RETRY,
        GRACE_PERIOD,
        REVOKED,
    )
    assert set(INTENTS) | {5} == {intent.value for intent in ExpirationIntent}
    assert INTENTS[ExpirationIntent.BILLING_ERROR.value] is Ending.UNPAID
    assert INTENTS[ExpirationIntent.CUSTOMER_CANCELLED.value] is Ending.TIME
