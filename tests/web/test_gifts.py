"""Gifts over HTTP: who may give, what the answers say, and who sees them."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Engine

from app.domain.gifts import GiftRules
from tests.support.friends import LIMITS
from tests.support.web_client import BACKEND_KEY, ApiClient, build_client, token
from tests.support.world import World


def _clients(world: World, engine: Engine, **rules: Any) -> tuple[ApiClient, ApiClient, ApiClient]:
    """The backend, ann and bob, where gifts are allowed; ann has 100 coins."""
    allowed = world.with_rules(replace(world.core.rules, gifts=GiftRules(**{"enabled": True, **rules})))
    http = build_client(allowed, engine)
    backend, ann, bob = ApiClient(http, BACKEND_KEY), ApiClient(http, token("ann")), ApiClient(http, token("bob"))
    body = {"user": "ann", "asset": "coin", "amount": 100, "reason": "a prize"}
    assert backend.post("/v1/grants", body).status_code == 201
    return backend, ann, bob


def _gift(**changes: Any) -> dict[str, Any]:
    return {"user": "ann", "receiver": "bob", "asset": "coin", "amount": 30, **changes}


def test_the_backend_gives_and_both_sides_see_it(world: World, engine: Engine) -> None:
    backend, ann, bob = _clients(world, engine)
    made = backend.post("/v1/gifts", _gift(message="for you", reference="app-1"), key="k")
    assert made.status_code == 201
    gift = made.get_json()
    assert (gift["giver"], gift["receiver"], gift["amount"], gift["status"]) == ("ann", "bob", 30, "received")
    assert (gift["message"], gift["reference"], gift["reason"]) == ("for you", "app-1", "")
    assert backend.post("/v1/gifts", _gift(message="for you", reference="app-1"), key="k").get_json() == gift
    for client in (backend, ann, bob):
        assert client.get(f"/v1/gifts/{gift['number']}").get_json() == gift
    for user in ("ann", "bob"):
        assert backend.get("/v1/gifts", user=user).get_json() == {"gifts": [gift], "next": None}
    assert bob.get("/v1/gifts").get_json()["gifts"] == [gift]
    line = bob.get("/v1/statement", asset="coin").get_json()["lines"][0]
    assert (line["kind"], line["amount"], line["reference"], line["note"]) == (
        "gift_received",
        30,
        gift["number"],
        "for you",
    )


def test_another_request_with_the_key_is_a_conflict_that_names_the_field(world: World, engine: Engine) -> None:
    backend, _, _ = _clients(world, engine)
    backend.post("/v1/gifts", _gift(), key="k")
    again = backend.post("/v1/gifts", _gift(receiver="cem"), key="k")
    assert (again.status_code, again.get_json()["code"]) == (409, "idempotency_key_reused")
    assert again.get_json()["field"] == "receiver"


def test_a_stranger_does_not_see_a_gift(world: World, engine: Engine) -> None:
    backend, _, _ = _clients(world, engine)
    number = backend.post("/v1/gifts", _gift()).get_json()["number"]
    stranger = ApiClient(backend.client, token("eve"))
    assert stranger.get(f"/v1/gifts/{number}").status_code == 404
    assert backend.get("/v1/gifts/1").status_code == 404
    assert backend.get("/v1/gifts/x").status_code == 404


def test_users_give_themselves_only_where_the_settings_allow_it(world: World, engine: Engine) -> None:
    _, ann, _ = _clients(world, engine)
    body = {"receiver": "bob", "asset": "coin", "amount": 1}
    refused = ann.post("/v1/gifts", body)
    assert (refused.status_code, refused.get_json()["code"]) == (403, "gifts_not_allowed")


def test_a_user_with_the_longest_id_gives(world: World, engine: Engine) -> None:
    backend, _, _ = _clients(world, engine, by_users=True)
    name = "u" * 128
    backend.post("/v1/grants", {"user": name, "asset": "coin", "amount": 5, "reason": "a prize"})
    made = ApiClient(backend.client, token(name)).post("/v1/gifts", {"receiver": "bob", "asset": "coin", "amount": 5})
    assert (made.status_code, made.get_json()["status"]) == (201, "received")


def test_a_user_gives_from_the_own_wallet_alone(world: World, engine: Engine) -> None:
    _, ann, bob = _clients(world, engine, by_users=True)
    body = {"receiver": "bob", "asset": "coin", "amount": 1}
    assert ann.post("/v1/gifts", body).get_json()["status"] == "received"
    taken = bob.post("/v1/gifts", _gift(receiver="bob"))
    assert (taken.status_code, taken.get_json()["code"]) == (403, "forbidden")


def test_a_backends_key_needs_the_scope_spend(world: World, engine: Engine) -> None:
    from app.config import ApiKey

    key = ApiKey(sha256=hashlib.sha256(b"tbk_reader").hexdigest(), scopes=frozenset({"read"}))
    reader = ApiClient(build_client(world, engine, api_keys={"reader": key}), "tbk_reader")
    assert reader.post("/v1/gifts", _gift()).status_code == 403


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"amount": 31}, 409, "gift_limit"),
        ({"amount": 0}, 422, "invalid_request"),
        ({"receiver": "ann"}, 409, "gift_to_self"),
        ({"asset": "gem", "amount": 1}, 409, "insufficient_funds"),
        ({"message": "x" * 256}, 422, "invalid_request"),
    ],
)
def test_refusals_have_stable_codes(
    changes: dict[str, Any], status: int, code: str, world: World, engine: Engine
) -> None:
    backend, _, _ = _clients(world, engine, limits={"coin": replace(LIMITS["coin"], gift=30)})
    for _ in range(2):
        answer = backend.post("/v1/gifts", _gift(**changes), key="k")
        assert (answer.status_code, answer.get_json()["code"]) == (status, code)


def test_gifts_that_are_switched_off_are_refused(world: World, engine: Engine) -> None:
    backend, _, _ = _clients(world, engine, enabled=False)
    answer = backend.post("/v1/gifts", _gift())
    assert (answer.status_code, answer.get_json()["code"]) == (403, "gifts_not_allowed")


def test_a_gift_that_comes_back_says_why(world: World, engine: Engine) -> None:
    backend, _, _ = _clients(world, engine)
    backend.post("/v1/grants", {"user": "bob", "asset": "coin", "amount": 1, "reason": "a prize"})
    backend.post("/v1/wallets/freeze", {"user": "bob", "reason": "a look at it"})
    gift = backend.post("/v1/gifts", _gift()).get_json()
    assert (gift["status"], gift["reason"]) == ("returned", "receiver_frozen")
    assert backend.get("/v1/gifts", user="bob").get_json()["gifts"] == []
    assert backend.get("/v1/wallet", user="ann").get_json()["balances"][0]["balance"] == 100


def test_the_list_pages_by_cursor(world: World, engine: Engine) -> None:
    backend, ann, _ = _clients(world, engine)
    numbers = []
    for amount in (1, 2, 3):
        world.clock.advance(1)
        numbers.append(backend.post("/v1/gifts", _gift(amount=amount)).get_json()["number"])
    page = ann.get("/v1/gifts", limit="2").get_json()
    assert [gift["number"] for gift in page["gifts"]] == numbers[:0:-1]
    rest = ann.get("/v1/gifts", limit="2", cursor=page["next"]).get_json()
    assert ([gift["number"] for gift in rest["gifts"]], rest["next"]) == ([numbers[0]], None)


def test_a_search_finds_a_gift_by_its_number(world: World, engine: Engine) -> None:
    backend, _, _ = _clients(world, engine)
    number = backend.post("/v1/gifts", _gift()).get_json()["number"]
    (found,) = backend.get("/v1/search", number=number).get_json()["found"]
    assert (found["kind"], found["user"], found["status"]) == ("gift", "ann", "received")
    assert backend.get(found["link"]).status_code == 200


def test_the_list_is_a_file_as_well(world: World, engine: Engine) -> None:
    backend, ann, _ = _clients(world, engine)
    number = backend.post("/v1/gifts", _gift(message="for you")).get_json()["number"]
    first, line = ann.get("/v1/gifts", format="csv").get_data(as_text=True).splitlines()
    assert first.startswith("number,giver,receiver,asset,")
    assert line.startswith(f"{number},ann,bob,coin,live,30,for you,")


def test_coins_given_away_are_not_refunded_where_the_settings_say_so(world: World, engine: Engine) -> None:
    from tests.support.friends import buyer_in, friends_in

    friends = friends_in(world, refundable=False)
    buyer = buyer_in(friends, "ann")
    friends.give("ann", "bob", 1)
    backend = ApiClient(build_client(friends.world, engine), BACKEND_KEY)
    answer = backend.post("/v1/refunds", {"order": str(buyer.order_id), "reason": "asked"})
    assert (answer.status_code, answer.get_json()["code"]) == (409, "coins_given_away")
