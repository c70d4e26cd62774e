"""Runs the ledger's statements on the driver's own cursor.

SQLAlchemy writes the SQL, once per dialect, from the tables in `app.models.ledger`; running it through the driver
leaves out what SQLAlchemy would do again for each call (most of the client's time, see docs/ledger.md). Values still
pass the columns' types on the way in, and errors still come out as SQLAlchemy's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, ClassVar, TypeVar, cast

import psycopg
from sqlalchemy import ClauseElement, Connection
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import GenericFunction
from sqlalchemy.types import LargeBinary

from app.models import slot_guard
from app.models.engine import PREPARED
from app.services.base.transaction import Connected
from app.services.ledger.prepared import Driver, Prepared, Row, Values, can_start

T = TypeVar("T")


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
        processors = cast("dict[str, Callable[[Any], Any]]", compiled._bind_processors)
        self._processors = {name: process for name, process in processors.items() if name in compiled.binds}
        readers = [column.type._cached_result_processor(dialect, None) for column in compiled._result_columns]
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


class Statement:
    """A statement by dialect, built when first used."""

    def __init__(self, build: Callable[[str], ClauseElement]) -> None:
        self._build = build
        self._texts: dict[str, _Text] = {}

    def row(self, session: Connected, values: Values) -> Row | None:
        """The first row, or None."""
        rows, _ = self._run(session.connection(), values)
        return rows[0] if rows else None

    def rows(self, session: Connected, values: Values) -> list[Row]:
        return self._run(session.connection(), values)[0]

    def count(self, session: Connected, values: Values) -> int:
        """How many rows it touched."""
        return self._run(session.connection(), values)[1]

    def many(self, session: Connected, values: Sequence[Values]) -> int:
        """Run it for each; how many rows were touched together."""
        if not values:
            return 0
        connection = session.connection()
        text, cursor = self.text(connection.dialect), connection.connection.cursor()
        given = [text.values(each) for each in values]
        _translated(connection, text.sql, lambda: cursor.executemany(text.sql, given))
        return cursor.rowcount

    def _run(self, connection: Connection, values: Values) -> tuple[list[Row], int]:
        text, cursor = self.text(connection.dialect), connection.connection.cursor()

        def run() -> list[Row]:
            cursor.execute(text.sql, text.values(values))
            return [text.read(row) for row in cursor.fetchall()] if cursor.description else []

        return _translated(connection, text.sql, run), cursor.rowcount

    def text(self, dialect: Dialect) -> _Text:
        text = self._texts.get(dialect.name)
        if text is None:
            text = self._texts[dialect.name] = _Text(self._build(dialect.name), dialect)
        return text


class PreparedStatement(Statement):
    """One of the two of a plain spend, worth the shorter way that PostgreSQL has."""

    _all: ClassVar[list[PreparedStatement]] = []

    def __init__(self, build: Callable[[str], ClauseElement]) -> None:
        super().__init__(build)
        self._all.append(self)

    @cached_property
    def prepared(self) -> Prepared:
        return Prepared(self._build("postgresql"), _numbered())

    def _run(self, connection: Connection, values: Values) -> tuple[list[Row], int]:
        pooled = connection.connection
        driver, prepared = pooled.dbapi_connection, self.prepared
        if isinstance(driver, psycopg.Connection) and can_start(driver, PREPARED in pooled.info):
            if PREPARED not in pooled.info:
                _translated(connection, "PREPARE", lambda: self._prepare_all(driver))
                pooled.info[PREPARED] = True
            return _translated(connection, prepared.sql, lambda: prepared.run(driver, values))
        return super()._run(connection, values)

    def _prepare_all(self, driver: Driver) -> None:
        """All at once: the second of a transaction finds the connection in use."""
        for statement in self._all:
            statement.prepared.prepare(driver)


def _numbered() -> Dialect:
    """PostgreSQL with parameters as libpq writes them: $1, $2, …"""
    made: Dialect = PGDialect_psycopg(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]  # SQLAlchemy has no types there
    return made


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
