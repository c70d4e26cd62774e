"""A mistyped asset makes no new coin, and a mistyped user no new wallet (ADR 0038)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine, text

from app.composition import rules_of
from app.domain.gifts import GiftRules
from app.services.accounts.catalog import import_products, parse_catalogue
from tests.support.web_client import BACKEND_KEY, ApiClient, build_client, test_settings
from tests.support.world import CATALOGUE, World

GEM = """
[[products]]
sku = "gems"
title = "gems"
prices = { CNY = "1.00" }
[[products.grants]]
asset = "gem"
amount = 1
"""


@pytest.fixture
def mei(http: FlaskClient) -> ApiClient:
    client = ApiClient(http, BACKEND_KEY)
    client.headers["Tillbook-Actor"] = "mei"
    return client


def _grant(**changes: Any) -> dict[str, Any]:
    return {"user": "alice", "asset": "coin", "amount": 5, "environment": "sandbox", "reason": "r", **changes}


def _batch(*items: dict[str, Any], together: bool = False) -> dict[str, Any]:
    numbered = [{"type": "grant", "key": f"{at}", **item} for at, item in enumerate(items)]
    return {"all_or_nothing": together, "items": numbered}


def _accounts(world: World) -> int:
    count = text("/* sweep: audit */ SELECT COUNT(*) FROM accounts")
    return int(world.core.whole.read(lambda tx: tx.execute(count).scalar_one()))


def _refusal(answer: Any) -> tuple[int, str, str | None, str | None]:
    told = answer.get_json()
    return answer.status_code, told["code"], told.get("asset"), told.get("user")


# --- assets ---


def test_an_asset_that_nothing_grants_is_refused_and_leaves_no_trace(backend: ApiClient, world: World) -> None:
    wrong = (409, "unknown_asset", "cion", None)
    assert _refusal(backend.post("/v1/grants", _grant(asset="cion"))) == wrong
    assert _refusal(backend.post("/v1/debits", _grant(asset="cion"))) == wrong
    for together in (True, False):
        assert (
            _refusal(backend.post("/v1/transfers/batch", _batch(_grant(), _grant(asset="cion"), together=together)))
            == wrong
        )
    assert _refusal(backend.post("/v1/grants", _grant(asset="Coin")))[1] == "unknown_asset", "letters count"
    assert _accounts(world) == 0


def test_an_asset_of_a_product_imported_a_moment_ago_is_one_at_once(backend: ApiClient, world: World) -> None:
    assert backend.post("/v1/grants", _grant()).status_code == 201
    assert backend.post("/v1/grants", _grant(asset="gem"), key="g").status_code == 409
    import_products(world.core, parse_catalogue(CATALOGUE + GEM))
    assert backend.post("/v1/grants", _grant(asset="gem"), key="g").status_code == 201, "the refusal is not kept"


def test_an_asset_of_a_product_that_is_no_longer_for_sale_is_still_one(world: World, engine: Engine) -> None:
    for catalogue in map(parse_catalogue, (CATALOGUE + GEM, CATALOGUE)):
        import_products(world.core, catalogue)
    backend = ApiClient(build_client(world, engine), BACKEND_KEY)
    assert backend.post("/v1/grants", _grant(asset="gem")).status_code == 201


def test_the_settings_may_name_assets_that_no_product_grants(world: World, engine: Engine) -> None:
    settings = test_settings(assets=["ticket"])
    there = world.with_rules(rules_of(settings))
    backend = ApiClient(build_client(there, engine), BACKEND_KEY)
    assert backend.post("/v1/grants", _grant(asset="ticket")).status_code == 201
    assert backend.post("/v1/grants", _grant(asset="tickets")).status_code == 409


# --- users ---


def test_a_person_who_mistypes_a_user_is_told_so_and_may_insist_with_the_same_key(mei: ApiClient, world: World) -> None:
    wrong = (409, "unknown_user", None, "alcie")
    assert _refusal(mei.post("/v1/grants", _grant(user="alcie"), key="k")) == wrong
    assert _refusal(mei.post("/v1/debits", _grant(user="alcie"))) == wrong
    for together in (True, False):
        assert _refusal(mei.post("/v1/transfers/batch", _batch(_grant(user="alcie"), together=together))) == wrong
    assert _accounts(world) == 0
    assert mei.post("/v1/grants", _grant(user="alcie", new_user=True), key="k").status_code == 201
    again = mei.post("/v1/grants", _grant(user="alcie"), key="k")
    assert (again.status_code, again.get_json()["repeated"]) == (201, True), "known by now; one thing was asked for"
    assert (
        mei.post("/v1/transfers/batch", _batch(_grant(user="new", new_user=True), _grant(user="alcie"))).status_code
        == 200
    )


def test_a_program_may_give_the_first_coins_unless_it_says_that_the_user_is_known(backend: ApiClient) -> None:
    assert _refusal(backend.post("/v1/grants", _grant(new_user=False))) == (409, "unknown_user", None, "alice")
    assert backend.post("/v1/grants", _grant()).status_code == 201
    assert backend.post("/v1/grants", _grant(new_user=False)).status_code == 201


@pytest.mark.parametrize("known_by", ["an order", "a wallet", "a consent"])
def test_whoever_has_ordered_or_owns_something_is_known(
    mei: ApiClient, backend: ApiClient, world: World, known_by: str
) -> None:
    if known_by == "an order":
        world.order("alice")
    elif known_by == "a wallet":
        backend.post("/v1/grants", _grant(environment="live"))
    else:
        consent = {"user": "alice", "consented": True}
        backend.client.put("/v1/consent", headers=backend.headers, json=consent)
    assert mei.post("/v1/grants", _grant()).status_code == 201


def test_a_gift_that_a_person_types_in_needs_a_receiver_whom_somebody_has_seen(world: World, engine: Engine) -> None:
    allowed = world.with_rules(replace(world.core.rules, gifts=GiftRules(enabled=True)))
    backend, mei = (ApiClient(build_client(allowed, engine), BACKEND_KEY) for _ in range(2))
    mei.headers["Tillbook-Actor"] = "mei"
    backend.post("/v1/grants", _grant(amount=50))
    gift = {"user": "alice", "receiver": "bbo", "asset": "coin", "amount": 10, "environment": "sandbox"}
    assert _refusal(mei.post("/v1/gifts", gift, key="k")) == (409, "unknown_user", None, "bbo")
    assert (_accounts(world), world.coins()) == (2, 50), "alice's wallet, and what was issued"
    assert mei.post("/v1/gifts", {**gift, "new_user": True}, key="k").status_code == 201
    assert mei.post("/v1/gifts", gift, key="k").status_code == 201
    assert backend.post("/v1/gifts", {**gift, "receiver": "cem"}).status_code == 201, "a program's own users"
    lines = backend.get("/v1/statement", user="alice", environment="sandbox").get_json()["lines"]
    assert [line["actor"] for line in lines] == ["backend:backend", "backend:backend/mei", "backend:backend"]
    assert world.coins() == 30


def test_permission_for_a_new_user_is_no_part_of_what_a_batch_key_stands_for(mei: ApiClient, world: World) -> None:
    body = _batch(_grant(new_user=True))
    assert mei.post("/v1/transfers/batch", body, key="b").status_code == 200
    again = mei.post("/v1/transfers/batch", _batch(_grant()), key="b")
    assert (again.status_code, world.coins()) == (200, 5)
