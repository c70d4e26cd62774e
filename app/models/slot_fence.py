"""Triggers that keep writers out of slots that a database does not hold any more, or is about to give away.

The map of the slots tells processes where to go; the fence stops one that has not heard of a newer map. Only who moves
the slots passes it (`moving`), and the append-only guards with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, Table

from app.domain.slot_map import SlotRange
from app.models.base import Base
from app.models.distribution import TableClass, class_of

FENCED_SQLSTATE = "TB001"
FENCED_TEXT = "tillbook: this slot is being moved to another database, or was moved"
FENCE_LOCK_MS = 2_000
"""How long the change of one table's fence waits for transactions that write there; writers wait behind it."""
_FREE_COLUMNS = {"events": ("position",)}
"""Columns that others may change while their slots are frozen: the feed goes on for the other slots of the database."""
_PARAMETERS_ARE_GRANTED = (15,)
"""Since this version PostgreSQL lets others than superusers set what only these could."""
_WITHOUT_KEYS = (
    "SELECT set_config('session_replication_role', 'replica', true) "
    "WHERE has_parameter_privilege('session_replication_role', 'SET')"
)

_FUNCTION = f"""\
CREATE OR REPLACE FUNCTION tillbook_fence() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF current_setting('tillbook.moves_slots', true) = 'yes' THEN
    IF TG_OP = 'DELETE' THEN
      RETURN OLD;
    END IF;
    RETURN NEW;
  END IF;
  RAISE EXCEPTION '{FENCED_TEXT}' USING ERRCODE = '{FENCED_SQLSTATE}';
END $$"""


def slot_column(table: Table) -> str:
    """By which the rows of a table lie in their slot."""
    return "slot" if class_of(table) is TableClass.SLOT else "cslot"


def tables_by_slot() -> list[Table]:
    """The tables whose rows lie by slot, parents before their children."""
    return [table for table in Base.metadata.sorted_tables if class_of(table) in (TableClass.SLOT, TableClass.OWN_HASH)]


def set_fence(engine: Engine, ranges: Sequence[SlotRange]) -> None:
    """From now on no row of these slots, and of no others, is refused here. When it returns, nobody is in the middle
    of writing one.

    One table after the other, each in its own transaction, that waits for those who write there: who has written one
    table before its fence is refused at the next.
    """
    if engine.dialect.name == "postgresql":
        with engine.begin() as connection:
            connection.exec_driver_sql(_FUNCTION)
    for table in tables_by_slot():
        with engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.exec_driver_sql(f"SET LOCAL lock_timeout = {FENCE_LOCK_MS}")
                statements = _on_postgres(table, ranges)
            else:
                statements = _on_sqlite(table, ranges)
            for statement in statements:
                connection.exec_driver_sql(statement)


def is_fenced(error: BaseException | None) -> bool:
    """Whether the driver's error is that of the fence."""
    return getattr(error, "sqlstate", None) == FENCED_SQLSTATE or FENCED_TEXT in str(error)


@contextmanager
def moving(connection: Connection) -> Iterator[None]:
    """Inside, and until the transaction ends, this connection passes the fence, and may delete what is append-only.

    On PostgreSQL foreign keys are not looked at, where the role may say so: that takes half of the time. All rows of a
    slot come or go together, they are compared with those in the other database, and no key leads out of a slot.
    """
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET LOCAL tillbook.moves_slots = 'yes'")
        connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
        if (connection.dialect.server_version_info or ()) >= _PARAMETERS_ARE_GRANTED:
            connection.exec_driver_sql(_WITHOUT_KEYS)
        yield
        return
    # SQLite has one writer at a time and changes its schema in transactions: nobody sees it without the triggers.
    connection.exec_driver_sql("PRAGMA defer_foreign_keys = ON")
    found = connection.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").all()
    for name, _ in found:
        connection.exec_driver_sql(f"DROP TRIGGER {name}")
    yield
    for _, sql in found:
        connection.exec_driver_sql(sql)


def _condition(table: Table, row: str, ranges: Sequence[SlotRange]) -> str:
    column = slot_column(table)
    return " OR ".join(f"{row}.{column} BETWEEN {first} AND {last}" for first, last in ranges)


def _changing(table: Table) -> str:
    left_out = _FREE_COLUMNS.get(table.name)
    if left_out is None:
        return "UPDATE"
    return "UPDATE OF " + ", ".join(column.name for column in table.columns if column.name not in left_out)


def _on_postgres(table: Table, ranges: Sequence[SlotRange]) -> list[str]:
    """Replaced, and not made anew: that would lock readers out."""
    name = table.name
    if not ranges:
        return [f"DROP TRIGGER IF EXISTS {name}_fence_{row} ON {name}" for row in ("new", "old")]
    call = "EXECUTE FUNCTION tillbook_fence()"
    events = {"new": "INSERT", "old": f"{_changing(table)} OR DELETE"}
    return [
        f"CREATE OR REPLACE TRIGGER {name}_fence_{row} BEFORE {what} ON {name} FOR EACH ROW "
        f"WHEN ({_condition(table, row.upper(), ranges)}) {call}"
        for row, what in events.items()
    ]


def _on_sqlite(table: Table, ranges: Sequence[SlotRange]) -> list[str]:
    name = table.name
    events = {"insert": ("INSERT", "NEW"), "update": (_changing(table), "OLD"), "delete": ("DELETE", "OLD")}
    statements = [f"DROP TRIGGER IF EXISTS {name}_fence_{event}" for event in events]
    if ranges:
        statements += [
            f"CREATE TRIGGER {name}_fence_{event} BEFORE {what} ON {name} WHEN {_condition(table, row, ranges)} "
            f"BEGIN SELECT RAISE(ABORT, '{FENCED_TEXT}'); END"
            for event, (what, row) in events.items()
        ]
    return statements
