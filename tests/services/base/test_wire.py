"""Statements and values on the wire: beside what SQLAlchemy itself writes and reads, and when something breaks."""

from __future__ import annotations

import threading
import uuid
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import psycopg
import pytest
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Engine,
    LargeBinary,
    MetaData,
    String,
    Table,
    Uuid,
    bindparam,
    func,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import DataError, IntegrityError, OperationalError, StatementError

from app.models.base import HexBytes, Json, Moment
from app.services.base import wire
from app.services.base.statements import WIRE, LostRace, RowInsert, Statement, Transaction
from app.services.base.transaction import Sessions, alone, read, transact
from app.services.base.upsert import insertion_if_new
from tests.support.forks import answer_of_fork

pytestmark = pytest.mark.one_database
ON_POSTGRES = pytest.mark.parametrize(
    "database_url", [pytest.param("postgresql", marks=pytest.mark.postgres)], indirect=True
)
THINGS = Table(
    "things_on_the_wire",
    MetaData(),
    Column("id", BigInteger, primary_key=True),
    Column("amount", BigInteger),
    Column("name", String),
    Column("at", Moment),
    Column("raw", LargeBinary),
    Column("digits", HexBytes),
    Column("key", Uuid),
    Column("document", Json),
    Column("is_so", Boolean),
)
_t = THINGS.c
_ADD = RowInsert(THINGS)
_ADD_IF_NEW = insertion_if_new(THINGS)
_ALL = select(*_t).order_by(_t.id)
_READ = Statement(_ALL)
_NAMED = Statement(select(_t.id).where(_t.name == bindparam("which")))
_PID = Statement(select(func.pg_backend_pid(type_=BigInteger)))
_RENAME = Statement(update(THINGS).where(_t.id == bindparam("of")).values(name=bindparam("to")))
ROWS: list[dict[str, Any]] = [
    {
        "id": 1,
        "amount": 2**63 - 1,
        "name": "a 'quoted' \\ text, 中文, %s %(x)s $1 \U0001f600",
        "at": datetime(2026, 3, 29, 1, 59, 59, 999999, tzinfo=timezone(timedelta(hours=8))),
        "raw": bytes(range(256)),
        "digits": "00ff10",
        "key": uuid.UUID(int=2**128 - 1),
        "document": {"text": '中\u2028"', "many": [1, 1.5, None, True, {"deep": []}], "empty": {}},
        "is_so": True,
    },
    {
        "id": 2,
        "amount": -(2**63),
        "name": "",
        "at": datetime(1970, 1, 1, tzinfo=UTC),
        "raw": b"",
        "digits": "",
        "key": uuid.UUID(int=0),
        "document": [],
        "is_so": False,
    },
    dict.fromkeys([column.name for column in _t]) | {"id": 3},
    {column.name: None for column in _t} | {"id": 4, "amount": 0, "document": "just a text", "name": "\n\t"},
]


@pytest.fixture
def things(engine: Engine, sessions: Sessions) -> Sessions:
    THINGS.metadata.create_all(engine)
    return sessions


def _thing(number: int, name: str = "") -> dict[str, Any]:
    return ROWS[2] | {"id": number, "name": name}


def _names(sessions: Sessions) -> list[str]:
    return read(sessions, lambda tx: list(tx.scalars(select(_t.name).order_by(_t.id))))


@pytest.mark.parametrize("together", [True, False])
def test_values_of_each_type_are_written_and_read_as_sqlalchemy_does(things: Sessions, together: bool) -> None:
    """SQLAlchemy with psycopg's own dumpers and loaders is the second opinion, in both directions."""

    def write(tx: Transaction) -> None:
        if together:
            _ADD.run(tx, ROWS)
        else:
            for row in ROWS:
                _ADD.run(tx, [row])

    transact(things, write)
    written = read(things, lambda tx: [tuple(row) for row in tx.execute(_ALL)])
    assert written == read(things, lambda tx: _READ.rows(tx, {}))

    def write_again(tx: Transaction) -> None:
        tx.execute(THINGS.delete())
        for row in ROWS:
            tx.execute(insert(THINGS).values(**row))

    transact(things, write_again)
    assert read(things, lambda tx: _READ.rows(tx, {})) == written
    assert [row[2] for row in written] == [row["name"] for row in ROWS]
    assert written[0][3] == ROWS[0]["at"]
    assert written[0][7] == ROWS[0]["document"]


