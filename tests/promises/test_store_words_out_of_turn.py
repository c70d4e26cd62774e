"""A store's words that come before their cause, after what they are about is over, or dated before what was said.

Over HTTP, with notifications that the simulated store signs: held back, repeated, or told in another order.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine

from plugins.apple.simulated.purchases import PERIOD
from plugins.apple.transactions import SUBSCRIPTION
from tests.promises.test_store_subscriptions import DAY, Subscriber
from tests.support.databases import Sessions

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
HOUR = timedelta(hours=1)
JSON = {"content-type": "application/json"}


@pytest.fixture
def alice(engine: Engine, sessions: Sessions) -> Subscriber:
    return Subscriber(engine, sessions)


def _held(one: Subscriber, command: str, **more: Any) -> Callable[[], int]:
    """The store does it, and its notification waits until this is called."""
    one.silently(command, **more)
    body = json.dumps({"signedPayload": one.shop.store.notifications.records[-1].signed_payload})
    return lambda: one.client.post("/webhooks/apple", data=body, headers=JSON).status_code


def _recovers(one: Subscriber) -> None:
    """The store collects in the grace: the new period begins where the one before has ended, though it is paid days
    later."""
    purchases, length = one.shop.store.purchases, int(PERIOD.total_seconds()) * 1000
    begins = purchases.find("Sandbox", one.newest).payload["expiresDate"]
    renewed = purchases.renew("Sandbox", one.newest)
    renewed.payload |= {"purchaseDate": begins, "expiresDate": begins + length}
    one.newest = renewed.id
    one.store("tell", type="DID_RENEW", subtype="BILLING_RECOVERY")


def _switched_off_in_grace(one: Subscriber) -> None:
    """The payer may use it until the grace is over, and then it ends though the store dates that a month back."""
    one.buy()
    one.later(PERIOD + HOUR)
    one.store("fail", grace_days=16)
    one.later(DAY)
    one.store("switch-renewal")
    assert one.stands() == ("past_due", "", {"vip"}, 100)
    assert one.agreement()["renews"] is False
    one.later(15 * DAY)
    assert one.stands() == ("past_due", "", set(), 100)
    one.store("expire")
    assert one.stands() == ("ended", "time", set(), 100)


def _switched_on_and_off_while_it_collects(one: Subscriber) -> None:
    one.buy()
    one.later(PERIOD)
    one.store("fail")
    for on in (False, True):
        one.later(HOUR)
        one.store("switch-renewal", on=on)
        assert one.stands() == ("past_due", "", set(), 100)
    one.later(DAY)
    one.work()
    assert one.stands() == ("past_due", "", set(), 100)
    one.store("renew", subtype="BILLING_RECOVERY")
    assert one.stands() == ("active", "", {"vip"}, 200)


def _switched_off_by_the_store_as_it_ends(one: Subscriber) -> None:
    """Some seconds after the end, in either order."""
    one.buy()
    one.later(PERIOD + timedelta(seconds=2))
    one.store("switch-renewal")
    one.store("expire")
    assert one.stands() == ("ended", "time", set(), 100)
    one.later(HOUR)
    one.store("switch-renewal")
    assert one.stands() == ("ended", "time", set(), 100), "what is over does not begin again by that"


def _not_for_sale_while_it_collects(one: Subscriber) -> None:
    one.buy()
    one.later(PERIOD + HOUR)
    one.store("fail", grace_days=16)
    one.later(DAY)
    one.store("expire", subtype="PRODUCT_NOT_FOR_SALE")
    assert one.stands() == ("ended", "provider", set(), 100)


def _every_word_of_the_retry_is_lost(one: Subscriber) -> None:
    one.buy()
    one.later(PERIOD + HOUR)
    one.silently("fail", grace_days=16)
    one.later(2 * HOUR)
    one.work()
    assert one.stands() == ("past_due", "", {"vip"}, 100)
    one.silently("switch-renewal")
    one.later(2 * DAY)
    one.work()
    assert one.agreement()["renews"] is False
    one.silently("expire")
    one.later(2 * DAY)
    one.work()
    assert one.stands() == ("ended", "time", set(), 100)


def _collected_in_grace_without_a_gap(one: Subscriber) -> None:
    """The failure is told again when the payment has answered it."""
    one.buy()
    one.later(PERIOD + HOUR)
    failure = _held(one, "fail", grace_days=16)
    assert failure() == 200
    one.later(5 * DAY)
    _recovers(one)
    assert one.stands() == ("active", "", {"vip"}, 200)
    assert failure() == 200
    assert one.stands() == ("active", "", {"vip"}, 200)


def _failure_is_told_after_the_recovery(one: Subscriber) -> None:
    one.buy()
    one.later(PERIOD + HOUR)
    failure = _held(one, "fail", grace_days=16)
    one.later(5 * DAY)
    _recovers(one)
    assert failure() == 200
    assert one.stands() == ("active", "", {"vip"}, 200)


def _renewal_is_told_after_the_end(one: Subscriber) -> None:
    one.buy()
    one.later(PERIOD)
    renewal = _held(one, "renew")
    one.later(PERIOD)
    one.store("expire")
    assert (renewal(), renewal()) == (200, 200)
    assert one.stands() == ("ended", "time", set(), 200), "the coins of a period that was paid, and nothing active"


def _taken_up_again_is_told_after_its_failure(one: Subscriber) -> None:
    """A failure of a period of which nobody has heard makes that no older."""
    one.buy()
    one.later(PERIOD)
    one.store("expire")
    one.later(DAY)
    one.silently("renew")
    again = _held(one, "tell", type="SUBSCRIBED", subtype="RESUBSCRIBE")
    one.later(PERIOD)
    one.store("fail", grace_days=16)
    assert one.stands()[:2] == ("ended", "time")
    assert again() == 200
    one.later(2 * HOUR)
    one.work()
    assert one.stands() == ("past_due", "", {"vip"}, 200)


def _switched_on_again_in_silence(one: Subscriber) -> None:
    one.buy()
    one.store("switch-renewal")
    one.later(DAY)
    one.silently("switch-renewal", on=True)
    one.later(PERIOD - DAY)
    one.store("renew")
    assert one.agreement()["renews"] is None, "it was renewed, so what was said before is over"


def _an_offer_for_a_cheaper_plan(one: Subscriber) -> None:
    one.buy("gold.monthly")
    one.later(PERIOD / 2)
    one.shop.store.purchases.downgrade("Sandbox", one.newest, "basic.monthly")
    one.store("tell", type="OFFER_REDEEMED", subtype="DOWNGRADE")
    assert one.stands() == ("active", "", {"vip", "gold"}, 300)
    assert one.agreement()["next_product"] == "basic"
    one.later(PERIOD / 2)
    one.store("renew")
    assert one.stands() == ("active", "", {"basic"}, 340)


def _collected_on_the_last_of_sixty_days(one: Subscriber) -> None:
    one.buy()
    one.later(PERIOD)
    one.store("fail")
    for days in (20, 20, 19):
        one.later(days * DAY)
        one.work()
    assert one.stands() == ("past_due", "", set(), 100)
    one.store("renew", subtype="BILLING_RECOVERY")
    assert one.stands() == ("active", "", {"vip"}, 200)


def _words_that_nobody_has_documented(one: Subscriber) -> None:
    one.buy()
    one.later(DAY)
    told = [("SOLD_TO_THE_MOON", ""), ("DID_RENEW", "TWICE"), ("DID_CHANGE_RENEWAL_PREF", "SIDEGRADE")]
    for kind, subtype in (*told, ("DID_CHANGE_RENEWAL_STATUS", "PAUSED"), ("UNCLAIM_SEATS", "")):
        one.store("tell", type=kind, subtype=subtype)
        assert one.shop.store.notifications.records[-1].arrived, kind
        assert one.stands() == ("active", "", {"vip"}, 100), kind


def _refunded_switched_off_and_over(one: Subscriber) -> None:
    """The store switches the renewal off after a refund, and dates the end at the refund or at the period's end."""
    one.buy()
    one.later(HOUR)
    one.store("refund")
    one.later(DAY)
    one.store("switch-renewal")
    assert one.stands() == ("active", "", set(), 0)
    one.later(PERIOD)
    one.store("expire")
    assert one.stands() == ("ended", "time", set(), 0)


