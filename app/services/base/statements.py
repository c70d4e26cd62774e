"""Runs statements of the money path on the driver's own cursor: few of them, and in few flights.

SQLAlchemy writes the SQL, once for each dialect and size, from the tables in `app.models`. The driver runs that text:
SQLAlchemy's own execution would take most of the client's time (docs/ledger.md). Values still pass the types of their
columns, and errors still come out as SQLAlchemy's.

    _FIND.row(session, {"slot": 1, "id": 2})       one statement, answered at once
    sent = Flight(session)                         several statements, sent together, answered together
    sent.add(_ADD_ROWS, rows, wrong=LostRace)
    sent.land()
"""

from __future__ import annotations

import re
from collections import namedtuple
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Protocol, cast

import psycopg
from psycopg.raw_cursor import RawCursorMixin
from sqlalchemy import ClauseElement, Connection, CursorResult, Executable, ScalarResult, Table, bindparam
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import GenericFunction
from sqlalchemy.types import LargeBinary

from app.models import slot_guard, slot_watch
from app.services.base.whole import WholeConnection

Row = tuple[Any, ...]
Values = Mapping[str, Any]
Reader = Callable[[Any], Any]
SIZES = (64, 32, 16, 8, 7, 6, 5, 4, 3, 2, 1)
"""How many rows one INSERT may have. Each size is a text of its own that the server prepares, so there are few."""
KEPT_ROWS = 100
"""A cursor is kept with its last answer; one with more rows is let go."""
CURSORS = "cursors_by_text"
"""Where a connection keeps them, among its `info`."""
_NAMED = re.compile(r"%\((\w+)\)s")
"""A value in a text for psycopg."""


class Connected(Protocol):
    """A transaction in progress, of which no more is needed than its connection."""

    def connection(self) -> Connection: ...


class Transaction:
    """A transaction in progress. It runs SQLAlchemy's statements, and knows nothing of objects: rows are written and
    read by statements alone, so that a reader sees every one of them."""

    __slots__ = ("_connection", "cause")

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.cause: Values = {}
        """What changes things in this transaction, for the events: empty unless it is a fact."""

    def connection(self) -> Connection:
        return self._connection

    def of_several_slots(self, why: str) -> None:
        """Declare that this transaction is of several slots; `why` is one of `slot_watch.SEVERAL`."""
        slot_watch.of_several_slots(self._connection, why)

    def execute(self, statement: Executable, values: Any = None) -> CursorResult[Any]:
        return self._connection.execute(statement, values)

    def scalars(self, statement: Executable, values: Any = None) -> ScalarResult[Any]:
        return self._connection.scalars(statement, values)

    def scalar(self, statement: Executable, values: Any = None) -> Any:
        return self._connection.scalar(statement, values)


class NextHead(GenericFunction[bytes]):
    """The chain of `app.domain.ledger.next_head`, computed by the database."""

    name = identifier = "next_head"
    type = LargeBinary()
    inherit_cache = True


@compiles(NextHead, "postgresql")
def _next_head_on_postgres(element: NextHead, compiler: SQLCompiler, **kw: Any) -> str:
    head, fingerprint, lot, at_us = (compiler.process(part, **kw) for part in element.clauses)
    return f"sha256({head} || {fingerprint} || int8send({lot}) || int8send({at_us}))"


def make_row_type(name: str, columns: Iterable[Any]) -> Any:
    """A named tuple with the names of these columns."""
    return namedtuple(name, [column.name for column in columns])


def with_names(row_type: Any, row: Row | None) -> Any:
    """A statement's row by the names of its columns; None where there is none."""
    return None if row is None else row_type._make(row)


class _Text:
    """One statement for one dialect, its values in the order in which the driver wants them, and what the values and
    the columns of its answer pass on their way."""

    __slots__ = ("constants", "names", "readers", "returns", "sql", "writers")

    def __init__(self, element: ClauseElement, dialect: Dialect) -> None:
        compiled = cast(SQLCompiler, element.compile(dialect=dialect))
        slot_guard.check_statement(compiled.string)
        self.sql, self.names = _in_order(compiled)
        self.constants = {name: bind.value for name, bind in compiled.binds.items() if not bind.required}
        writers = [compiled.binds[name].type.dialect_impl(dialect).bind_processor(dialect) for name in self.names]
        self.writers = [(at, write) for at, write in enumerate(writers) if write is not None]
        columns = list(getattr(element, "exported_columns", ()))
        self.returns = bool(columns)
        readers = [column.type.dialect_impl(dialect).result_processor(dialect, None) for column in columns]
        self.readers = [(at, read) for at, read in enumerate(readers) if read is not None]


