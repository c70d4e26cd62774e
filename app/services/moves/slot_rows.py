"""The rows of some slots, carried from one database to another: copied whole, compared, and only then deleted.

Rows go from driver to driver as the database writes them, so nothing is lost on the way by a type of ours. All slots go
at once, for their users wait: a table takes six statements, however many slots there are.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import closing
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Table, delete, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from app.models.endpoints import DELIVERIES, POSITIONS
from app.models.engine import READ_ONLY
from app.models.events import EVENTS, FEEDS
from app.models.slot_fence import moving, slot_column, tables_by_slot
from app.models.slot_guard import sweep
from app.services.base.statements import Transaction
from app.services.base.upsert import insert_if_new
from app.services.events.feed import FEED

_MODULUS = 1 << 256
_NEW_PLACES = {"events": ("position",), "deliveries": ("position",)}
"""Columns that are given anew in the other database, and not compared."""
_e, _d, _p, _f = EVENTS.c, DELIVERIES.c, POSITIONS.c, FEEDS.c


class RowsDiffer(Exception):
    """The rows of these slots are not the same in both databases: nothing was deleted."""


@dataclass(frozen=True, slots=True)
class TableDigest:
    """How many rows of the slots a table has, and the sum of the SHA-256 of each: whatever their order, both are equal
    where the rows are."""

    rows: int = 0
    sum: int = 0


Digests = dict[str, TableDigest]
"""By the name of the table; tables without a row of the slots are left out."""


def digests_of(connection: Connection, slots: Collection[int]) -> Digests:
    """Of all rows of these slots."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
    found = {}
    for table in tables_by_slot():
        count = total = 0
        for line in _lines(connection, table, slots):
            count += 1
            total = (total + int.from_bytes(sha256(line).digest())) % _MODULUS
        if count:
            found[table.name] = TableDigest(count, total)
    return found


def carry_slots(source: Engine, target: Engine, slots: Collection[int]) -> int:
    """Let the rows of these slots lie in `target` and no more in `source`; how many these are. No row of them may
    change meanwhile (`models.slot_fence`). Killed anywhere, it can be done again with the same slots.

    Raises RowsDiffer if the slots had other rows in `target` already.
    """
    with source.connect().execution_options(**{READ_ONLY: True}) as reading:
        here = digests_of(reading, slots)
        with target.connect().execution_options(**{READ_ONLY: True}) as connection:
            there = digests_of(connection, slots)
        if here and not there:
            with target.begin() as writing:
                _copy(reading, writing, slots)
                there = digests_of(writing, slots)
                _compare(here, there)
    if here:
        with source.begin() as connection:
            _compare(digests_of(connection, slots), there)
            _delete(connection, slots, there)
    return sum(digest.rows for digest in there.values())


def _compare(here: Digests, there: Digests) -> None:
    for name in sorted(here.keys() | there.keys()):
        if here.get(name) != there.get(name):
            rows = [digests.get(name, TableDigest()).rows for digests in (here, there)]
            raise RowsDiffer(
                f"the slots have {rows[0]} rows in the table {name} where they were, and {rows[1]} where they go, "
                "and these are not the same"
            )


def _of(table: Table, slots: Collection[int]) -> ColumnElement[bool]:
    return table.c[slot_column(table)].in_(sorted(slots))


def _rows(connection: Connection, table: Table, slots: Collection[int], left_out: tuple[str, ...] = ()) -> str:
    """The statement for the driver that reads these rows."""
    columns = [column for column in table.columns if column.name not in left_out]
    dialect: Any = {"postgresql": postgresql, "sqlite": sqlite}[connection.dialect.name].dialect()
    wanted = select(*columns).where(_of(table, slots))
    return str(wanted.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))


def _driver(connection: Connection) -> Any:
    """The driver's own connection, in the transaction of this one."""
    if not connection.in_transaction():
        connection.begin()
    return connection.connection.driver_connection


def _lines(connection: Connection, table: Table, slots: Collection[int]) -> Iterator[bytes]:
    """Each row as a text of its own, without the columns that are given anew."""
    sql = _rows(connection, table, slots, _NEW_PLACES.get(table.name, ()))
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


def _copy(source: Connection, target: Connection, slots: Collection[int]) -> None:
    with moving(target):
        for table in tables_by_slot():
            _copy_table(source, target, table, slots)
        planned = source.execute(select(_p.endpoint_id, _p.planned)).all()
        _place(target, slots, {row.endpoint_id: row.planned for row in planned})


def _copy_table(source: Connection, target: Connection, table: Table, slots: Collection[int]) -> None:
    rows = _rows(source, table, slots)
    with closing(_driver(source).cursor()) as reading, closing(_driver(target).cursor()) as writing:
        if target.dialect.name == "sqlite":
            into = insert(table).compile(dialect=sqlite.dialect(paramstyle="qmark"))
            writing.executemany(str(into), reading.execute(rows).fetchall())
            return
        names = ", ".join(f'"{column.name}"' for column in table.columns)
        with (
            reading.copy(f"COPY ({rows}) TO STDOUT") as blocks,
            writing.copy(f"COPY {table.name} ({names}) FROM STDIN") as copy,
        ):
            for block in blocks:
                copy.write(block)


def _place(target: Connection, slots: Collection[int], planned: dict[int, int]) -> None:
    """The events get places at the end of the feed of this database, in the order that they had: so its readers, who
    have not seen them in this feed, miss none. `planned` is how far each endpoint had planned the feed where the
    events were: one that had planned all of this feed is not told again what it had planned there.

    The transaction holds the feed's row, as whoever gives places does, until it ends.
    """
    insert_if_new(Transaction(target), FEEDS, {"name": FEED, "placed": 0, "deleted": 0})
    target.execute(update(FEEDS).where(_f.name == FEED).values(placed=_f.placed))
    before = target.execute(select(_f.placed).where(_f.name == FEED)).scalar_one()
    moved = _of(EVENTS, slots), _e.position.is_not(None)
    old = list(target.execute(select(_e.position).prefix_with(sweep("operator")).where(*moved)).scalars())
    if not old:
        return
    order = before + func.row_number().over(order_by=_e.position)
    numbered = select(_e.slot, _e.id, order.label("place")).where(*moved).subquery()
    target.execute(
        update(EVENTS)
        .prefix_with(sweep("operator"))
        .where(_e.slot == numbered.c.slot, _e.id == numbered.c.id)
        .values(position=numbered.c.place)
    )
    target.execute(
        update(DELIVERIES)
        .prefix_with(sweep("operator"))
        .where(_of(DELIVERIES, slots), _e.slot == _d.slot, _e.id == _d.event_id, _e.position.is_not(None))
        .values(position=_e.position)
    )
    target.execute(update(FEEDS).where(_f.name == FEED).values(placed=before + len(old)))
    for endpoint, place in planned.items():
        known = sum(position <= place for position in old)
        if before == 0:
            row = {"endpoint_id": endpoint, "planned": 0, "rests_until": None}
            insert_if_new(Transaction(target), POSITIONS, row)
        at_the_end = update(POSITIONS).where(_p.endpoint_id == endpoint, _p.planned == before)
        target.execute(at_the_end.values(planned=before + known))


def _delete(connection: Connection, slots: Collection[int], expected: Digests) -> None:
    with moving(connection):
        for table in reversed(tables_by_slot()):
            if table.name not in expected:
                continue
            gone = connection.execute(delete(table).prefix_with(sweep("operator")).where(_of(table, slots)))
            if gone.rowcount != expected[table.name].rows:
                raise RowsDiffer(f"{gone.rowcount} rows of the slots in {table.name}, and not as many as copied")
