"""An Idempotency-Key is one request: another one with it is a conflict that has one code and names what differs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import permutations
from typing import Any

import pytest
from sqlalchemy import Engine
from werkzeug.test import TestResponse

from app.domain.gifts import GiftRules
from tests.support.web_client import BACKEND_KEY, ApiClient, build_client, order_body
from tests.support.world import World

Send = Callable[[ApiClient, str, str], TestResponse]
"""A request of the backend about that user, with that key."""
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
COINS = {"asset": "coin", "environment": "sandbox"}


def _grant(backend: ApiClient, user: str, key: str, **more: Any) -> TestResponse:
    return backend.post("/v1/grants", {**COINS, "user": user, "amount": 1, "reason": "r", **more}, key=key)


def _debit(backend: ApiClient, user: str, key: str) -> TestResponse:
    return backend.post("/v1/debits", {**COINS, "user": user, "amount": 1, "reason": "r"}, key=key)


def _spend(backend: ApiClient, user: str, key: str) -> TestResponse:
    return backend.post("/v1/spends", {**COINS, "user": user, "amount": 1}, key=key)


def _spend_too_much(backend: ApiClient, user: str, key: str) -> TestResponse:
    return backend.post("/v1/spends", {**COINS, "user": user, "amount": 10**6}, key=key)


def _spend_of_several_lots(backend: ApiClient, user: str, key: str) -> TestResponse:
    return backend.post("/v1/spends", {**COINS, "user": user, "amount": 15}, key=key)


def _hold(backend: ApiClient, user: str, key: str) -> TestResponse:
    return backend.post("/v1/holds", {**COINS, "user": user, "amount": 1, "seconds": 60}, key=key)


def _batch(backend: ApiClient, user: str, key: str) -> TestResponse:
    """A batch whose item is a grant with the key."""
    item = {**COINS, "type": "grant", "user": user, "amount": 2, "reason": "r", "key": key}
    return backend.post("/v1/transfers/batch", {"all_or_nothing": False, "items": [item]})


def _order(backend: ApiClient, user: str, key: str) -> TestResponse:
    return backend.post("/v1/orders", {**order_body(), "user": user}, key=key)


def _gift(backend: ApiClient, user: str, key: str) -> TestResponse:
    return backend.post("/v1/gifts", {**COINS, "user": user, "receiver": "bob", "amount": 1}, key=key)


def _freeze(backend: ApiClient, user: str, key: str) -> TestResponse:
    return backend.post("/v1/wallets/freeze", {"user": user, "reason": "r", "asset": "gem"}, key=key)


def _unfreeze(backend: ApiClient, user: str, key: str) -> TestResponse:
    return backend.post("/v1/wallets/unfreeze", {"user": user, "reason": "r", "asset": "gem"}, key=key)


OF_THE_LEDGER: tuple[Send, ...] = (_grant, _debit, _spend, _spend_too_much, _spend_of_several_lots, _hold)
OTHERS: tuple[Send, ...] = (_order, _gift, _freeze, _unfreeze)
PAIRS = (
    *permutations((_grant, _spend, _hold, _order, _gift), 2),
    *((one, _grant) for one in (_debit, _spend_too_much, _spend_of_several_lots, _freeze, _unfreeze)),
    *((_debit, one) for one in (_spend_too_much, _spend_of_several_lots, _freeze, _unfreeze, _order)),
    (_order, _debit),
    (_order, _spend_of_several_lots),
    (_freeze, _unfreeze),
)


@pytest.fixture
def generous(world: World, engine: Engine) -> ApiClient:
    """The backend of a world that allows gifts."""
    there = world.with_rules(replace(world.core.rules, gifts=GiftRules(enabled=True)))
    return ApiClient(build_client(there, engine), BACKEND_KEY)


def test_a_key_that_was_used_for_another_kind_of_request_is_a_conflict(generous: ApiClient) -> None:
    """Each kind after each other, also where the first one was refused."""
    for number, (first, second) in enumerate(PAIRS):
        user = f"user-{number}"
        for lot in (10, 90):
            _grant(generous, user, f"coins-{lot}", amount=lot)
        case = f"{first.__name__} then {second.__name__}"
        before = first(generous, user, "k")
        assert before.status_code in ((409,) if first is _spend_too_much else (200, 201)), case
        balance = generous.get("/v1/wallet", user=user).get_json()
        refused = second(generous, user, "k")
        assert (refused.status_code, refused.get_json()["code"]) == (409, "idempotency_key_reused"), case
        assert refused.get_json()["field"] == "request", case
        assert generous.get("/v1/wallet", user=user).get_json() == balance, case
        again = first(generous, user, "k")
        assert again.status_code == before.status_code, f"{case}: the first request keeps its key"


def test_an_item_of_a_batch_has_its_key_together_with_single_requests(generous: ApiClient) -> None:
    for number, first in enumerate((_debit, _spend, _hold)):
        user = f"user-{number}"
        _grant(generous, user, "coins", amount=100)
        assert first(generous, user, "k").status_code == 201
        [item] = _batch(generous, user, "k").get_json()["items"]
        assert (item["code"], item["posted"]) == ("key_conflict", None)
        assert _batch(generous, user, "b").get_json()["items"][0]["code"] is None
        for other in (_debit, _spend, _hold):
            assert other(generous, user, "b").get_json()["field"] == "request"
    both = [
        {**COINS, "type": "grant", "user": "carol", "amount": 2, "reason": "r", "key": "k"},
        {**COINS, "type": "spend", "user": "carol", "amount": 1, "key": "k"},
    ]
    answer = generous.post("/v1/transfers/batch", {"all_or_nothing": False, "items": both}).get_json()
    assert [item["code"] for item in answer["items"]] == [None, "key_conflict"]


SPENT = {**COINS, "amount": 5}
GRANTED = {**SPENT, "reason": "r"}
DIFFERING: tuple[tuple[str, dict[str, Any], dict[str, Any]], ...] = (
    ("grants", GRANTED, {"amount": 6, "environment": "live", "reason": "other", "reference": "other"}),
    ("debits", GRANTED, {"amount": 6, "environment": "live", "reason": "other", "reference": "other"}),
    ("spends", SPENT, {"amount": 6, "asset": "gem", "environment": "live", "note": "other", "reference": "other"}),
    ("holds", {**SPENT, "seconds": 60}, {"amount": 6, "asset": "gem", "environment": "live", "seconds": 61}),
    ("gifts", {**SPENT, "receiver": "bob"}, {"amount": 6, "asset": "gem", "receiver": "carol", "message": "other"}),
    ("orders", order_body(), {"product": "nothing", "quantity": 2, "way": "app", "currency": "JPY"}),
    ("wallets/freeze", {**COINS, "reason": "r"}, {"asset": "gem", "environment": "live", "reason": "other"}),
)
"""Kinds of request by their path, and what each is repeated with."""


@pytest.mark.parametrize(("path", "body", "changes"), DIFFERING, ids=[path for path, _, _ in DIFFERING])
def test_a_conflict_names_the_field_of_the_request_that_differs(
    generous: ApiClient, path: str, body: dict[str, Any], changes: dict[str, Any]
) -> None:
    _grant(generous, "alice", "coins", amount=100)
    first = {**body, "user": "alice"}
    assert generous.post(f"/v1/{path}", first, key="k").status_code == 201
    for field, value in changes.items():
        told = generous.post(f"/v1/{path}", {**first, field: value}, key="k").get_json()
        assert (told["code"], told["field"]) == ("idempotency_key_reused", field)


def test_a_conflict_with_what_the_ledger_refused_says_that_the_amount_differs(generous: ApiClient) -> None:
    granted = _grant(generous, "alice", "coins", amount=100).get_json()
    held = _hold(generous, "alice", "h").get_json()["id"]
    about = {**COINS, "user": "alice"}
    for path, body in (
        ("spends", about),
        ("holds", {**about, "seconds": 60}),
        ("debits", {**about, "reason": "r"}),
        (f"holds/{held}/capture", {}),
        (f"transfers/{granted['id']}/reverse", {"reason": "r"}),
    ):
        assert generous.post(f"/v1/{path}", {**body, "amount": 1000}, key=path).status_code == 409
        told = generous.post(f"/v1/{path}", {**body, "amount": 1}, key=path).get_json()
        assert (told["code"], told["field"]) == ("idempotency_key_reused", "amount"), path


@pytest.mark.parametrize("send", [*OF_THE_LEDGER, *OTHERS], ids=lambda each: each.__name__)
def test_a_key_is_new_for_each_user_and_a_repeat_is_no_conflict(generous: ApiClient, send: Send) -> None:
    answers = []
    for user in ("alice", "carol", "alice"):
        _grant(generous, user, "lot-1", amount=10)
        _grant(generous, user, "lot-2", amount=90)
        answers.append(send(generous, user, "k"))
    assert {answer.status_code for answer in answers} == ({409} if send is _spend_too_much else {201})
    name = "id" if "id" in answers[0].get_json() else "number"
    if send is not _spend_too_much:
        assert answers[0].get_json()[name] == answers[2].get_json()[name] != answers[1].get_json()[name]