def _in_order(compiled: SQLCompiler) -> tuple[str, list[str]]:
    """The text as the driver sends it, and the names of its values in their order.

    To PostgreSQL a value that stands in the text twice is sent once, as one `$1`: a server that is divided by slots has
    to see that two tables are asked for one slot.
    """
    if compiled.positiontup is not None:
        return compiled.string, compiled.positiontup
    names = list(dict.fromkeys(_NAMED.findall(compiled.string)))
    places = {name: f"${at}" for at, name in enumerate(names, 1)}
    return _NAMED.sub(lambda found: places[found[1]], compiled.string).replace("%%", "%"), names


@dataclass(slots=True)
class Sent:
    """A statement on its way, and, once it has landed, the rows that it returned and how many it touched."""

    text: _Text
    values: list[Any]
    rows: list[Row] = field(default_factory=list)
    count: int = 0

    def named_values(self) -> Values:
        return dict(zip(self.text.names, self.values, strict=True))


class Sendable:
    """What knows its texts, and makes of values what is to be sent."""

    def sent(self, dialect: Dialect, values: Any) -> list[Sent]:
        """What is to be sent to a database of this kind: nothing, one statement or several."""
        raise NotImplementedError

    def run(self, session: Connected, values: Any) -> list[Sent]:
        """Send it, and wait for the answers."""
        connection = session.connection()
        sent = self.sent(connection.dialect, values)
        _run(connection, sent)
        return sent


class Statement(Sendable):
    """A statement by dialect, written when first used. `build` gets the dialect's name."""

    def __init__(self, build: ClauseElement | Callable[[str], ClauseElement]) -> None:
        self._build = build
        self._texts: dict[str, _Text] = {}

    def row(self, session: Connected, values: Values) -> Row | None:
        """The first row, or None."""
        rows = self.run(session, values)[0].rows
        return rows[0] if rows else None

    def rows(self, session: Connected, values: Values) -> list[Row]:
        return self.run(session, values)[0].rows

    def count(self, session: Connected, values: Values) -> int:
        """How many rows it touched."""
        return self.run(session, values)[0].count

    def sent(self, dialect: Dialect, values: Values) -> list[Sent]:
        text = self._texts.get(dialect.name)
        if text is None:
            text = self._texts[dialect.name] = _Text(self.element(dialect.name), dialect)
        if text.constants:
            values = {**text.constants, **values}
        given = list(map(values.__getitem__, text.names))
        for at, write in text.writers:
            given[at] = write(given[at])
        return [Sent(text, given)]

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


class RowInsert(Sendable):
    """An INSERT of any number of rows, many of them in one statement. `finish` adds what is to happen on a conflict."""

    def __init__(self, table: Table, finish: Callable[[Any], ClauseElement] = lambda insert: insert) -> None:
        self._table = table
        self._finish = finish
        self._names = [column.name for column in table.c]
        self._texts: dict[tuple[str, int], _Text] = {}

    def rows(self, session: Connected, rows: Sequence[Values]) -> list[Row]:
        """Insert them; what the statement returns."""
        return [row for part in self.run(session, rows) for row in part.rows]

    def sent(self, dialect: Dialect, values: Sequence[Values]) -> list[Sent]:
        parts, start = [], 0
        for size in SIZES:
            while len(values) - start >= size:
                text = self._texts.get((dialect.name, size)) or self._text(dialect, size)
                given: list[Any] = []
                for row in values[start : start + size]:
                    given += map(row.__getitem__, self._names)
                given += text.constants.values()
                for at, write in text.writers:
                    given[at] = write(given[at])
                parts.append(Sent(text, given))
                start += size
        return parts

    def _text(self, dialect: Dialect, size: int) -> _Text:
        insert = (postgresql if dialect.name == "postgresql" else sqlite).insert(self._table)
        rows = [{c.name: bindparam(f"{c.name}_{i}", type_=c.type) for c in self._table.c} for i in range(size)]
        text = self._texts[dialect.name, size] = _Text(self._finish(insert.values(rows)), dialect)
        # The values are sent row by row; constants (of `finish`) come after the rows.
        expected = [f"{name}_{i}" for i in range(size) for name in self._names]
        if text.names != [*expected, *text.constants]:
            raise ValueError(f"the values of an INSERT into {self._table.name} are in an unknown order")
        return text


