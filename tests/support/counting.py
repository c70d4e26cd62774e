"""Counts of one piece of work that are the same on every machine: what is said to the database, signatures, and the
walk of a reader through the code.

Everything is observed from outside: libpq's own trace, SQLite's own trace, and Python's profiler. So a statement
counts, whichever library sends it. The walk leaves out what a reader does not follow: row classes, logging and the
composition of the process.
"""

from __future__ import annotations

import os
import re
import sqlite3
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from types import CodeType, FrameType
from typing import IO, Any

import psycopg
from sqlalchemy import event
from sqlalchemy.pool import Pool

ROOT = Path(__file__).resolve().parents[2]
WALKED = (f"{ROOT}/app/", f"{ROOT}/plugins/")
LEFT_OUT = (f"{ROOT}/app/models/", f"{ROOT}/app/logs.py", f"{ROOT}/app/composition.py")
SIMULATOR_THREAD = "process_request_thread"
"""In the names of the threads in which werkzeug's server, and so a simulator, answers."""
SIGNATURES = frozenset({"sign", "verify", "verify_directly_issued_by"})
_TRACED = re.compile(r"[^\t]+\tF\t\d+\t(\w+)(?:\t (.*))?", re.DOTALL)
_TWO_NAMES = re.compile(r'"([^"]*)" "(.*)', re.DOTALL)
_LINE = re.compile(r"(?m)^(?=\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+\t)")
_BEGINS, _ENDS = ("BEGIN", "START"), ("COMMIT", "ROLLBACK", "END")
_SERVICE = ("SAVEPOINT", "RELEASE", "DEALLOCATE", "SET", "PRAGMA")
"""Words that are neither a statement of ours nor the border of a transaction."""


@dataclass(frozen=True, slots=True)
class Cost:
    """One piece of work, counted."""

    statements: int = 0
    """BEGIN, COMMIT and the driver's own housekeeping are not counted."""
    waits: int = 0
    """Times that the client waits for the database server: Query, Sync and Flush in libpq's trace. None on SQLite.

    Not counted is what the driver does once for many uses: to prepare a statement, and to forget all that are
    prepared. Otherwise a count would depend on what ran before."""
    transactions: int = 0
    """A statement outside BEGIN and COMMIT is a transaction too."""
    signatures: int = 0
    """RSA, EC and HMAC, made or checked; certificates checked against their issuer."""
    functions: int = 0
    files: int = 0
    moves: int = 0
    """Calls that lead a reader from one file into another."""

    def least(self, other: Cost) -> Cost:
        """The smaller of each count."""
        return Cost(*(min(getattr(self, item.name), getattr(other, item.name)) for item in fields(Cost)))


class Statements:
    """What one database connection was told, statement by statement."""

    def __init__(self) -> None:
        self.statements = self.waits = self.transactions = 0
        self._open = False

    def said(self, sql: str) -> None:
        """One statement is executed."""
        word = sql.lstrip().partition(" ")[0].rstrip(";").upper()
        if word in _BEGINS:
            self.transactions += 1
            self._open = True
        elif word in _ENDS:
            # A rollback to a savepoint ends nothing.
            self._open = self._open and sql.upper().startswith("ROLLBACK TO")
        elif word not in _SERVICE:
            self.statements += 1
            self.transactions += not self._open


class PostgresLog(Statements):
    """Reads libpq's trace of one connection as it grows."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        super().__init__()
        self._connection = connection
        self._file: IO[str] = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed by `close`
        self._prepared: dict[str, str] = {}
        self._bound = ""
        self._since: set[str] = set()
        """Kinds of messages since the last wait."""
        self._read_until = 0
        connection.pgconn.trace(self._file.fileno())

    def read(self) -> None:
        """Take in what was said since."""
        # libpq writes through this descriptor: reading must leave its offset alone.
        descriptor = self._file.fileno()
        size = os.fstat(descriptor).st_size
        text = os.pread(descriptor, size - self._read_until, self._read_until).decode(errors="replace")
        self._read_until = size
        for entry in _LINE.split(text):
            found = _TRACED.fullmatch(entry.rstrip("\n"))
            if found:
                self._message(found[1], found[2] or "")

    def _message(self, kind: str, content: str) -> None:
        names = _TWO_NAMES.match(content)
        if kind == "Parse" and names:
            self._prepared[names[1]] = names[2]
        elif kind == "Bind" and names:
            self._bound = self._prepared.get(names[2].partition('"')[0], "")
        elif kind == "Execute":
            self.said(self._bound.partition('"')[0])
        elif kind == "Query":
            self.said(content.strip('"'))
        if kind == "Query":
            self.waits += not content.startswith('"DEALLOCATE')
        elif kind == "Sync":
            self.waits += self._since != {"Parse"}
        elif kind == "Flush":
            # After a Sync it only hurries an answer that is waited for already; psycopg sends it or not, as time goes.
            self.waits += "Execute" in self._since
        if kind in {"Query", "Sync", "Flush"}:
            self._since = set()
        else:
            self._since.add(kind)

    def close(self) -> None:
        """Stop the trace before its descriptor is given to another file."""
        if not self._connection.closed:
            self._connection.pgconn.untrace()
        self._file.close()


class SqliteLog(Statements):
    """Hears each statement of one connection from SQLite itself."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        super().__init__()
        connection.set_trace_callback(self._hear)

    def _hear(self, sql: str) -> None:
        if not sql.startswith("--"):  # what a trigger does is part of its statement
            self.said(sql)


