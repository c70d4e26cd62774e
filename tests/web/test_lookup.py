"""Search and timeline over HTTP: for a backend with the scope `search`, never for a user."""

from __future__ import annotations

import hashlib

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine

from app.config import SCOPES, ApiKey
from tests.support.web_client import BACKEND_KEY, ApiClient, build_client, order_body
from tests.support.world import World


@pytest.fixture
def order(alice: ApiClient, world: World) -> dict[str, str]:
    """A paid order: its numbers."""
    made = alice.post("/v1/orders", order_body()).get_json()
    payment = made["payments"][0]["number"]
    world.pay(int(payment))
    world.deliver()
    return {"order": made["number"], "payment": payment}


def test_every_number_leads_to_the_order_and_its_timeline(backend: ApiClient, order: dict[str, str]) -> None:
    links = {"link": f"/v1/orders/{order['order']}", "timeline": f"/v1/orders/{order['order']}/timeline"}
    for number, kind in ((order["order"], "order"), (order["payment"], "payment"), ("sbx_1", "payment")):
        (found,) = backend.get("/v1/search", number=number).get_json()["found"]
        assert (found["kind"], found["user"], found["status"]) == (kind, "alice", "paid")
        assert {name: found[name] for name in links} == links
    assert backend.get(links["link"]).status_code == 200
    assert backend.get(links["timeline"]).status_code == 200


def test_refunds_and_users_lead_to_where_they_are_read(backend: ApiClient, order: dict[str, str]) -> None:
    refund = backend.post("/v1/refunds", {"payment": order["payment"], "reason": "r"}).get_json()
    (found,) = backend.get("/v1/search", number=refund["number"]).get_json()["found"]
    assert backend.get(found["link"]).get_json() == refund
    (user,) = backend.get("/v1/search", number="alice").get_json()["found"]
    assert user["link"] == "/v1/wallet?user=alice"
    assert user["timeline"] is None


def test_transfers_and_holds_lead_to_where_they_are_read(backend: ApiClient, order: dict[str, str]) -> None:
    wanted = {"user": "alice", "asset": "coin", "amount": 5, "environment": "sandbox"}
    spent = backend.post("/v1/spends", wanted).get_json()
    held = backend.post("/v1/holds", {**wanted, "seconds": 60}).get_json()
    for kind, number in (("transfer", spent["id"]), ("hold", held["id"])):
        (found,) = backend.get("/v1/search", number=number).get_json()["found"]
        assert (found["kind"], found["number"], found["user"]) == (kind, number, "alice")
        assert backend.get(found["link"]).get_json()["id"] == number


def test_what_names_nothing_is_an_empty_list(backend: ApiClient) -> None:
    answer = backend.get("/v1/search", number="nothing")
    assert (answer.status_code, answer.get_json()) == (200, {"found": [], "missing_databases": []})
    for query in ({}, {"number": ""}, {"number": "x" * 256}, {"number": "a\x00"}):
        assert backend.get("/v1/search", **query).status_code == 422


def test_the_timeline_comes_in_pages(backend: ApiClient, order: dict[str, str]) -> None:
    path = f"/v1/orders/{order['order']}/timeline"
    whole = backend.get(path).get_json()
    assert whole["next"] is None
    entries, cursor = [], {}
    while True:
        page = backend.get(path, limit="2", **cursor).get_json()
        assert len(page["entries"]) <= 2
        entries += page["entries"]
        if page["next"] is None:
            break
        cursor = {"cursor": page["next"]}
    assert entries == whole["entries"]
    kinds = [entry["kind"] for entry in entries]
    assert kinds[:4] == ["order_made", "payment_made", "call", "fact"]
    assert {"fact", "transfer"} <= set(kinds)
    assert all(entry["text"] for entry in entries)
    (paid,) = [entry for entry in entries if entry["what"] == "paid"]
    about = f"about payment {order['payment']}"
    assert paid["text"] == f"sandbox told by notification that it is paid 6.00 CNY {about}: applied"


def test_what_is_no_cursor_or_no_order_is_refused(backend: ApiClient, order: dict[str, str]) -> None:
    path = f"/v1/orders/{order['order']}/timeline"
    for query in ({"cursor": "x"}, {"limit": "0"}, {"limit": "201"}, {"cursor": "1-99999"}):
        assert backend.get(path, **query).status_code == 422
    for number in ("4097", "x", "0"):
        assert backend.get(f"/v1/orders/{number}/timeline").status_code == 404


def test_a_users_token_may_neither_search_nor_read_timelines(alice: ApiClient, order: dict[str, str]) -> None:
    for path, query in (("/v1/search", {"number": "sbx_1"}), (f"/v1/orders/{order['order']}/timeline", {})):
        answer = alice.get(path, **query)
        assert (answer.status_code, answer.get_json()["code"]) == (403, "forbidden")


def test_a_key_without_the_scope_may_not_either(world: World, engine: Engine) -> None:
    digest = hashlib.sha256(BACKEND_KEY.encode()).hexdigest()
    keys = {"backend": ApiKey(sha256=digest, scopes=frozenset(SCOPES - {"search"}))}
    client: FlaskClient = build_client(world, engine, api_keys=keys)
    for path in ("/v1/search", "/v1/orders/1/timeline"):
        assert ApiClient(client, BACKEND_KEY).get(path).status_code == 403
        assert client.get(path).status_code == 401
