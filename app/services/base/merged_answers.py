"""The answers of several databases to one statement, put together as one database would have given them.

Rows are merged in the order of the statement and cut at its limit; sums, counts, least and greatest values are taken
over all databases. The statement itself says how. One for which that cannot be done is refused.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any

from sqlalchemy import CompoundSelect, IteratorResult, Result, Select, String
from sqlalchemy.engine.result import SimpleResultMetaData
from sqlalchemy.sql import operators
from sqlalchemy.sql.elements import BindParameter, Cast, ClauseElement, Label, UnaryExpression
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.sql.selectable import Exists
from sqlalchemy.sql.visitors import iterate

from app.models.base import OneOrder
from app.services.base.errors import SlotsFrozen

Combine = Callable[[Any, Any], Any]
_OVER: Mapping[str, Combine] = {
    "sum": lambda one, other: one + other,
    "count": lambda one, other: one + other,
    "min": min,
    "max": max,
}
"""How a value over several databases is made of the values in two of them; a database may have none."""
_OF_ONE_DATABASE = frozenset({"slot", "cslot"})
"""Columns whose value says in which database a row lies."""


class CannotBeSummed(RuntimeError):
    """This statement gives no answer over several databases, or changes what does not lie at home."""


def merged(
    statement: Select[Any] | CompoundSelect[Any],
    reads: Sequence[Callable[[], Result[Any]]],
    values: Mapping[str, Any],
    dialect: str,
    hidden: Collection[int] = (),
) -> Result[Any]:
    """The answers of several databases to one statement as one answer, or of none. Rows of `hidden` slots are not in
    it. Raises CannotBeSummed; SlotsFrozen for rows that do not say in which slot they are."""
    columns = list(statement.exported_columns)
    if getattr(statement, "_having_criteria", None):  # SQLAlchemy shows its parts nowhere else
        raise CannotBeSummed(f"a condition on sums: {statement}")
    combines = [_combine(column) for column in _selected(statement)]
    answers = [read() for read in reads]
    names = list(answers[0].keys()) if answers else [str(column.name) for column in columns]
    results = [_shown(answer, names, hidden) for answer in answers]
    rows: Iterable[Sequence[Any]]
    if any(combines) or bool(getattr(statement, "_group_by_clauses", None)):
        rows = _grouped(results, combines)
        rows = sorted(rows, key=_order(statement, columns, dialect)) if _is_ordered(statement) else rows
    else:
        _refuse_inner_sums(statement)
        rows = _in_order(statement, columns, results, dialect)
        rows = _each_once(rows) if _is_distinct(statement) else rows
    limit = _limit(statement, values)
    return IteratorResult(SimpleResultMetaData(names), iter(map(tuple, rows if limit is None else islice(rows, limit))))


def _shown(rows: Result[Any], names: Sequence[str], hidden: Collection[int]) -> Iterable[Sequence[Any]]:
    if not hidden:
        return rows
    at = next((place for place, name in enumerate(names) if name in _OF_ONE_DATABASE), None)
    if at is None:
        raise SlotsFrozen("slots are being moved to another database: try again in some seconds")
    return (row for row in rows if row[at] not in hidden)


def _selected(statement: Select[Any] | CompoundSelect[Any]) -> list[Any]:
    """The columns as they are computed."""
    first: Any = statement
    while isinstance(first, CompoundSelect):
        first = first.selects[0]
    return list(first.selected_columns)


def _combine(column: Any) -> Combine | None:
    """How values of this column are combined; None for a value by which rows are told apart."""
    element = column
    while isinstance(element, Label | Cast):
        element = element.element if isinstance(element, Label) else element.clause
    if isinstance(element, Exists):
        return lambda one, other: bool(one or other)
    if isinstance(element, FunctionElement) and element.name in _OVER:
        return _OVER[element.name]
    if isinstance(element, FunctionElement) and element.name == "coalesce":
        inner = [part for part in element.clauses if _has_aggregate(part)]
        if len(inner) == 1 and (found := _combine(inner[0])) is not None:
            return found
    if _has_aggregate(element):
        raise CannotBeSummed(f"a value made of sums: {column}")
    return None


def _has_aggregate(element: ClauseElement) -> bool:
    """Whether the value is worked out from several rows of this statement; what inner selects add up is their own."""
    if isinstance(element, Select | CompoundSelect) or element.__visit_name__ in ("scalar_select", "exists"):
        return False
    if isinstance(element, FunctionElement) and element.name in _OVER:
        return True
    return any(_has_aggregate(child) for child in element.get_children())


def _grouped(results: Sequence[Iterable[Sequence[Any]]], combines: Sequence[Combine | None]) -> list[tuple[Any, ...]]:
    groups: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    for row in chain.from_iterable(results):
        key = tuple(value for value, combine in zip(row, combines, strict=True) if combine is None)
        known = groups.get(key)
        groups[key] = tuple(row) if known is None else _together(known, row, combines)
    return list(groups.values())


def _together(known: Sequence[Any], row: Sequence[Any], combines: Sequence[Combine | None]) -> tuple[Any, ...]:
    return tuple(
        one if combine is None or other is None else other if one is None else combine(one, other)
        for one, other, combine in zip(known, row, combines, strict=True)
    )


def _refuse_inner_sums(statement: Any) -> None:
    """A sum or a limit inside would be one for each database. What says `slot` is one for each slot."""
    for inner in iterate(statement):
        if inner is statement or not isinstance(inner, Select):
            continue
        by_slot = any(getattr(column, "name", "") == "slot" for column in inner._group_by_clauses)
        if inner._group_by_clauses and not by_slot:
            raise CannotBeSummed(f"sums inside of a statement: {statement}")


def _is_distinct(statement: Any) -> bool:
    return bool(getattr(statement, "_distinct", False))


def _each_once(rows: Iterable[Sequence[Any]]) -> Iterator[Sequence[Any]]:
    seen = set()
    for row in rows:
        if (key := tuple(row)) not in seen:
            seen.add(key)
            yield row


def _is_ordered(statement: Any) -> bool:
    return bool(statement._order_by_clauses)


def _in_order(
    statement: Any, columns: list[Any], results: Sequence[Iterable[Sequence[Any]]], dialect: str
) -> Iterable[Any]:
    if not _is_ordered(statement):
        return chain.from_iterable(results)
    return heapq.merge(*results, key=_order(statement, columns, dialect))


def _order(statement: Any, columns: list[Any], dialect: str) -> Callable[[Sequence[Any]], Any]:
    """The key by which rows stand in the statement's order."""
    parts = []
    for clause in statement._order_by_clauses:
        parts.append(_place_of(clause, columns, _selected(statement)))
        if columns[parts[-1][0]].name in _OF_ONE_DATABASE:
            break  # what is ordered within a slot is ordered by its database
    # Nothing is greater than everything for PostgreSQL, and smaller for SQLite.
    nothing = -1 if dialect == "sqlite" else 1

    def key(row: Sequence[Any]) -> tuple[Any, ...]:
        values = [(nothing if row[at] is None else 0, row[at]) for at, _ in parts]
        return tuple(_Downwards(value) if down else value for value, (_, down) in zip(values, parts, strict=True))

    return key


