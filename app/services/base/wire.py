"""What goes over a connection's wire: texts of statements with their values, several in one flight.

To PostgreSQL they go over `psycopg.pq`, psycopg's public wrapper of libpq, prepared once for each connection. The
connection is psycopg's own, so what SQLAlchemy executes itself is in one transaction with these. psycopg's cursor does
more for each statement, in Python: that was a third of a notification's CPU, and is a sixth here (ADR 70).

Four things are minded here. `get_result` lets no other thread run while it waits, and one of them may hold the lock
that this one waits for: so it is asked only when an answer is there. An error between sending and reading leaves
answers that the next user of the connection would take for his own: so the connection is closed. A text ends at a NUL
in libpq's text format: psycopg's dumper refuses such a text. And a pooler may give one connection of the server to
several processes in turn: no two connections of ours call their statements by one name, else the server would run the
statement of another process with the values of this one.
"""

from __future__ import annotations

import json
import re
import select
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from secrets import token_hex
from typing import Any, cast
from uuid import UUID

import psycopg
from psycopg import pq
from psycopg.adapt import PyFormat, Transformer
from psycopg.types.json import Json, Jsonb
from sqlalchemy import JSON, ClauseElement, DateTime, LargeBinary, Uuid
from sqlalchemy.engine import Dialect
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import TypeEngine

from app.models import slot_guard

Row = tuple[Any, ...]
MOST_PREPARED = 200
"""Statements that one connection has prepared; the one that was not used for longest is let go (with libpq 17, which
psycopg's binary package brings; an older one keeps them all, some hundreds)."""
LONGEST_SILENCE_SECONDS = 60
"""After so long without a word from the server the connection is given up: a server that hangs, while its host still
acknowledges, ends no statement itself, and would hold the thread for ever. Twice what one statement may take."""
FORGOTTEN = "26000"
"""SQLSTATE of a prepared statement that the server does not have: a pooler stands between, or DISCARD ALL was sent."""
_CANNOT_ANSWER, _WHERE_OUTDATED = "0A000", "RevalidateCachedQuery"
"""SQLSTATE and place in the server of a prepared statement whose columns have got other types: the schema was migrated
while the connection was open. The place says which of the things that cannot be done the code means."""
_DONE = frozenset({pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK})
_BEGIN: dict[psycopg.IsolationLevel | None, bytes] = {None: b"BEGIN"} | {
    level: b"BEGIN ISOLATION LEVEL " + level.name.replace("_", " ").encode() for level in psycopg.IsolationLevel
}
_CAN_CLOSE = psycopg.capabilities.has_send_close_prepared()
"""The word DEALLOCATE would do in its place, but a pooler that follows prepared statements does not read it."""
_NAMED = re.compile(r"%\((\w+)\)s")
"""A value in a text for psycopg."""
_json_text = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


class Text:
    """One statement for one dialect, its values in the order in which the driver wants them, and what the values and
    the columns of its answer pass on their way."""

    __slots__ = ("constants", "formats", "names", "readers", "returns", "sql", "writers")

    def __init__(self, element: ClauseElement, dialect: Dialect) -> None:
        compiled = cast(SQLCompiler, element.compile(dialect=dialect))
        slot_guard.check_statement(compiled.string)
        self.sql, self.names = _in_order(compiled)
        self.constants = {name: bind.value for name, bind in compiled.binds.items() if not bind.required}
        types = [compiled.binds[name].type.dialect_impl(dialect) for name in self.names]
        self.writers = [(at, write) for at, kind in enumerate(types) if (write := _writer(kind, dialect)) is not None]
        self.formats = [_format(kind) for kind in types]
        """How PostgreSQL gets each value. It infers the types from the values' places."""
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


def _writer(kind: TypeEngine[Any], dialect: Dialect) -> Callable[[Any], Any] | None:
    """What a value passes before it is sent. What psycopg would dump in Python goes to PostgreSQL as text or bytes."""
    write = kind.bind_processor(dialect)
    if dialect.name != "postgresql":
        return write
    if isinstance(kind, Uuid):
        return _uuid_bytes
    if type(kind) is LargeBinary:
        return None
    is_wrapped = isinstance(getattr(kind, "impl_instance", kind), JSON | LargeBinary)
    return partial(_unwrapped, write) if is_wrapped and write is not None else write


def _uuid_bytes(value: UUID | None) -> bytes | None:
    return None if value is None else value.bytes


def _unwrapped(write: Callable[[Any], Any], value: Any) -> Any:
    """The value without psycopg's wrapper around documents and bytes."""
    written = write(value)
    if isinstance(written, Json | Jsonb):
        return _json_text(written.obj)
    return written.obj if isinstance(written, psycopg.Binary) else written


def _format(kind: TypeEngine[Any]) -> PyFormat:
    """Text for what the server can read as any type; bytes, moments and UUIDs travel as they are in memory."""
    binary = isinstance(getattr(kind, "impl_instance", kind), LargeBinary | DateTime | Uuid)
    return PyFormat.BINARY if binary else PyFormat.TEXT


@dataclass(slots=True)
class Sent:
    """A statement on its way, and, once it has landed, the rows that it returned and how many it touched."""

    text: Text
    values: list[Any]
    rows: list[Row] = field(default_factory=list)
    count: int = 0
    is_answered: bool = False

    def named_values(self) -> dict[str, Any]:
        return dict(zip(self.text.names, self.values, strict=True))

    def take(self, rows: list[Row], count: int) -> None:
        """Put the answer here, its values as the columns' types give them."""
        self.count, self.is_answered = count, True
        for number, row in enumerate(rows) if self.text.readers else ():
            values = list(row)
            for at, read in self.text.readers:
                values[at] = read(values[at])
            rows[number] = tuple(values)
        self.rows = rows


