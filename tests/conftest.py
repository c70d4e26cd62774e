"""Fixtures for all tests. `database_url` runs a test twice: on SQLite and on real PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine

from app import logs, models  # noqa: F401 - fills the metadata
from app.models.base import Base
from tests import databases
from tests.world import World, build_world


logs.configure()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database with the full schema."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/tillbook.sqlite3"
        create_schema(url)
        yield url
    else:
        with databases.postgres_database() as url:
            create_schema(url)
            yield url


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    with databases.engine_for(database_url) as engine:
        yield engine


@pytest.fixture
def sessions(engine: Engine) -> databases.Sessions:
    return databases.sessions_for(engine)


@pytest.fixture
def world(engine: Engine, sessions: databases.Sessions) -> World:
    """A Tillbook with the sandbox provider, nothing ordered yet."""
    return build_world(engine, sessions)


def create_schema(url: str) -> None:
    engine = create_engine(url)
    Base.metadata.create_all(engine)
    engine.dispose()
