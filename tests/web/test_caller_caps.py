"""Caps of callers on grants, debits and refunds: in one call and in one day, from the settings and the database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Engine
from werkzeug.test import TestResponse

from app.caller_settings import CallerSettings
from app.domain.caps import Cap
from app.services.accounts import api_keys
from app.services.base.context import Rules
from tests.support.web_client import BACKEND_KEY, ApiClient, build_client, order_body, token
from tests.support.world import World

COINS = {"user": "alice", "asset": "coin", "environment": "sandbox"}


def _backend(world: World, engine: Engine, **caps: Mapping[str, Mapping[str, int]]) -> ApiClient:
    callers = {"backend": CallerSettings.model_validate(caps)} if caps else {}
    return ApiClient(build_client(world, engine, callers=callers), BACKEND_KEY)


def _cap_in_database(world: World, verb: str, unit: str, cap: Cap) -> None:
    world.core.whole.transact(lambda tx: api_keys.add_caller(tx, "backend", "operator:mei"))
    world.core.whole.transact(lambda tx: api_keys.set_cap(tx, "backend", verb, unit, cap, "operator:mei"))


def _grant(backend: ApiClient, amount: int, *, key: str | None = None, **more: Any) -> TestResponse:
    return backend.post("/v1/grants", {**COINS, "amount": amount, "reason": "r", **more}, key=key)


def _debit(backend: ApiClient, amount: int, *, key: str | None = None) -> TestResponse:
    return backend.post("/v1/debits", {**COINS, "amount": amount, "reason": "r"}, key=key)


def _refusal(answer: TestResponse) -> tuple[int, str]:
    return answer.status_code, answer.get_json()["code"]


def test_a_grant_above_the_cap_of_one_call_is_refused_and_moves_nothing(world: World, engine: Engine) -> None:
    backend = _backend(world, engine, grants={"coin": {"per_call": 100}})
    assert _grant(backend, 100).status_code == 201
    refused = _grant(backend, 101)
    told = refused.get_json()
    assert _refusal(refused) == (403, "over_call_cap")
    assert (told["about"], told["unit"], told["amount"], told["cap"]) == ("grants", "coin", 101, 100)
    assert world.coins() == 100
    world.assert_balanced()


def test_the_cap_of_a_day_is_full_to_the_last_coin_and_new_the_next_day(world: World, engine: Engine) -> None:
    backend = _backend(world, engine, grants={"coin": {"per_day": 100}})
    assert [_grant(backend, amount).status_code for amount in (60, 41, 40)] == [201, 429, 201]
    refused = _grant(backend, 1, key="again")
    told = refused.get_json()
    assert _refusal(refused) == (429, "over_day_cap")
    assert (told["cap"], told["used"], told["amount"]) == (100, 100, 1)
    assert int(refused.headers["Retry-After"]) == told["retry_after"]
    world.clock.advance(told["retry_after"] - 1)
    assert _grant(backend, 1, key="again").status_code == 429
    world.clock.advance(1)
    assert _grant(backend, 1, key="again").status_code == 201, "no answer to the key: the next day it is a yes"
    assert world.coins() == 101


def test_a_repeat_is_counted_once_and_answered_even_when_the_cap_is_full_or_lower_by_now(
    world: World, engine: Engine
) -> None:
    backend = _backend(world, engine, grants={"coin": {"per_day": 100, "per_call": 100}})
    first = _grant(backend, 100, key="g").get_json()
    lower = _backend(world, engine, grants={"coin": {"per_day": 1, "per_call": 1}})
    for again in (_grant(backend, 100, key="g"), _grant(lower, 100, key="g")):
        assert (again.status_code, again.get_json()["id"], again.get_json()["repeated"]) == (201, first["id"], True)
    assert _refusal(_grant(backend, 1)) == (429, "over_day_cap")


def test_debits_have_caps_of_their_own_and_a_refused_debit_counts_nothing(world: World, engine: Engine) -> None:
    backend = _backend(world, engine, debits={"coin": {"per_call": 50, "per_day": 60}})
    assert _refusal(_debit(backend, 50)) == (409, "insufficient_funds")
    assert _grant(backend, 1000).status_code == 201, "grants have no cap"
    assert _refusal(_debit(backend, 51)) == (403, "over_call_cap")
    assert [_debit(backend, amount).status_code for amount in (50, 11, 10)] == [201, 429, 201]
    assert world.coins() == 940
    world.assert_balanced()


def test_spends_are_the_users_and_have_no_cap_of_the_caller(world: World, engine: Engine) -> None:
    backend = _backend(world, engine, debits={"*": {"per_call": 1}})
    _grant(backend, 10)
    assert backend.post("/v1/spends", {**COINS, "amount": 10}).status_code == 201


def _reverse(backend: ApiClient, transfer: str, amount: int | None = None, *, key: str | None = None) -> TestResponse:
    return backend.post(f"/v1/transfers/{transfer}/reverse", {"amount": amount, "reason": "r"}, key=key)


def test_a_reversal_that_gives_coins_counts_as_a_grant(world: World, engine: Engine) -> None:
    """Of a spend, of what a hold captured and of a debit, whole or in part; a repeat and a refusal count nothing."""
    free = _backend(world, engine)
    _grant(free, 1000)
    spends = [free.post("/v1/spends", {**COINS, "amount": 60}).get_json()["id"] for _ in range(3)]
    hold = free.post("/v1/holds", {**COINS, "amount": 60, "seconds": 60}).get_json()["id"]
    captured = free.post(f"/v1/holds/{hold}/capture", {"amount": 60}).get_json()["id"]
    debited = _debit(free, 60).get_json()["id"]
    before = world.coins()
    backend = _backend(world, engine, grants={"coin": {"per_call": 50, "per_day": 100}})
    assert _refusal(_reverse(backend, spends[0], key="whole")) == (403, "over_call_cap")
    assert _reverse(backend, spends[0], 40, key="part").status_code == 201
    assert _reverse(backend, spends[0], 40, key="part").get_json()["repeated"] is True
    assert _reverse(backend, captured, 40).status_code == 201
    assert _refusal(_reverse(backend, debited, 21, key="d")) == (429, "over_day_cap")
    assert _refusal(_grant(backend, 21)) == (429, "over_day_cap"), "grants and reversals are counted together"
    assert _reverse(backend, debited, 20).status_code == 201
    assert _refusal(_reverse(backend, spends[1], 1)) == (429, "over_day_cap")
    assert world.coins() == before + 100
    assert _reverse(free, spends[1]).status_code == 201
    world.assert_balanced()


def test_a_reversal_that_takes_coins_counts_as_a_debit(world: World, engine: Engine) -> None:
    """Of a grant, and of a reversal that gave coins."""
    free = _backend(world, engine)
    granted = [_grant(free, 60).get_json()["id"] for _ in range(2)]
    spent = free.post("/v1/spends", {**COINS, "amount": 60}).get_json()["id"]
    undone = _reverse(free, spent).get_json()["id"]
    backend = _backend(world, engine, grants={"*": {"per_day": 0}}, debits={"*": {"per_call": 60, "per_day": 100}})
    assert _reverse(backend, granted[0]).status_code == 201
    assert _refusal(_reverse(backend, undone)) == (429, "over_day_cap")
    assert _reverse(backend, undone, 40).status_code == 201
    assert _refusal(_debit(backend, 1)) == (429, "over_day_cap")
    assert world.coins() == 20
    world.assert_balanced()


def test_a_batch_is_one_call_and_its_grants_count_together(world: World, engine: Engine) -> None:
    backend = _backend(world, engine, grants={"coin": {"per_call": 100, "per_day": 150}})

    def batch(*amounts: int, together: bool = False) -> TestResponse:
        items = [
            {**COINS, "user": f"u{at}", "amount": amount, "type": "grant", "key": f"{amounts}-{at}", "reason": "r"}
            for at, amount in enumerate(amounts)
        ]
        return backend.post("/v1/transfers/batch", {"all_or_nothing": together, "items": items})

    assert _refusal(batch(60, 41)) == (403, "over_call_cap")
    assert (world.coins("u0"), world.coins("u1")) == (0, 0)
    assert batch(60, 40).get_json()["applied"] is True
    for together in (True, False):
        assert _refusal(batch(30, 21, together=together)) == (429, "over_day_cap")
    assert batch(30, 20).status_code == 200
    assert (world.coins("u0"), world.coins("u1")) == (90, 60)
    world.assert_balanced()


def test_environments_and_assets_are_counted_apart_and_the_star_is_for_each(world: World, engine: Engine) -> None:
    backend = ApiClient(
        build_client(
            world.with_rules(_with_assets(world, "gem")),
            engine,
            callers={"backend": CallerSettings.model_validate({"grants": {"*": {"per_day": 10}}})},
        ),
        BACKEND_KEY,
    )
    for more in ({}, {"environment": "live"}, {"asset": "gem"}, {"asset": "gem", "environment": "live"}):
        assert _grant(backend, 10, **more).status_code == 201
        assert _refusal(_grant(backend, 1, **more)) == (429, "over_day_cap")


def _with_assets(world: World, *assets: str) -> Rules:
    return replace(world.core.rules, assets=frozenset(assets))


@pytest.mark.parametrize(("settings", "database", "most"), [(100, 60, 60), (60, 100, 60), (None, 60, 60)])
def test_of_settings_and_database_the_stricter_counts(
    world: World, engine: Engine, settings: int | None, database: int, most: int
) -> None:
    _cap_in_database(world, "grants", "*", Cap(per_call=database))
    backend = _backend(world, engine, **({"grants": {"coin": {"per_call": settings}}} if settings else {}))
    assert _refusal(_grant(backend, most + 1)) == (403, "over_call_cap")
    assert _grant(backend, most).status_code == 201


def test_a_cap_that_is_taken_away_holds_nobody(world: World, engine: Engine) -> None:
    _cap_in_database(world, "grants", "coin", Cap(per_call=1))
    assert _grant(_backend(world, engine), 2).status_code == 403
    _cap_in_database(world, "grants", "coin", Cap())
    assert _grant(_backend(world, engine), 2).status_code == 201


def test_a_cap_of_zero_forbids(world: World, engine: Engine) -> None:
    assert _refusal(_grant(_backend(world, engine, grants={"*": {"per_call": 0}}), 1)) == (403, "over_call_cap")
    assert _refusal(_grant(_backend(world, engine, grants={"*": {"per_day": 0}}), 1)) == (429, "over_day_cap")


def test_another_caller_has_another_day(world: World, engine: Engine) -> None:
    full = _backend(world, engine, grants={"coin": {"per_day": 5}})
    assert _grant(full, 5).status_code == 201
    assert _grant(full, 1).status_code == 429
    callers = {"someone": CallerSettings.model_validate({"grants": {"coin": {"per_day": 5}}})}
    other = ApiClient(build_client(world, engine, callers=callers), BACKEND_KEY)
    assert _grant(other, 6).status_code == 201, "the cap is someone's, and this is not someone"


# --- refunds ---


def _paid(world: World, engine: Engine, key: str) -> str:
    alice = ApiClient(build_client(world, engine), token("alice"))
    order: dict[str, Any] = alice.post("/v1/orders", order_body(), key=key).get_json()
    world.pay(int(order["payments"][0]["number"]))
    world.deliver()
    return str(order["number"])


def test_refunds_are_capped_by_currency_also_where_all_that_is_left_is_asked_for(world: World, engine: Engine) -> None:
    orders = [_paid(world, engine, f"o{number}") for number in range(3)]
    backend = _backend(world, engine, refunds={"CNY": {"per_call": 600, "per_day": 800}})

    def refund(order: str, amount: int | None = None, key: str | None = None) -> TestResponse:
        return backend.post("/v1/refunds", {"order": order, "amount_minor": amount, "reason": "r"}, key=key)

    first = refund(orders[0], key="r")
    assert (first.status_code, first.get_json()["amount_minor"]) == (201, 600)
    assert refund(orders[0], key="r").get_json()["number"] == first.get_json()["number"]
    assert _refusal(refund(orders[1])) == (429, "over_day_cap")
    assert refund(orders[1], 200).status_code == 201
    assert _refusal(refund(orders[2], 1)) == (429, "over_day_cap")
    tighter = _backend(world, engine, refunds={"*": {"per_call": 300}})
    answer = tighter.post("/v1/refunds", {"order": orders[2], "reason": "r"})
    assert _refusal(answer) == (403, "over_call_cap")
    assert tighter.get("/v1/refunds", order=orders[2]).get_json()["refunds"] == []
    assert world.money("sales") == 3 * 600 - 800
    world.assert_balanced()


def test_the_day_of_a_cap_is_a_day_of_the_ledgers_zone(world: World, engine: Engine) -> None:
    shanghai = replace(world.core.rules.ledger, zone=ZoneInfo("Asia/Shanghai"))
    there = world.with_rules(replace(world.core.rules, ledger=shanghai))
    backend = _backend(there, engine, grants={"coin": {"per_day": 5}})
    assert _grant(backend, 5).status_code == 201
    wait = _grant(backend, 1).get_json()["retry_after"]
    midnight = world.clock.now() + timedelta(seconds=wait)
    assert (midnight.hour, midnight.minute, midnight.second) == (16, 0, 0)
