"""The service whose slots are moved."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine

from app.domain.numbers import slot_of_user
from tests.services.moves.house import (
    HIGH,
    SLOT,
    STAYS,
    House,
)
from tests.support.two_databases import HALF
from tests.support.world import World


@pytest.fixture
def house(world: World, engine: Engine, second_engine: Engine) -> House:
    assert SLOT < HALF <= slot_of_user(HIGH)
    assert slot_of_user(STAYS) < HALF
    return House(world, {"first": engine, "second": second_engine})