class Wire:
    """One connection of psycopg's, and what it has prepared."""

    def __init__(
        self, driver: psycopg.Connection[Any], *, longest_silence_seconds: float = LONGEST_SILENCE_SECONDS
    ) -> None:
        self._driver = driver
        self._silence_ms = longest_silence_seconds * 1000
        self._transformer = Transformer.from_context(driver)
        self._names: OrderedDict[Text, bytes] = OrderedDict()
        self._new_names = map(f"tillbook_{token_hex(8)}_%d".__mod__, count(1))

    def fly(self, sent: Sequence[Sent], *, begin: bool) -> None:
        """Send these, wait once, and put each answer into its statement. With `begin` a BEGIN goes before them where no
        transaction is open. Raises psycopg's errors; after an error of the server the transaction has failed, and what
        was done before it has its answers."""
        packed = list(map(self.packed, sent))
        pgconn = self._driver.pgconn
        try:
            pgconn.enter_pipeline_mode()
            commands = self._send(pgconn, sent, packed, begin=begin)
            answers = _until_sync(pgconn, self._silence_ms)
            if pgconn.status != pq.ConnStatus.BAD:
                pgconn.exit_pipeline_mode()
        except BaseException:
            pgconn.finish()
            raise
        for at, answer in enumerate(answers):
            if answer.status not in _DONE:
                raise self._failure(pgconn, commands[at:], answer)
            command = commands[at]
            if not isinstance(command, Sent):
                continue
            rows: list[Row] = []
            if command.text.returns and answer.ntuples:
                self._transformer.set_pgresult(answer)
                rows = self._transformer.load_rows(0, answer.ntuples, tuple)
            command.take(rows, -1 if answer.command_tuples is None else answer.command_tuples)
        if len(answers) < len(commands):
            raise psycopg.OperationalError("the connection is lost in the middle of a flight")

    def packed(self, part: Sent) -> tuple[Sequence[Any], Sequence[Any]]:
        """The values as libpq sends them, and their formats. Nothing has been sent yet."""
        transformer = self._transformer
        return transformer.dump_sequence(part.values, part.text.formats), list(transformer.formats or ())

    def _send(
        self, pgconn: pq.abc.PGconn, sent: Sequence[Sent], packed: Sequence[Any], *, begin: bool
    ) -> list[Sent | Text | None]:
        """What was sent, in its order: a statement, a text to be prepared, or (None) a word that has no answer."""
        commands: list[Sent | Text | None] = []
        if begin and pgconn.transaction_status == pq.TransactionStatus.IDLE:
            pgconn.send_query_params(_BEGIN[self._driver.isolation_level], None)
            commands.append(None)
        for part, (values, formats) in zip(sent, packed, strict=True):
            name = self._names.get(part.text)
            if name is None:
                commands += self._prepare(pgconn, part.text)
                name = self._names[part.text]
            else:
                self._names.move_to_end(part.text)
            pgconn.send_query_prepared(name, values, formats, pq.Format.TEXT)
            commands.append(part)
        pgconn.pipeline_sync()
        return commands

    def _prepare(self, pgconn: pq.abc.PGconn, text: Text) -> list[Sent | Text | None]:
        commands: list[Sent | Text | None] = [text]
        if len(self._names) >= MOST_PREPARED and _CAN_CLOSE:
            _, oldest = self._names.popitem(last=False)
            pgconn.send_close_prepared(oldest)
            commands.insert(0, None)
        self._names[text] = name = next(self._new_names).encode()
        pgconn.send_prepare(name, text.sql.encode())
        return commands

    def _failure(
        self, pgconn: pq.abc.PGconn, undone: Sequence[Sent | Text | None], answer: pq.abc.PGresult
    ) -> Exception:
        """The error of a flight, of which these were not done; a note says at which statement."""
        for command in undone:
            if isinstance(command, Text):
                self._names.pop(command, None)
        if pgconn.status == pq.ConnStatus.BAD:
            return psycopg.OperationalError(f"the connection is lost: {answer.get_error_message()}")
        failure = psycopg.errors.error_from_result(answer)
        if failure.sqlstate == _CANNOT_ANSWER and failure.diag.source_function == _WHERE_OUTDATED:
            failure = psycopg.errors.InvalidSqlStatementName(str(failure))
        if failure.sqlstate == FORGOTTEN:
            self._names.clear()
        first = undone[0] if undone else None
        text = first.text if isinstance(first, Sent) else first
        failure.add_note("BEGIN, or the end of a statement without one" if text is None else text.sql)
        return failure


def _until_sync(pgconn: pq.abc.PGconn, silence_ms: float) -> list[pq.abc.PGresult]:
    """The answers of one flight, in the order of its commands. Raises OperationalError where the server says nothing
    for so long."""
    answers: list[pq.abc.PGresult] = []
    waiting = select.poll()
    unsent = pgconn.flush()
    while True:
        while unsent or pgconn.is_busy():
            waiting.register(pgconn.socket, select.POLLIN | (select.POLLOUT if unsent else 0))
            if not waiting.poll(silence_ms):
                raise psycopg.OperationalError(f"the server has said nothing for {silence_ms / 1000:g} seconds")
            pgconn.consume_input()
            unsent = pgconn.flush()
        answer = pgconn.get_result()
        if answer is None:
            continue  # the end of one command's answers
        if answer.status == pq.ExecStatus.PIPELINE_SYNC:
            return answers
        answers.append(answer)
        if pgconn.status == pq.ConnStatus.BAD:
            return answers
