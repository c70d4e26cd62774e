from __future__ import annotations

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine

from tests.support.web_client import BACKEND_KEY, ApiClient, build_client, token
from tests.support.world import World


@pytest.fixture
def http(world: World, engine: Engine) -> FlaskClient:
    return build_client(world, engine)


@pytest.fixture
def alice(http: FlaskClient) -> ApiClient:
    return ApiClient(http, token("alice"))


@pytest.fixture
def backend(http: FlaskClient) -> ApiClient:
    return ApiClient(http, BACKEND_KEY)
