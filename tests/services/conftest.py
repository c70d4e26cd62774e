"""Fixtures for tests of the ledger. A database is shared by the tests of a module: each test has users of its own."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest
from sqlalchemy import create_engine

from app.models.base import Base
from app.services.base.transaction import Sessions
from tests.support import databases
from tests.support.wallet_owner import WalletOwner


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def books(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sessions]:
    """A ledger on each engine."""
    if request.param == "sqlite":
        with _sessions(f"sqlite:///{tmp_path_factory.mktemp('books')}/books.sqlite3") as sessions:
            yield sessions
        return
    with databases.postgres_database() as url, _sessions(url) as sessions:
        yield sessions


@contextlib.contextmanager
def _sessions(url: str) -> Iterator[Sessions]:
    maker = create_engine(url)
    Base.metadata.create_all(maker)
    maker.dispose()
    with databases.engine_for(url) as engine:
        yield databases.sessions_for(engine)


@pytest.fixture
def owner(books: Sessions) -> WalletOwner:
    """A user who has nothing yet."""
    return WalletOwner(books)
