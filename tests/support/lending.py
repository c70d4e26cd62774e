"""PostgreSQL databases that one test after another borrows: emptied in between, which costs a tenth of a new one.

A test finds what it would find in a new database, and its URL is one that no test had before: what an earlier test left
running cannot reach it. A database whose schema, settings or statistics a test has changed is dropped.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Iterator
from typing import Any

import psycopg

from tests.support.databases import admin, drop_database, new_database, url_of

MOST_LENDINGS = 100
"""A database is dropped after so many tests: rows that were deleted still fill its files."""
MOST_BYTES = 4_000_000
"""A database whose tables have grown to more is dropped: it would take longer to empty it."""
LONGEST_END_SECONDS = 10
"""How long the sessions of a test may take to end. The database is dropped by force then."""

SIZE = "SELECT sum(pg_relation_size(oid)) FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"

EMPTY = """
DO $$
DECLARE relation text;
BEGIN
  SET LOCAL session_replication_role = replica;  -- no trigger of ours refuses, no foreign key is looked up
  FOR relation IN SELECT oid::regclass FROM pg_class
    WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname <> 'alembic_version'
    AND pg_relation_size(oid) > 0
  LOOP
    EXECUTE 'DELETE FROM ' || relation;
  END LOOP;
  PERFORM setval(seqrelid, seqstart, false) FROM pg_sequence;
END $$
"""

CHANGED_BY_DDL = (
    "pg_attrdef",
    "pg_attribute",
    "pg_constraint",
    "pg_db_role_setting",
    "pg_index",
    "pg_largeobject_metadata",
    "pg_policy",
    "pg_proc",
    "pg_rewrite",
    "pg_sequence",
    "pg_statistic",
    "pg_trigger",
    "pg_type",
)
"""What a statement that is not about rows writes into, beside the list of relations."""

FINGERPRINT = " UNION ALL ".join(
    [
        # The other columns change with the rows.
        "SELECT 'relations', count(*), sum(hashtext(row(oid, relname, relnamespace, relowner, relhastriggers,"
        " relhasrules, relrowsecurity, relacl, reloptions, relpersistence)::text)) FROM pg_class WHERE oid >= 16384",
        "SELECT 'version', count(*), sum(hashtext(version_num)) FROM alembic_version",
        "SELECT 'prepared', count(*), 0 FROM pg_prepared_xacts WHERE database = current_database()",
        *(f"SELECT '{name}', count(*), max(xmin::text::bigint) FROM {name}" for name in CHANGED_BY_DDL),
    ]
)
"""A row that is changed is a new version of the row, by a transaction with a higher number."""


class Lender:
    """Lends databases that are copies of a template."""

    def __init__(self, template: str) -> None:
        self.template = template
        self._free: list[LentDatabase] = []

    @contextlib.contextmanager
    def lend(self) -> Iterator[str]:
        """The URL of a database with the schema and no rows."""
        lent = self._free.pop() if self._free else LentDatabase(new_database(self.template))
        try:
            yield url_of(lent.name)
        finally:
            lent.lendings += 1
            if lent.lendings < MOST_LENDINGS and lent.is_as_new():
                self._free.append(lent)
            else:
                drop_database(lent.name)

    def close(self) -> None:
        """Drops all databases that are not lent."""
        while self._free:
            drop_database(self._free.pop().name)


class LentDatabase:
    """A database, and what it was like before it was lent."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.lendings = 0
        with _connection(name) as connection:
            self._fingerprint = connection.execute(FINGERPRINT).fetchall()

    def is_as_new(self) -> bool:
        """Empties it and gives it another name; False if it is not what it was."""
        if not self._is_renamed():
            return False
        with _connection(self.name) as connection:
            if connection.execute(FINGERPRINT).fetchall() != self._fingerprint:
                return False
            size = connection.execute(SIZE).fetchone()
            if size is None or size[0] > MOST_BYTES:
                return False
            connection.execute(EMPTY)
        return True

    def _is_renamed(self) -> bool:
        """Ends all sessions in it, so that none is left with a lock or the name. False: there is none."""
        wanted = f"t_{secrets.token_hex(6)}"
        with admin() as connection:
            if not _sessions_end(connection, self.name):
                return False
            try:
                connection.execute(f"ALTER DATABASE {self.name} RENAME TO {wanted}")
            except (psycopg.errors.InvalidCatalogName, psycopg.errors.ObjectInUse):
                return False
        self.name = wanted
        return True


def _connection(name: str) -> psycopg.Connection[Any]:
    return psycopg.connect(url_of(name), autocommit=True)


def _sessions_end(connection: psycopg.Connection[Any], name: str) -> bool:
    end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
    deadline = time.monotonic() + LONGEST_END_SECONDS
    while connection.execute(end, (name,)).fetchall():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.002)  # the server's own waiting goes by tenths of a second
    return True
