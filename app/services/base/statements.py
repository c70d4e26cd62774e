"""The statements of the money path, run on the driver's own cursor.

SQLAlchemy writes the SQL once for each dialect, from the tables in `app.models`; running the text through the driver
leaves out what SQLAlchemy would do again for each call (most of the client's time, docs/performance.md). Values still
pass the columns' types on the way in and out, and errors still come out as SQLAlchemy's.

A `flight` sends several writes to PostgreSQL together and waits for the answers once.
"""

from __future__ import annotations

import contextlib
from collections import namedtuple
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar, cast

import psycopg
from sqlalchemy import ClauseElement, Connection, bindparam
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.compiler import SQLCompiler

from app.models import slot_guard
from app.services.base.transaction import Connected

Values = Mapping[str, Any]
T = TypeVar("T")
MOST_ROWS = 16
"""Rows of one multi-row INSERT; more are sent one after the other."""


class LostRace(RuntimeError):
    """A row changed under its lock. Cannot happen while every writer locks first; the transaction is rolled back."""


def make_row_type(name: str, columns: Iterable[Any]) -> Any:
    """A named tuple with these columns, for rows that are written as they are shown."""
    return namedtuple(name, [column.name for column in columns])


class _Text:
    """One statement for one dialect, and what its values must pass on their way in and out."""

    def __init__(self, element: ClauseElement, dialect: Dialect) -> None:
        compiled = cast(SQLCompiler, element.compile(dialect=dialect))
        slot_guard.check_statement(compiled.string)
        self.sql = compiled.string
        self._names = compiled.positiontup
        self._constants = {name: bind.value for name, bind in compiled.binds.items() if not bind.required}
        processors = cast("dict[str, Callable[[Any], Any]]", compiled._bind_processors)
        self._processors = {name: process for name, process in processors.items() if name in compiled.binds}
        columns = compiled._result_columns
        self._row: Any = namedtuple("Row", [column.keyname for column in columns]) if columns else None
        self._readers = [
            (at, reader)
            for at, column in enumerate(columns)
            if (reader := column.type._cached_result_processor(dialect, None)) is not None
        ]

    def values(self, given: Values) -> Any:
        values = {**self._constants, **given}
        for name, process in self._processors.items():
            values[name] = process(values[name])
        return values if self._names is None else tuple([values[name] for name in self._names])

    def read(self, row: Sequence[Any]) -> Any:
        if self._readers:
            row = list(row)
            for at, reader in self._readers:
                row[at] = reader(row[at])
        return self._row._make(row)


class Statement:
    """A statement by dialect, built when first used. `build` gets the dialect's name."""

    def __init__(self, build: Callable[[str], ClauseElement]) -> None:
        self._build = build
        self._texts: dict[str, _Text] = {}

    def row(self, tx: Connected, values: Values) -> Any:
        """The first row, by the names of its columns; None if there is none."""
        rows = self.rows(tx, values)
        return rows[0] if rows else None

    def rows(self, tx: Connected, values: Values) -> list[Any]:
        connection = tx.connection()
        text, cursor = self._text(connection), _cursor(connection)

        def run() -> list[Any]:
            cursor.execute(text.sql, text.values(values))
            return [text.read(row) for row in cursor.fetchall()]

        return _translated(connection, text.sql, run)

    def count(self, tx: Connected, values: Values) -> int:
        """Run it now; how many rows it touched."""
        connection = tx.connection()
        text, cursor = self._text(connection), _cursor(connection)
        _translated(connection, text.sql, lambda: cursor.execute(text.sql, text.values(values)))
        return int(cursor.rowcount)

    def _text(self, connection: Connection) -> _Text:
        dialect = connection.dialect
        text = self._texts.get(dialect.name)
        if text is None:
            text = self._texts[dialect.name] = _Text(self._build(dialect.name), dialect)
        return text


class Insertion:
    """INSERT of one to sixteen rows of one table in one statement."""

    def __init__(self, insert: Callable[[str], Any], columns: Mapping[str, Any]) -> None:
        """`columns`: each column of a row, with its type."""
        self._insert, self._columns = insert, columns
        self._statements: dict[int, Statement] = {}

    def of(self, count: int) -> Statement:
        statement = self._statements.get(count)
        if statement is None:
            rows = [
                {name: bindparam(f"{name}_{at}", type_=kind) for name, kind in self._columns.items()}
                for at in range(count)
            ]
            statement = self._statements[count] = Statement(lambda dialect: self._insert(dialect).values(rows))
        return statement

    @staticmethod
    def values(rows: Sequence[Values]) -> dict[str, Any]:
        return {f"{name}_{at}": value for at, row in enumerate(rows) for name, value in row.items()}


class Flight:
    """Writes that are sent together. Each touches just as many rows as it says, or the transaction fails."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._sent: list[tuple[Any, int, str]] = []

    def send(self, statement: Statement, values: Values, *, rows: int = 1) -> None:
        text, cursor = statement._text(self._connection), _cursor(self._connection)
        _translated(self._connection, text.sql, lambda: cursor.execute(text.sql, text.values(values)))
        self._sent.append((cursor, rows, text.sql))

    def insert(self, insertion: Insertion, rows: Sequence[Values]) -> None:
        for start in range(0, len(rows), MOST_ROWS):
            part = rows[start : start + MOST_ROWS]
            self.send(insertion.of(len(part)), insertion.values(part), rows=len(part))

    def landed(self) -> None:
        """Raise LostRace if a statement touched another number of rows than it must."""
        for cursor, rows, sql in self._sent:
            if cursor.rowcount != rows:
                raise LostRace(f"{cursor.rowcount} rows instead of {rows}: {sql[:60]}")


@contextlib.contextmanager
def flight(tx: Connected) -> Iterator[Flight]:
    """Inside, writes are queued; the end of the block waits for all of them, and raises what any of them raised."""
    connection = tx.connection()
    driver, made = connection.connection.dbapi_connection, Flight(connection)
    if isinstance(driver, psycopg.Connection) and psycopg.Pipeline.is_supported():
        pipeline = driver.pipeline()
        _translated(connection, "", pipeline.__enter__)
        try:
            yield made
        except BaseException as error:
            pipeline.__exit__(type(error), error, error.__traceback__)
            raise
        _translated(connection, "", lambda: pipeline.__exit__(None, None, None))
    else:
        yield made
    made.landed()


Move = tuple[Statement, Values]
"""One row to change, and how."""


def write_rows(tx: Connected, moves: Sequence[Move]) -> None:
    """Change these rows in one flight. Raises LostRace unless each of them changes just one row."""
    if len(moves) == 1:
        statement, values = moves[0]
        touched = statement.count(tx, values)
        if touched != 1:
            raise LostRace(f"{touched} rows instead of 1")
    elif moves:
        with flight(tx) as sent:
            for statement, values in moves:
                sent.send(statement, values)


def _cursor(connection: Connection) -> Any:
    return connection.connection.cursor()


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
