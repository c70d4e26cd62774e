"""A connection that died in the pool is noticed before it is used, without a question at every use."""

from __future__ import annotations

import psycopg
import pytest
from sqlalchemy import create_engine, event, text
from sqlalchemy.pool import ConnectionPoolEntry

from app.models import engine as engines
from app.models.engine import engine_options, prepare
from tests.support import databases

pytestmark = pytest.mark.postgres


def test_an_idle_connection_that_died_is_replaced() -> None:
    with databases.postgres_database() as url:
        engine = prepare(create_engine(url, **engine_options(url)))
        with engine.connect() as connection:
            first = connection.scalar(text("SELECT pg_backend_pid()"))
        with databases.admin() as admin:
            admin.execute("SELECT pg_terminate_backend(%s)", [first])
        event.listen(engine, "checkout", _age, insert=True)
        with engine.connect() as connection:
            assert connection.scalar(text("SELECT pg_backend_pid()")) != first
        engine.dispose()


def _age(_connection: object, record: ConnectionPoolEntry, _proxy: object) -> None:
    """As if it had lain in the pool for long."""
    if "idle_since" in record.info:
        record.info["idle_since"] -= engines.CONNECTION_IDLE_SECONDS


def test_a_database_host_that_vanishes_is_noticed_in_seconds_and_not_in_minutes() -> None:
    """A line that swallows packets can't be made on one machine; what libpq was told to do about it can be read."""
    with databases.postgres_database() as url:
        engine = prepare(create_engine(url, **engine_options(url)))
        with engine.connect() as connection:
            driver = connection.connection.driver_connection
            assert isinstance(driver, psycopg.Connection)
            told = driver.info.get_parameters()
        engine.dispose()
    silence = int(told["keepalives_idle"]) + int(told["keepalives_interval"]) * int(told["keepalives_count"])
    assert silence <= 30
    assert int(told["tcp_user_timeout"]) <= 30_000