def test_what_waits_is_sent_in_the_order_of_the_code_before_anything_is_read(things: Sessions) -> None:
    def work(tx: Transaction) -> list[Any]:
        tx.later(_ADD, [_thing(1, "first")])
        tx.later(_RENAME, {"of": 1, "to": "second"}, wrong=LostRace)
        by_wire = _NAMED.rows(tx, {"which": "second"})
        tx.later(_RENAME, {"of": 1, "to": "third"}, wrong=LostRace)
        by_sqlalchemy = tx.execute(select(_t.id).where(_t.name == "third")).all()
        tx.later(_RENAME, {"of": 1, "to": "last"}, wrong=LostRace)
        return [len(by_wire), len(by_sqlalchemy)]

    assert transact(things, work) == [1, 1]
    assert _names(things) == ["last"]


def test_what_touches_another_number_of_rows_than_it_must_undoes_the_transaction(things: Sessions) -> None:
    def work(tx: Transaction) -> None:
        tx.later(_ADD, [_thing(1, "first")])
        tx.later(_RENAME, {"of": 2, "to": "nobody"}, wrong=LostRace)

    with pytest.raises(LostRace):
        transact(things, work)
    assert _names(things) == []


def test_what_was_wrong_first_is_raised_though_what_followed_from_it_failed(things: Sessions) -> None:
    """A row that another transaction had written already is found again by whoever repeats; a broken constraint behind
    it would be nobody's to repeat."""
    transact(things, lambda tx: _ADD.run(tx, [_thing(1, "first")]))

    def work(tx: Transaction) -> None:
        tx.later(_RENAME, {"of": 1, "to": "second"}, wrong=LookupError)
        tx.later(_ADD_IF_NEW, [_thing(1, "told again")], wrong=LostRace)
        tx.later(_ADD, [_thing(1)], wrong=LookupError)

    with pytest.raises(LostRace):
        transact(things, work)
    assert _names(things) == ["first"]


def test_a_failed_flight_says_at_which_statement_and_leaves_its_connection_fit_for_the_next(things: Sessions) -> None:
    def work(tx: Transaction) -> None:
        tx.later(_RENAME, {"of": 1, "to": "nobody"})
        tx.later(_ADD, [_thing(1), _thing(1)])
        tx.later(_RENAME, {"of": 1, "to": "nobody"})

    for _ in range(3):
        with pytest.raises(IntegrityError) as failed:
            transact(things, work)
        if things.kw["bind"].dialect.name == "postgresql":
            assert str(failed.value.statement).startswith("INSERT INTO things_on_the_wire")
        transact(things, lambda tx: _RENAME.count(tx, {"of": 1, "to": "x"}))
    assert _names(things) == []


@ON_POSTGRES
@pytest.mark.parametrize("unstorable", ["cut\x00off", "half a character: \ud83d"])
def test_a_text_that_cannot_be_kept_is_refused_whole_and_breaks_no_connection(
    things: Sessions, unstorable: str
) -> None:
    document = {**_thing(1), "document": {"text": unstorable}}
    for row in (_thing(1, unstorable), document):
        with pytest.raises((DataError, StatementError, UnicodeEncodeError)):
            transact(things, lambda tx, row=row: _ADD.run(tx, [row]))
    transact(things, lambda tx: _ADD.run(tx, [_thing(1, "whole")]))
    assert _names(things) == ["whole"]


