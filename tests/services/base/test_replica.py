"""Reports are read at the replica; nothing can be changed there, and without it everything else goes on."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import DBAPIError

from app.composition import build_replica
from app.config import Settings
from app.models import schema
from app.models.engine import engine_options
from app.services.base.context import Core
from app.services.base.replica import DOWN_SECONDS, Replica, ReportsUnavailable
from app.services.payments import orders
from app.services.payments.order_rows import OrderFilter
from tests.support import databases
from tests.support.world import World


@pytest.fixture
def copy_url(world: World, engine: Engine, tmp_path: Path) -> Iterator[str]:
    """A copy of the world's database, made after the first order: what a replica knows that has heard of no other."""
    world.order("alice")
    with databases.copy_of(engine, tmp_path / "copy.sqlite3") as url:
        yield url


@contextlib.contextmanager
def replica_at(url: str) -> Iterator[Replica]:
    replica = build_replica(Settings(env="test", reports_database_url=url))
    assert replica is not None
    try:
        yield replica
    finally:
        replica.dispose()


@pytest.fixture
def core(world: World, copy_url: str) -> Iterator[Core]:
    """The service with that replica."""
    with replica_at(copy_url) as replica:
        yield replace(world.core, replica=replica)


def _buyers(core: Core) -> list[str]:
    page = orders.list_orders(core, OrderFilter(None, None), None, 10)
    return sorted(view.order.user_id for view in page.rows)


def test_reports_say_what_the_replica_has_heard_and_everything_else_says_what_is(world: World, core: Core) -> None:
    world.order("bob", key="k2")
    assert _buyers(core.for_reports()) == ["alice"]
    assert _buyers(core) == ["alice", "bob"]
    assert world.core.for_reports() is world.core, "without a replica all is read in one place"


def test_nothing_is_changed_through_the_replica(core: Core) -> None:
    with pytest.raises(DBAPIError, match=r"read-?only"):
        core.for_reports().whole.transact(lambda tx: tx.execute(text("DELETE FROM provider_keys")))
    assert _buyers(core.for_reports()) == ["alice"]


def test_a_replica_with_another_schema_is_refused_until_it_has_ours(core: Core, copy_url: str) -> None:
    replica, moment = core.replica, [100.0]
    assert replica is not None
    replica = Replica(replica.engines, clock=lambda: moment[0])
    replica.check_usable()
    _write_revision(copy_url, "0001")
    with pytest.raises(ReportsUnavailable) as refused:
        replica.check_usable()
    assert "0001" in refused.value.detail
    assert schema.newest() in refused.value.detail
    _write_revision(copy_url, schema.newest())
    with pytest.raises(ReportsUnavailable):
        replica.check_usable()  # for a few seconds nobody looks again
    moment[0] += DOWN_SECONDS
    replica.check_usable()


def _write_revision(url: str, revision: str) -> None:
    engine = create_engine(url, **engine_options(url))
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :revision"), {"revision": revision})
    engine.dispose()


def test_a_replica_that_is_gone_stops_reports_alone(world: World, engine: Engine, tmp_path: Path) -> None:
    lost = tmp_path / "lost.sqlite3"
    on_sqlite = engine.dialect.name == "sqlite"
    url = f"sqlite:///{lost}" if on_sqlite else databases.url_of("never_made")
    with replica_at(url) as replica:
        core = replace(world.core, replica=replica)
        with pytest.raises(ReportsUnavailable, match="does not answer"):
            core.for_reports()
        world.core = core
        world.order("alice")
        assert _buyers(core) == ["alice"]
    assert not lost.exists(), "a file is not made where a replica was expected"


def test_a_database_that_is_no_standby_does_not_say_how_far_it_is_behind(core: Core) -> None:
    assert core.replica is not None
    assert core.replica.lag_seconds() is None
