"""Lists over HTTP: who may read which, how they page, and what is refused."""

from __future__ import annotations

import base64
import hashlib
import json
import uuid
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine, text

from app.config import ApiKey
from tests.support.web_client import BACKEND_KEY, ApiClient, build_client, order_body, token
from tests.support.world import World

MEMBERS = {
    "/v1/orders": "orders",
    "/v1/refunds": "refunds",
    "/v1/statement": "lines",
    "/v1/wallet/lots": "lots",
    "/v1/holds": "holds",
    "/v1/transfers": "transfers",
}
"""Each list, and what its answer calls the entries."""


@pytest.fixture
def mallory(http: FlaskClient) -> ApiClient:
    return ApiClient(http, token("mallory"))


def _fill(world: World, alice: ApiClient, backend: ApiClient) -> dict[str, Any]:
    """Three of everything of alice's; her orders, holds and transfers."""
    orders = []
    for _ in range(3):
        orders.append(alice.post("/v1/orders", order_body()).get_json())
        world.pay(int(orders[-1]["payments"][0]["number"]))
        world.deliver()
        world.clock.advance(10)
        assert backend.post("/v1/refunds", {"order": orders[-1]["number"], "reason": "r"}).status_code == 201
    grant = {"user": "alice", "asset": "coin", "amount": 10, "reason": "welcome"}
    granted = [backend.post("/v1/grants", grant).get_json() for _ in range(3)]
    hold = {"user": "alice", "asset": "coin", "amount": 2, "seconds": 600}
    held = [backend.post("/v1/holds", hold).get_json() for _ in range(3)]
    return {"orders": orders, "grants": granted, "holds": held}


def _entries(client: ApiClient, path: str, **query: str) -> list[Any]:
    found: list[Any] = []
    while True:
        answer = client.get(path, **query)
        assert answer.status_code == 200, answer.text
        page = answer.get_json()
        assert len(page[MEMBERS[path]]) <= int(query.get("limit", 50))
        found += page[MEMBERS[path]]
        if page["next"] is None:
            return found
        query["cursor"] = page["next"]


@pytest.mark.parametrize("path", sorted(MEMBERS))
def test_pages_of_a_list_put_together_are_the_list(
    path: str, world: World, alice: ApiClient, backend: ApiClient
) -> None:
    _fill(world, alice, backend)
    whole = _entries(alice, path)
    assert len(whole) == 3
    assert _entries(alice, path, limit="1") == whole
    assert _entries(alice, path, limit="2") == whole
    assert alice.get(path, limit="3").get_json()["next"] is None


@pytest.mark.parametrize("path", sorted(MEMBERS))
def test_users_read_what_is_theirs_and_nothing_else(
    path: str, world: World, alice: ApiClient, backend: ApiClient, mallory: ApiClient
) -> None:
    _fill(world, alice, backend)
    assert mallory.get(path).get_json()[MEMBERS[path]] == []
    assert mallory.get(path, user="alice").status_code == 403
    own = alice.get(path, user="alice").get_json()
    assert own == alice.get(path).get_json()
    of_backend = backend.get(path, user="alice").get_json()
    assert [_told_to_users(entry) for entry in of_backend[MEMBERS[path]]] == own[MEMBERS[path]]


def _told_to_users(entry: dict[str, Any]) -> dict[str, Any]:
    return {**entry, "actor": None} if "actor" in entry else entry


def test_a_hold_a_transfer_and_a_refund_are_read_by_their_user_alone(
    world: World, alice: ApiClient, backend: ApiClient, mallory: ApiClient
) -> None:
    made = _fill(world, alice, backend)
    refund = backend.get("/v1/refunds", user="alice").get_json()["refunds"][0]
    for path in (
        f"/v1/holds/{made['holds'][0]['id']}",
        f"/v1/transfers/{made['grants'][0]['id']}",
        f"/v1/refunds/{refund['number']}",
    ):
        assert alice.get(path).status_code == backend.get(path).status_code == 200
        absent = mallory.get(path)
        assert (absent.status_code, absent.get_json()["code"]) == (404, "not_found")
    hold = f"/v1/holds/{made['holds'][0]['id']}"
    assert (alice.get(hold).get_json()["actor"], backend.get(hold).get_json()["actor"]) == (None, "backend:backend")
    assert backend.get(hold, user="mallory").status_code == 404
    transfer = backend.get(f"/v1/transfers/{made['grants'][0]['id']}").get_json()
    assert (transfer["kind"], transfer["actor"], transfer["lots"]) == (
        "grant",
        "backend:backend",
        [{"lot": 1, "amount": 10}],
    )
    money = backend.get("/v1/transfers", since="2026-01-02T00:00:00Z", kind="payment").get_json()["transfers"][0]
    assert money["user"] is None
    assert alice.get(f"/v1/transfers/{money['id']}").status_code == 404, "the house's money is no user's"
    for path in (f"/v1/holds/{uuid.UUID(int=1)}", f"/v1/transfers/{uuid.UUID(int=1)}", "/v1/refunds/4096"):
        assert alice.get(path).status_code == backend.get(path).status_code == 404


