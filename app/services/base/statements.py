"""Statements of the money path: few of them, and in few flights.

SQLAlchemy writes the SQL, once for each dialect and size, from the tables in `app.models`. The driver runs that text
(`base.wire`): SQLAlchemy's own execution would take most of the client's time (docs/ledger.md). Values still pass the
types of their columns, and errors still come out as SQLAlchemy's.

    _FIND.row(tx, {"slot": 1, "id": 2})              sent at once, and answered
    tx.later(_ADD_ROWS, rows, wrong=LostRace)        sent with the next statement that is waited for, or with the commit

"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import psycopg
from sqlalchemy import ClauseElement, Connection, CursorResult, Engine, Executable, ScalarResult, Table, bindparam
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import GenericFunction
from sqlalchemy.types import LargeBinary

from app.models import slot_watch
from app.services.base.wire import Row, Sent, Text, Wire

Values = Mapping[str, Any]
SIZES = (64, 32, 16, 8, 7, 6, 5, 4, 3, 2, 1)
"""How many rows one INSERT may have. Each size is a text of its own that the server prepares, so there are few."""
WIRE = "wire"
"""Where a connection of PostgreSQL keeps its wire, among its `info`."""


class Transaction:
    """A transaction in progress. It runs SQLAlchemy's statements, and knows nothing of objects: rows are written and
    read by statements alone, so that a reader sees every one of them.

    What need not be answered waits (`later`), and is sent in one flight with what must be: so the database gets the
    statements in the order of the code. `transact` flushes before it commits; whoever commits by hand has to do so.
    """

    __slots__ = (
        "__weakref__",
        "_checks",
        "_connection",
        "_to_say",
        "_waiting",
        "begins",
        "cause",
        "engine",
        "is_repeated",
    )

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.engine: Engine = connection.engine
        self._waiting: list[Sent] = []
        self._checks: list[_Check] = []
        self._to_say: list[Callable[[], object]] = []
        self.begins = True
        """False where each statement is a transaction of its own."""
        self.is_repeated = False
        """Whether the transaction runs again, since an assumption of its first run did not hold."""
        self.cause: Values = {}
        """What changes things in this transaction, for the events: empty unless it is a fact."""

    @property
    def dialect(self) -> Dialect:
        return self._connection.dialect

    def connection(self) -> Connection:
        """SQLAlchemy's connection, for statements that SQLAlchemy executes; whatever waits is sent first."""
        self.flush()
        return self._connection

    def later(
        self, statement: Sendable, values: Any, *, wrong: Callable[[], Exception] | None = None, rows: int = 1
    ) -> list[Sent]:
        """Send `statement` with its values (of a RowInsert: with its rows) together with whatever is sent next. What
        `wrong` makes is raised then, unless a RowInsert touches as many rows as it was given, and a Statement as many
        as `rows` says. The answers are in what is given back, once it was sent."""
        sent = statement.sent(self._connection.dialect, values)
        self._waiting += sent
        if wrong is not None:
            self._checks.append((sent, len(values) if isinstance(statement, RowInsert) else rows, wrong))
        return sent

    def flush(self) -> None:
        """Send what waits, in one flight, and take the answers (on SQLite one after the other)."""
        if not self._waiting:
            return
        waiting, checks = self._waiting, self._checks
        self._waiting, self._checks = [], []
        try:
            _run(self._connection, waiting, begin=self.begins)
        except DBAPIError:
            # A row that was not written may be why what follows failed: the first thing that is wrong is raised.
            _raise_first_wrong([check for check in checks if all(part.is_answered for part in check[0])])
            raise
        if checks:
            _raise_first_wrong(checks)

    def once_committed(self, say: Callable[..., object], *words: Any, **named: Any) -> None:
        """Call `say`, which logs or counts what was done, after the commit: what is undone is never said, and what is
        repeated is said once. Nothing is said if the process dies in between."""
        self._to_say.append(partial(say, *words, **named))

    def say_what_was_done(self) -> None:
        """For whoever has committed."""
        for say in self._to_say:
            say()

    def of_several_slots(self, why: str) -> None:
        """Declare that this transaction is of several slots; `why` is one of `slot_watch.SEVERAL`."""
        slot_watch.of_several_slots(self._connection, why)

    def execute(self, statement: Executable, values: Any = None) -> CursorResult[Any]:
        return self.connection().execute(statement, values)

    def scalars(self, statement: Executable, values: Any = None) -> ScalarResult[Any]:
        return self.connection().scalars(statement, values)

    def scalar(self, statement: Executable, values: Any = None) -> Any:
        return self.connection().scalar(statement, values)


_Check = tuple[list[Sent], int, Callable[[], Exception]]
"""What was sent, how many rows it must touch, and what is raised if it touched others."""


def _raise_first_wrong(checks: Iterable[_Check]) -> None:
    for sent, expected, wrong in checks:
        touched = 0
        for part in sent:
            touched += part.count
        if touched != expected:
            raise wrong()


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