@ON_POSTGRES
@pytest.mark.parametrize("word", ["DISCARD ALL", "DEALLOCATE ALL"])
def test_what_a_pooler_has_forgotten_is_prepared_again(things: Sessions, word: str) -> None:
    transact(things, lambda tx: _ADD.run(tx, [_thing(1, "first")]))
    repeated = []

    def work(tx: Transaction) -> None:
        repeated.append(tx.is_repeated)
        _ADD.run(tx, [_thing(2, "second")])

    driver: Any
    with things.kw["bind"].connect() as connection:
        driver = connection.connection.driver_connection
        driver.autocommit = True
        driver.execute(word)
        driver.autocommit = False
    transact(things, work)
    assert repeated == [False, True]
    assert _names(things) == ["first", "second"]


@ON_POSTGRES
def test_connections_of_two_processes_call_no_statement_by_one_name(things: Sessions) -> None:
    """A pooler may give both the same connection of the server: it would run the statement of the other process."""
    read(things, lambda tx: _READ.rows(tx, {}))
    url = things.kw["bind"].url.render_as_string(hide_password=False)
    of_child = answer_of_fork(lambda: _name_of_first_statement(url))
    assert of_child.startswith("tillbook_")
    assert of_child != _name_of_first_statement(url)


def _name_of_first_statement(url: str) -> str:
    """On a connection of its own."""
    with psycopg.connect(url) as driver:
        text_of = wire.Text(select(_t.id), postgresql.dialect())
        wire.Wire(driver).fly([wire.Sent(text_of, [])], begin=False)
        return str(driver.execute("SELECT name FROM pg_prepared_statements").fetchall()[0][0])


@ON_POSTGRES
def test_a_column_whose_type_a_migration_changes_is_read_by_connections_that_are_open(things: Sessions) -> None:
    transact(things, lambda tx: _ADD.run(tx, [_thing(1, "first")]))
    read(things, lambda tx: _READ.rows(tx, {}))
    with things.kw["bind"].begin() as connection:
        connection.execute(text("ALTER TABLE things_on_the_wire ALTER COLUMN name TYPE varchar(300)"))
    repeated = []

    def work(tx: Transaction) -> int:
        repeated.append(tx.is_repeated)
        _RENAME.run(tx, {"of": 1, "to": "second"})
        return len(_READ.rows(tx, {}))

    assert [transact(things, work), transact(things, work)] == [1, 1]
    assert repeated == [False, True, False]


@ON_POSTGRES
def test_what_fails_after_all_statements_is_an_error_of_the_database_too(things: Sessions) -> None:
    with things.kw["bind"].begin() as connection:
        one_name = "ADD CONSTRAINT one_name UNIQUE (name) DEFERRABLE INITIALLY DEFERRED"
        connection.execute(text(f"ALTER TABLE things_on_the_wire {one_name}"))
    alone(things, lambda tx: _ADD.run(tx, [_thing(1, "first")]), Transaction)
    with pytest.raises(IntegrityError):
        alone(things, lambda tx: _ADD.run(tx, [_thing(2, "first")]), Transaction)
    assert _names(things) == ["first"]


@ON_POSTGRES
def test_a_read_that_is_rolled_back_forgets_nothing_that_is_prepared(things: Sessions) -> None:
    for _ in range(8):
        read(things, lambda tx: _READ.rows(tx, {}))
        read(things, lambda tx: tx.execute(_ALL).all())
    count = text("SELECT count(*) FROM pg_prepared_statements WHERE name LIKE 'tillbook_%'")
    assert read(things, lambda tx: tx.scalar(count)) == 1


@ON_POSTGRES
@pytest.mark.skipif(not psycopg.capabilities.has_send_close_prepared(), reason="libpq cannot close a statement")
def test_a_connection_has_so_many_statements_prepared_and_no_more(things: Sessions) -> None:
    many = [Statement(select(_t.id).where(_t.amount == bindparam("n")).limit(at)) for at in range(1, 301)]

    def work(tx: Transaction) -> int:
        for statement in many:
            tx.later(statement, {"n": 1})
        for statement in many[-40:]:
            assert statement.rows(tx, {"n": 1}) == []
        return int(tx.scalar(text("SELECT count(*) FROM pg_prepared_statements")))

    assert transact(things, work) == wire.MOST_PREPARED


