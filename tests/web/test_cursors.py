"""A cursor that means nothing here is refused: whoever went on from it would miss entries in silence."""

from __future__ import annotations

import pytest

from app.services.events import feed
from tests.support.web_client import ApiClient, order_body
from tests.support.world import World

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
LISTS = {"statement": "lines", "wallet/lots": "lots", "transfers": "transfers"}


def test_a_cursor_of_one_wallet_is_none_of_another(backend: ApiClient) -> None:
    for user in ("alice", "bob"):
        for asset_of in ({"environment": "live"}, {"environment": "sandbox"}):
            for _ in range(3):
                body = {"user": user, "asset": "coin", "amount": 5, "reason": "r", **asset_of}
                assert backend.post("/v1/grants", body).status_code == 201
    for path, member in LISTS.items():
        first = backend.get(f"/v1/{path}", user="alice", limit="1").get_json()
        rest = backend.get(f"/v1/{path}", user="alice", cursor=first["next"]).get_json()
        assert (len(first[member]), len(rest[member])) == (1, 2)
        for other in ({"user": "bob"}, {"user": "alice", "environment": "sandbox"}):
            refused = backend.get(f"/v1/{path}", cursor=first["next"], **other)
            assert (refused.status_code, refused.get_json()["code"]) == (404, "not_a_cursor"), path


def test_a_cursor_is_a_place_from_which_the_list_may_be_filtered_otherwise(
    alice: ApiClient, backend: ApiClient, world: World
) -> None:
    numbers = []
    for _ in range(3):
        numbers.append(alice.post("/v1/orders", order_body()).get_json()["number"])
        world.clock.advance(1)
    first = backend.get("/v1/orders", limit="1").get_json()
    rest = backend.get("/v1/orders", cursor=first["next"], status="open").get_json()["orders"]
    assert [each["number"] for each in rest] == [numbers[1], numbers[0]]
    assert backend.get("/v1/orders", cursor=first["next"], status="paid").get_json()["orders"] == []


@pytest.mark.parametrize("ahead", [1, 10**9, 10**17])
def test_a_cursor_that_is_ahead_of_the_feed_is_refused(backend: ApiClient, world: World, ahead: int) -> None:
    """After a backup was restored the feed begins again behind it: its readers have to know."""
    for number in range(2):
        backend.post("/v1/grants", {"user": "alice", "asset": "coin", "amount": 5, "reason": "r"}, key=f"g{number}")
    feed.place_events(world.core)
    last = backend.get("/v1/events").get_json()
    assert len(last["events"]) == 2
    assert backend.get("/v1/events", after=last["next"]).get_json() == {**last, "events": []}
    wrong = feed.cursor_at(*(position + ahead for position in feed.positions_of(last["next"], 2)))
    endpoint = {"name": "game", "url": "https://93.184.216.34/events", "after": wrong}
    for refused in (
        backend.get("/v1/events", after=wrong),
        backend.get("/v1/events", after=wrong, wait="20"),
        backend.get("/v1/events", after=wrong, user="alice"),
        backend.post("/v1/endpoints", endpoint),
    ):
        assert (refused.status_code, refused.get_json()["code"]) == (404, "not_a_cursor")
        assert refused.get_json()["field"] == "after"
    assert backend.post("/v1/endpoints", {**endpoint, "after": last["next"]}).status_code == 201
