"""Multiplies the users of a database with all their rows, in SQL, and weighs what the tables take.

A copy has its own numbers, names, moments and provider's numbers, each as long as the first one's: so indexes grow as
they do in service. It lies in the slot of the user that it copies, so each slot is fuller than slots are. Seals and
chains are copied as they are: the benchmark times the service, it does not audit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

import psycopg
from sqlalchemy import Column, Table, Uuid

from app.domain.numbers import SEQUENCE_BITS, SLOT_BITS
from app.models.base import Base, Big, Moment
from app.models.catalogue import Claim
from app.models.slot_guard import SLOTTED

HISTORY = timedelta(hours=20)
"""The copies lie in so many hours before the first users. No day of theirs is closed, so the worker, which is to be
idle, has neither checkpoints nor revenue to write."""
A_SECOND = timedelta(seconds=1)
COPIES_AT_ONCE = 20
"""Copies that one transaction makes."""
NAMES = frozenset({"users.id", "user_id", "giver", "receiver"})
ACCOUNTS = frozenset({"accounts.id", "account_id", "book_id", "debit_id", "credit_id"})
NUMBERS = frozenset(
    {"id", "order_id", "payment_id", "paid_payment_id", "fact_id", "refund_id", "receipt_id", "resource_id"}
)
PROVIDERS = frozenset({"theirs", "key", "message_id", "reference"})
"""Columns with a number of the provider's, or a name that ends with one."""
_FUNCTIONS = f"""
CREATE FUNCTION pg_temp.shifted(number bigint, copy bigint, step_ms bigint) RETURNS bigint IMMUTABLE LANGUAGE sql
  AS $$ SELECT CASE WHEN number = 0 THEN 0 ELSE number - ((copy * step_ms) << {SEQUENCE_BITS + SLOT_BITS}) END $$;
CREATE FUNCTION pg_temp.hashed(number bigint, copy bigint) RETURNS bigint IMMUTABLE LANGUAGE sql
  AS $$ SELECT ((('x' || left(md5(number::text || copy), 16))::bit(64)::bigint >> {SLOT_BITS} & ~(-1::bigint << 51))
    << {SLOT_BITS}) | (number & ~(-1::bigint << {SLOT_BITS})) $$;
CREATE FUNCTION pg_temp.renamed(name text, copy bigint) RETURNS text IMMUTABLE LANGUAGE sql
  AS $$ SELECT left(name, -10) || left(md5(right(name, 10) || copy), 10) $$;
CREATE FUNCTION pg_temp.other(id uuid, copy bigint) RETURNS uuid IMMUTABLE LANGUAGE sql
  AS $$ SELECT (left(md5(id::text || copy), 20) || right(replace(id::text, '-', ''), 12))::uuid $$;
CREATE FUNCTION pg_temp.earlier(id uuid, copy bigint, step_ms bigint) RETURNS uuid IMMUTABLE LANGUAGE sql
  AS $$ SELECT (lpad(to_hex(('x' || left(replace(id::text, '-', ''), 12))::bit(48)::bigint - copy * step_ms), 12, '0')
    || right(replace(id::text, '-', ''), 20))::uuid $$;
CREATE TEMPORARY TABLE house_accounts AS SELECT id FROM accounts WHERE user_id = '';
"""
_IN_CONTENT = """
{name} || jsonb_strip_nulls(jsonb_build_object('theirs', pg_temp.renamed({name}->>'theirs', copy),
  'ours', pg_temp.shifted(({name}->>'ours')::bigint, copy, {step})::text))"""
_VERSION = """
CASE WHEN book_id IN (SELECT id FROM house_accounts)
  THEN version + copy * (SELECT max(version) FROM first_transfers) ELSE version END"""
_JOURNALS = """
UPDATE accounts SET version = last.version FROM (SELECT slot, book_id, max(version) AS version FROM transfers
  WHERE book_id IN (SELECT id FROM house_accounts) GROUP BY slot, book_id) last
WHERE accounts.slot = last.slot AND accounts.id = last.book_id"""


@dataclass(frozen=True, slots=True)
class Weight:
    """What one table takes, in bytes."""

    table: str
    rows: int
    heap: int
    """With what is kept beside long rows."""
    indexes: int


