"""API keys in the database: made, rotated, revoked and expired while the service runs, at no statement a request."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import structlog
from flask.testing import FlaskClient
from sqlalchemy import Engine, event, text

from app.config import SCOPES, ApiKey
from app.domain.limits import LedgerRules
from app.domain.seals import Seals
from app.services.accounts import api_keys
from app.services.accounts.api_keys import NewKey, NotChanged, digest_of_key
from app.services.accounts.caller_copy import LEARN_SECONDS, USE_SECONDS, CallerCopy
from app.services.base.context import Core
from app.web.access import Gate, Unauthorized
from tests.support.web_client import BACKEND_KEY, ApiClient, build_client
from tests.support.world import World

FIRST, SECOND = "tbk_the-first-key-of-the-shop", "tbk_the-second-key-of-the-shop"
GRANT = {"user": "alice", "asset": "coin", "amount": 50, "environment": "sandbox", "reason": "r"}


def _settings_key(key: str, **more: Any) -> ApiKey:
    return ApiKey(sha256=hashlib.sha256(key.encode()).hexdigest(), scopes=frozenset(SCOPES), **more)


@dataclass
class Door:
    """A gate over the world's database, whose process has its own clock."""

    core: Core
    gate: Gate
    tick: Callable[[float], None]

    def make(self, key: str, name: str, *, caller: str = "shop", **more: Any) -> None:
        wanted = NewKey(name, caller, frozenset(SCOPES), more.get("expires_at"), "operator:mei")
        self.core.whole.transact(lambda tx: api_keys.add_caller(tx, caller, "operator:mei"))
        self.core.whole.transact(lambda tx: api_keys.add_key(tx, wanted, digest_of_key(key)))

    def revoke(self, name: str) -> None:
        self.core.whole.transact(lambda tx: api_keys.revoke(tx, name, "operator:mei"))

    def opens_for(self, key: str) -> bool:
        try:
            return self.gate.admit(f"Bearer {key}").name == "backend:shop"
        except Unauthorized:
            return False

    def last_use(self, key: str) -> datetime | None:
        digest = digest_of_key(key)
        return self.core.whole.read(lambda tx: api_keys.last_uses(tx, [digest])).get(digest)


def _door(core: Core, **settings_keys: ApiKey) -> Door:
    now = [1000.0]

    def tick(seconds: float) -> None:
        now[0] += seconds

    copy = CallerCopy(core, lambda: now[0])
    return Door(core, Gate(None, settings_keys, lambda: now[0], copy=copy, clock=core.clock), tick)


@pytest.fixture
def door(world: World) -> Door:
    return _door(world.core)


def test_a_new_key_counts_and_a_revoked_one_ends_within_the_stated_time(door: Door) -> None:
    door.make(FIRST, "shop-1")
    assert door.opens_for(FIRST)
    door.make(SECOND, "shop-2")
    door.revoke("shop-1")
    door.tick(LEARN_SECONDS)
    assert (door.opens_for(FIRST), door.opens_for(SECOND)) == (False, True)


def test_both_keys_of_a_caller_count_while_it_rotates(door: Door) -> None:
    door.make(FIRST, "shop-1")
    door.make(SECOND, "shop-2")
    assert door.gate.admit(f"Bearer {FIRST}") == door.gate.admit(f"Bearer {SECOND}")


def test_a_key_is_refused_from_the_moment_of_its_expiry_in_the_settings_and_in_the_database(world: World) -> None:
    ends = world.clock.now() + timedelta(hours=1)
    door = _door(world.core, shop=_settings_key(FIRST, expires_at=ends))
    door.make(SECOND, "shop-2", expires_at=ends)
    assert door.opens_for(FIRST)
    assert door.opens_for(SECOND)
    world.clock.advance(3600)
    assert not door.opens_for(FIRST)
    assert not door.opens_for(SECOND)


def test_a_key_in_the_settings_is_revoked_without_a_new_start(world: World) -> None:
    door = _door(world.core, shop=_settings_key(FIRST))
    assert door.opens_for(FIRST)
    key = NewKey("shop", "shop", frozenset(SCOPES), None, "operator:mei")
    world.core.whole.transact(lambda tx: api_keys.revoke_in_settings(tx, key, digest_of_key(FIRST)))
    door.tick(LEARN_SECONDS)
    assert not door.opens_for(FIRST)


def test_requests_cost_no_statement_but_what_is_read_again_and_written_by_the_clock(door: Door, engine: Engine) -> None:
    door.make(FIRST, "shop-1")
    statements: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda _c, _cursor, sql, *_: statements.append(sql))
    assert door.opens_for(FIRST)
    first = len(statements)
    assert all(door.opens_for(FIRST) for _ in range(20))
    assert not any(door.opens_for(f"tbk_guess-{number}") for number in range(20))
    assert len(statements) == first
    door.tick(LEARN_SECONDS)
    assert door.opens_for(FIRST)
    assert 0 < len(statements) - first < first, "read again, and the use was written a moment ago"


def test_the_last_use_is_written_once_a_minute_for_keys_in_the_settings_too(world: World) -> None:
    door = _door(world.core, shop=_settings_key(FIRST))
    door.make(SECOND, "shop-2")
    begun = world.clock.now()
    assert door.last_use(FIRST) is None
    for key in (FIRST, SECOND):
        assert door.opens_for(key)
        assert door.last_use(key) == begun
    world.clock.advance(USE_SECONDS - 1)
    door.tick(USE_SECONDS - 1)
    assert door.opens_for(FIRST)
    assert door.last_use(FIRST) == begun
    world.clock.advance(1)
    door.tick(1)
    assert door.opens_for(FIRST)
    assert door.last_use(FIRST) == world.clock.now()


