"""Several databases read as one: for reports, the audit, and whatever sums over all slots.

Each statement goes where its rows lie: one that is given a slot to that slot's database, one on tables at home to home,
and a sweep to every database. What a sweep gives back is put together as one database would have given it: in the
statement's order and up to its limit, its sums, counts, least and greatest values taken over all databases. A statement
for which that cannot be done is refused, and so is a change of anything that does not lie at home.

Each database is read as of one moment, but not all of them as of the same one.

Who would rather have a part than nothing leaves out what cannot be read (`LeftOut`): databases that do not answer, and
slots that are on their way from one to another. Nothing of these is found then, and the reader has to say so.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Any, cast

from sqlalchemy import (
    CompoundSelect,
    Connection,
    Engine,
    Executable,
    Result,
    RootTransaction,
    ScalarResult,
    Select,
    TextClause,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.sql.elements import ClauseElement

from app.models.distribution import TableClass
from app.models.engine import READ_ONLY
from app.models.slot_watch import StatementReading, given_slots, reading_of
from app.services.base.errors import SlotsFrozen
from app.services.base.merged_answers import CannotBeSummed, merged
from app.services.base.statements import Divided

_BY_SLOT = frozenset({TableClass.SLOT, TableClass.OWN_HASH})
_CHANGES = re.compile(r"\b(?:INSERT|UPDATE|DELETE)\b", re.I)


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What is not read: databases, by their numbers, and slots of the others."""

    databases: frozenset[int] = frozenset()
    slots: frozenset[int] = frozenset()


EVERYTHING_IS_READ = LeftOut()


class WholeEngine:
    """Opens transactions over all databases; used as an engine is (`base.transaction`). Only home can be changed, and
    home is never left out."""

    def __init__(
        self, engines: Sequence[Engine], number_of_slot: Callable[[int], int], left_out: LeftOut = EVERYTHING_IS_READ
    ) -> None:
        self.engines = tuple(engines)
        self.number_of_slot = number_of_slot
        self.left_out = left_out

    @property
    def dialect(self) -> Dialect:
        return self.engines[0].dialect

    @contextmanager
    def begin(self) -> Iterator[WholeConnection]:
        """A transaction at home that may read everywhere."""
        with ExitStack() as stack:
            others = [stack.enter_context(engine.connect()) for engine in self.engines[1:]]
            reading = [one.execution_options(**{READ_ONLY: True}) for one in others]
            home = stack.enter_context(self.engines[0].begin())
            yield self.connection_to([home, *reading])

    @contextmanager
    def connect(self) -> Iterator[WholeConnection]:
        with ExitStack() as stack:
            read = [engine for number, engine in enumerate(self.engines) if number not in self.left_out.databases]
            yield self.connection_to([stack.enter_context(engine.connect()) for engine in read])

    def connection_to(self, parts: Sequence[Connection]) -> WholeConnection:
        return WholeConnection(parts, self.number_of_slot, self.left_out)


class WholeConnection(Divided):
    """A connection to each database that is read, used as one is."""

    def __init__(
        self,
        parts: Sequence[Connection],
        number_of_slot: Callable[[int], int],
        left_out: LeftOut = EVERYTHING_IS_READ,
    ) -> None:
        self.parts = tuple(parts)
        self._number_of_slot = number_of_slot
        self._left_out = left_out
        self._by_number = dict(zip((each for each in count() if each not in left_out.databases), parts, strict=False))

    @property
    def dialect(self) -> Dialect:
        return self.parts[0].dialect

    @property
    def engine(self) -> Engine:
        """That of home, where accounts of the house lie."""
        return self.parts[0].engine

    def get_transaction(self) -> RootTransaction | None:
        return self.parts[0].get_transaction()

    def execution_options(self, **options: Any) -> WholeConnection:
        parts = [part.execution_options(**options) for part in self.parts]
        return type(self)(parts, self._number_of_slot, self._left_out)

    def begin(self) -> None:
        for part in self.parts:
            part.begin()

    def execute(self, statement: Executable, values: Any = None, *, execution_options: Any = None) -> Result[Any]:
        parts, hides = self._parts_for(statement, values)
        options = execution_options or {}
        if len(parts) == 1 and not hides:
            return parts[0].execute(statement, values, execution_options=options)
        if isinstance(statement, TextClause):  # a setting of the transaction
            return [part.execute(statement, values) for part in parts][-1]
        if not isinstance(statement, Select | CompoundSelect):
            raise CannotBeSummed(f"a change in several databases: {statement}")
        return merged(
            statement,
            [partial(part.execute, statement, values, execution_options=options) for part in parts],
            {**statement.compile(dialect=self.dialect).params, **(values or {})},
            self.dialect.name,
            self._left_out.slots if hides else frozenset(),
        )

    def scalars(self, statement: Executable, values: Any = None) -> ScalarResult[Any]:
        return self.execute(statement, values).scalars()

    def scalar(self, statement: Executable, values: Any = None) -> Any:
        return self.execute(statement, values).scalar()

    def part_of(self, sql: str, values: Mapping[str, Any]) -> Connection:
        """The one database in which this text runs. Raises CannotBeSummed where there are several."""
        parts = self._where(sql, [values])
        if not parts:
            raise SlotsFrozen("the rows of this slot cannot be read now")
        if len(parts) > 1:
            raise CannotBeSummed(f"in several databases: {sql[:300]}")
        if parts[0] is not self.parts[0] and _CHANGES.search(sql):
            raise CannotBeSummed(f"a change, or a lock, away from home: {sql[:300]}")
        return parts[0]

    def _parts_for(self, statement: Executable, values: Any) -> tuple[Sequence[Connection], bool]:
        """Where the statement runs, and whether it may find rows of slots that are left out."""
        if isinstance(statement, TextClause) and not reading_of(statement.text).classes:
            return self.parts, False
        compiled: Any = cast(ClauseElement, statement).compile(dialect=self.dialect)
        given = values if isinstance(values, list | tuple) else [values or {}]
        rows = [{**compiled.params, **one} for one in given]
        parts = self._where(compiled.string, rows)
        changes = not isinstance(statement, Select | CompoundSelect)
        if changes and [part for part in parts if part is not self.parts[0]]:
            raise CannotBeSummed(f"a change away from home: {compiled.string[:300]}")
        return parts, bool(self._left_out.slots) and self._may_find_left_out(reading_of(compiled.string), rows)

    def _may_find_left_out(self, reading: StatementReading, rows: Sequence[Mapping[str, Any]]) -> bool:
        if not reading.classes & _BY_SLOT:
            return False
        return reading.is_sweep or bool(self._left_out.slots.intersection(given_slots(reading, rows)))

    def _where(self, sql: str, rows: Sequence[Mapping[str, Any]]) -> Sequence[Connection]:
        reading = reading_of(sql)
        if TableClass.HOME in reading.classes and len(reading.classes) > 1:
            raise CannotBeSummed(f"tables at home and tables by slot in one statement: {sql[:300]}")
        if not reading.classes & {*_BY_SLOT, TableClass.OWN}:
            return self.parts[:1]
        if reading.is_sweep:
            return self.parts
        slots = given_slots(reading, rows)
        if not slots:
            raise CannotBeSummed(f"neither a slot nor a sweep: {sql[:300]}")
        numbers = {self._number_of_slot(slot) for slot in slots if slot not in self._left_out.slots}
        return [self._by_number[number] for number in sorted(numbers & self._by_number.keys())]
