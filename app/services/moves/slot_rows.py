"""The rows of one slot, carried from one database to another: copied whole, compared, and only then deleted.

Rows go from driver to driver as the database writes them, so nothing is lost on the way by a type of ours.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection, Engine, Table

from app.models.engine import READ_ONLY
from app.models.slot_fence import moving, slot_column, tables_by_slot
from app.services.events.feed import FEED

_MODULUS = 1 << 256
_NEW_PLACES = {"events": ("position",), "deliveries": ("position",)}
"""Columns that are given anew in the other database, and not compared."""


class RowsDiffer(Exception):
    """The rows of a slot are not the same in both databases: nothing was deleted."""


@dataclass(frozen=True, slots=True)
class TableDigest:
    """How many rows of a slot a table has, and the sum of the SHA-256 of each: whatever their order, both are equal
    where the rows are."""

    rows: int = 0
    sum: int = 0


Digests = dict[str, TableDigest]
"""By the name of the table; tables without a row of the slot are left out."""


def digests_of(connection: Connection, slot: int) -> Digests:
    """Of all rows of this slot."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
    found = {}
    for table in tables_by_slot():
        count = total = 0
        for line in _lines(connection, table, slot):
            count += 1
            total = (total + int.from_bytes(sha256(line).digest())) % _MODULUS
        if count:
            found[table.name] = TableDigest(count, total)
    return found


def carry_slot(source: Engine, target: Engine, slot: int) -> int:
    """Let the rows of a slot lie in `target` and no more in `source`; how many these are. No row of it may change
    meanwhile (`models.slot_fence`). Killed anywhere, it can be done again.

    Raises RowsDiffer if the slot had other rows in `target` already.
    """
    with source.connect().execution_options(**{READ_ONLY: True}) as reading:
        here = digests_of(reading, slot)
        with target.connect().execution_options(**{READ_ONLY: True}) as connection:
            there = digests_of(connection, slot)
        if here and not there:
            with target.begin() as writing:
                _copy(reading, writing, slot)
                there = digests_of(writing, slot)
                _compare(here, there, slot)
    if here:
        with source.begin() as connection:
            _compare(digests_of(connection, slot), there, slot)
            _delete(connection, slot, there)
    return sum(digest.rows for digest in there.values())


def _compare(here: Digests, there: Digests, slot: int) -> None:
    for name in sorted(here.keys() | there.keys()):
        if here.get(name) != there.get(name):
            rows = [digests.get(name, TableDigest()).rows for digests in (here, there)]
            raise RowsDiffer(
                f"the slot {slot} has {rows[0]} rows of the table {name} where it was, and {rows[1]} where it goes, "
                "and they are not the same"
            )


def _columns(table: Table, left_out: tuple[str, ...] = ()) -> str:
    return ", ".join(f'"{column.name}"' for column in table.columns if column.name not in left_out)


def _rows(table: Table, slot: int, left_out: tuple[str, ...] = ()) -> str:
    return f"SELECT {_columns(table, left_out)} FROM {table.name} WHERE {slot_column(table)} = {slot}"  # noqa: S608


def _driver(connection: Connection) -> Any:
    """The driver's own connection, in the transaction of this one."""
    if not connection.in_transaction():
        connection.begin()
    return connection.connection.driver_connection


def _lines(connection: Connection, table: Table, slot: int) -> Iterator[bytes]:
    """Each row as a text of its own, without the columns that are given anew."""
    sql = _rows(table, slot, _NEW_PLACES.get(table.name, ()))
    with closing(_driver(connection).cursor()) as cursor:
        if connection.dialect.name == "sqlite":
            for row in cursor.execute(sql):
                yield repr(row).encode()
            return
        rest = b""
        with cursor.copy(f"COPY ({sql}) TO STDOUT") as copy:
            for block in copy:
                *lines, rest = (rest + bytes(block)).split(b"\n")  # a line feed inside a value is written as \n
                yield from lines


