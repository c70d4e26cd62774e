"""Here `world` is the whole service over its simulated provider; beside this folder it is the ledger alone."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine

from app.services.base.transaction import Sessions
from tests.world import World, build_world


@pytest.fixture
def world(engine: Engine, sessions: Sessions) -> World:
    return build_world(engine, sessions)
