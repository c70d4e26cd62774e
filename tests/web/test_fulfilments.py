"""Fulfilments over HTTP: who may answer, what the answers say, and what is refused."""

from __future__ import annotations

import csv
import hashlib
import io

from sqlalchemy import Engine

from app.config import ApiKey
from app.domain.fulfilment import ANSWERED_WITHIN
from tests.support.backend_wallets import ExternalBuyer, sell_externally
from tests.support.buyer import Buyer
from tests.support.web_client import ApiClient, build_client, token
from tests.support.world import World


def test_the_backend_answers_and_everybody_sees_how_the_order_stands(world: World, backend: ApiClient) -> None:
    buyer = ExternalBuyer(sell_externally(world))
    path = f"/v1/orders/{buyer.order_id}"
    before = backend.get(path).get_json()
    assert (before["fulfilment"], before["fulfilment_status"]) == ("external", None)
    assert backend.get(f"{path}/fulfilment").status_code == 404
    unpaid = backend.post(f"{path}/fulfilment", {"revision": 1, "status": "delivered"})
    assert (unpaid.status_code, unpaid.get_json()["code"]) == (409, "fulfilment_not_asked")
    buyer.pay()
    shown = backend.get(f"{path}/fulfilment").get_json()
    assert shown == {name: value for name, value in buyer.told()[0].items() if name not in ("id", "type")}
    body = {"revision": 1, "status": "delivered", "reference": "grant-7", "reason": "ok"}
    answered = backend.post(f"{path}/fulfilment", body, key="k")
    assert answered.status_code == 200, answered.text
    assert backend.post(f"{path}/fulfilment", body, key="k").get_json() == answered.get_json()
    told = answered.get_json()
    assert (told["status"], told["asks"], told["reference"], told["actor"]) == (
        "delivered",
        None,
        "grant-7",
        "backend:backend",
    )
    reused = backend.post(f"{path}/fulfilment", {**body, "reference": "other"}, key="k")
    assert (reused.status_code, reused.get_json()["code"]) == (409, "idempotency_key_reused")
    contradicted = backend.post(f"{path}/fulfilment", {"revision": 1, "status": "refused"})
    assert (contradicted.status_code, contradicted.get_json()["code"]) == (409, "fulfilment_contradicted")
    assert backend.get(path).get_json()["fulfilment_status"] == "delivered"
    (line,) = csv.DictReader(io.StringIO(backend.get("/v1/orders", user=buyer.user, format="csv").text))
    assert (line["fulfilment"], line["fulfilment_status"]) == ("external", "delivered")
    events = [
        entry["what"] for entry in backend.get(f"{path}/timeline").get_json()["entries"] if entry["kind"] == "event"
    ]
    assert sorted(events) == ["fulfilment.delivered", "fulfilment.ordered", "order.paid"]


def test_what_waits_for_too_long_is_listed_by_the_api(world: World, backend: ApiClient) -> None:
    buyer = ExternalBuyer(sell_externally(world))
    buyer.pay()
    assert backend.get("/v1/fulfilments").get_json() == {"fulfilments": [], "next": None, "missing_databases": []}
    world.clock.advance(ANSWERED_WITHIN.total_seconds())
    (waiting,) = backend.get("/v1/fulfilments").get_json()["fulfilments"]
    assert (waiting["order"], waiting["asks"], waiting["status"]) == (str(buyer.order_id), "delivery", "waiting")
    assert backend.get("/v1/fulfilments", format="csv").text.splitlines()[1].startswith(str(buyer.order_id))


def test_an_order_of_our_own_wallets_is_none_of_the_backends(world: World, backend: ApiClient) -> None:
    buyer = Buyer(world)
    buyer.pay()
    path = f"/v1/orders/{buyer.order_id}"
    assert backend.get(path).get_json()["fulfilment"] == "wallet"
    assert backend.get(f"{path}/fulfilment").status_code == 404
    refused = backend.post(f"{path}/fulfilment", {"revision": 1, "status": "delivered"})
    assert (refused.status_code, refused.get_json()["code"]) == (409, "fulfilment_not_asked")
    assert backend.post("/v1/orders/x/fulfilment", {"revision": 1, "status": "delivered"}).status_code == 404
    assert backend.post(f"{path}/fulfilment", {"revision": 0, "status": "delivered"}).status_code == 422
    assert backend.post(f"{path}/fulfilment", {"revision": 1, "status": "waiting"}).status_code == 422


def test_only_a_key_with_the_scope_events_answers(world: World, engine: Engine) -> None:
    buyer = ExternalBuyer(sell_externally(world))
    buyer.pay()
    key = ApiKey(sha256=hashlib.sha256(b"tbk_reader").hexdigest(), scopes=frozenset({"read"}))
    http = build_client(world, engine, api_keys={"reader": key})
    for credentials in ("tbk_reader", token(buyer.user)):
        client, path = ApiClient(http, credentials), f"/v1/orders/{buyer.order_id}/fulfilment"
        assert client.post(path, {"revision": 1, "status": "delivered"}).status_code == 403
        assert (client.get(path).status_code, client.get("/v1/fulfilments").status_code) == (403, 403)
