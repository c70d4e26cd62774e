"""Wallets over HTTP: grants, debits, holds, reversals, batches, limits, and who may do that."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Engine

from app.config import LedgerSettings, LimitSettings
from app.domain.limits import LedgerRules
from app.domain.lots import SpendOrder
from app.worker import Worker
from tests.support.web_client import BACKEND_KEY, ApiClient, build_client
from tests.support.world import World


def _grant(backend: ApiClient, amount: int = 100, user: str = "alice", **more: Any) -> Any:
    body = {"user": user, "asset": "coin", "amount": amount, "reason": "welcome", **more}
    return backend.post("/v1/grants", body)


def _balance(client: ApiClient, user: str = "alice") -> dict[str, Any]:
    found = client.get("/v1/wallet", user=user).get_json()
    return dict(found["balances"][0])


def test_a_grant_a_spend_a_debit_and_the_statement(backend: ApiClient, alice: ApiClient) -> None:
    assert _grant(backend).status_code == 201
    spent = backend.post("/v1/spends", {"user": "alice", "asset": "coin", "amount": 30, "reference": "level-7"})
    assert spent.status_code == 201
    debit = {"user": "alice", "asset": "coin", "amount": 20, "reason": "fraud"}
    assert backend.post("/v1/debits", debit).get_json()["balance"] == 50
    lines = alice.get("/v1/statement").get_json()["lines"]
    assert [(line["kind"], line["amount"], line["note"]) for line in lines] == [
        ("grant", 100, "welcome"),
        ("spend", -30, ""),
        ("debit", -20, "fraud"),
    ]


def test_the_same_key_gives_the_same_answer_and_another_body_is_a_conflict(backend: ApiClient) -> None:
    body = {"user": "alice", "asset": "coin", "amount": 5, "reason": "welcome"}
    first, again = (
        backend.post("/v1/grants", body, key="k").get_json(),
        backend.post("/v1/grants", body, key="k").get_json(),
    )
    assert (again["id"], again["repeated"]) == (first["id"], True)
    conflict = backend.post("/v1/grants", {**body, "amount": 6}, key="k")
    assert (conflict.status_code, conflict.get_json()["code"]) == (409, "idempotency_key_reused")


def test_a_hold_is_captured_and_released(backend: ApiClient) -> None:
    _grant(backend)
    held = backend.post("/v1/holds", {"user": "alice", "asset": "coin", "amount": 40, "seconds": 60})
    assert held.status_code == 201
    path = f"/v1/holds/{held.get_json()['id']}"
    assert _balance(backend)["available"] == 60
    assert backend.post(f"{path}/capture", {"amount": 15}).get_json()["balance"] == 85
    refused = backend.post(f"{path}/capture", {"amount": 26})
    assert (refused.status_code, refused.get_json()["code"], refused.get_json()["rest"]) == (409, "hold_exceeded", 25)
    released = backend.post(f"{path}/release", None).get_json()
    assert (released["state"], released["rest"]) == ("released", 0)
    assert _balance(backend)["available"] == 85
    assert backend.post(f"/v1/holds/{uuid.uuid4()}/release", None).status_code == 404


def test_a_transfer_is_reversed_once(backend: ApiClient) -> None:
    _grant(backend)
    spent = backend.post("/v1/spends", {"user": "alice", "asset": "coin", "amount": 30}).get_json()
    path = f"/v1/transfers/{spent['id']}/reverse"
    assert backend.post(path, {"reason": "mistake", "amount": 10}).get_json()["balance"] == 80
    again = backend.post(path, {"reason": "mistake", "amount": 20})
    assert again.status_code == 409
    assert _balance(backend)["balance"] == 80


def test_a_batch_answers_for_each_item(backend: ApiClient) -> None:
    _grant(backend)
    items = [
        {"type": "spend", "key": "1", "user": "alice", "asset": "coin", "amount": 30},
        {"type": "spend", "key": "2", "user": "alice", "asset": "coin", "amount": 300},
        {"type": "grant", "key": "3", "user": "bob", "asset": "coin", "amount": 7, "reason": "event"},
    ]
    together = backend.post("/v1/transfers/batch", {"all_or_nothing": True, "items": items}).get_json()
    assert not together["applied"]
    assert [item["code"] for item in together["items"]] == [None, "insufficient_funds", None]
    assert _balance(backend)["balance"] == 100
    each = backend.post("/v1/transfers/batch", {"all_or_nothing": False, "items": items}).get_json()
    assert [item["posted"] and item["posted"]["balance"] for item in each["items"]] == [70, None, 7]


def test_the_balance_at_a_moment(backend: ApiClient, alice: ApiClient) -> None:
    at = _grant(backend).get_json()["at"]
    backend.post("/v1/spends", {"user": "alice", "asset": "coin", "amount": 30})
    assert alice.get("/v1/balance", at="2020-01-01T00:00:00Z").get_json()["balance"] == 0
    assert alice.get("/v1/balance", at=at).status_code == 200
    assert alice.get("/v1/balance", at="yesterday").status_code == 422


PATHS = ["grants", "debits", "holds", "transfers/batch", f"transfers/{uuid.UUID(int=1)}/reverse"]


@pytest.mark.parametrize("path", PATHS)
def test_a_user_may_not_touch_balances(path: str, alice: ApiClient) -> None:
    assert alice.post(f"/v1/{path}", {}).status_code == 403


def test_configured_limits_refuse_with_the_limit(world: World, engine: Engine) -> None:
    ledger = LedgerSettings(limits={"coin": LimitSettings(day=10)}, zone="UTC", spend_first="paid")
    assert ledger.rules().spend_order is SpendOrder.PAID_FIRST
    assert LedgerSettings().rules() == LedgerRules()
    limited = world.with_rules(replace(world.core.rules, ledger=ledger.rules()))
    backend = ApiClient(build_client(limited, engine), BACKEND_KEY)
    _grant(backend)
    spend = {"user": "alice", "asset": "coin", "amount": 11}
    refused = backend.post("/v1/spends", spend)
    told = refused.get_json()
    assert (refused.status_code, told["code"], told["period"], told["limit"]) == (409, "spend_limit", "day", 10)
    assert backend.post("/v1/spends", {**spend, "amount": 10}).status_code == 201


def test_the_worker_releases_holds_whose_time_is_over(world: World, backend: ApiClient) -> None:
    _grant(backend)
    backend.post("/v1/holds", {"user": "alice", "asset": "coin", "amount": 40, "seconds": 60})
    world.clock.advance(61)
    Worker(world.core).run_once()
    assert _balance(backend)["available"] == 100
