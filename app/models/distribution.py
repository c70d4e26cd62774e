"""Spreads the tables over the nodes of a PostgreSQL cluster (Citus), by slot. Elsewhere there is nothing to do.

Each table is in exactly one class, found from its own columns:

    slot        user data: by `slot`, all such tables of one slot on one node
    own hash    claims of store purchases: by the hash of their own reference
    reference   small, read in joins with user data, seldom written: whole on every node
    own         each database has its own, as how far its events are in order: on the coordinator alone
    home        all the rest: on the coordinator alone, and in the first of several databases

Parents come before children, triggers are kept, and whatever is distributed already stays as it is: so the step can be
repeated, and follows every migration. Restrictions and settings were found by running Citus 13.2 (2026-11).
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum

from sqlalchemy import Connection, Table, text

from app.models.base import Base

FEWEST_SHARDS = 1
USUAL_SHARDS = 64
MOST_SHARDS = 1024
"""Shards of the tables by slot, each a table of its own on its node. To change their number later means to copy all
rows; to move shards between nodes does not. 64 serve from one node to dozens."""
REFERENCE = frozenset({"products"})
OWN = frozenset({"event_feeds", "endpoint_positions", "slot_map"})


class TableClass(StrEnum):
    SLOT = "slot"
    OWN_HASH = "own hash"
    REFERENCE = "reference"
    OWN = "own"
    HOME = "home"


# Children are created one shard after another, since they refer to reference tables; a coordinator's own table need not
# become part of the cluster for a foreign key; and our triggers only refuse, on the row's own node.
_SETTINGS = (
    "SET LOCAL citus.multi_shard_modify_mode TO 'sequential'",
    "SET LOCAL citus.enable_local_reference_table_foreign_keys TO off",
    "SET LOCAL citus.enable_unsafe_triggers TO on",
)
_IS_CLUSTER = text("SELECT to_regclass('pg_dist_partition') IS NOT NULL")
_DISTRIBUTED = text("SELECT c.relname FROM pg_dist_partition p JOIN pg_class c ON c.oid = p.logicalrelid")
_TRIGGER_FUNCTIONS = text(
    "SELECT DISTINCT t.tgfoid::regprocedure::text FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid "
    "WHERE NOT t.tgisinternal AND c.relname = ANY(:tables)"
)
_SEND_FUNCTION = text("SELECT create_distributed_function(CAST(:function AS regprocedure))")
_SHARDS = text("SELECT set_config('citus.shard_count', :shards, true)")
_BY_COLUMN = text(
    "SELECT create_distributed_table(CAST(:table AS regclass), :column, colocate_with := CAST(:beside AS text))"
)
_WHOLE = text("SELECT create_reference_table(CAST(:table AS regclass))")


def class_of(table: Table) -> TableClass:
    first = next(iter(table.primary_key.columns)).name
    if first == "slot":
        return TableClass.SLOT
    if first == "cslot":
        return TableClass.OWN_HASH
    if table.name in OWN:
        return TableClass.OWN
    return TableClass.REFERENCE if table.name in REFERENCE else TableClass.HOME


def is_cluster(connection: Connection) -> bool:
    """Whether the database says that it has nodes."""
    return connection.dialect.name == "postgresql" and bool(connection.execute(_IS_CLUSTER).scalar_one())


def prepare_changes(connection: Connection) -> None:
    """What a transaction that changes tables needs in a cluster, before its first change."""
    for setting in _SETTINGS:
        connection.exec_driver_sql(setting)


def not_distributed(connection: Connection) -> list[str]:
    """Tables that belong on the nodes and are not there, parents first; nothing where there is no cluster."""
    if not is_cluster(connection):
        return []
    there = set(connection.execute(_DISTRIBUTED).scalars())
    return [table.name for table in _in_order() if table.name not in there]


def distribute_in(connection: Connection, shards: int = USUAL_SHARDS) -> list[str]:
    """Distribute what is not distributed yet, in this transaction; the names of those tables. `shards` counts only for
    the first table by slot: all others lie beside it."""
    if not FEWEST_SHARDS <= shards <= MOST_SHARDS:
        raise ValueError(f"shards is {FEWEST_SHARDS} to {MOST_SHARDS}")
    missing = not_distributed(connection)
    if not missing:
        return []
    prepare_changes(connection)
    connection.execute(_SHARDS, {"shards": str(shards)})
    for function in connection.execute(_TRIGGER_FUNCTIONS, {"tables": missing}).scalars().all():
        connection.execute(_SEND_FUNCTION, {"function": function})
    beside = next(name for name in (table.name for table in _in_order()) if _class(name) is TableClass.SLOT)
    for name in missing:
        _distribute_one(connection, name, beside)
    return missing


def _distribute_one(connection: Connection, name: str, beside: str) -> None:
    kind = _class(name)
    if kind is TableClass.REFERENCE:
        connection.execute(_WHOLE, {"table": name})
    elif kind is TableClass.OWN_HASH:
        connection.execute(_BY_COLUMN, {"table": name, "column": "cslot", "beside": "none"})
    else:
        connection.execute(
            _BY_COLUMN, {"table": name, "column": "slot", "beside": "none" if name == beside else beside}
        )


def _class(name: str) -> TableClass:
    return class_of(Base.metadata.tables[name])


def _in_order() -> Iterator[Table]:
    """The tables that belong on the nodes: reference tables, then parents before their children."""
    tables = [
        table for table in Base.metadata.sorted_tables if class_of(table) not in (TableClass.OWN, TableClass.HOME)
    ]
    yield from sorted(tables, key=lambda table: class_of(table) is not TableClass.REFERENCE)
