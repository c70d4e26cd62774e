"""One caller, several API keys: a request is the same request under each of them, and a no does not become a yes."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from sqlalchemy import Engine, text

from app.config import SCOPES, ApiKey
from tests.support.web_client import BACKEND_KEY, ApiClient, build_client, order_body
from tests.support.world import World

NEW_KEY, FOREIGN_KEY = "tbk_the-key-after-the-rotation", "tbk_the-key-of-another-backend"


def _api_key(key: str, caller: str | None = None) -> ApiKey:
    return ApiKey(sha256=hashlib.sha256(key.encode()).hexdigest(), scopes=frozenset(SCOPES), caller=caller)


@pytest.fixture
def backends(world: World, engine: Engine) -> dict[str, ApiClient]:
    keys = {
        "backend": _api_key(BACKEND_KEY),
        "backend-2026": _api_key(NEW_KEY, caller="backend"),
        "other": _api_key(FOREIGN_KEY),
    }
    client = build_client(world, engine, api_keys=keys)
    return {
        "old": ApiClient(client, BACKEND_KEY),
        "new": ApiClient(client, NEW_KEY),
        "other": ApiClient(client, FOREIGN_KEY),
    }


GRANT = {"user": "alice", "asset": "coin", "amount": 50, "environment": "sandbox", "reason": "r"}
SPEND = {"user": "alice", "asset": "coin", "amount": 5, "environment": "sandbox"}


def test_a_spend_repeated_after_a_rotation_of_the_api_key_is_one_spend(
    backends: dict[str, ApiClient], world: World
) -> None:
    backends["old"].post("/v1/grants", GRANT)
    first = backends["old"].post("/v1/spends", SPEND, key="item-1").get_json()
    again = backends["new"].post("/v1/spends", SPEND, key="item-1").get_json()
    assert (again["id"], again["repeated"], world.coins()) == (first["id"], True, 45)
    backends["other"].post("/v1/spends", SPEND, key="item-1")
    assert world.coins() == 40, "another caller's key is another key"


def test_every_keyed_change_is_the_same_one_after_a_rotation(backends: dict[str, ApiClient], world: World) -> None:
    freeze = {"user": "alice", "asset": "coin", "environment": "sandbox", "reason": "r"}
    hold = {**SPEND, "seconds": 60}
    order = order_body(user="alice")
    for path, body, name in (
        ("grants", GRANT, "id"),
        ("debits", {**SPEND, "reason": "r"}, "id"),
        ("holds", hold, "id"),
        ("orders", order, "number"),
        ("wallets/freeze", freeze, "number"),
    ):
        first = backends["old"].post(f"/v1/{path}", body, key=path).get_json()
        assert backends["new"].post(f"/v1/{path}", body, key=path).get_json()[name] == first[name], path
    assert world.coins() == 45


def test_a_refused_freeze_stays_refused_under_its_key(backend: ApiClient) -> None:
    freeze = {"user": "alice", "environment": "sandbox", "reason": "r"}
    assert backend.post("/v1/wallets/freeze", freeze, key="f").status_code == 404
    backend.post("/v1/grants", GRANT)
    again = backend.post("/v1/wallets/freeze", freeze, key="f")
    assert (again.status_code, again.get_json()["code"], again.get_json()["user"]) == (404, "not_found", "alice")
    assert backend.post("/v1/wallets/freeze", freeze, key="a new key").status_code == 201


def test_a_freeze_whose_key_was_pruned_does_not_happen_again(backend: ApiClient, world: World) -> None:
    backend.post("/v1/grants", GRANT)
    freeze = {"user": "alice", "environment": "sandbox", "reason": "r"}
    first = backend.post("/v1/wallets/freeze", freeze, key="f").get_json()
    backend.post("/v1/wallets/unfreeze", freeze)
    world.core.whole.transact(lambda tx: tx.execute(text("/* sweep: operator */ DELETE FROM idempotency")))
    world.clock.advance(3600)
    assert backend.post("/v1/wallets/freeze", freeze, key="f").get_json() == first
    assert backend.post("/v1/spends", SPEND).status_code == 201
    changed = backend.post("/v1/wallets/freeze", {**freeze, "reason": "another"}, key="f")
    assert changed.status_code == 409, "that key's freeze had another reason"
    assert len(backend.get("/v1/wallets/freezes", user="alice").get_json()["freezes"]) == 2
    world.assert_balanced()


def _batch(backend: ApiClient, key: str | None, items: list[dict[str, Any]], *, together: bool = True) -> Any:
    return backend.post("/v1/transfers/batch", {"all_or_nothing": together, "items": items}, key=key)


ITEM = {"type": "spend", "key": "item-1", **SPEND}


def test_a_batch_that_was_not_applied_is_not_applied_later_under_its_key(backend: ApiClient, world: World) -> None:
    first = _batch(backend, "b", [ITEM]).get_json()
    assert first["applied"] is False
    backend.post("/v1/grants", GRANT)
    assert _batch(backend, "b", [ITEM]).get_json() == first
    assert world.coins() == 50
    assert _batch(backend, "a new key", [ITEM]).get_json()["applied"] is True


def test_a_batch_that_was_applied_shows_the_same_answer_again(backend: ApiClient, world: World) -> None:
    backend.post("/v1/grants", GRANT)
    first, again = _batch(backend, "b", [ITEM]).get_json(), _batch(backend, "b", [ITEM]).get_json()
    assert first["items"][0]["posted"]["id"] == again["items"][0]["posted"]["id"]
    assert (again["applied"], again["items"][0]["posted"]["repeated"], world.coins()) == (True, True, 45)


def test_another_batch_under_a_used_key_is_refused_and_books_nothing(backend: ApiClient, world: World) -> None:
    backend.post("/v1/grants", GRANT)
    _batch(backend, "b", [ITEM])
    other = _batch(backend, "b", [{**ITEM, "key": "item-2"}])
    told = other.get_json()
    assert (other.status_code, told["code"], told["field"]) == (409, "idempotency_key_reused", "items")
    assert _batch(backend, "b", [ITEM], together=False).get_json()["field"] == "all_or_nothing"
    assert world.coins() == 45


def test_a_batch_without_a_key_is_refused(backend: ApiClient, world: World) -> None:
    headers = {name: value for name, value in backend.headers.items() if name != "Idempotency-Key"}
    body = {"all_or_nothing": False, "items": [ITEM]}
    answer = backend.client.post("/v1/transfers/batch", headers=headers, json=body)
    assert (answer.status_code, answer.get_json()["code"]) == (400, "idempotency_key_missing")


def test_an_order_of_an_unknown_product_says_the_same_again(alice: ApiClient) -> None:
    first = alice.post("/v1/orders", order_body(product="nothing"), key="k")
    again = alice.post("/v1/orders", order_body(product="nothing"), key="k")
    assert (first.status_code, first.get_json()["code"]) == (409, "unknown_product")
    assert again.get_json() == first.get_json()
    other = alice.post("/v1/orders", order_body(), key="k").get_json()
    assert (other["code"], other["field"]) == ("idempotency_key_reused", "product")


def test_a_refused_spend_says_in_which_environment_the_coins_are(backend: ApiClient) -> None:
    """Store reviewers buy in the sandbox with the live app; a spend is for `live` unless it says otherwise."""
    backend.post("/v1/grants", GRANT)
    cases: tuple[tuple[str, dict[str, int], int], ...] = (("spends", {}, 50), ("holds", {"seconds": 60}, 45))
    for path, more, available in cases:
        spend = {"user": "alice", "asset": "coin", "amount": 5, **more}
        told = backend.post(f"/v1/{path}", spend).get_json()
        assert (told["code"], told["environment"]) == ("insufficient_funds", "live")
        assert (told["other_environment"], told["other_available"]) == ("sandbox", available)
        assert "'sandbox'" in told["detail"]
        assert backend.post(f"/v1/{path}", {**spend, "environment": "sandbox"}).status_code == 201
    poor = backend.post("/v1/spends", {"user": "bob", "asset": "coin", "amount": 5}).get_json()
    assert "other_environment" not in poor


def test_a_grant_that_would_overflow_stays_refused_under_its_key(backend: ApiClient) -> None:
    backend.post("/v1/grants", {**GRANT, "amount": 2**63 - 1})
    refused = backend.post("/v1/grants", GRANT, key="g")
    assert (refused.status_code, refused.get_json()["code"]) == (409, "balance_overflow")
    backend.post("/v1/spends", {**SPEND, "amount": 100})
    again = backend.post("/v1/grants", GRANT, key="g")
    assert again.get_json() == refused.get_json()
    assert backend.post("/v1/grants", GRANT, key="a new key").status_code == 201


def test_a_conflict_in_the_ledger_says_which_field_differs(backend: ApiClient) -> None:
    backend.post("/v1/grants", GRANT, key="g")
    told = backend.post("/v1/grants", {**GRANT, "amount": 51}, key="g")
    assert (told.status_code, told.get_json()["code"], told.get_json()["field"]) == (
        409,
        "idempotency_key_reused",
        "amount",
    )
