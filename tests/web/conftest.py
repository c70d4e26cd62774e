from __future__ import annotations

from pathlib import Path

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine

from tests.support.web_client import BACKEND_KEY, ApiClient, build_client, token
from tests.support.world import World

ON_POSTGRESQL_TOO = frozenset(
    {
        "test_caller_caps",
        "test_csv_lists",
        "test_endpoints",
        "test_gifts",
        "test_keys_in_database",
        "test_ledger",
        "test_lists",
        "test_lookup",
        "test_order_limits",
        "test_orders",
        "test_refunds",
        "test_reports",
        "test_unfriendly_agreements",
        "test_webhooks",
    }
)
"""The modules that try what a database answers. The others try what the web makes of a request, and one database does
for that; the services behind are tried on both."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    here, kept, left_out = Path(__file__).parent, list[pytest.Item](), list[pytest.Item]()
    for item in items:
        is_for_both = item.path.parent != here or item.path.stem in ON_POSTGRESQL_TOO
        (kept if is_for_both or item.get_closest_marker("postgres") is None else left_out).append(item)
    config.hook.pytest_deselected(items=left_out)
    items[:] = kept


@pytest.fixture
def http(world: World, engine: Engine) -> FlaskClient:
    return build_client(world, engine)


@pytest.fixture
def alice(http: FlaskClient) -> ApiClient:
    return ApiClient(http, token("alice"))


@pytest.fixture
def backend(http: FlaskClient) -> ApiClient:
    return ApiClient(http, BACKEND_KEY)
