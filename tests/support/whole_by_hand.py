"""Two databases as one for the hands of tests: what a test itself writes and reads by SQL goes where the rows lie. The
service's own statements go through `base.whole` as they do in production."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from sqlalchemy import Connection, CursorResult, Executable, IteratorResult, Result, TextClause
from sqlalchemy.engine.result import SimpleResultMetaData

from app.models.distribution import TableClass
from app.models.slot_watch import given_slots, reading_of
from app.services.base.whole import WholeConnection, WholeEngine

_ADDED = re.compile(r"^\s*(?:/\*.*?\*/\s*)?SELECT\s+(?:coalesce\s*\(\s*)?(?:sum|count|max|min)\s*\(", re.I)
_ORDER = re.compile(r"\bORDER BY\s+([\w., ]+?)(?:\s+LIMIT\b.*)?$", re.I | re.S)


class HandEngine(WholeEngine):
    @contextmanager
    def begin(self) -> Iterator[WholeConnection]:
        """What a test changes by hand is kept, wherever it lies."""
        with ExitStack() as stack:
            yield self.connection_to([stack.enter_context(engine.begin()) for engine in self.engines])

    def connection_to(self, parts: Sequence[Connection]) -> HandConnection:
        return HandConnection(parts, self.number_of_slot)


class HandConnection(WholeConnection):
    def execute(self, statement: Executable, values: Any = None, *, execution_options: Any = None) -> Result[Any]:
        if not _is_called_by_test():
            return super().execute(statement, values, execution_options=execution_options)
        compiled: Any = statement.compile(dialect=self.dialect)  # type: ignore[attr-defined]
        reading = reading_of(compiled.string)
        given = values if isinstance(values, list | tuple) else [values or {}]
        slots = given_slots(reading, [{**compiled.params, **one} for one in given])
        if not reading.classes & {TableClass.SLOT, TableClass.OWN_HASH}:
            parts: Sequence[Connection] = self.parts[:1]
        elif reading.is_sweep or not slots:
            parts = self.parts
        else:
            parts = [self.parts[number] for number in sorted({self._number_of_slot(slot) for slot in slots})]
        if len(parts) == 1:
            return parts[0].execute(statement, values)
        if not isinstance(statement, TextClause) and getattr(statement, "is_select", False):
            return super().execute(statement, values, execution_options=execution_options)
        results = [part.execute(statement, values) for part in parts]
        if not results[0].returns_rows:
            return max(results, key=lambda result: result.rowcount)
        return _put_together(compiled.string, results)

    def part_of(self, sql: str, values: Mapping[str, Any]) -> Connection:
        (part,) = self._where(sql, [values])
        return part

    def exec_driver_sql(self, sql: str) -> CursorResult[Any]:
        return [part.exec_driver_sql(sql) for part in self.parts][-1]


def _is_called_by_test() -> bool:
    frame: Any = sys._getframe(2)
    while frame.f_code.co_filename.endswith(("/base/statements.py", "/base/whole.py")):
        frame = frame.f_back
    return "/tests/" in frame.f_code.co_filename


def _put_together(sql: str, results: Sequence[CursorResult[Any]]) -> Result[Any]:
    names = list(results[0].keys())
    rows = [tuple(row) for result in results for row in result]
    if _ADDED.search(sql) and "GROUP BY" not in sql.upper():
        rows = [tuple(sum(value or 0 for value in column) for column in zip(*rows, strict=True))]
    elif order := _ORDER.search(sql):
        wanted = [name.strip().rpartition(".")[2] for name in order.group(1).split(",")]
        if all(name in names for name in wanted):
            rows.sort(key=lambda row: [row[names.index(name)] for name in wanted])
    return IteratorResult(SimpleResultMetaData(names), iter(rows))
