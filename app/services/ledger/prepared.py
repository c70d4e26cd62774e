"""Runs a statement prepared, straight over libpq, and sends `BEGIN` along with the first one of a transaction.

psycopg's cursor does the same more generally: it looks at every value and every statement anew, and waits for the
answer to `BEGIN` before it sends what follows. For the two statements of a plain spend that was two thirds of the
client's time (docs/ledger.md). Only `psycopg.pq` is used, psycopg's public wrapper of libpq, on psycopg's own
connection: what comes after (COMMIT, ROLLBACK, other statements) goes on as ever.
"""

from __future__ import annotations

import select
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any, cast

import psycopg
from psycopg import pq
from sqlalchemy import ClauseElement, LargeBinary
from sqlalchemy.engine import Dialect
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import Integer, TypeEngine

from app.models import slot_guard

Row = tuple[Any, ...]
Values = Mapping[str, Any]
Driver = psycopg.Connection[Any]

TEXT, BINARY = pq.Format.TEXT, pq.Format.BINARY
_BYTEA = psycopg.adapters.types["bytea"].oid
_INFERRED = 0
"""The server takes the type from the cast beside the parameter."""
_PIPELINES = psycopg.Pipeline.is_supported()
_DUPLICATE = b"42P05"
_DONE = (pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK)


class Prepared:
    """One statement. Knows integers, texts, bytes, UUIDs and times as parameters, and integers and bytes as results.

    `numbered` is a dialect of PostgreSQL that writes parameters as $1, $2, ….
    """

    def __init__(self, element: ClauseElement, numbered: Dialect) -> None:
        compiled = cast(SQLCompiler, element.compile(dialect=numbered))
        slot_guard.check_statement(compiled.string)
        self.sql = compiled.string
        self._name = b"tillbook_" + sha256(self.sql.encode()).hexdigest()[:16].encode()
        self._parameters = tuple(compiled.positiontup or ())
        kinds = [compiled.binds[name].type for name in self._parameters]
        self._oids = [_BYTEA if isinstance(kind, LargeBinary) else _INFERRED for kind in kinds]
        self._readers = [_reader(column.type) for column in compiled._result_columns]

    def run(self, driver: Driver, values: Values) -> tuple[list[Row], int]:
        """The rows it returned, and how many it touched. Raises psycopg's errors. It must be prepared there."""
        given = [_dumped(values[name]) for name in self._parameters]
        parameters, formats = [value for value, _ in given], [form for _, form in given]
        pgconn = driver.pgconn
        if pgconn.transaction_status == pq.TransactionStatus.IDLE:
            answer = _begin_with(pgconn, self._name, parameters, formats)
        else:
            answer = pgconn.exec_prepared(self._name, parameters, formats, BINARY)
        return self._read(_checked(pgconn, answer))

    def prepare(self, driver: Driver) -> None:
        """On a connection that is in no transaction: there it does no harm if the statement is prepared already."""
        answer = driver.pgconn.prepare(self._name, self.sql.encode(), self._oids)
        if answer.error_field(pq.DiagnosticField.SQLSTATE) != _DUPLICATE:
            _checked(driver.pgconn, answer)

    def _read(self, answer: pq.abc.PGresult) -> tuple[list[Row], int]:
        rows = [
            tuple([reader(answer.get_value(number, column)) for column, reader in enumerate(self._readers)])
            for number in range(answer.ntuples)
        ]
        return rows, answer.command_tuples or 0


def can_start(driver: Driver, prepared: bool) -> bool:
    """Whether a statement can run there as its transaction stands, if all are `prepared` already or not."""
    if driver.pgconn.transaction_status == pq.TransactionStatus.IDLE:
        return _begins_plainly(driver)
    return prepared


def _begins_plainly(driver: Driver) -> bool:
    """Whether its transactions begin with a mere `BEGIN`, and that can be sent along (libpq 14)."""
    asked = (driver.isolation_level, driver.read_only, driver.deferrable)
    return _PIPELINES and not driver.autocommit and asked == (None, None, None)


def _dumped(value: object) -> tuple[bytes, pq.Format]:
    """As the server reads it. Texts go with their length (binary), so that a NUL in one is refused, not cut off at."""
    if isinstance(value, str):
        return value.encode(), BINARY
    if isinstance(value, int):
        return b"%d" % value, TEXT
    if isinstance(value, bytes):
        return value, BINARY
    if isinstance(value, uuid.UUID):
        return value.bytes, BINARY
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.isoformat().encode(), TEXT
    raise TypeError(f"a prepared statement knows no {type(value).__name__}")


def _reader(kind: TypeEngine[Any]) -> Callable[[bytes | None], Any]:
    if isinstance(kind, Integer):
        return _integer
    if isinstance(kind, LargeBinary):
        return _bytes
    raise TypeError(f"a prepared statement returns no {kind!r}")


def _integer(value: bytes | None) -> int | None:
    return None if value is None else int.from_bytes(value, "big", signed=True)


def _bytes(value: bytes | None) -> bytes | None:
    return value


# --- one flight: BEGIN and the statement, one answer waited for ---


def _begin_with(
    pgconn: pq.abc.PGconn, name: bytes, parameters: Sequence[bytes], formats: Sequence[int]
) -> pq.abc.PGresult:
    """`BEGIN` and the statement in one flight. An error of the statement leaves the transaction failed, as ever."""
    pgconn.enter_pipeline_mode()
    try:
        pgconn.send_query_params(b"BEGIN", None)
        pgconn.send_query_prepared(name, parameters, formats, BINARY)
        pgconn.pipeline_sync()
        begun, answer = _until_sync(pgconn)
        pgconn.exit_pipeline_mode()
    except BaseException:
        # Answers may be outstanding that the next user of the connection would take for his own.
        pgconn.finish()
        raise
    _checked(pgconn, begun)
    return answer


def _until_sync(pgconn: pq.abc.PGconn) -> list[pq.abc.PGresult]:
    answers: list[pq.abc.PGresult] = []
    while True:
        answer = _next(pgconn)
        if answer is None:
            continue  # the end of one statement's answers
        if answer.status == pq.ExecStatus.PIPELINE_SYNC:
            return answers
        if pgconn.status == pq.ConnStatus.BAD:
            _checked(pgconn, answer)
        answers.append(answer)


def _next(pgconn: pq.abc.PGconn) -> pq.abc.PGresult | None:
    """The next answer. Waits with poll(), which lets other threads run: `get_result` alone would stop them all, and
    the one who holds the lock that this one waits for might be among them (psycopg 3.3, tried 2026-11)."""
    unsent = pgconn.flush()
    while unsent or pgconn.is_busy():
        ready = select.poll()
        ready.register(pgconn.socket, select.POLLIN | (select.POLLOUT if unsent else 0))
        ready.poll()
        pgconn.consume_input()
        unsent = pgconn.flush()
    return pgconn.get_result()


def _checked(pgconn: pq.abc.PGconn, answer: pq.abc.PGresult) -> pq.abc.PGresult:
    if answer.status in _DONE:
        return answer
    if pgconn.status == pq.ConnStatus.BAD:
        raise psycopg.OperationalError(f"the connection is lost: {answer.get_error_message()}")
    raise psycopg.errors.error_from_result(answer)
