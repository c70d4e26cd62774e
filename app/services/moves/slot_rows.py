"""The rows of some slots, carried from one database to another: copied whole, compared, and only then deleted.

Rows go from driver to driver as the database writes them, so nothing is lost on the way by a type of ours. All slots go
at once, for their users wait: a table takes four statements, however many slots there are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Engine,
    Table,
    delete,
    func,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, OperationalError

from app.models.endpoints import DELIVERIES, POSITIONS
from app.models.engine import READ_ONLY
from app.models.events import EVENTS, FEEDS
from app.models.slot_fence import moving, slot_column, tables_by_slot
from app.models.slot_guard import sweep
from app.models.slot_map import SLOT_MAP
from app.services.base.statements import Transaction
from app.services.base.upsert import insert_if_new
from app.services.events.feed import FEED

CARRY_ATTEMPTS = 8
_MODULUS = 1 << 256
_CHANGED_MEANWHILE = "40001"
_LOCKED = "55P03"
_NEW_PLACES = {"events": ("position",), "deliveries": ("position",)}
"""Columns that are given anew in the other database, and not compared."""
_e, _d, _p, _f = EVENTS.c, DELIVERIES.c, POSITIONS.c, FEEDS.c


class RowsDiffer(Exception):
    """The rows of these slots are not the same in both databases: nothing was deleted."""


class MapChanged(Exception):
    """The map of the slots is not the one for which rows were to be carried, or another process carries them."""


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
    _without_timeout(connection)
    found = {}
    for table in tables_by_slot():
        counted = _Counted(0)
        for line in _lines(connection, table, slots, _compared_columns(table)):
            counted.add(line)
        if counted.rows:
            found[table.name] = counted.digest
    return found


def rows_by_slot(engine: Engine, slots: Collection[int]) -> dict[int, int]:
    """How many rows each of these slots has; slots without any are left out."""
    found = Counter[int]()
    with engine.connect().execution_options(**{READ_ONLY: True}) as connection:
        _without_timeout(connection)
        for table in tables_by_slot():
            column = table.c[slot_column(table)]
            wanted = select(column, func.count()).prefix_with(sweep("operator")).where(_of(table, slots))
            for slot, rows in connection.execute(wanted.group_by(column)):
                found[slot] += rows
    return dict(found)


def carry_slots(source: Engine, target: Engine, slots: Collection[int], *, version: int) -> int:
    """Let the rows of these slots lie in `target` and no more in `source`; how many these are. No row of them may
    change meanwhile (`models.slot_fence`). Killed anywhere, it can be done again with the same slots. `version` is that
    of the map which freezes them, in both databases; nobody changes the map there before the rows are carried.

    Raises RowsDiffer if the slots had other rows in `target` already; MapChanged if the map is another one.
    """
    for attempt in range(1, CARRY_ATTEMPTS + 1):
        try:
            return _carry(source, target, slots, version)
        except DBAPIError as error:
            # The feed has given an event its place meanwhile: what was copied stays, and is compared.
            if getattr(error.orig, "sqlstate", None) != _CHANGED_MEANWHILE or attempt == CARRY_ATTEMPTS:
                raise
    raise AssertionError("unreachable")


def _carry(source: Engine, target: Engine, slots: Collection[int], version: int) -> int:
    """The transaction in the source reads and deletes as of one moment: PostgreSQL refuses to delete what was changed
    since, and SQLite lets nobody write. It is committed after that in the target, never before."""
    one_moment = {} if source.dialect.name == "sqlite" else {"isolation_level": "REPEATABLE READ"}
    with source.connect().execution_options(**one_moment) as leaving, leaving.begin():
        _require_map(leaving, version)
        with target.begin() as arriving:
            _require_map(arriving, version)
            there = digests_of(arriving, slots)
            if there:
                here = digests_of(leaving, slots)
            else:
                here = _copy(leaving, arriving, slots)
                there = digests_of(arriving, slots)
            if here:
                _compare(here, there)
        _delete(leaving, slots, here)
    return sum(digest.rows for digest in there.values())


def _require_map(connection: Connection, version: int) -> None:
    """Raise MapChanged unless this database bears that map, which it does until the transaction ends: a process that
    was stopped in the middle of a carry, and wakes when others have gone on, deletes nothing. And one carries at a
    time."""
    kept = select(SLOT_MAP.c.version).where(SLOT_MAP.c.id == 1).with_for_update(nowait=True)
    try:
        found = connection.execute(kept).scalar_one()
    except OperationalError as error:
        if getattr(error.orig, "sqlstate", None) == _LOCKED:
            raise MapChanged("it carries these slots at this moment") from None
        raise
    if found != version:
        raise MapChanged(f"the map of the slots has the version {found}, and had {version}")


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


def _compared_columns(table: Table) -> list[Column[Any]]:
    given_anew = _NEW_PLACES.get(table.name, ())
    return [column for column in table.columns if column.name not in given_anew]


def _without_timeout(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET LOCAL statement_timeout = 0")


def _driver(connection: Connection) -> Any:
    """The driver's own connection, in the transaction of this one."""
    if not connection.in_transaction():
        connection.begin()
    return connection.connection.driver_connection


