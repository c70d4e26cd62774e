"""Fixtures for all tests. `database_url` runs a test twice: on SQLite and on real PostgreSQL."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from zlib import crc32

import pytest
from sqlalchemy import Engine, create_engine
from sqlalchemy.engine import make_url

from app import logs
from app.models import schema
from app.services.base.transaction import Sessions
from tests.support import databases, remembered_routes, remembered_statements
from tests.support.lending import Lender
from tests.support.two_databases import two_databases
from tests.support.world import World, build_world

logs.configure()
remembered_routes.remember()
remembered_statements.remember()

HERE = Path(__file__).parent
TWO, ONE = "--two-databases", "one_database"
"""The option that lets two databases share the slots in each test, and the mark of tests that have but one: they look
into it by hand, end its connections, or give its address to another process."""
LONG_TABLE = 3
"""A test with so many cases or more runs all of them on SQLite, and each fourth on PostgreSQL.

A case that has no twin on SQLite always runs.
"""
EACH = 4
EACH_PAIR = 3
"""Of the tests of promises and services on PostgreSQL each third, by its name, has two databases; on SQLite all."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(TWO, action="store_true", help="Let two databases share the slots in each test.")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    cases: dict[str, list[pytest.Item]] = {}
    names = {item.nodeid for item in items}
    for item in items:
        twin = item.nodeid.replace("postgresql", "sqlite")
        if twin != item.nodeid and twin in names and item.get_closest_marker("postgres") is not None:
            cases.setdefault(item.nodeid.partition("[")[0], []).append(item)
    left_out = set[pytest.Item]()
    for of_one in cases.values():
        if len(of_one) >= LONG_TABLE:
            in_order = sorted(of_one, key=lambda item: item.nodeid)
            left_out |= {item for number, item in enumerate(in_order) if number % EACH}
    config.hook.pytest_deselected(items=list(left_out))
    items[:] = [item for item in items if item not in left_out]


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database with the full schema."""
    with database_of(request, tmp_path) as url:
        yield url


@contextlib.contextmanager
def database_of(request: pytest.FixtureRequest, folder: Path) -> Iterator[str]:
    """An empty database with the full schema for a fixture whose parameter is the engine."""
    if request.param == "sqlite":
        file = folder / "tillbook.sqlite3"
        shutil.copyfile(request.getfixturevalue("sqlite_template"), file)
        yield f"sqlite:///{file}"
    else:
        with request.getfixturevalue("postgres_lender").lend() as url:
            yield url


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with the schema; tests get copies, which is quicker than making it anew."""
    file = tmp_path_factory.mktemp("template") / "template.sqlite3"
    create_schema(f"sqlite:///{file}")
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")  # each copy would have to be changed to it, and flushed
    return file


@pytest.fixture(scope="session")
def postgres_lender() -> Iterator[Lender]:
    """Lends databases with the schema."""
    with databases.postgres_database() as url:
        create_schema(url)
        template = make_url(url).database
        assert template is not None
        lender = Lender(template)
        yield lender
        lender.close()


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """The engine of the database, or of the first of two."""
    with databases.engine_for(database_url) as engine:
        yield engine


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """The engine of a database without a schema."""
    if request.param == "sqlite":
        with databases.engine_for(f"sqlite:///{tmp_path}/empty.sqlite3") as engine:
            yield engine
    else:
        with databases.postgres_database() as url, databases.engine_for(url) as engine:
            yield engine


@pytest.fixture
def second_engine(request: pytest.FixtureRequest, engine: Engine, tmp_path: Path) -> Iterator[Engine]:
    """The engine of a second database, of the kind of the first."""
    with contextlib.ExitStack() as stack:
        if engine.dialect.name == "sqlite":
            file = tmp_path / "second.sqlite3"
            shutil.copyfile(request.getfixturevalue("sqlite_template"), file)
            url = f"sqlite:///{file}"
        else:
            url = stack.enter_context(request.getfixturevalue("postgres_lender").lend())
        yield stack.enter_context(databases.engine_for(url))


@pytest.fixture
def sessions(request: pytest.FixtureRequest, engine: Engine) -> Sessions:
    """One database; or two as one, for promises and services, and wherever the option asks for it."""
    first = databases.sessions_for(engine)
    if not _on_two(request, engine):
        return first
    return two_databases(first, databases.sessions_for(request.getfixturevalue("second_engine"))).whole


def _on_two(request: pytest.FixtureRequest, engine: Engine) -> bool:
    if request.node.get_closest_marker(ONE) is not None:
        return False
    if request.config.getoption(TWO):
        return True
    if request.path.relative_to(HERE).parts[0] not in ("promises", "services"):
        return False
    return engine.dialect.name == "sqlite" or crc32(request.node.nodeid.encode()) % EACH_PAIR == 0


@pytest.fixture
def world(engine: Engine, sessions: Sessions) -> World:
    """A Tillbook with the sandbox provider, nothing ordered yet."""
    return build_world(engine, sessions)


def create_schema(url: str) -> None:
    """The schema as an installation gets it: by the migrations."""
    engine = create_engine(url)
    schema.migrate(engine)
    engine.dispose()
