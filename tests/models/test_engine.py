"""A connection that died in the pool is noticed before it is used, without a question at every use."""

from __future__ import annotations

import contextlib
import socket
import time

import psycopg
import pytest
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import ConnectionPoolEntry

from app.models import engine as engines
from app.models import schema
from app.models.engine import engine_options, prepare
from tests.support import databases
from tests.support.forks import answer_of_fork

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


def _session(engine: Engine) -> int:
    with engine.connect() as connection:
        return int(connection.scalar(text("SELECT pg_backend_pid()")) or 0)


def test_a_fork_opens_its_own_connection_and_leaves_that_of_its_parent_alone() -> None:
    """Two processes on one connection read each other's answers."""
    with databases.postgres_database() as url:
        engine = prepare(create_engine(url, **engine_options(url)))
        of_parent = _session(engine)
        of_child = answer_of_fork(lambda: _session(engine))
        assert of_child not in ("", str(of_parent))
        assert _session(engine) == of_parent
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
    assert silence <= 4
    assert int(told["tcp_user_timeout"]) <= 2_000
    assert int(told["connect_timeout"]) <= 2


def test_the_server_does_not_keep_the_locks_of_a_host_that_vanished_for_hours() -> None:
    """Over a Unix socket, as here, it keeps to none of these settings; what it was told can be read."""
    asked = text("SELECT name, CAST(reset_val AS integer) FROM pg_settings WHERE name LIKE 'tcp_%'")
    with databases.postgres_database() as url, databases.engine_for(url) as engine, engine.connect() as connection:
        told = {row[0]: row[1] for row in connection.execute(asked)}
    silence = told["tcp_keepalives_idle"] + told["tcp_keepalives_interval"] * told["tcp_keepalives_count"]
    assert 0 < silence <= 30
    assert 0 < told["tcp_user_timeout"] <= 30_000


def test_a_standby_is_no_place_to_pay_and_is_read_by_whoever_says_so() -> None:
    """Else a connection that was opened to it in a failover would stay, and refuse each payment, when that is over."""
    with databases.postgres_database() as url:
        name = make_url(url).database
        with databases.admin() as admin:
            admin.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        paying = prepare(create_engine(url, **engine_options(url)))
        with pytest.raises(OperationalError, match="read-only"):
            paying.connect()
        said = f"{url}&target_session_attrs=any"
        for reading in (
            create_engine(url, **engine_options(url, only_reads=True)),
            create_engine(said, **engine_options(said)),
        ):
            with reading.connect() as connection:
                assert connection.scalar(text("SHOW transaction_read_only")) == "on"
            reading.dispose()
        with databases.admin() as admin:
            admin.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")
        with paying.connect() as connection:
            assert connection.scalar(text("SHOW transaction_read_only")) == "off"
        paying.dispose()


def test_a_statement_of_a_migration_takes_as_long_as_the_books_are_large() -> None:
    said: dict[str, object] = {}

    def look(connection: Connection) -> None:
        said["at its end"] = connection.scalar(text("SHOW statement_timeout"))

    with databases.postgres_database() as url, databases.engine_for(url) as engine:
        event.listen(engine, "commit", look)
        schema.migrate(engine)
        event.remove(engine, "commit", look)
        with engine.connect() as connection:
            said["afterwards"] = connection.scalar(text("SHOW statement_timeout"))
    assert said == {"at its end": "0", "afterwards": "30s"}


def test_settings_that_a_pooler_does_not_hand_on_are_seen() -> None:
    with databases.postgres_database() as url:
        without = create_engine(url)  # as behind PgBouncer with `ignore_startup_parameters = options`
        for engine, lost in ((create_engine(url, **engine_options(url)), 0), (without, 3)):
            with engine.connect() as connection:
                found = engines.unheeded_settings(connection)
                assert len(found) == lost, found
                for setting in found:
                    connection.execute(
                        text(f"ALTER ROLE CURRENT_USER IN DATABASE {make_url(url).database} SET {setting}")
                    )
                connection.commit()
            engine.dispose()
        with without.connect() as connection:
            assert engines.unheeded_settings(connection) == []
        without.dispose()


def _seconds_until_refused(engine: Engine) -> float:
    begun = time.monotonic()
    with pytest.raises(OperationalError):
        engine.connect()
    return time.monotonic() - begun


def test_a_server_that_says_nothing_costs_two_seconds_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "UNREACHABLE_SECONDS", 0.4)
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as server:  # takes connections, and no more
        url = f"postgresql://nobody@127.0.0.1:{server.getsockname()[1]}/nothing"
        engine = prepare(create_engine(url, **engine_options(url)))
        assert _seconds_until_refused(engine) < 2.5
        assert max(_seconds_until_refused(engine) for _ in range(3)) < 0.1
    time.sleep(0.4)
    with pytest.raises(OperationalError, match="refused"):  # after a while it is asked again
        engine.connect()


def test_whoever_waited_for_a_vanished_host_does_not_wait_for_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    words = psycopg.OperationalError("could not receive data from server: Connection timed out")
    with databases.postgres_database() as url:
        engine = prepare(create_engine(url, **engine_options(url)))
        with engine.connect() as connection:
            connection.invalidate(words)
        engine.connect().close()  # the system had given it up in the pool: nobody has waited
        monkeypatch.setattr(engines, "SLOW_FAILURE_SECONDS", 0.0)
        with engine.connect() as connection:
            connection.invalidate(words)
        with pytest.raises(OperationalError, match="did not answer a moment ago"):
            engine.connect()
        engine.dispose()


def test_a_server_that_refuses_at_once_is_asked_each_time() -> None:
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as server:
        port = server.getsockname()[1]
    url = f"postgresql://nobody@127.0.0.1:{port}/nothing"
    engine = prepare(create_engine(url, **engine_options(url)))
    for _ in range(3):
        with pytest.raises(OperationalError, match="refused"):
            engine.connect()