class Sendable:
    """What knows its texts, and makes of values what is to be sent."""

    def sent(self, dialect: Dialect, values: Any) -> list[Sent]:
        """What is to be sent to a database of this kind: nothing, one statement or several."""
        raise NotImplementedError

    def run(self, tx: Transaction, values: Any) -> list[Sent]:
        """Send it, with what waits, and take the answers."""
        sent = tx.later(self, values)
        tx.flush()
        return sent


class Statement(Sendable):
    """A statement by dialect, written when first used. `build` gets the dialect's name."""

    def __init__(self, build: ClauseElement | Callable[[str], ClauseElement]) -> None:
        self._build = build
        self._texts: dict[str, Text] = {}

    def row(self, tx: Transaction, values: Values) -> Row | None:
        """The first row, or None."""
        rows = self.run(tx, values)[0].rows
        return rows[0] if rows else None

    def rows(self, tx: Transaction, values: Values) -> list[Row]:
        return self.run(tx, values)[0].rows

    def asked(self, tx: Transaction, values: Values, row_type: Any) -> Callable[[], list[Any]]:
        """Ask with what is sent next, so that several reads are one flight; gives what gives the rows, by the names of
        their columns (`make_row_type`)."""
        (sent,) = tx.later(self, values)

        def rows() -> list[Any]:
            tx.flush()  # nothing, if it was sent by now
            return [row_type._make(row) for row in sent.rows]

        return rows

    def count(self, tx: Transaction, values: Values) -> int:
        """How many rows it touched."""
        return self.run(tx, values)[0].count

    def sent(self, dialect: Dialect, values: Values) -> list[Sent]:
        text = self._texts.get(dialect.name)
        if text is None:
            text = self._texts[dialect.name] = Text(self.element(dialect.name), dialect)
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
        self._texts: dict[tuple[str, int], Text] = {}

    def rows(self, tx: Transaction, rows: Sequence[Values]) -> list[Row]:
        """Insert them; what the statement returns."""
        return [row for part in self.run(tx, rows) for row in part.rows]

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

    def _text(self, dialect: Dialect, size: int) -> Text:
        insert = (postgresql if dialect.name == "postgresql" else sqlite).insert(self._table)
        rows = [{c.name: bindparam(f"{c.name}_{i}", type_=c.type) for c in self._table.c} for i in range(size)]
        text = self._texts[dialect.name, size] = Text(self._finish(insert.values(rows)), dialect)
        # The values are sent row by row; constants (of `finish`) come after the rows.
        expected = [f"{name}_{i}" for i in range(size) for name in self._names]
        if text.names != [*expected, *text.constants]:
            raise ValueError(f"the values of an INSERT into {self._table.name} are in an unknown order")
        return text


class LostRace(RuntimeError):
    """A row changed under its lock. Cannot happen while every writer locks first; the transaction is rolled back."""

    def __init__(self) -> None:
        super().__init__("a locked row is not as it was read")


Move = tuple[Statement, Values]
"""One row to change, and how."""


def write_rows(tx: Transaction, moves: Iterable[Move]) -> None:
    """Change these rows, with what is sent next. LostRace is raised then, unless each of them changes just one row."""
    for statement, values in moves:
        tx.later(statement, values, wrong=LostRace)


class Divided:
    """A connection to several databases that are used as one."""

    def part_of(self, sql: str, values: Mapping[str, Any]) -> Connection:
        """The connection to the one of them in which this text runs with these values."""
        raise NotImplementedError


def _run(connection: Connection | Divided, sent: Sequence[Sent], *, begin: bool) -> None:
    """Send these and take their answers. The driver's errors come out as SQLAlchemy's, so that `transact` knows what to
    do with them."""
    if isinstance(connection, Divided):
        for part in sent:
            _run(connection.part_of(part.text.sql, part.named_values()), [part], begin=begin)
        return
    if getattr(connection.dialect, "watches_slots", False):
        for part in sent:
            slot_watch.check(connection, part.text.sql, [part.named_values()])
    driver: Any = connection.connection.driver_connection
    try:
        if isinstance(driver, psycopg.Connection):
            wire = connection.info.get(WIRE)
            if wire is None:
                wire = connection.info[WIRE] = Wire(driver)
            wire.fly(sent, begin=begin)
            return
        for part in sent:
            cursor = driver.cursor()
            cursor.execute(part.text.sql, part.values)
            part.take(cursor.fetchall() if part.text.returns else [], cursor.rowcount)
    except connection.dialect.loaded_dbapi.Error as error:
        raise as_sqlalchemy_error(connection, getattr(error, "__notes__", [sent[0].text.sql])[0], error) from error
    except BaseException:
        # The wire closes a connection of which answers are outstanding. Else its rollback would fail, and hide this.
        if getattr(driver, "closed", False):
            connection.invalidate()
        raise


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
