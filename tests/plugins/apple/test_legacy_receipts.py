"""verifyReceipt, for clients that know nothing newer."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.providers import (
    Declined,
    Fact,
    HttpResponse,
    Misconfigured,
    ProviderError,
    Retryable,
    Unknown,
    key_of,
)
from app.providers.testing.doubles import BrokenHttp, RewritingHttp
from plugins.apple.settings import Environment
from plugins.apple.transactions import NON_CONSUMABLE
from tests.plugins.apple.world import TOKEN, Shop, facts, kinds, receipt


@pytest.fixture
def shop() -> Shop:
    return Shop()


def settled(shop: Shop, environment: str = "Sandbox", **settings: Any) -> tuple[Fact, ...]:
    """A device's app receipt, handed in and asked about."""
    http = settings.pop("http", None)
    provider = shop.provider(http, legacy_receipts="verify_receipt", **settings)
    text = shop.control("app-receipt", environment=environment)["receipt"]
    (ask,) = provider.receive(receipt(app_receipt=text)).asks
    found: tuple[Fact, ...] = provider.query(ask)
    return found


@pytest.mark.parametrize("environment", ["Production", "Sandbox"])
def test_every_purchase_in_the_receipt_has_its_usual_key(shop: Shop, environment: Environment) -> None:
    bought = [
        shop.buy(environment=environment, quantity=2),
        shop.subscribe(environment=environment),
        shop.buy("no-ads", product_type=NON_CONSUMABLE, environment=environment),
    ]
    bought.append(shop.store.purchases.restore(environment, bought[2].id))
    by_receipt = {key_of(fact): fact for fact in settled(shop, environment)}
    by_signature = {key_of(fact): fact for one in bought for fact in facts(shop.provider(), shop.receipt(one))}
    assert by_receipt.keys() == by_signature.keys()
    for key, fact in by_receipt.items():
        other = by_signature[key]
        assert (fact.owner, fact.product, fact.quantity) == (TOKEN, other.product, other.quantity)
        assert (fact.live, fact.account, fact.at) == (other.live, other.account, other.at)
        assert (fact.period_end, fact.ref) == (other.period_end, other.ref)


def test_production_is_asked_first_and_names_the_sandbox(shop: Shop) -> None:
    shop.buy()
    settled(shop)
    hosts = [url.split("/")[3] for _, url, _ in shop.http.requests if url.endswith("/verifyReceipt")]
    assert hosts == ["production", "sandbox"]


def test_a_sandbox_receipt_is_declined_where_the_sandbox_is_not_taken(shop: Shop) -> None:
    shop.buy()
    with pytest.raises(Declined) as caught:
        settled(shop, environments=["Production"])
    assert caught.value.code == "21007"


def test_a_refunded_purchase_is_asked_about_for_its_true_share(shop: Shop) -> None:
    purchase = shop.buy(quantity=3)
    shop.store.purchases.refund("Sandbox", purchase.id, 33_333)
    paid, refunded = settled(shop)
    assert kinds((paid, refunded)) == ["paid", "refunded"]
    assert refunded.share == 33_333


def status(code: object, **more: Any) -> Any:
    body = json.dumps({"status": code} | more).encode()
    return lambda answer: HttpResponse(200, answer.headers, body) if answer.status == 200 else answer


@pytest.mark.parametrize(
    ("code", "more", "expected"),
    [
        (21000, {}, Declined),
        (21002, {}, Retryable),
        (21003, {}, Declined),
        (21004, {}, Misconfigured),
        (21005, {}, Retryable),
        (21007, {}, Unknown),
        (21008, {}, Unknown),
        (21009, {}, Retryable),
        (21010, {}, Declined),
        (21100, {"is-retryable": True}, Retryable),
        (21199, {"is-retryable": 1}, Retryable),
        (21199, {"is_retryable": True}, Retryable),
        (21100, {"is_retryable": "true"}, Retryable),
        (21100, {"is_retryable": "1"}, Retryable),
        (21150, {"is_retryable": False}, Declined),
        (21150, {"is_retryable": "false"}, Declined),
        (21150, {"is_retryable": None}, Declined),
        (21010, {"is_retryable": True}, Declined),
        (21150, {"is-retryable": False}, Declined),
        (21150, {}, Declined),
        ("0", {}, Unknown),
        (None, {}, Unknown),
        (0, {}, Declined),
        (0, {"receipt": {"bundle_id": "com.example.other", "in_app": [{}]}}, Declined),
        (0, {"receipt": {"bundle_id": "com.example.coins", "in_app": [{"quantity": "x"}]}}, Unknown),
        (0, {"receipt": {"bundle_id": "com.example.coins", "in_app": [{}]}}, Unknown),
    ],
)
def test_a_status_means_what_apple_says(
    shop: Shop, code: object, more: dict[str, Any], expected: type[ProviderError]
) -> None:
    shop.buy()
    with pytest.raises(ProviderError) as caught:
        settled(shop, http=RewritingHttp(shop.http, status(code, **more)))
    assert type(caught.value) is expected


def test_a_genuine_receipt_without_purchases_states_nothing(shop: Shop) -> None:
    shop.buy()
    nothing = {"receipt": {"bundle_id": "com.example.coins", "in_app": []}}
    assert settled(shop, http=RewritingHttp(shop.http, status(0, **nothing))) == ()
    assert settled(shop, http=RewritingHttp(shop.http, status(21006, **nothing))) == ()


@pytest.mark.parametrize("fault", ["timeout", "garbage", "empty", "html", "error500"])
def test_a_lost_answer_leaves_it_unknown(shop: Shop, fault: str) -> None:
    shop.buy()
    with pytest.raises(Unknown):
        settled(shop, http=BrokenHttp(shop.http, fault))


def test_a_wrong_secret_is_misconfigured_and_not_told(shop: Shop) -> None:
    shop.buy()
    with pytest.raises(Misconfigured) as caught:
        settled(shop, shared_secret="not the one")
    assert "not the one" not in str(caught.value)
