"""`INSERT … ON CONFLICT` on every engine: the row count says whether the row is new, or was changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, cast

from sqlalchemy import ColumnElement, FromClause, Table, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import OperationalError
from sqlalchemy.sql.dml import Insert

from app.domain.numbers import NumberSource
from app.services.base.statements import RowInsert
from app.services.base.transaction import Transaction

NUMBER_ATTEMPTS = 5


class _RunAgain(Exception):
    sqlstate = "40001"


class NumberTaken(OperationalError):
    """Another process gave out the same number in the same millisecond. To `transact` that is a serialization failure:
    the transaction runs again, with other numbers."""

    def __init__(self) -> None:
        super().__init__("INSERT", None, _RunAgain("the number is taken"))


class ToldMeanwhile(OperationalError):
    """Another transaction told the fact while this one made an order for it. To `transact` that is a serialization
    failure: the transaction runs again, and finds the order of the other."""

    def __init__(self) -> None:
        super().__init__("INSERT", None, _RunAgain("the fact is told already"))


class AskedMeanwhile(OperationalError):
    """Another request with the same key was faster. To `transact` that is a serialization failure: the transaction runs
    again, and finds what the key stands for."""

    def __init__(self) -> None:
        super().__init__("INSERT", None, _RunAgain("the key is taken"))


class DeletedMeanwhile(OperationalError):
    """Another transaction deleted the row that has the key while this one went to look for that row. To `transact` that
    is a serialization failure: the transaction runs again, and the key is free."""

    def __init__(self) -> None:
        super().__init__("INSERT", None, _RunAgain("the row is deleted"))


def insertion_if_new(table: FromClause) -> RowInsert:
    """INSERT for the money path; a row of which a unique key is taken is left out, and not counted."""
    if not isinstance(table, Table):
        raise TypeError(f"not a table: {table!r}")
    return RowInsert(table, lambda insert: insert.on_conflict_do_nothing())


@cache
def _statement(table: FromClause, dialect: str) -> Insert:
    if not isinstance(table, Table):
        raise TypeError(f"not a table: {table!r}")
    insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
    # SQLAlchemy keeps the row count of an INSERT only when asked to.
    return insert(table).on_conflict_do_nothing().execution_options(preserve_rowcount=True)


def insert_if_new(tx: Transaction, table: FromClause, row: Mapping[str, Any]) -> bool:
    """Insert the row unless one of its unique keys is taken; True if it is new."""
    statement = _statement(table, tx.connection().dialect.name)
    result = tx.connection().execute(statement, dict(row))
    return result.rowcount == 1


def insert_or_change(
    tx: Transaction,
    table: FromClause,
    row: Mapping[str, Any],
    changes: Callable[[Any], Mapping[str, Any]],
    where: ColumnElement[bool] | None = None,
) -> bool:
    """Insert the row, or change the one that has its primary key already, if that one fulfils `where`; False if nothing
    was written. `changes` gets the columns of the row that was to be inserted. Waits for whoever is changing it."""
    if not isinstance(table, Table):
        raise TypeError(f"not a table: {table!r}")
    dialect = postgresql if tx.connection().dialect.name == "postgresql" else sqlite
    insert = dialect.insert(table).values(**row)
    statement = insert.on_conflict_do_update(
        index_elements=list(table.primary_key), set_=changes(insert.excluded), where=where
    )
    result = tx.connection().execute(statement.execution_options(preserve_rowcount=True))
    return result.rowcount == 1


def insert_numbered(
    tx: Transaction,
    table: FromClause,
    numbers: NumberSource,
    row: Mapping[str, Any],
    seal: Callable[[Mapping[str, Any]], bytes] | None = None,
) -> int:
    """Insert a row whose only unique key is its number, under a new number of its slot; the number."""
    number = insert_numbered_if_new(tx, table, numbers, row["slot"], row, seal)
    if number is None:
        raise RuntimeError(f"a row of {table} has another unique key, and that is taken")
    return number


def insert_numbered_if_new(
    tx: Transaction,
    table: FromClause,
    numbers: NumberSource,
    slot: int,
    row: Mapping[str, Any],
    seal: Callable[[Mapping[str, Any]], bytes] | None = None,
) -> int | None:
    """Insert a row that has another unique key beside its number, under a new number of the slot; the number, or None
    if the other key is taken. `seal` makes the seal of a row that has one.

    A number that another process gave out in the same millisecond must not pass for the other key: then the next one is
    taken.
    """
    for _ in range(NUMBER_ATTEMPTS):
        numbered = {**row, "id": numbers.next(slot)}
        if seal is not None:
            numbered["seal"] = seal(numbered)
        if insert_if_new(tx, table, numbered):
            return int(numbered["id"])
        primary = cast(Table, table).primary_key.columns
        if tx.execute(select(*primary).where(*(each == numbered[each.name] for each in primary))).first() is None:
            return None
    raise RuntimeError("no free number in this slot: is the clock standing still?")
