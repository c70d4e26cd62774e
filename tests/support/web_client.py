"""A client of the HTTP API for tests: a user with a token, and the app's backend with a key."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
from apiflask import APIFlask
from flask import Response, request
from flask.testing import FlaskClient
from sqlalchemy import Engine
from werkzeug.test import TestResponse

from app import create_app
from app.composition import House
from app.config import SCOPES, ApiKey, Settings, UserJwt
from app.problem_documents import CONTENT_TYPE
from app.web.openapi.operations import operations_of
from tests.support.world import World

JWT_SECRET = "the tests' secret for users' tokens, long enough"
BACKEND_KEY = "tbk_the-tests-backend-key"
_keys = itertools.count(1)


def test_settings(**changes: Any) -> Settings:
    values: dict[str, Any] = {
        "env": "test",
        "user_jwt": UserJwt(secret=JWT_SECRET),
        "api_keys": {
            "backend": ApiKey(sha256=hashlib.sha256(BACKEND_KEY.encode()).hexdigest(), scopes=frozenset(SCOPES)),
        },
        **changes,
    }
    return Settings(**values)


test_settings.__test__ = False  # type: ignore[attr-defined]


def token(user: str, *, secret: str = JWT_SECRET, seconds: int = 3600, **claims: Any) -> str:
    expires = datetime.now(UTC) + timedelta(seconds=seconds)
    return jwt.encode({"sub": user, "exp": expires, **claims}, secret, algorithm="HS256")


class ApiClient:
    """Speaks for one user, or for the backend."""

    def __init__(self, client: FlaskClient, credentials: str) -> None:
        self.client = client
        self.headers = {"Authorization": f"Bearer {credentials}", "X-Request-Id": "a-request-of-the-tests"}
        """One id for all: an answer that is given again is the same to the last byte."""

    def get(self, path: str, **query: str) -> TestResponse:
        return self.client.get(path, headers=self.headers, query_string=query)

    def post(self, path: str, body: Any, *, key: str | None = None) -> TestResponse:
        headers = {**self.headers, "Idempotency-Key": key or f"key-{next(_keys)}"}
        return self.client.post(path, headers=headers, json=body)


def build_client(world: World, engine: Engine, **changes: Any) -> FlaskClient:
    app = create_app(test_settings(**changes), house=House(world.core, engine, {}))
    app.after_request(_as_documented(app))
    return app.test_client()


def _as_documented(app: APIFlask) -> Callable[[Response], Response]:
    """Fails a request whose problem has a code, or a status, that the OpenAPI document does not list."""
    operations = {(one.rule.endpoint, one.method): one for one in operations_of(app)}

    def check(answer: Response) -> Response:
        operation = operations.get((request.endpoint, request.method.lower()))
        if operation is not None and answer.content_type == CONTENT_TYPE:
            code = answer.get_json()["code"]
            assert code in operation.codes, f"{operation.view_name} answers {code}; run `make clients`"
        return answer

    return check


def order_body(**changes: Any) -> dict[str, Any]:
    return {"product": "coins-60", "provider_account": "sandbox", "way": "page", **changes}
