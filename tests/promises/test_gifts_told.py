"""Promise 9 for gifts: both users' events, with the gift as the API shows it, each once."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import Engine

from app.domain.event_types import ALL_TYPES
from app.domain.gifts import GiftRules
from app.domain.numbers import slot_of_user
from app.providers.facts import Kind
from app.services.gifts import journey
from app.services.ledger import freezes
from tests.promises.test_told import Told
from tests.support.friends import Friends, buyer_in
from tests.support.web_client import BACKEND_KEY, ApiClient, build_client
from tests.support.world import World


@pytest.fixture
def friends(world: World) -> Friends:
    ledger = replace(world.core.rules.ledger, events=ALL_TYPES)
    return Friends(world.with_rules(replace(world.core.rules, gifts=GiftRules(enabled=True), ledger=ledger)))


@pytest.fixture
def api(friends: Friends, engine: Engine) -> ApiClient:
    return ApiClient(build_client(friends.world, engine), BACKEND_KEY)


@pytest.fixture
def told(friends: Friends, api: ApiClient) -> Told:
    return Told(friends.world, api)


def _gift_events(told: Told) -> list[tuple[str, str, str]]:
    """Type, user, and status of the gift."""
    return [
        (event["type"], event["user"], event["data"]["gift"]["status"])
        for event in told.news()
        if event["type"].startswith("gift.")
    ]


def test_a_gift_is_told_to_the_giver_and_to_the_receiver_as_the_api_shows_it(
    friends: Friends, told: Told, api: ApiClient
) -> None:
    friends.credit("ann", 10)
    told.news()
    gift = friends.give("ann", "bob", 4, message="for you")
    events = told.news()
    of_ann, of_bob = ([event for event in events if event["user"] == user] for user in ("ann", "bob"))
    assert [event["type"] for event in of_ann] == ["coins.spent", "gift.sent"]
    assert [event["type"] for event in of_bob] == ["coins.credited", "gift.received"]
    assert len(events) == 4
    shown = api.get(f"/v1/gifts/{gift.id}").get_json()
    assert of_bob[1]["data"]["gift"] == shown
    assert of_ann[1]["data"]["gift"] == {**shown, "status": "sent", "ended_at": None}
    assert (of_ann[1]["cause"]["by"], of_ann[1]["cause"]["name"]) == ("caller", "backend:test")


def test_a_gift_that_comes_back_is_told_once_however_often_it_is_carried_on(
    friends: Friends, told: Told, api: ApiClient
) -> None:
    friends.credit("ann", 10)
    friends.credit("bob", 1)
    change = freezes.Change("bob", "sandbox", "coin", True, "a look at it", "operator:ann")
    friends.world.core.whole.transact(lambda tx: freezes.apply(tx, slot_of_user("bob"), change))
    told.news()
    number = friends.send_only("ann", "bob", 4)
    for _ in range(3):
        journey.advance(friends.world.core, number)
    events = told.news()
    assert [event["type"] for event in events] == ["coins.spent", "gift.sent", "coins.returned", "gift.returned"]
    assert {event["user"] for event in events} == {"ann"}
    assert events[3]["data"]["gift"] == api.get(f"/v1/gifts/{number}").get_json()


def test_a_gift_under_way_is_told_as_sent_and_later_as_received(friends: Friends, told: Told) -> None:
    friends.credit("ann", 10)
    told.news()
    friends.send_only("ann", "bob", 4)
    assert _gift_events(told) == [("gift.sent", "ann", "sent")]
    friends.work()
    assert _gift_events(told) == [("gift.received", "bob", "received")]


def test_coins_that_a_refund_takes_from_a_receiver_are_told_to_the_receiver(friends: Friends, told: Told) -> None:
    ann = buyer_in(friends, "ann")
    friends.give("ann", "bob", 66)
    told.news()
    ann.tell(ann.fact(Kind.REFUNDED, 1, refund="r1", money=600))
    friends.work()
    taken = [event for event in told.news() if event["type"] == "coins.clawed_back"]
    assert {event["user"] for event in taken} == {"bob"}
    assert sum(event["data"]["line"]["amount"] for event in taken) == -66