def test_a_user_sees_neither_the_fee_of_a_dispute_nor_the_providers_words(
    world: World, alice: ApiClient, backend: ApiClient
) -> None:
    _fill(world, alice, backend)
    number = backend.get("/v1/refunds").get_json()["refunds"][0]["number"]
    update = text("/* sweep: audit */ UPDATE refunds SET problem = 'fraud?', dispute_fee_minor = 5")
    world.core.whole.transact(lambda tx: tx.execute(update))
    for path in ("/v1/refunds", f"/v1/refunds/{number}"):
        told, kept = alice.get(path).get_json(), backend.get(path).get_json()
        told, kept = (told["refunds"][0], kept["refunds"][0]) if "refunds" in told else (told, kept)
        assert (told["problem"], told["dispute_fee_minor"]) == ("", None)
        assert (kept["problem"], kept["dispute_fee_minor"]) == ("fraud?", 5)


def test_a_backend_lists_orders_and_refunds_of_all_users(world: World, backend: ApiClient, http: FlaskClient) -> None:
    for user in ("alice", "bob", "carol"):
        _fill(world, ApiClient(http, token(user)), ApiClient(http, BACKEND_KEY))
    orders = _entries(backend, "/v1/orders", limit="2")
    assert len(orders) == 9
    assert [order["created_at"] for order in orders] == sorted((o["created_at"] for o in orders), reverse=True)
    assert {order["user"] for order in orders} == {"alice", "bob", "carol"}
    assert len(_entries(backend, "/v1/orders", status="paid", limit="4")) == 9
    assert _entries(backend, "/v1/orders", status="open") == []
    since = orders[4]["created_at"]
    assert _entries(backend, "/v1/orders", since=since) == orders[:5]
    assert _entries(backend, "/v1/orders", until=since, limit="1") == orders[5:]
    refunds = _entries(backend, "/v1/refunds", limit="2", status="done")
    assert len(refunds) == 9
    assert _entries(backend, "/v1/refunds", status="declined") == []
    assert _entries(backend, "/v1/refunds", since=refunds[0]["created_at"]) == refunds[:1]


def test_a_backend_lists_the_transfers_of_all_users_for_a_day_at_most(
    world: World, alice: ApiClient, backend: ApiClient
) -> None:
    _fill(world, alice, backend)
    day = "2026-01-02T00:00:00Z"
    grants = _entries(backend, "/v1/transfers", since=day, kind="grant", limit="2")
    assert [(t["kind"], t["user"], t["amount"]) for t in grants] == [("grant", "alice", 10)] * 3
    assert len(_entries(backend, "/v1/transfers", since=day, environment="sandbox", asset="CNY", limit="1")) == 6
    for field, query in {
        "since": {},
        "until": {"since": day, "until": "2026-01-03T00:00:01Z"},
        "account": {"since": day, "account": "debt"},
    }.items():
        answer = backend.get("/v1/transfers", **query)
        problem = answer.get_json()
        assert (answer.status_code, problem["code"], problem["field"]) == (409, "list_too_long", field)


WRONG = [
    ("/v1/orders", "status", "lost"),
    ("/v1/orders", "since", "yesterday"),
    ("/v1/orders", "since", "2026-01-01T00:00:00"),
    ("/v1/orders", "until", "9999-12-31T23:59:59Z"),
    ("/v1/orders", "limit", "0"),
    ("/v1/orders", "limit", "201"),
    ("/v1/orders", "format", "xml"),
    ("/v1/orders", "cursor", "a b"),
    ("/v1/orders", "before", "!"),
    ("/v1/orders", "sort", "up"),
    ("/v1/refunds", "status", "paid"),
    ("/v1/refunds", "order", "-1"),
    ("/v1/holds", "state", "done"),
    ("/v1/holds", "asset", "no asset"),
    ("/v1/holds", "environment", "prod"),
    ("/v1/wallet/lots", "show", "some"),
    ("/v1/wallet/lots", "kind", "free"),
    ("/v1/wallet/lots", "expires_before", "soon"),
    ("/v1/transfers", "kind", "grnat"),
    ("/v1/transfers", "order", "random"),
    ("/v1/transfers", "account", "revenue"),
    ("/v1/statement", "order", "random"),
]


