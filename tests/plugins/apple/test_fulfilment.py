"""What the store is told back."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from app.providers import Declined, Ref, Unknown
from app.providers.testing.doubles import BrokenHttp
from plugins.apple.transactions import NON_CONSUMABLE
from tests.plugins.apple.world import Shop, facts


@pytest.fixture
def shop() -> Shop:
    return Shop()


def consumption(shop: Shop, **changes: Any) -> dict[str, Any]:
    report = {"about": "consumption", "consented": True, "asked_at": shop.clock.now(), "consumed_share": 40_000}
    return report | changes


def answering(shop: Shop, **settings: Any) -> Any:
    return shop.provider(answer_refund_questions=True, **settings)


def test_a_delivered_purchase_is_finished(shop: Shop) -> None:
    for environment in ("Production", "Sandbox"):
        purchase = shop.buy(environment=environment)
        for _ in range(2):
            shop.provider().fulfil(Ref(theirs=purchase.id), {"about": "delivered"})
        assert purchase.finished


def test_consumption_is_told_in_milliunits(shop: Shop) -> None:
    purchase = shop.buy()
    question = facts(shop.provider(), shop.notification("CONSUMPTION_REQUEST", "", purchase))[0]
    answering(shop).fulfil(question.ref, consumption(shop, asked_at=question.at.isoformat(), wish="grant_prorated"))
    assert purchase.reports == [
        {
            "customerConsented": True,
            "sampleContentProvided": False,
            "deliveryStatus": "DELIVERED",
            "consumptionPercentage": 40_000,
            "refundPreference": "GRANT_PRORATED",
        }
    ]


@pytest.mark.parametrize(("setting", "consented"), [(True, False), (False, True), (False, False)])
def test_without_consent_nothing_is_told(shop: Shop, setting: bool, consented: bool) -> None:
    purchase = shop.buy()
    provider = shop.provider(answer_refund_questions=setting)
    provider.fulfil(Ref(theirs=purchase.id), consumption(shop, consented=consented))
    assert purchase.reports == []
    assert shop.http.requests == []


def test_after_twelve_hours_nothing_is_told(shop: Shop) -> None:
    purchase, asked_at = shop.buy(), shop.clock.now()
    shop.clock.advance(timedelta(hours=12).total_seconds())
    answering(shop).fulfil(Ref(theirs=purchase.id), consumption(shop, asked_at=asked_at))
    shop.clock.advance(1)
    with pytest.raises(Declined, match="12 hours"):
        answering(shop).fulfil(Ref(theirs=purchase.id), consumption(shop, asked_at=asked_at))
    assert len(purchase.reports) == 1


@pytest.mark.parametrize(
    ("delivery", "status"),
    [
        ("quality_issue", "UNDELIVERED_QUALITY_ISSUE"),
        ("wrong_item", "UNDELIVERED_WRONG_ITEM"),
        ("server_outage", "UNDELIVERED_SERVER_OUTAGE"),
        ("other", "UNDELIVERED_OTHER"),
    ],
)
def test_what_was_not_delivered_was_not_consumed(shop: Shop, delivery: str, status: str) -> None:
    purchase = shop.buy()
    answering(shop).fulfil(Ref(theirs=purchase.id), consumption(shop, delivery=delivery, wish="grant_full"))
    (report,) = purchase.reports
    assert (report["deliveryStatus"], report["consumptionPercentage"]) == (status, 0)
    assert report["refundPreference"] == "GRANT_FULL"


def test_a_prorated_refund_of_nothing_used_is_a_full_one(shop: Shop) -> None:
    purchase = shop.buy()
    answering(shop).fulfil(Ref(theirs=purchase.id), consumption(shop, consumed_share=0, wish="grant_prorated"))
    assert purchase.reports[0]["refundPreference"] == "GRANT_FULL"


def test_a_subscription_has_no_percentage(shop: Shop) -> None:
    purchase = shop.subscribe()
    (paid,) = facts(shop.provider(), shop.receipt(purchase))
    answering(shop).fulfil(paid.ref, consumption(shop, wish="decline"))
    assert purchase.reports == [
        {
            "customerConsented": True,
            "sampleContentProvided": False,
            "deliveryStatus": "DELIVERED",
            "refundPreference": "DECLINE",
        }
    ]


def test_a_purchase_without_a_token_can_be_given_its_owner(shop: Shop) -> None:
    coins, gold = shop.buy(token=None), shop.subscribe(token=None)
    token = "7E3FB20B-4CDB-47CC-936D-99D65F608138"
    for purchase in (coins, gold):
        (paid,) = facts(shop.provider(), shop.receipt(purchase))
        assert paid.owner is None
        shop.provider().fulfil(paid.ref, {"about": "owner", "owner": token})
        assert purchase.payload["appAccountToken"] == token.lower()
        assert facts(shop.provider(), shop.receipt(purchase))[0].owner == token.lower()


def test_an_owner_is_set_on_original_transactions_only(shop: Shop) -> None:
    restored = shop.store.purchases.restore("Sandbox", shop.buy("no-ads", product_type=NON_CONSUMABLE).id)
    report = {"about": "owner", "owner": "7e3fb20b-4cdb-47cc-936d-99d65f608138"}
    with pytest.raises(Declined) as caught:
        shop.provider().fulfil(Ref(theirs=restored.id), report)
    assert caught.value.code == "4000187"
    with pytest.raises(Declined):
        shop.provider().fulfil(Ref(theirs="1-2"), report)


@pytest.mark.parametrize(
    "report",
    [
        {},
        {"about": "everything"},
        {"about": "delivered", "extra": 1},
        {"about": "owner", "owner": "me"},
        {"about": "consumption", "consented": True, "consumed_share": 1},
        {"about": "consumption", "consented": True, "asked_at": "2026-01-02T03:04:05", "consumed_share": 1},
        {"about": "consumption", "consented": True, "asked_at": "2026-01-02T03:04:05Z", "consumed_share": 100_001},
        {"about": "consumption", "consented": True, "asked_at": "2026-01-02T03:04:05Z", "consumed_share": -1},
        {"about": "consumption", "consented": True, "asked_at": "2026-01-02T03:04:05Z", "consumed_share": 0.5},
        {"about": "consumption", "consented": True, "asked_at": "2026-01-02T03:04:05Z", "consumed_share": True},
    ],
)
def test_a_report_of_another_form_is_declined(shop: Shop, report: dict[str, Any]) -> None:
    with pytest.raises(Declined):
        answering(shop).fulfil(Ref(theirs=shop.buy().id), report)
    assert shop.http.requests == []


def test_a_purchase_that_the_store_does_not_know_is_declined(shop: Shop) -> None:
    for ref in (Ref(theirs="404404"), Ref(theirs="404404-1"), Ref()):
        with pytest.raises(Declined):
            shop.provider().fulfil(ref, {"about": "delivered"})


@pytest.mark.parametrize("fault", ["timeout", "timeout_after", "garbage", "html", "error500"])
def test_a_lost_answer_leaves_it_unknown_and_it_may_be_repeated(shop: Shop, fault: str) -> None:
    purchase = shop.buy()
    with pytest.raises(Unknown):
        shop.provider(BrokenHttp(shop.http, fault), environments=["Sandbox"]).fulfil(
            Ref(theirs=purchase.id), {"about": "delivered"}
        )
    shop.provider().fulfil(Ref(theirs=purchase.id), {"about": "delivered"})
    assert purchase.finished