def test_another_process_does_not_write_a_use_of_the_same_minute(world: World) -> None:
    door, other = _door(world.core), _door(world.core)
    door.make(FIRST, "shop-1")
    assert door.opens_for(FIRST)
    begun = world.clock.now()
    world.clock.advance(USE_SECONDS - 1)
    assert other.opens_for(FIRST)
    assert door.last_use(FIRST) == begun


def test_a_use_that_cannot_be_written_refuses_nobody(door: Door, engine: Engine) -> None:
    door.make(FIRST, "shop-1")
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE key_uses"))
    with structlog.testing.capture_logs() as lines:
        assert door.opens_for(FIRST)
    assert [line["event"] for line in lines] == ["key_use_not_written"]


def test_a_key_that_may_be_revoked_does_not_count_where_the_database_cannot_say(door: Door, engine: Engine) -> None:
    door.make(FIRST, "shop-1")
    assert door.opens_for(FIRST)
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE caller_keys RENAME TO gone"))
    assert door.opens_for(FIRST), "the copy is young enough"
    door.tick(LEARN_SECONDS)
    with pytest.raises(Exception, match="caller_keys"):
        door.opens_for(FIRST)


# --- seals ---


def _sealed_with(world: World, key: str, *former: str) -> Core:
    seals = Seals(key.encode(), tuple(each.encode() for each in former), datetime(2026, 1, 1, tzinfo=UTC))
    return replace(world.core, rules=replace(world.core.rules, ledger=LedgerRules(seals=seals)))


@pytest.mark.parametrize(
    "edit",
    [
        'scopes = \'["grant", "refund"]\'',
        "caller = 'other'",
        "sha256 = '{other}'",
        "expires_at = '2030-01-01 00:00:00'",
        "created_at = '2020-01-01 00:00:00'",
    ],
)
def test_a_key_that_was_edited_in_the_database_opens_no_door(world: World, engine: Engine, edit: str) -> None:
    door = _door(_sealed_with(world, "k" * 32))
    door.make(SECOND, "other", caller="other")
    door.make(FIRST, "shop-1")
    assert door.opens_for(FIRST)
    with engine.begin() as connection:
        connection.execute(text(f"UPDATE caller_keys SET {edit.format(other='0' * 64)} WHERE name = 'shop-1'"))
    door.tick(LEARN_SECONDS)
    with structlog.testing.capture_logs() as lines:
        assert not door.opens_for(FIRST)
    assert ("api_key_without_seal", "shop-1") in [(line["event"], line.get("name")) for line in lines]


def test_a_key_sealed_without_the_installations_key_opens_no_door_however_old_it_claims_to_be(world: World) -> None:
    """Whoever has only the database can work out a seal without a key, and write any time into the row."""
    world.clock.advance(-365 * 86_400)
    _door(world.core).make(FIRST, "shop-1")
    world.clock.advance(365 * 86_400)
    assert _door(world.core).opens_for(FIRST)
    assert not _door(_sealed_with(world, "k" * 32)).opens_for(FIRST)


def test_a_key_sealed_with_a_former_key_still_counts(world: World) -> None:
    _door(_sealed_with(world, "k" * 32)).make(FIRST, "shop-1")
    assert _door(_sealed_with(world, "n" * 32, "k" * 32)).opens_for(FIRST)
    assert not _door(_sealed_with(world, "n" * 32)).opens_for(FIRST)


# --- over HTTP ---


def test_a_request_repeated_under_a_new_key_of_the_caller_is_the_same_request(
    http: FlaskClient, backend: ApiClient, door: Door, world: World
) -> None:
    """From a key in the settings to one in the database."""
    first = backend.post("/v1/grants", GRANT, key="g").get_json()
    door.make(SECOND, "backend-2", caller="backend")
    world.core.whole.transact(lambda tx: api_keys.add_caller(tx, "other", "operator:mei"))
    http = build_client(world, http.application.extensions["tillbook_house"].engine)
    again = ApiClient(http, SECOND).post("/v1/grants", GRANT, key="g").get_json()
    assert (again["id"], again["repeated"], world.coins()) == (first["id"], True, 50)


def test_a_database_that_is_away_is_a_passing_trouble_for_backends_and_none_for_users_tokens(
    world: World, engine: Engine, alice: ApiClient
) -> None:
    client = build_client(world, engine)
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE caller_keys RENAME TO gone"))
    answer = ApiClient(client, BACKEND_KEY).get("/v1/products")
    assert (answer.status_code, answer.get_json()["code"]) == (503, "database_unavailable")
    assert alice.get("/v1/products").status_code == 200


def test_names_of_keys_are_taken_once_and_revoking_is_for_ever(door: Door) -> None:
    door.make(FIRST, "shop-1")
    door.revoke("shop-1")
    with pytest.raises(NotChanged, match="revoked already"):
        door.revoke("shop-1")
    with pytest.raises(NotChanged, match="no API key"):
        door.revoke("shop-9")
    with pytest.raises(NotChanged, match="keeps its name"):
        door.make(SECOND, "shop-1")
