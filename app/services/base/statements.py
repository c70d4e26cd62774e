"""Runs statements of the money path on the driver's own cursor: few of them, and in few flights.

SQLAlchemy writes the SQL, once for each dialect and size, from the tables in `app.models`. The driver runs that text:
SQLAlchemy's own execution would take most of the client's time (docs/ledger.md). Values still pass the types of their
columns, and errors still come out as SQLAlchemy's.

    _FIND.row(session, {"slot": 1, "id": 2})       one statement, answered at once
    with flight(session) as sent:                  several statements, sent together, answered together
        sent.add(_ADD_ROWS, rows, count=len(rows))
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

import psycopg
from sqlalchemy import ClauseElement, Connection, Table, bindparam
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import GenericFunction
from sqlalchemy.types import LargeBinary, TypeEngine

from app.models import slot_guard
from app.services.base.transaction import Connected

T = TypeVar("T")
Row = tuple[Any, ...]
Values = Mapping[str, Any]
Reader = Callable[[Any], Any]
SIZES = (64, 32, 16, 8, 7, 6, 5, 4, 3, 2, 1)
"""How many rows one INSERT may have. Each size is a text of its own that the server prepares, so there are few."""


class next_head(GenericFunction[bytes]):  # noqa: N801 - SQLAlchemy finds it as `func.next_head`
    """The chain of `app.domain.ledger.next_head`, computed by the database."""

    type = LargeBinary()
    inherit_cache = True


@compiles(next_head, "postgresql")
def _next_head_on_postgres(element: next_head, compiler: SQLCompiler, **kw: Any) -> str:
    head, fingerprint, lot, at_us = (compiler.process(part, **kw) for part in element.clauses)
    return f"sha256({head} || {fingerprint} || int8send({lot}) || int8send({at_us}))"


class _Text:
    """One statement for one dialect, and what its values must pass before the driver gets them."""

    __slots__ = ("_constants", "_names", "_processors", "_readers", "sql")

    def __init__(self, element: ClauseElement, dialect: Dialect) -> None:
        compiled = cast(SQLCompiler, element.compile(dialect=dialect))
        slot_guard.check_statement(compiled.string)
        self.sql = compiled.string
        self._names = compiled.positiontup
        self._constants = {name: bind.value for name, bind in compiled.binds.items() if not bind.required}
        processors = {name: _writer(bind.type, dialect) for name, bind in compiled.binds.items()}
        self._processors = {name: process for name, process in processors.items() if process is not None}
        readers = [_reader(column.type, dialect) for column in getattr(element, "exported_columns", ())]
        self._readers = readers if any(readers) else []

    def values(self, given: Values) -> Any:
        if self._constants:
            given = {**self._constants, **given}
        if self._processors:
            given = {**given, **{name: f(given[name]) for name, f in self._processors.items()}}
        return given if self._names is None else tuple([given[name] for name in self._names])

    def read(self, row: Row) -> Row:
        if not self._readers:
            return row
        return tuple([f(value) if f else value for f, value in zip(self._readers, row, strict=True)])


def _writer(kind: TypeEngine[Any], dialect: Dialect) -> Reader | None:
    return kind.dialect_impl(dialect).bind_processor(dialect)


def _reader(kind: TypeEngine[Any], dialect: Dialect) -> Reader | None:
    return kind.dialect_impl(dialect).result_processor(dialect, None)


class Statement:
    """A statement by dialect, written when first used. `build` gets the dialect's name."""

    def __init__(self, build: ClauseElement | Callable[[str], ClauseElement]) -> None:
        self._build = build
        self._texts: dict[str, _Text] = {}

    def row(self, session: Connected, values: Values) -> Row | None:
        """The first row, or None."""
        rows = self.rows(session, values)
        return rows[0] if rows else None

    def rows(self, session: Connected, values: Values) -> list[Row]:
        return self._run(session.connection(), values).rows

    def count(self, session: Connected, values: Values) -> int:
        """How many rows it touched."""
        return self._run(session.connection(), values).count

    def _run(self, connection: Connection, values: Values) -> Answer:
        (command,) = self.commands(connection.dialect, values)
        return _run(connection, command)

    def commands(self, dialect: Dialect, values: Values) -> list[Command]:
        text = self._texts.get(dialect.name)
        if text is None:
            text = self._texts[dialect.name] = _Text(self.element(dialect.name), dialect)
        return [Command(text, text.values(values))]

    def element(self, dialect: str) -> ClauseElement:
        """The statement as SQLAlchemy knows it."""
        return self._build if isinstance(self._build, ClauseElement) else self._build(dialect)


class Sized:
    """A statement that is repeated for several things at once: a text for each size, at most `most` of them."""

    def __init__(self, build: Callable[[int], ClauseElement], most: int) -> None:
        self._build = build
        self.most = most
        self._statements: dict[int, Statement] = {}

    def of(self, size: int) -> Statement:
        if not 0 <= size <= self.most:
            raise ValueError(f"at most {self.most} at once, not {size}")
        found = self._statements.get(size)
        if found is None:
            found = self._statements[size] = Statement(self._build(size))
        return found


