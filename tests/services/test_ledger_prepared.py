"""The short way of a plain spend on PostgreSQL: the same answers, errors and safety as the driver's cursor gives."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from sqlalchemy import (
    BigInteger,
    LargeBinary,
    String,
    Uuid,
    bindparam,
    cast,
    create_engine,
    func,
    literal_column,
    select,
    text,
)
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from app.domain.ledger import Posted, Refused
from app.domain.spending import Spend
from app.models.base import Base, Moment
from app.models.engine import PREPARED
from app.models.ledger import ACCOUNTS
from app.services.base.transaction import Sessions, read, transact
from app.services.ledger import spend
from app.services.ledger.prepared import Prepared, can_start
from app.services.ledger.spending import ENTER, TAKE
from tests import databases
from tests.services.ledger_world import World

pytestmark = pytest.mark.postgres


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with databases.postgres_database() as found:
        maker = create_engine(found)
        Base.metadata.create_all(maker)
        maker.dispose()
        yield found


@pytest.fixture
def sessions(url: str) -> Iterator[Sessions]:
    with databases.engine_for(url) as engine:
        yield databases.sessions_for(engine)


@pytest.fixture
def world(sessions: Sessions) -> World:
    made = World(sessions)
    made.credit(1000)
    return made


def driver_of(session: Session) -> psycopg.Connection[Any]:
    driver = session.connection().connection.dbapi_connection
    assert isinstance(driver, psycopg.Connection)
    return driver


def statement(element: Any) -> Prepared:
    return Prepared(element, PGDialect_psycopg(paramstyle="numeric_dollar"))


def run(sessions: Sessions, prepared: Prepared, values: dict[str, Any]) -> Any:
    with sessions() as session:
        prepared.prepare(driver_of(session))
        return prepared.run(driver_of(session), values)


def ask(name: str, kind: Any) -> Any:
    return cast(bindparam(name, type_=kind), kind)


# --- values ---


@pytest.mark.parametrize("number", [0, 1, -1, 127, 128, 2**31, -(2**31) - 1, 2**63 - 1, -(2**63)])
def test_integers_of_every_size_come_back_as_they_were(sessions: Sessions, number: int) -> None:
    assert run(sessions, statement(select(ask("n", BigInteger))), {"n": number}) == ([(number,)], 1)


@pytest.mark.parametrize("given", ["", "plain", "'; DROP TABLE accounts; --", "\\x41", "金币 🪙", "a\nb\tc", "$1 %s"])
def test_texts_arrive_letter_by_letter(sessions: Sessions, given: str) -> None:
    sent = select(func.convert_to(ask("t", String), literal_column("'UTF8'"), type_=LargeBinary))
    assert run(sessions, statement(sent), {"t": given}) == ([(given.encode(),)], 1)


def test_a_text_with_a_nul_is_refused_and_not_cut_off(sessions: Sessions) -> None:
    sent = select(func.length(ask("t", String), type_=BigInteger))
    with pytest.raises(psycopg.DataError):
        run(sessions, statement(sent), {"t": "key\0other"})


def test_bytes_uuids_and_moments_mean_the_same_as_through_the_cursor(sessions: Sessions) -> None:
    values = {"b": b"\x00\xff\\x41'", "u": uuid.uuid4(), "m": datetime(2026, 2, 28, 23, 59, 59, 999_999, tzinfo=UTC)}
    sent = select(
        ask("b", LargeBinary),
        func.uuid_send(ask("u", Uuid), type_=LargeBinary),
        func.timestamptz_send(ask("m", Moment), type_=LargeBinary),
    )
    with sessions() as session:
        through_cursor = tuple(bytes(part) for part in session.execute(sent, values).one())
    assert run(sessions, statement(sent), values) == ([through_cursor], 1)


def test_a_value_that_it_does_not_know_is_refused(sessions: Sessions) -> None:
    with pytest.raises(TypeError):
        run(sessions, statement(select(ask("n", BigInteger))), {"n": 1.5})
    with pytest.raises(TypeError):
        run(sessions, statement(select(func.length(ask("t", String), type_=BigInteger))), {"t": datetime(2026, 1, 1)})  # noqa: DTZ001
    with pytest.raises(TypeError):
        statement(select(ask("t", String)))


# --- spends ---


def test_a_spend_leaves_the_same_rows_by_either_way(sessions: Sessions) -> None:
    def rows(world: World) -> list[tuple[object, ...]]:
        def work(session: Session) -> list[tuple[object, ...]]:
            found = session.execute(
                text(
                    "SELECT version, amount, balance, lot, created_at, kind, reference, note, actor FROM transfers "
                    "WHERE slot = :slot ORDER BY version"
                ),
                {"slot": world.slot},
            )
            return [tuple(row) for row in found]

        return read(sessions, work)

    def by_cursor(session: Session, *args: Any, **kwargs: Any) -> Posted | Refused:
        session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
        assert not can_start(driver_of(session), prepared=True)
        return spend(session, *args, **kwargs)

    short, long = World(sessions), World(sessions)
    for each, way in ((short, spend), (long, by_cursor)):
        each.credit(1000)
        answers = [each.do(way, Spend(each.user, "coin", n, f"key {n}", reference="r", note="n")) for n in (1, 2, 3)]
        assert [answer.balance for answer in answers if isinstance(answer, Posted)] == [999, 997, 994]
    assert rows(short) == rows(long)
    assert short.findings() == long.findings() == []


def test_both_statements_are_prepared_once_for_a_connection(world: World) -> None:
    for number in range(3):
        assert isinstance(world.spend(1, f"k{number}"), Posted)

    def names(session: Session) -> list[str]:
        return list(session.scalars(text("SELECT statement FROM pg_prepared_statements WHERE name LIKE 'tillbook_%'")))

    assert sorted(read(world.sessions, names)) == sorted([TAKE.prepared.sql, ENTER.prepared.sql])


def test_after_a_rollback_the_next_spend_prepares_again(world: World) -> None:
    with pytest.raises(ZeroDivisionError):
        transact(world.sessions, lambda session: (spend_here(session, world, "one"), 1 / 0))
    with world.sessions() as session:
        assert PREPARED not in session.connection().connection.info
    assert isinstance(world.spend(1, "two"), Posted)
    assert world.balance().balance == 999


def spend_here(session: Session, world: World, key: str) -> Posted | Refused:
    return spend(session, world.slot, Spend(world.user, "coin", 1, key), at=world.now)


def test_what_is_prepared_may_vanish_behind_our_back(world: World) -> None:
    assert isinstance(world.spend(1, "one"), Posted)
    with world.sessions() as session:
        driver = driver_of(session)
        driver.pgconn.exec_(b"DEALLOCATE ALL")
        assert PREPARED in session.connection().connection.info
    assert isinstance(world.spend(1, "two"), Posted)
    assert world.balance().balance == 998


def test_a_spend_inside_a_transaction_that_began_otherwise_is_no_different(world: World) -> None:
    def work(session: Session) -> Posted | Refused:
        session.execute(select(ACCOUNTS.c.id).where(ACCOUNTS.c.slot == world.slot)).all()
        return spend_here(session, world, "later")

    assert isinstance(transact(world.sessions, work), Posted)
    assert isinstance(transact(world.sessions, work), Posted)
    assert world.balance().balance == 999


# --- locks and losses ---


@contextmanager
def wallet_locked(world: World) -> Iterator[None]:
    """Somebody else holds the row until the block ends."""
    locked, done = threading.Event(), threading.Event()

    def hold() -> None:
        with world.sessions() as session:
            session.execute(
                text("SELECT 1 FROM accounts WHERE slot = :slot AND user_id = :user FOR UPDATE"),
                {"slot": world.slot, "user": world.user},
            )
            locked.set()
            done.wait(30)

    holder = threading.Thread(target=hold)
    holder.start()
    assert locked.wait(30)
    try:
        yield
    finally:
        done.set()
        holder.join()


def test_who_waits_for_a_lock_does_not_stop_the_other_threads(world: World) -> None:
    """Among them may be the one who holds the lock."""
    answers: list[object] = []
    waiting = threading.Thread(target=lambda: answers.append(world.spend(1, "waits")))
    with wallet_locked(world):
        waiting.start()
        ticks, ends = 0, time.monotonic() + 0.5
        while time.monotonic() < ends:
            time.sleep(0.01)
            ticks += 1
        assert ticks > 10
        assert answers == []
    waiting.join(30)
    assert [type(answer) for answer in answers] == [Posted]


def test_a_wait_that_takes_too_long_is_an_error_and_the_connection_lives_on(world: World) -> None:
    def impatient(session: Session) -> None:
        driver = driver_of(session)
        driver.execute("SET lock_timeout = '50ms'")
        driver.commit()
        backends.append(driver.info.backend_pid)
        spend_here(session, world, "impatient")

    backends: list[int] = []
    with wallet_locked(world), pytest.raises(DBAPIError) as caught:
        transact(world.sessions, impatient, attempts=1)
    assert isinstance(caught.value.orig, psycopg.errors.LockNotAvailable)
    assert not caught.value.connection_invalidated
    transact(world.sessions, lambda session: backends.append(driver_of(session).info.backend_pid))
    assert backends[0] == backends[1]
    assert isinstance(world.spend(1, "impatient"), Posted)


def test_a_connection_that_dies_while_a_spend_waits_is_replaced_and_the_spend_is_made_once(world: World) -> None:
    world.spend(1, "first")
    with world.sessions() as session:
        backend = driver_of(session).info.backend_pid
    answers: list[object] = []
    waiting = threading.Thread(target=lambda: answers.append(world.spend(1, "survives")))
    with wallet_locked(world), databases._admin() as admin:
        waiting.start()
        _until_it_waits(admin)
        for (pid,) in admin.execute("SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock'").fetchall():
            admin.execute("SELECT pg_terminate_backend(%s)", [pid])
    waiting.join(60)
    assert backend
    assert [type(answer) for answer in answers] == [Posted]
    assert world.balance().balance == 998
    assert world.findings() == []


def _until_it_waits(admin: psycopg.Connection[Any]) -> None:
    ends = time.monotonic() + 30
    while time.monotonic() < ends:
        if admin.execute("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'").fetchone():
            return
        time.sleep(0.02)
    raise AssertionError("the spend never waited")