@dataclass(slots=True)
class _Counted:
    """The digest of a table whose rows go by, each as a text or as SQLite's values."""

    left_out: int
    """How many columns at the end of each row are not compared."""
    rows: int = 0
    sum: int = 0

    @property
    def digest(self) -> TableDigest:
        return TableDigest(self.rows, self.sum % _MODULUS)

    def add(self, line: Any) -> None:
        if isinstance(line, tuple):
            compared = repr(line[: len(line) - self.left_out]).encode()
        else:
            compared = line.rsplit(b"\t", self.left_out)[0]  # a tab inside a value is written as \t
        self.rows += 1
        self.sum += int.from_bytes(sha256(compared).digest())


def _lines(
    connection: Connection, table: Table, slots: Collection[int], columns: Sequence[Column[Any]]
) -> Generator[Any, None, None]:
    """Each row as the database writes it: a line of COPY, or SQLite's values."""
    dialect: Any = {"postgresql": postgresql, "sqlite": sqlite}[connection.dialect.name].dialect()
    wanted = select(*columns).where(_of(table, slots))
    sql = str(wanted.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))
    with closing(_driver(connection).cursor()) as cursor:
        if connection.dialect.name == "sqlite":
            yield from cursor.execute(sql)
            return
        rest = b""
        with cursor.copy(f"COPY ({sql}) TO STDOUT") as copy:
            for block in copy:
                *lines, rest = (rest + bytes(block)).split(b"\n")  # a line feed inside a value is written as \n
                yield from lines


def _copy(source: Connection, target: Connection, slots: Collection[int]) -> Digests:
    """What was copied."""
    _without_timeout(source)
    copied = {}
    with moving(target):
        for table in tables_by_slot():
            digest = _copy_table(source, target, table, slots)
            if digest.rows:
                copied[table.name] = digest
        planned = source.execute(select(_p.endpoint_id, _p.planned)).all()
        _place(target, slots, {row.endpoint_id: row.planned for row in planned})
    return copied


def _copy_table(source: Connection, target: Connection, table: Table, slots: Collection[int]) -> TableDigest:
    compared = _compared_columns(table)
    columns = [*compared, *(column for column in table.columns if column not in set(compared))]
    counted = _Counted(len(columns) - len(compared))
    lines = _lines(source, table, slots, columns)

    def passing() -> Iterator[Any]:
        for line in lines:
            counted.add(line)
            yield line

    with closing(lines), closing(_driver(target).cursor()) as writing:
        names = ", ".join(f'"{column.name}"' for column in columns)
        if target.dialect.name == "sqlite":
            values = ", ".join("?" * len(columns))
            into = f"INSERT INTO {table.name} ({names}) VALUES ({values})"  # noqa: S608 - names of our own tables
            writing.executemany(into, passing())
        else:
            with writing.copy(f"COPY {table.name} ({names}) FROM STDIN") as copy:
                for line in passing():
                    copy.write(line + b"\n")
    return counted.digest


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
