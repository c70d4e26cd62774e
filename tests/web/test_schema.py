"""The API against its own OpenAPI document: whatever is sent, no 5xx, and answers as documented."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.conftest import create_schema
from tests.support import databases
from tests.support.web_client import BACKEND_KEY, build_client, order_body, token
from tests.support.world import World, build_world

CHECKS = [not_a_server_error, response_schema_conformance, content_type_conformance, status_code_conformance]
_keys = itertools.count(1)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, Any]]:
    url = f"sqlite:///{tmp_path_factory.mktemp('schema')}/schema.sqlite3"
    create_schema(url)
    with databases.engine_for(url) as engine:
        world = build_world(engine, databases.sessions_for(engine))
        client = build_client(world, engine)
        headers = {"Authorization": f"Bearer {token('alice')}", "Idempotency-Key": "first"}
        assert client.post("/v1/orders", json=order_body(), headers=headers).status_code == 201
        yield world, client.application


bounded = settings(
    max_examples=20,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def test_every_operation_answers_as_the_document_says(shop: tuple[World, Any]) -> None:
    api = schemathesis.openapi.from_wsgi("/openapi.json", shop[1])
    operations: list[Any] = [result.ok() for result in api.get_all_operations()]  # type: ignore[union-attr]
    tried = [operation for operation in operations if operation.path.startswith("/v1/")]
    assert len(tried) >= 6
    for operation in tried:
        _try(operation)


def _try(operation: Any) -> None:
    @bounded
    @given(case=operation.as_strategy())
    def answers(case: Any) -> None:
        credentials = BACKEND_KEY if next(_keys) % 2 else token("alice")
        case.headers = {**(case.headers or {}), "Authorization": f"Bearer {credentials}"}
        if case.method.upper() == "POST":
            case.headers["Idempotency-Key"] = f"key-{next(_keys)}"
        case.validate_response(case.call(), checks=CHECKS)

    answers()
