"""Over HTTP: what is read at the replica, what is not, and what is answered while it is away."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Engine
from werkzeug.test import TestResponse

from app.composition import build_replica
from app.config import Settings
from app.services.base.replica import Replica
from tests.support.web_client import BACKEND_KEY, ApiClient, build_client
from tests.support.world import World

REPORTS = (
    "/v1/ledger/trial-balance",
    "/v1/report-files?report=sales&since=2026-01-01&until=2026-01-31",
    "/v1/orders",
    "/v1/orders?format=csv",
    "/v1/refunds",
    "/v1/bills",
)
"""What is read to know, and not to decide."""
OTHERS = (
    "/v1/orders?user=alice",
    "/v1/refunds?user=alice",
    "/v1/wallet?user=alice",
    "/v1/statement?user=alice&asset=coin&environment=sandbox",
    "/v1/differences",
    "/health/ready",
)
"""What a user did a moment ago, what a person works off, and what decides whether a process gets requests."""


@pytest.fixture
def replica(engine: Engine, tmp_path: Path) -> Iterator[Replica]:
    """The world's own file as a replica of itself."""
    made = build_replica(Settings(env="test", reports_database_url=f"sqlite:///{engine.url.database}"))
    assert made is not None
    yield made
    made.dispose()


@pytest.fixture
def missing(tmp_path: Path) -> Iterator[Replica]:
    made = build_replica(Settings(env="test", reports_database_url=f"sqlite:///{tmp_path / 'gone.sqlite3'}"))
    assert made is not None
    yield made
    made.dispose()


def _backend(world: World, engine: Engine, replica: Replica | None) -> ApiClient:
    world.core = replace(world.core, replica=replica)
    world.order("alice")
    return ApiClient(build_client(world, engine), BACKEND_KEY)


def _get(backend: ApiClient, path: str) -> TestResponse:
    return backend.client.get(path, headers=backend.headers, buffered=True)


def test_everything_is_answered_with_a_replica(world: World, engine: Engine, replica: Replica) -> None:
    backend = _backend(world, engine, replica)
    assert {_get(backend, path).status_code for path in (*REPORTS, *OTHERS)} == {200}
    assert backend.get("/health/reports").json == {"status": "ok", "replica": True, "lag_seconds": None}


def test_while_the_replica_is_away_reports_are_refused_and_nothing_else(
    world: World, engine: Engine, missing: Replica
) -> None:
    backend = _backend(world, engine, missing)
    for path in (*REPORTS, "/health/reports"):
        answer = _get(backend, path)
        assert (answer.status_code, answer.get_json()["code"]) == (503, "reports_unavailable"), path
        assert answer.headers["Retry-After"]
    assert {_get(backend, path).status_code for path in OTHERS} == {200}


def test_without_a_replica_reports_are_never_behind(world: World, engine: Engine) -> None:
    backend = _backend(world, engine, None)
    assert backend.get("/health/reports").json == {"status": "ok", "replica": False, "lag_seconds": 0}
