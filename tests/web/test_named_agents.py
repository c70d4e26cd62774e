"""`Tillbook-Actor`: who is behind a backend is written down next to the backend, and shown where that is read."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text

from app.domain.ledger import LONGEST
from app.web.access import LONGEST_ACTOR
from tests.support.web_client import BACKEND_KEY, ApiClient, order_body
from tests.support.world import World

WHERE = {"user": "alice", "asset": "coin", "environment": "sandbox"}
MEI = "backend:backend/mei@support"


@pytest.fixture
def mei(http: FlaskClient) -> ApiClient:
    return _backend_of(http, "mei@support")


def _backend_of(http: FlaskClient, actor: str) -> ApiClient:
    client = ApiClient(http, BACKEND_KEY)
    client.headers["Tillbook-Actor"] = actor
    return client


def _statement(client: ApiClient) -> list[tuple[str, str]]:
    lines = client.get("/v1/statement", user="alice", environment="sandbox").get_json()["lines"]
    return [(line["kind"], line["actor"]) for line in lines]


def test_each_change_of_a_wallet_says_who_did_it(mei: ApiClient, backend: ApiClient, world: World) -> None:
    mei.post("/v1/grants", {**WHERE, "amount": 100, "reason": "r", "new_user": True})
    mei.post("/v1/debits", {**WHERE, "amount": 10, "reason": "r"})
    spent = mei.post("/v1/spends", {**WHERE, "amount": 5}).get_json()
    mei.post(f"/v1/transfers/{spent['id']}/reverse", {"reason": "r"})
    held = mei.post("/v1/holds", {**WHERE, "amount": 5, "seconds": 60}).get_json()
    mei.post(f"/v1/holds/{held['id']}/capture", {})
    items = [{**WHERE, "type": "grant", "key": "1", "amount": 1, "reason": "r"}]
    mei.post("/v1/transfers/batch", {"all_or_nothing": True, "items": items})
    backend.post("/v1/grants", {**WHERE, "amount": 1, "reason": "r"})
    kinds = ("grant", "debit", "spend", "reversal", "capture", "grant")
    assert _statement(backend) == [*((kind, MEI) for kind in kinds), ("grant", "backend:backend")]
    world.assert_balanced()


def test_a_user_is_not_told_who_works_in_support(mei: ApiClient, alice: ApiClient) -> None:
    mei.post("/v1/grants", {**WHERE, "amount": 100, "reason": "r", "new_user": True})
    lines = alice.get("/v1/statement", environment="sandbox").get_json()["lines"]
    assert [(line["kind"], line["actor"]) for line in lines] == [("grant", None)]


def test_freezes_and_refunds_say_who_asked(mei: ApiClient, alice: ApiClient, world: World) -> None:
    order: dict[str, Any] = alice.post("/v1/orders", order_body()).get_json()
    world.pay(int(order["payments"][0]["number"]))
    world.deliver()
    refund = mei.post("/v1/refunds", {"order": order["number"], "amount_minor": 100, "reason": "r"}).get_json()
    assert refund["actor"] == MEI
    assert mei.get(f"/v1/refunds/{refund['number']}").get_json()["actor"] == MEI
    freeze = {"user": "alice", "environment": "sandbox", "reason": "r"}
    assert mei.post("/v1/wallets/freeze", freeze).get_json()["actor"] == MEI
    assert mei.post("/v1/wallets/unfreeze", freeze).get_json()["actor"] == MEI
    shown = mei.get("/v1/wallets/freezes", user="alice").get_json()["freezes"]
    assert [each["actor"] for each in shown] == [MEI, MEI]
    world.assert_balanced()


@pytest.mark.parametrize("path", ["grants", "debits", "wallets/freeze", "refunds"])
def test_a_key_stands_for_the_person_too(
    http: FlaskClient, mei: ApiClient, alice: ApiClient, world: World, path: str
) -> None:
    order: dict[str, Any] = alice.post("/v1/orders", order_body()).get_json()
    world.pay(int(order["payments"][0]["number"]))
    world.deliver()
    bodies: dict[str, dict[str, Any]] = {
        "grants": {**WHERE, "amount": 5, "reason": "r"},
        "debits": {**WHERE, "amount": 5, "reason": "r"},
        "wallets/freeze": {"user": "alice", "environment": "sandbox", "reason": "r"},
        "refunds": {"order": order["number"], "reason": "r"},
    }
    body = bodies[path]
    assert mei.post(f"/v1/{path}", body, key="k").status_code == 201
    assert mei.post(f"/v1/{path}", body, key="k").status_code == 201
    for other in (_backend_of(http, "lin"), ApiClient(http, BACKEND_KEY)):
        answer = other.post(f"/v1/{path}", body, key="k")
        told = answer.get_json()
        assert (answer.status_code, told["code"], told["field"]) == (409, "idempotency_key_reused", "actor")


def test_a_refund_keeps_its_key_for_the_person_where_the_key_was_cleared_away(
    http: FlaskClient, mei: ApiClient, alice: ApiClient, world: World
) -> None:
    order: dict[str, Any] = alice.post("/v1/orders", order_body()).get_json()
    world.pay(int(order["payments"][0]["number"]))
    world.deliver()
    body = {"order": order["number"], "reason": "r"}
    first = mei.post("/v1/refunds", body, key="k").get_json()
    world.core.whole.transact(lambda tx: tx.execute(text("/* sweep: operator */ DELETE FROM idempotency")))
    assert _backend_of(http, "lin").post("/v1/refunds", body, key="k").status_code == 409
    assert mei.post("/v1/refunds", body, key="k").get_json()["number"] == first["number"]


@pytest.mark.parametrize(
    "actor", ["", "x" * (LONGEST_ACTOR + 1), "m\x01i", "m\xe9i", "\u5f20".encode().decode("latin-1")]
)
def test_an_actor_that_cannot_be_written_down_is_refused_before_anything_is_done(
    http: FlaskClient, world: World, actor: str
) -> None:
    answer = _backend_of(http, actor).post("/v1/grants", {**WHERE, "amount": 5, "reason": "r"})
    assert (answer.status_code, answer.get_json()["code"]) == (400, "bad_actor")
    assert world.coins() == 0


def test_the_longest_actor_of_the_longest_caller_fits_into_the_books(http: FlaskClient, backend: ApiClient) -> None:
    assert len("backend:") + 32 + len("/") + LONGEST_ACTOR <= LONGEST["actor"]
    longest = _backend_of(http, "x" * LONGEST_ACTOR)
    assert longest.post("/v1/grants", {**WHERE, "amount": 5, "reason": "r", "new_user": True}).status_code == 201
    assert _statement(backend) == [("grant", f"backend:backend/{'x' * LONGEST_ACTOR}")]


def test_a_users_token_speaks_for_its_user_whatever_actor_it_names(alice: ApiClient) -> None:
    alice.headers["Tillbook-Actor"] = "\x01"
    assert alice.post("/v1/orders", order_body()).status_code == 201