def multiply(connection: psycopg.Connection[object], copies: int, taken: timedelta) -> Iterator[int]:
    """Copy every user so many times; the number of copies after each transaction. `taken` is the time in which the
    first users' rows were made: copies must not overlap."""
    step_ms = int(max(taken + A_SECOND, HISTORY / max(copies, 1)) / timedelta(milliseconds=1))
    tables = [table for table in Base.metadata.sorted_tables if table.name in SLOTTED or table is Claim.__table__]
    connection.execute("SET session_replication_role = replica")
    connection.execute("SET statement_timeout = 0")
    connection.execute(_FUNCTIONS)
    copied = []
    for table in tables:
        house = " WHERE user_id <> ''" if table.name == "accounts" else ""
        connection.execute(f"CREATE TEMPORARY TABLE first_{table.name} AS SELECT * FROM {table.name}{house}")
        if connection.execute(f"ANALYZE first_{table.name}") and _count(connection, f"first_{table.name}"):
            copied.append((table, _insert(table, step_ms)))
    _take_out(connection, [table.name for table, _ in copied])
    for first in range(1, copies + 1, COPIES_AT_ONCE):
        last = min(first + COPIES_AT_ONCE - 1, copies)
        with connection.transaction():
            for _, statement in copied:
                # Older copies come first, as they would have.
                connection.execute(statement, {"first": copies + 1 - last, "last": copies + 1 - first})
        yield last
    for table, _ in copied:
        connection.execute(f"INSERT INTO {table.name} SELECT * FROM first_{table.name}")
    connection.execute("UPDATE event_feeds SET placed = (SELECT max(position) FROM events)")
    connection.execute(_JOURNALS)


def _take_out(connection: psycopg.Connection[object], tables: list[str]) -> None:
    """The first users' rows, which are the newest, come in again behind their copies: in service an index by time or
    number grows at its end, where PostgreSQL fills pages, and not in the middle, where it halves them."""
    connection.execute("DELETE FROM accounts WHERE user_id <> ''")
    connection.execute(f"TRUNCATE {', '.join(name for name in tables if name != 'accounts')} CASCADE")


def _insert(table: Table, step_ms: int) -> str:
    columns = [column.name for column in table.columns]
    values = [_value(table, column, step_ms) for column in table.columns]
    return (
        f"INSERT INTO {table.name} ({', '.join(columns)}) SELECT {', '.join(values)} FROM first_{table.name},"
        " generate_series(%(last)s::bigint, %(first)s::bigint, -1) copy"
        f" ORDER BY copy DESC, first_{table.name}.ctid"
    )


def _value(table: Table, column: Column[object], step: int) -> str:
    """What stands in a copy's column."""
    name, both = column.name, f"{table.name}.{column.name}"
    if name == "slot":
        return name
    if {name, both} & NAMES:
        return f"CASE WHEN {name} = '' THEN '' ELSE {name} || '-' || copy END"
    if {name, both} & ACCOUNTS:
        return f"CASE WHEN {name} IN (SELECT id FROM house_accounts) THEN {name} ELSE pg_temp.hashed({name}, copy) END"
    if isinstance(column.type, Uuid):
        return f"pg_temp.earlier({name}, copy, {step})" if both == "events.id" else f"pg_temp.other({name}, copy)"
    if name in NUMBERS and column.type is Big:
        return f"pg_temp.shifted({name}, copy, {step})"
    if isinstance(column.type, Moment):
        return f"{name} - copy * interval '{step} milliseconds'"
    if both == "events.version":
        return f"{name} - copy * {step} * 1000"
    if both == "events.position":
        return f"{name} + copy * (SELECT max(position) FROM first_events)"
    if both == "transfers.version":
        return _VERSION
    if both == "facts.content":
        return _IN_CONTENT.format(name=name, step=step)
    if both == "lots.payment":
        return f"CASE WHEN {name} ~ '^[0-9]+$' THEN pg_temp.shifted({name}::bigint, copy, {step})::text ELSE {name} END"
    if name in PROVIDERS:
        return f"pg_temp.renamed({name}, copy)"
    return name


def _count(connection: psycopg.Connection[object], table: str) -> int:
    row = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
    return int(row[0]) if isinstance(row, tuple) else 0


def weigh(connection: psycopg.Connection[object]) -> list[Weight]:
    """Every table that has rows, the heaviest first."""
    found = connection.execute(
        "SELECT relname, GREATEST(reltuples, 0)::bigint, pg_table_size(oid), pg_indexes_size(oid) FROM pg_class"
        " WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND reltuples > 0"
    )
    weights = [Weight(*row) for row in found if isinstance(row, tuple)]
    return sorted(weights, key=lambda weight: -(weight.heap + weight.indexes))


def weigh_words(connection: psycopg.Connection[object]) -> int:
    """What the provider's words behind all facts take."""
    row = connection.execute("SELECT sum(pg_column_size(raw))::bigint FROM facts").fetchone()
    return int(row[0]) if isinstance(row, tuple) else 0


def weigh_indexes(connection: psycopg.Connection[object]) -> list[tuple[str, int]]:
    """Every index of more than some pages, the heaviest first."""
    found = connection.execute(
        "SELECT indexrelname, pg_relation_size(indexrelid) size FROM pg_stat_user_indexes"
        " WHERE pg_relation_size(indexrelid) > 8192 * 4 ORDER BY size DESC"
    )
    return [(str(row[0]), int(row[1])) for row in found if isinstance(row, tuple)]
