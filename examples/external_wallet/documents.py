"""A store that has no transactions: documents under a key, and one conditional change of one document at a time.

MongoDB (`findOneAndUpdate` with the version in the filter), DynamoDB (a condition on the version), Redis (a script that
compares) and an SQL table whose rows are changed one by one can all be this store.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Protocol

BODY = dict[str, Any]
SCHEMA = """
CREATE TABLE IF NOT EXISTS documents (key TEXT PRIMARY KEY, version INTEGER NOT NULL, body TEXT NOT NULL) WITHOUT ROWID
"""


@dataclass(frozen=True)
class Document:
    """A document as it was read. `version` 0: there is none, and the body is empty."""

    key: str
    version: int
    body: BODY


class Store(Protocol):
    """The only two things that the recipe asks of a database."""

    def read(self, key: str) -> Document:
        """The newest state of the document: no stale copy of a replica."""

    def replace(self, document: Document, body: BODY) -> bool:
        """Write the body if the document is still as it was read; False, changing nothing, if it is not."""


class SqliteStore:
    """Documents in SQLite. Each statement changes one row and is committed by itself."""

    def __init__(self, file: str) -> None:
        self._file = file
        with closing(self._open()) as database:
            database.execute(SCHEMA)

    def read(self, key: str) -> Document:
        with closing(self._open()) as database:
            found = database.execute("SELECT version, body FROM documents WHERE key = ?", (key,)).fetchone()
        return Document(key, 0, {}) if found is None else Document(key, found[0], json.loads(found[1]))

    def replace(self, document: Document, body: BODY) -> bool:
        text = json.dumps(body)
        if document.version == 0:
            change = "INSERT INTO documents VALUES (?, 1, ?) ON CONFLICT DO NOTHING"
            values: tuple[Any, ...] = (document.key, text)
        else:
            change = "UPDATE documents SET version = version + 1, body = ? WHERE key = ? AND version = ?"
            values = (text, document.key, document.version)
        with closing(self._open()) as database:
            return database.execute(change, values).rowcount == 1

    def _open(self) -> sqlite3.Connection:
        return sqlite3.connect(self._file, timeout=30, isolation_level=None)  # each statement commits by itself
