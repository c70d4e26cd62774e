"""Texts, numbers and moments that no database keeps alike are refused by every route with a clear 4xx, on both."""

from __future__ import annotations

import json
from typing import Any

from flask.testing import FlaskClient

from tests.support.web_client import ApiClient, order_body
from tests.support.world import World

NUL, HALF, LONG = "a\x00b", "a\ud800b", "x" * 5_000
HUGE = (2**63, 2**64, -(2**63) - 1, 10**400)
MOMENTS = (
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-12:00",
    "0000-01-01T00:00:00Z",
    "10000-01-01T00:00:00Z",
    "2026-01-01T00:00:00",
)
GRANT = {"user": "alice", "asset": "coin", "amount": 1, "environment": "sandbox", "reason": "a gift"}
SPEND = {"user": "alice", "asset": "coin", "amount": 1, "environment": "sandbox"}
HOLD = {**SPEND, "seconds": 60}
FREEZE = {"user": "alice", "asset": "coin", "environment": "sandbox", "reason": "a test"}
ITEM = {"type": "spend", "key": "k", **SPEND}
NONE = "00000000-0000-8000-8000-000000000000"
POSTS: dict[str, dict[str, Any]] = {
    "/v1/orders": order_body(user="alice", return_url="https://a.example", currency="CNY", quantity=1),
    "/v1/orders/12345/payments": {"provider_account": "sandbox", "way": "page", "user": "alice"},
    "/v1/grants": {**GRANT, "reference": "r", "expires_at": "2030-01-01T00:00:00Z", "product": "coins-60"},
    "/v1/debits": {**GRANT, "reference": "r"},
    "/v1/spends": {**SPEND, "reference": "r", "note": "n"},
    "/v1/holds": {**HOLD, "reference": "r", "note": "n"},
    f"/v1/holds/{NONE}/capture": {"amount": 1, "final": False, "reference": "r", "note": "n"},
    f"/v1/transfers/{NONE}/reverse": {"amount": 1, "reason": "r"},
    "/v1/refunds": {"payment": "12345", "order": "12345", "amount_minor": 1, "reason": "r", "policy": "debt"},
    "/v1/wallets/freeze": FREEZE,
    "/v1/wallets/unfreeze": FREEZE,
}
GETS: dict[str, dict[str, str]] = {
    "/v1/wallet": {"user": "alice"},
    "/v1/statement": {"user": "alice", "asset": "coin", "cursor": "1", "limit": "1"},
    "/v1/orders": {"user": "alice", "before": "1", "limit": "1"},
    "/v1/balance": {"user": "alice", "asset": "coin", "at": "2026-01-01T00:00:00Z"},
    "/v1/refunds": {"order": "12345"},
    "/v1/wallets/freezes": {"user": "alice"},
    "/v1/account-token": {"user": "alice"},
}


def unusable_for(value: Any) -> list[Any]:
    """What to put in the place of a good value of that kind."""
    if isinstance(value, bool):
        return [NUL, *HUGE]
    if isinstance(value, int):
        return [*HUGE, str(2**63)]
    return [NUL, HALF, LONG, *HUGE, *(MOMENTS if value.endswith("Z") else ())]


def refuses(http: FlaskClient, backend: ApiClient, path: str, body: Any, what: str) -> None:
    headers = {**backend.headers, "Idempotency-Key": "k"}
    answer = http.post(path, data=json.dumps(body), content_type="application/json", headers=headers)
    assert 400 <= answer.status_code < 500, f"{path}, {what}: {answer.text}"
    assert answer.get_json()["code"], what


def test_no_member_of_any_body_takes_what_cannot_be_kept(http: FlaskClient, backend: ApiClient, world: World) -> None:
    for path, good in POSTS.items():
        for member, value in good.items():
            for bad in unusable_for(value):
                refuses(http, backend, path, {**good, member: bad}, f"{member}={str(bad)[:40]!r}")
    for member, value in ITEM.items():
        for bad in unusable_for(value):
            batch = {"all_or_nothing": True, "items": [{**ITEM, member: bad}]}
            refuses(http, backend, "/v1/transfers/batch", batch, f"{member}={str(bad)[:40]!r}")
    assert world.coins() == 0
    world.assert_balanced()


def test_no_query_takes_what_cannot_be_kept(backend: ApiClient) -> None:
    for path, good in GETS.items():
        for member, value in good.items():
            strange = (NUL, LONG, *MOMENTS) if member == "at" else (NUL, LONG)
            for bad in (*strange, *map(str, HUGE)) if value.isdecimal() else strange:
                answer = backend.get(path, **{**good, member: bad})
                assert 400 <= answer.status_code < 500, f"{path}, {member}={bad[:40]!r}: {answer.text}"


def test_the_largest_amount_fits_once(backend: ApiClient, world: World) -> None:
    largest = {**GRANT, "amount": 2**63 - 1}
    assert backend.post("/v1/grants", largest).status_code == 201
    again = backend.post("/v1/grants", GRANT)
    assert (again.status_code, again.get_json()["code"]) == (409, "balance_overflow")
    assert world.coins() == 2**63 - 1
    world.assert_balanced()


def test_a_receipt_of_strange_words_is_refused_by_its_plugin(http: FlaskClient, backend: ApiClient) -> None:
    for word in (NUL, HALF, LONG, 2**64, "0001-01-01T00:00:00+14:00"):
        body = json.dumps({"receipt": word, str(word): [word]})
        status = 422 if word == HALF else 409  # half a character is no text at all
        for account in ("sandbox", "no-such", "x" * 500, "%00"):
            answer = http.post(
                f"/v1/receipts/{account}?user=alice",
                data=body,
                content_type="application/json",
                headers=backend.headers,
            )
            assert answer.status_code == status, answer.text


def test_an_owner_token_that_is_none_is_nobodys(http: FlaskClient, backend: ApiClient) -> None:
    for user in (NUL, LONG, "a b", "ünïcode"):
        answer = http.put("/v1/consent", json={"user": user, "consented": True}, headers=backend.headers)
        assert answer.status_code == 422