class Flight:
    """Statements that need no answer of each other: they are sent together by `land`."""

    def __init__(self, session: Connected) -> None:
        self._connection = session.connection()
        self._sent: list[Sent] = []
        self._checks: list[tuple[list[Sent], int, Callable[[], Exception]]] = []

    def add(
        self,
        statement: Statement | RowInsert,
        values: Any,
        *,
        wrong: Callable[[], Exception] | None = None,
        rows: int = 1,
    ) -> list[Sent]:
        """Send `statement` with its values (of a RowInsert: with its rows). What `wrong` makes is raised after the
        flight unless a RowInsert touches as many rows as it was given, and a Statement as many as `rows` says."""
        sent = statement.sent(self._connection.dialect, values)
        self._sent += sent
        if wrong is not None:
            self._checks.append((sent, len(values) if isinstance(statement, RowInsert) else rows, wrong))
        return sent

    def land(self) -> None:
        """Send all and take the answers: on PostgreSQL in one flight, on SQLite one after the other."""
        if self._sent:
            _run(self._connection, self._sent)
        for sent, expected, wrong in self._checks:
            touched = 0
            for part in sent:
                touched += part.count
            if touched != expected:
                raise wrong()


class LostRace(RuntimeError):
    """A row changed under its lock. Cannot happen while every writer locks first; the transaction is rolled back."""

    def __init__(self) -> None:
        super().__init__("a locked row is not as it was read")


Move = tuple[Statement, Values]
"""One row to change, and how."""


def write_rows(session: Connected, moves: Sequence[Move]) -> None:
    """Change these rows in one flight. Raises LostRace unless each of them changes just one row."""
    if moves:
        flight = Flight(session)
        for statement, values in moves:
            flight.add(statement, values, wrong=LostRace)
        flight.land()


def _run(connection: Connection | WholeConnection, sent: Sequence[Sent]) -> None:
    """Send these and take their answers. The driver's errors come out as SQLAlchemy's, so that `transact` knows what to
    do with them."""
    if isinstance(connection, WholeConnection):
        for part in sent:
            _run(connection.part_of(part.text.sql, part.named_values()), [part])
        return
    driver: Any = connection.connection.driver_connection
    if getattr(connection.dialect, "watches_slots", False):
        for part in sent:
            slot_watch.check(connection, part.text.sql, [part.named_values()])
    kept: dict[_Text, Any] = connection.info.setdefault(CURSORS, {})
    # One cursor for each text: a new one of psycopg finds out anew how every type of value is written and read.
    cursors = []
    for part in sent:
        cursors.append(kept.pop(part.text, None) or _raw_cursor(driver))
    together = len(sent) > 1 and isinstance(driver, psycopg.Connection)
    try:
        with driver.pipeline() if together else nullcontext():
            for part, cursor in zip(sent, cursors, strict=True):
                cursor.execute(part.text.sql, part.values)
        for part, cursor in zip(sent, cursors, strict=True):
            _take(part, cursor)
            if len(part.rows) <= KEPT_ROWS:
                kept[part.text] = cursor
    except connection.dialect.loaded_dbapi.Error as error:
        raise as_sqlalchemy_error(connection, sent[0].text.sql, error) from error


def _raw_cursor(driver: Any) -> Any:
    """A cursor for texts with `$1`, of the class that the connection has for its cursors."""
    if not isinstance(driver, psycopg.Connection):
        return driver.cursor()
    factory: Any = driver.cursor_factory
    return _raw_class(factory)(driver)


@cache
def _raw_class(factory: Any) -> Any:
    return type("RawCursor", (RawCursorMixin, factory), {})


def _take(sent: Sent, cursor: Any) -> None:
    """The answer to a statement, its values as the columns' types give them."""
    sent.count = cursor.rowcount
    if not sent.text.returns:
        return
    sent.rows = cursor.fetchall()
    if sent.text.readers:
        for number, row in enumerate(sent.rows):
            values = list(row)
            for at, read in sent.text.readers:
                values[at] = read(values[at])
            sent.rows[number] = tuple(values)


def as_sqlalchemy_error(connection: Connection, sql: str, error: Any) -> Exception:
    """What SQLAlchemy would raise for an error of the driver's; a connection that is lost is used no more."""
    base = connection.dialect.loaded_dbapi.Error
    lost = connection.dialect.is_disconnect(error, connection.connection.dbapi_connection, None)
    if lost:
        connection.invalidate(error)
    wrapped: Exception = DBAPIError.instance(
        sql, None, error, base, hide_parameters=True, connection_invalidated=lost, dialect=connection.dialect
    )
    return wrapped
