"""Whatever a backend reads names its user, in answers, in lists and in events: it need not ask what it is about."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain.event_types import EventType
from app.services.events import catalogue, feed
from tests.support.web_client import ApiClient, order_body
from tests.support.world import World

COINS = {"user": "alice", "asset": "coin", "environment": "sandbox"}


on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@on_sqlite
def test_every_thing_that_a_backend_reads_names_its_user(alice: ApiClient, backend: ApiClient, world: World) -> None:
    order = alice.post("/v1/orders", order_body()).get_json()
    world.pay(int(order["payments"][0]["number"]))
    world.deliver()
    refund = backend.post("/v1/refunds", {"order": order["number"], "amount_minor": 100, "reason": "r"}, key="r")
    hold = backend.post("/v1/holds", {**COINS, "amount": 2, "seconds": 60}).get_json()
    reads: dict[str, dict[str, Any]] = {
        "order": backend.get(f"/v1/orders/{order['number']}").get_json(),
        "orders": backend.get("/v1/orders").get_json()["orders"][0],
        "refund": refund.get_json(),
        "refund again": backend.post(
            "/v1/refunds", {"order": order["number"], "amount_minor": 100, "reason": "r"}, key="r"
        ).get_json(),
        "refund read": backend.get(f"/v1/refunds/{refund.get_json()['number']}").get_json(),
        "refunds": backend.get("/v1/refunds").get_json()["refunds"][0],
        "refunds of the order": backend.get("/v1/refunds", order=order["number"]).get_json()["refunds"][0],
        "hold": hold,
        "hold read": backend.get(f"/v1/holds/{hold['id']}").get_json(),
        "hold released": backend.post(f"/v1/holds/{hold['id']}/release", {}).get_json(),
        "holds": backend.get("/v1/holds", user="alice").get_json()["holds"][0],
        "wallet": backend.get("/v1/wallet", user="alice").get_json(),
        "balance": backend.get("/v1/balance", user="alice", at="2026-01-01T00:00:00Z").get_json(),
        "freeze": backend.post("/v1/wallets/freeze", {"user": "alice", "reason": "r"}).get_json(),
        "transfers": backend.get("/v1/transfers", user="alice", environment="sandbox").get_json()["transfers"][0],
    }
    assert {name: read.get("user") for name, read in reads.items()} == dict.fromkeys(reads, "alice")
    assert (hold["asset"], hold["environment"]) == ("coin", "sandbox")
    mine = alice.get(f"/v1/refunds/{refund.get_json()['number']}").get_json()
    assert (mine["user"], mine["actor"]) == ("alice", None)


@on_sqlite
def test_events_of_refunds_name_the_user_as_the_api_does(alice: ApiClient, backend: ApiClient, world: World) -> None:
    order = alice.post("/v1/orders", order_body()).get_json()
    world.pay(int(order["payments"][0]["number"]))
    world.deliver()
    backend.post("/v1/refunds", {"order": order["number"], "reason": "r"})
    feed.place_events(world.core)
    refunds = [row for row in feed.read_feed(world.core, None, limit=200).events if row.type.startswith("refund.")]
    assert {row.type for row in refunds} >= {EventType.REFUND_REQUESTED, EventType.REFUND_DONE}
    assert {row.body["data"]["refund"]["user"] for row in refunds} == {"alice"}


@pytest.mark.parametrize("kind", EventType)
def test_what_an_event_shows_names_its_user(kind: EventType) -> None:
    """But for lines and periods, which stand beside their wallet or agreement, and for money of nobody known."""
    for name, shown in catalogue.example(kind)["data"].items():
        if isinstance(shown, dict) and name not in {"line", "period", "fact", "payment"}:
            assert shown.get("user") or {shown.get("giver"), shown.get("receiver")} - {None}, name