@pytest.mark.parametrize(("path", "field", "value"), WRONG)
def test_a_filter_that_does_not_fit_is_named(path: str, field: str, value: str, alice: ApiClient) -> None:
    answer = alice.get(path, **{field: value})
    assert (answer.status_code, answer.get_json()["code"]) == (422, "invalid_request"), answer.text
    assert [fault["field"] for fault in answer.get_json()["errors"]] == [field]


@pytest.mark.parametrize("path", ["/v1/orders", "/v1/refunds", "/v1/holds", "/v1/transfers"])
def test_a_time_that_ends_before_it_begins_is_refused(path: str, alice: ApiClient) -> None:
    answer = alice.get(path, since="2026-01-02T00:00:00Z", until="2026-01-02T00:00:00Z")
    assert (answer.status_code, answer.get_json()["code"]) == (409, "empty_time_span")


def _cursor(*content: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(content, separators=(",", ":")).encode()).rstrip(b"=").decode()


FORGED = {
    "no base64": "x",
    "nothing": _cursor(),
    "a number": "1",
    "no list": base64.urlsafe_b64encode(b"{}").decode().rstrip("="),
    "no JSON": base64.urlsafe_b64encode(b"[[[[").decode().rstrip("="),
    "no UTF-8": base64.urlsafe_b64encode(b"\xff\xfe").decode().rstrip("="),
    "of another list": _cursor("nowhere", 1),
    "too long a place": _cursor("holds", 1, 2, 3),
    "too short a place": _cursor("holds", 1),
    "a negative number": _cursor("holds", -1, 2),
    "a text": _cursor("holds", "1", 2),
    "a fraction": _cursor("holds", 1.5, 2),
    "truth": _cursor("holds", True, 2),
    "after all time": _cursor("holds", 10**18, 2),
    "past the largest number": _cursor("holds", 1, 2**128),
}


@pytest.mark.parametrize("fault", sorted(FORGED))
def test_a_cursor_that_the_list_never_gave_is_refused(fault: str, alice: ApiClient) -> None:
    answer = alice.get("/v1/holds", cursor=FORGED[fault])
    assert (answer.status_code, answer.get_json()["field"]) == (404, "cursor"), answer.text
    assert alice.get("/v1/holds", cursor=_cursor("holds", 1, 2)).status_code == 200


@pytest.mark.parametrize("path", sorted(MEMBERS))
def test_a_cursor_is_good_for_its_list_only(path: str, world: World, alice: ApiClient, backend: ApiClient) -> None:
    _fill(world, alice, backend)
    for other in MEMBERS:
        cursor = alice.get(other, limit="1").get_json()["next"]
        assert alice.get(path, cursor=cursor).status_code == (200 if other == path else 404)
    everybodys = backend.get("/v1/orders", limit="1").get_json()["next"]
    assert alice.get("/v1/orders", cursor=everybodys).get_json()["field"] == "cursor"
    assert alice.get("/v1/orders", before=everybodys).get_json()["field"] == "before"


def test_the_older_name_of_the_cursor_of_orders_still_works(world: World, alice: ApiClient, backend: ApiClient) -> None:
    orders = _fill(world, alice, backend)["orders"]
    page = alice.get("/v1/orders", limit="1").get_json()
    for before in (page["next"], orders[-1]["number"]):
        assert [order["number"] for order in alice.get("/v1/orders", before=before).get_json()["orders"]] == [
            order["number"] for order in orders[1::-1]
        ]


def test_reading_needs_the_scope_read_and_refunds_that_or_their_own(world: World, engine: Engine) -> None:
    keys = {
        scope: ApiKey(sha256=hashlib.sha256(f"tbk_{scope}".encode()).hexdigest(), scopes=frozenset({scope}))
        for scope in ("read", "refund", "spend")
    }
    http = build_client(world, engine, api_keys=keys)
    allowed = {
        name: [path for path in MEMBERS if ApiClient(http, f"tbk_{name}").get(path, user="alice").status_code == 200]
        for name in keys
    }
    assert allowed == {"read": list(MEMBERS), "refund": ["/v1/refunds"], "spend": []}
    refused = ApiClient(http, "tbk_spend").get("/v1/refunds").get_json()
    assert (refused["code"], refused["scope"]) == ("forbidden", "refund")


def test_lists_of_what_lies_in_wallets_are_of_one_user(backend: ApiClient) -> None:
    for path in ("/v1/wallet/lots", "/v1/holds", "/v1/statement"):
        assert backend.get(path).get_json()["code"] == "user_missing"