class RowInsert:
    """An INSERT of any number of rows, many of them in one statement. `finish` adds what is to happen on a conflict."""

    def __init__(self, table: Table, finish: Callable[[Any], ClauseElement] = lambda insert: insert) -> None:
        self._columns = [(column.name, column.type) for column in table.c]
        self._table = table
        self._finish = finish
        self._texts: dict[tuple[str, int], _Text] = {}

    def rows(self, session: Connected, rows: Sequence[Values]) -> list[Row]:
        """Insert them; what the statement returns."""
        with flight(session) as sent:
            answers = sent.add(self, rows)
        return [row for answer in answers for row in answer.rows]

    def commands(self, dialect: Dialect, rows: Sequence[Values]) -> list[Command]:
        commands, start = [], 0
        for size in _sizes(len(rows)):
            text = self._text(dialect, size)
            part = rows[start : start + size]
            given = {f"{name}_{number}": row[name] for number, row in enumerate(part) for name, _ in self._columns}
            commands.append(Command(text, text.values(given)))
            start += size
        return commands

    def _text(self, dialect: Dialect, size: int) -> _Text:
        text = self._texts.get((dialect.name, size))
        if text is None:
            insert = (postgresql if dialect.name == "postgresql" else sqlite).insert(self._table)
            rows = [{name: bindparam(f"{name}_{i}", type_=kind) for name, kind in self._columns} for i in range(size)]
            text = self._texts[dialect.name, size] = _Text(self._finish(insert.values(rows)), dialect)
        return text


def _sizes(rows: int) -> Iterator[int]:
    """How many rows go into each statement."""
    for size in SIZES:
        while rows >= size:
            yield size
            rows -= size


# --- flights ---


@dataclass(slots=True)
class Answer:
    """What a statement returned, and how many rows it touched. Empty until its flight has landed."""

    rows: list[Row] = field(default_factory=list)
    count: int = 0


@dataclass(frozen=True, slots=True)
class Command:
    """A text with its values, ready for the driver."""

    text: _Text
    values: Any
    answer: Answer = field(default_factory=Answer)

    @property
    def sql(self) -> str:
        return self.text.sql

    def run(self, cursor: Any) -> Answer:
        self.send(cursor)
        self.receive(cursor)
        return self.answer

    def send(self, cursor: Any) -> None:
        cursor.execute(self.sql, self.values)

    def receive(self, cursor: Any) -> None:
        self.answer.count = cursor.rowcount
        if cursor.description:
            self.answer.rows = [self.text.read(row) for row in cursor.fetchall()]


class Flight:
    """Statements that need no answer of each other. They are sent when the block ends."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._commands: list[Command] = []
        self._checks: list[Callable[[], None]] = []

    def add(self, statement: Statement | RowInsert, values: Any, *, wrong: Exception | None = None) -> list[Answer]:
        """Send `statement` with its values (of a RowInsert: with its rows). `wrong` is raised after the flight unless
        the statements touch as many rows as there are values."""
        commands = statement.commands(self._connection.dialect, values)
        answers = [command.answer for command in commands]
        self._commands += commands
        if wrong is not None:
            expected = len(values) if isinstance(statement, RowInsert) else 1
            self._checks.append(lambda: _check(answers, expected, wrong))
        return answers

    def land(self) -> None:
        """Send all and take the answers: on PostgreSQL in one flight, on SQLite one after the other."""
        connection, commands = self._connection, self._commands
        driver = connection.connection.driver_connection
        for_errors = commands[0].sql if commands else ""
        if len(commands) > 1 and isinstance(driver, psycopg.Connection):
            _translated(connection, for_errors, lambda: _pipelined(driver, commands))
        else:
            for command in commands:
                _run(connection, command)
        for check in self._checks:
            check()


@contextmanager
def flight(session: Connected) -> Iterator[Flight]:
    """Statements that travel together; the block adds them, and reads their answers after it."""
    sent = Flight(session.connection())
    yield sent
    sent.land()


class LostRace(RuntimeError):
    """A row changed under its lock. Cannot happen while every writer locks first; the transaction is rolled back."""


Move = tuple[Statement, Values]
"""One row to change, and how."""


def write_rows(session: Connected, moves: Sequence[Move]) -> None:
    """Change these rows in one flight. Raises LostRace unless each of them changes just one row."""
    if moves:
        with flight(session) as sent:
            for statement, values in moves:
                sent.add(statement, values, wrong=LostRace("a locked row is not as it was read"))


def _run(connection: Connection, command: Command) -> Answer:
    return _translated(connection, command.sql, lambda: command.run(connection.connection.cursor()))


def _pipelined(driver: psycopg.Connection[Any], commands: Sequence[Command]) -> None:
    cursors = [driver.cursor() for _ in commands]
    with driver.pipeline():
        for command, cursor in zip(commands, cursors, strict=True):
            command.send(cursor)
    for command, cursor in zip(commands, cursors, strict=True):
        command.receive(cursor)


def _check(answers: Sequence[Answer], expected: int, wrong: Exception) -> None:
    if sum(answer.count for answer in answers) != expected:
        raise wrong


def _translated(connection: Connection, sql: str, run: Callable[[], T]) -> T:
    """Run it; the driver's errors come out as SQLAlchemy's, so that `transact` knows what to do with them."""
    base = connection.dialect.loaded_dbapi.Error
    try:
        return run()
    except base as error:
        lost = connection.dialect.is_disconnect(error, connection.connection.dbapi_connection, None)
        wrapped = DBAPIError.instance(
            sql, None, error, base, hide_parameters=True, connection_invalidated=lost, dialect=connection.dialect
        )
        if lost:
            connection.invalidate(error)
        raise wrapped from error