def _bought_twice_in_both_environments(one: Subscriber) -> None:
    """A tester's free subscription stands beside the one that was paid, and neither for it nor before it."""
    live = {"environment": "Production", "product": "vip.monthly", "type": SUBSCRIPTION}
    one.buy()
    token = one.shop.store.purchases.find("Sandbox", one.newest).payload["appAccountToken"]
    one.later(DAY)
    one.shop.control("buy", token=token, customer="alice", **live)
    deliver = one.shop.store.notifications.records[-1].signed_payload
    one.client.post("/webhooks/apple", data=json.dumps({"signedPayload": deliver}), headers=JSON)
    found = one.api().get("/v1/entitlements").get_json()["entitlements"]
    assert [(each["name"], each["environment"]) for each in found] == [("vip", "live"), ("vip", "sandbox")]
    assert found[0]["agreement"] != found[1]["agreement"]
    one.later(PERIOD - DAY)
    (left,) = one.api().get("/v1/entitlements").get_json()["entitlements"]
    assert left["environment"] == "live"


STORIES: dict[str, Callable[[Subscriber], None]] = {
    "switched off in a grace": _switched_off_in_grace,
    "switched on and off while the store collects": _switched_on_and_off_while_it_collects,
    "switched off by the store as it ends": _switched_off_by_the_store_as_it_ends,
    "not for sale any more while the store collects": _not_for_sale_while_it_collects,
    "every word of the retry is lost": _every_word_of_the_retry_is_lost,
    "collected in the grace, dated at its beginning": _collected_in_grace_without_a_gap,
    "a failure that is told after the recovery": _failure_is_told_after_the_recovery,
    "a renewal that is told after the end": _renewal_is_told_after_the_end,
    "taken up again, which is told after its failure": _taken_up_again_is_told_after_its_failure,
    "switched on again, and nobody heard": _switched_on_again_in_silence,
    "an offer for a cheaper plan": _an_offer_for_a_cheaper_plan,
    "collected on the last of sixty days": _collected_on_the_last_of_sixty_days,
    "refunded, switched off by the store, and over": _refunded_switched_off_and_over,
    "one in the sandbox and one that is paid": _bought_twice_in_both_environments,
    "words that nobody has documented": _words_that_nobody_has_documented,
}


@pytest.mark.parametrize("story", list(STORIES))
def test_words_out_of_turn_leave_what_the_store_has_in_its_books(alice: Subscriber, story: str) -> None:
    STORIES[story](alice)
    alice.world.assert_balanced()