def _place_of(clause: Any, columns: list[Any], selected: list[Any]) -> tuple[int, bool]:
    """At which column a row is ordered, and whether downwards."""
    down, is_one = False, False
    while isinstance(clause, UnaryExpression | OneOrder) or _is_reference(clause):
        if isinstance(clause, OneOrder):
            clause, is_one = next(iter(clause.clauses)), True
        elif _is_reference(clause):
            clause = clause.element
        else:
            down = down or clause.modifier is operators.desc_op
            clause = clause.element
    if not is_one and isinstance(clause.type, String):
        raise CannotBeSummed(f"an order of texts that each database may have another one of: {clause}")
    for wanted in (columns, selected):
        for at, column in enumerate(wanted):
            if column is clause or (isinstance(column, Label) and column.element is clause):
                return at, down
    name = getattr(clause, "name", None)  # a label may be another object each time
    named = [at for at, column in enumerate(columns) if name is not None and column.name == name]
    if len(named) != 1:
        raise CannotBeSummed(f"an order by what is not among the columns: {clause}")
    return named[0], down


def _is_reference(clause: Any) -> bool:
    return bool(clause.__visit_name__ == "label_reference")


class _Downwards:
    """A value in an order that goes downwards."""

    __slots__ = ("value",)
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Downwards) and bool(self.value == other.value)

    def __lt__(self, other: _Downwards) -> bool:
        return bool(other.value < self.value)


def _limit(statement: Any, values: Mapping[str, Any]) -> int | None:
    clause = statement._limit_clause
    if statement._offset_clause is not None:
        raise CannotBeSummed(f"an offset over several databases: {statement}")
    if clause is None:
        return None
    if isinstance(clause, BindParameter):
        found = values.get(clause.key, clause.value)
        return int(found)
    return int(str(clause))