class Walk:
    """Hears of each call from Python's profiler, in all threads but the simulators' own."""

    def __init__(self) -> None:
        self.functions: set[tuple[str, str]] = set()
        self.files: set[str] = set()
        self.moves = self.signatures = 0
        self._places: dict[tuple[str, str], str] = {}
        self._here = threading.local()

    def hear(self, frame: FrameType, what: str, argument: Any) -> None:
        if what == "call":
            self._called(frame.f_code)
        elif what == "c_call" and argument.__name__ in SIGNATURES and self._is_ours():
            self.signatures += type(argument.__self__).__module__.startswith("cryptography")

    def _called(self, code: CodeType) -> None:
        function = code.co_filename, code.co_qualname
        place = self._places.get(function)
        if place is None:
            place = self._places[function] = _place(*function)
        if place and self._is_ours():
            if place == "signature":
                self.signatures += 1
                return
            self.functions.add(function)
            self.files.add(place)
            last = getattr(self._here, "file", None)
            self.moves += last is not None and last != place
            self._here.file = place

    def _is_ours(self) -> bool:
        ours: bool | None = getattr(self._here, "ours", None)
        if ours is None:
            ours = self._here.ours = SIMULATOR_THREAD not in threading.current_thread().name
        return ours


def _place(file: str, function: str) -> str:
    """The file that a reader opens for it, `signature` for a function that signs or checks, or nothing."""
    if file.startswith(WALKED) and not file.startswith(LEFT_OUT):
        return file
    if file.endswith("/hmac.py") and function in {"new", "digest"}:
        return "signature"
    if "/Cryptodome/Signature/" in file and function.rpartition(".")[2] in SIGNATURES:
        return "signature"
    return ""


class Counter:
    """Counts what happens between two moments. Database connections are watched from the moment they are made."""

    def __init__(self) -> None:
        self._logs: list[PostgresLog | SqliteLog] = []

    @contextmanager
    def watching(self) -> Iterator[Counter]:
        """Watch each database connection that is opened meanwhile."""
        event.listen(Pool, "connect", self._connected)
        try:
            yield self
        finally:
            event.remove(Pool, "connect", self._connected)
            for log in self._logs:
                if isinstance(log, PostgresLog):
                    log.close()

    def _connected(self, connection: Any, _: object) -> None:
        if isinstance(connection, psycopg.Connection):
            self._logs.append(PostgresLog(connection))
        elif isinstance(connection, sqlite3.Connection):
            self._logs.append(SqliteLog(connection))

    def cost_of(self, work: Callable[[], object]) -> Cost:
        """Do it, and count."""
        before, walk = self._said(), Walk()
        threading.setprofile(walk.hear)
        sys.setprofile(walk.hear)
        try:
            work()
        finally:
            sys.setprofile(None)
            threading.setprofile(None)
        statements, waits, transactions = (after - earlier for after, earlier in zip(self._said(), before, strict=True))
        walked = len(walk.functions), len(walk.files), walk.moves
        return Cost(statements, waits, transactions, walk.signatures, *walked)

    def _said(self) -> tuple[int, int, int]:
        for log in self._logs:
            if isinstance(log, PostgresLog):
                log.read()
        return (
            sum(log.statements for log in self._logs),
            sum(log.waits for log in self._logs),
            sum(log.transactions for log in self._logs),
        )
