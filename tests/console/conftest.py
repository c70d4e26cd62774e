from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Engine

from tests.support.console_browser import SECRET, Browser, make_operator
from tests.support.web_client import build_client
from tests.support.world import World


@pytest.fixture
def visitor(world: World, engine: Engine) -> Browser:
    """Somebody who is not signed in."""
    return Browser(build_client(world, engine, console={"secret_key": SECRET}))


@pytest.fixture
def mei(world: World, visitor: Browser) -> Browser:
    """An operator with every role, signed in."""
    visitor.sign_in(make_operator(world.core), world.core)
    return visitor


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """One database does: the services behind the pages are tried on both. Signing in is tried on both."""
    here, kept, left_out = Path(__file__).parent, list[pytest.Item](), list[pytest.Item]()
    for item in items:
        is_kept = (
            item.path.parent != here
            or item.path.stem in ("test_sign_in", "test_strange_requests")
            or not item.get_closest_marker("postgres")
        )
        (kept if is_kept else left_out).append(item)
    config.hook.pytest_deselected(items=left_out)
    items[:] = kept