def _copy(source: Connection, target: Connection, slot: int) -> None:
    with moving(target):
        for table in tables_by_slot():
            _copy_table(source, target, table, slot)
        _place(target, slot, _who_planned_all(source, slot))


def _copy_table(source: Connection, target: Connection, table: Table, slot: int) -> None:
    with closing(_driver(source).cursor()) as reading, closing(_driver(target).cursor()) as writing:
        if target.dialect.name == "sqlite":
            marks = ", ".join("?" for _ in table.columns)
            insert = f"INSERT INTO {table.name} ({_columns(table)}) VALUES ({marks})"  # noqa: S608
            writing.executemany(insert, reading.execute(_rows(table, slot)).fetchall())
            return
        to, into = f"COPY ({_rows(table, slot)}) TO STDOUT", f"COPY {table.name} ({_columns(table)}) FROM STDIN"
        with reading.copy(to) as blocks, writing.copy(into) as copy:
            for block in blocks:
                copy.write(block)


def _who_planned_all(source: Connection, slot: int) -> list[int]:
    """The endpoints that have planned all placed events of this slot."""
    found = source.exec_driver_sql(
        "SELECT endpoint_id FROM endpoint_positions WHERE planned >= "  # noqa: S608
        f"(SELECT max(position) FROM events WHERE slot = {slot})"
    )
    return list(found.scalars())


def _place(target: Connection, slot: int, planned_by: list[int]) -> None:
    """The events get places at the end of the feed of this database, in the order that they had: so its readers, who
    have not seen them in this feed, miss none. An endpoint that had planned all of both feeds is not told again.

    The transaction holds the feed's row, as whoever gives places does, until it ends.
    """
    run = target.exec_driver_sql
    run(f"INSERT INTO event_feeds (name, placed, deleted) VALUES ('{FEED}', 0, 0) ON CONFLICT DO NOTHING")  # noqa: S608
    run(f"UPDATE event_feeds SET placed = placed WHERE name = '{FEED}'")  # noqa: S608
    before = run(f"SELECT placed FROM event_feeds WHERE name = '{FEED}'").scalar_one()  # noqa: S608
    run(
        "UPDATE events SET position = numbered.place FROM (SELECT id, "  # noqa: S608
        f"{before} + row_number() OVER (ORDER BY position) AS place FROM events "
        f"WHERE slot = {slot} AND position IS NOT NULL) AS numbered "
        f"WHERE events.slot = {slot} AND events.id = numbered.id"
    )
    run(
        "UPDATE deliveries SET position = events.position FROM events "  # noqa: S608
        f"WHERE deliveries.slot = {slot} AND events.slot = {slot} AND events.id = deliveries.event_id "
        "AND events.position IS NOT NULL"
    )
    placed = run(f"SELECT max(position) FROM events WHERE slot = {slot}").scalar_one()  # noqa: S608
    if placed is None:
        return
    run(f"UPDATE event_feeds SET placed = {placed} WHERE name = '{FEED}'")  # noqa: S608
    for endpoint in planned_by:
        if before == 0:
            run(
                "INSERT INTO endpoint_positions (endpoint_id, planned, rests_until) "  # noqa: S608
                f"VALUES ({endpoint}, 0, NULL) ON CONFLICT DO NOTHING"
            )
        run(
            f"UPDATE endpoint_positions SET planned = {placed} "  # noqa: S608
            f"WHERE endpoint_id = {endpoint} AND planned = {before}"
        )


def _delete(connection: Connection, slot: int, expected: Digests) -> None:
    with moving(connection):
        for table in reversed(tables_by_slot()):
            if table.name not in expected:
                continue
            gone = connection.exec_driver_sql(f"DELETE FROM {table.name} WHERE {slot_column(table)} = {slot}")  # noqa: S608
            if gone.rowcount != expected[table.name].rows:
                raise RowsDiffer(f"{gone.rowcount} rows of the slot {slot} in {table.name}, and not as many as copied")