@ON_POSTGRES
def test_a_long_flight_with_long_values_comes_through(things: Sessions) -> None:
    """More than both sides' buffers hold: whoever only sends, or only reads, waits for ever."""
    name = "x" * 200_000

    def work(tx: Transaction) -> int:
        for number in range(60):
            tx.later(_ADD, [_thing(number, name)])
            tx.later(_READ, {})
        tx.flush()
        return len(_READ.rows(tx, {}))

    assert transact(things, work) == 60


@ON_POSTGRES
def test_other_threads_run_while_one_waits_for_a_lock(things: Sessions) -> None:
    transact(things, lambda tx: _ADD.run(tx, [_thing(1, "free")]))
    has_lock, done = threading.Event(), []

    def second() -> None:
        has_lock.wait(5)
        transact(things, lambda tx: _RENAME.count(tx, {"of": 1, "to": "second"}))
        done.append("second")

    waiting = threading.Thread(target=second)
    waiting.start()

    def first(tx: Transaction) -> None:
        _RENAME.count(tx, {"of": 1, "to": "first"})
        has_lock.set()
        waiting.join(0.3)
        done.append("first")

    transact(things, first)
    waiting.join(5)
    assert done == ["first", "second"]
    assert _names(things) == ["second"]


@ON_POSTGRES
def test_a_server_that_ends_the_connection_in_a_flight_is_met_by_a_repetition(things: Sessions) -> None:
    runs: list[bool] = []

    def work(tx: Transaction) -> None:
        runs.append(tx.is_repeated)
        if not tx.is_repeated:
            _end_connection(things, _PID.rows(tx, {})[0][0])
        tx.later(_ADD, [_thing(1, "once")])

    transact(things, work)
    assert runs == [False, True]
    assert _names(things) == ["once"]


def _end_connection(sessions: Sessions, pid: int) -> None:
    with sessions.kw["bind"].connect() as other:
        other.execute(text(f"SELECT pg_terminate_backend({pid}, 2000)"))


@ON_POSTGRES
def test_what_breaks_between_sending_and_reading_closes_the_connection(things: Sessions) -> None:
    """Else the next user of the connection would take the answers for his own."""

    class Broken(wire.Wire):
        def _send(self, *args: Any, **more: Any) -> Any:
            super()._send(*args, **more)
            raise KeyboardInterrupt

    broken: list[Any] = []

    def work(tx: Transaction) -> None:
        connection = tx.connection()
        broken.append(connection.connection.driver_connection)
        connection.info[WIRE] = Broken(broken[-1])
        _ADD.run(tx, [_thing(1)])

    with pytest.raises(KeyboardInterrupt):
        transact(things, work)
    assert [driver.closed for driver in broken] == [True]
    assert _names(things) == []


def test_a_function_that_fails_sends_nothing_of_what_waits(things: Sessions) -> None:
    def work(tx: Transaction) -> None:
        tx.later(_ADD, [_thing(1)])
        raise LookupError

    with pytest.raises(LookupError):
        transact(things, work)
    assert _names(things) == []


@ON_POSTGRES
def test_a_server_that_says_nothing_is_given_up(things: Sessions) -> None:
    """It hangs with the connection open: no timeout of its own ends the statement."""
    asleep = Statement(select(func.pg_sleep(30)))
    engine: Engine = things.kw["bind"]
    with engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
        connection.info[WIRE] = wire.Wire(driver, longest_silence_seconds=0.2)
        with pytest.raises(OperationalError, match=r"said nothing for 0\.2 seconds") as raised:
            asleep.row(Transaction(connection), {})
    assert raised.value.connection_invalidated
    assert driver.closed
    assert transact(things, lambda tx: tx.scalar(select(1))) == 1
