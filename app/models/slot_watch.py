"""Watches which slots statements and transactions are given, while `slot_guard` reads their text. Tests install both on
every engine that they make; the service installs neither.

An engine that is divided by slots has to know from a statement's values where to send it. So every statement on user
data is given one slot, by its value: no list, and not only a row of a join. One transaction is given one slot. An
INSERT from a SELECT takes its slot from a column, for the engine to see that both tables are in one place. And no
statement does what such engines refuse. Allowed by name are the sweeps of `slot_guard`, and transactions that the code
declares to be of several slots (`of_several_slots`): whoever has slots in several databases has to split or refuse
these.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Engine, event

from app.domain.chart import HOUSE_SLOT
from app.models import slot_guard
from app.models.base import Base
from app.models.distribution import TableClass, class_of
from app.models.slot_guard import SLOTTED, is_sweep, tables_of

SEVERAL: Mapping[str, str] = {
    "audit": "reads what belongs together as of one moment",
    "batch": "a batch of the ledger, which its caller may want booked whole or not at all",
    "events": "gives positions of the feed to events, and plans or deletes them in their order",
    "search": "reads whatever has a number",
}
"""Why a transaction may be of several slots."""
MIGRATION_LOCK = "SELECT pg_advisory_xact_lock(7310588)"
"""The only advisory lock of the project: migrations run by hand or at deploy, never on user data."""
_SLOT = re.compile(r"(?:^|_)slot(?:_m?\d+)*$")
"""The name of a value that is a slot: `slot`, `p_slot`, and `slot_1` or `slot_m3` as SQLAlchemy numbers them."""
_CLAIMED = re.compile(r"(?:^|_)cslot(?:_m?\d+)*$")
"""The name of a value that is the hash of a claim."""
PLACE = "place"
"""The execution option of an engine that says what its transactions are for: a slot, or one of these."""
AT_HOME, AT_HOUSE, ANYWHERE = "home", "house", "anywhere"
BESIDE_A_SLOT: Mapping[str, str] = {
    "caller_days": "what a caller gave and took today is counted with the giving and taking",
    "endpoints": "a timeline names the endpoints that its events were sent to",
}
"""Tables at home that transactions of one slot touch all the same, and why: in that transaction where the slot lies at
home, too, and else in one of its own (`Tx.at_home`)."""
_WRITTEN_OUT = re.compile(r"\bslot\s*=\s*(\d+)")
_FROM_SELECT = re.compile(r"^\s*INSERT\s+INTO\s+\w+\s*\(\s*slot\b[^)]*\)\s*SELECT\s+(?!\"?\w+\"?\.slot\b)", re.I | re.S)
_REFUSED = (
    ("an advisory lock", re.compile(r"\bpg_(?:try_)?advisory_", re.I)),
    ("LISTEN or NOTIFY", re.compile(r"^\s*(?:LISTEN|NOTIFY)\b", re.I)),
    ("an INSERT inside WITH", re.compile(r"^\s*WITH\b.*\(\s*INSERT\b", re.I | re.S)),
    ("a change of a row's slot", re.compile(r"^\s*UPDATE\b.*\bSET\b(?:(?!\bWHERE\b).)*\bslot\s*=", re.I | re.S)),
    (
        "a function in UPDATE whose value changes from call to call",
        re.compile(r"^\s*UPDATE\b.*\b(?:random|clock_timestamp|gen_random_uuid|timeofday|nextval)\s*\(", re.I | re.S),
    ),
    ("a subquery among VALUES", re.compile(r"^\s*INSERT\b.*\bVALUES\s*\([^;]*\(\s*SELECT\b", re.I | re.S)),
)
"""What distributed engines refuse, or send through one node for all."""
_SEEN, _DECLARED = "slots_seen", "several_slots"


class SlotsMixed(AssertionError):
    """A statement or a transaction is given no slot, or more than one; or a statement that such engines refuse."""


def of_several_slots(connection: Connection, why: str) -> None:
    """Declare that this transaction is of several slots, for one of the reasons in SEVERAL."""
    if why not in SEVERAL:
        raise ValueError(f"no such reason: {why}")
    for each in getattr(connection, "parts", (connection,)):  # of `services.base.whole`
        each.info[_DECLARED] = why


def watch_engine(engine: Engine) -> None:
    """Watch every statement of this engine. `services.base.statements`, which runs statements on the driver's own
    cursors, calls `check` for each of them once an engine is watched."""
    engine.dialect.watches_slots = True  # type: ignore[attr-defined]
    event.listen(engine, "begin", _forget)
    event.listen(engine, "commit", _forget)
    event.listen(engine, "rollback", _forget)
    event.listen(engine, "before_cursor_execute", _before)


@dataclass(frozen=True, slots=True)
class StatementReading:
    """What the text of a statement says, whatever its values are."""

    refused: str | None
    """What such engines refuse in it."""
    is_of_one_slot: bool
    """Whether it has to be given one slot."""
    written_out: frozenset[int]
    """Slots that stand in the text itself."""
    classes: frozenset[TableClass]
    """The classes of the tables that it touches, those apart that lie in every database."""
    from_select: bool
    """An INSERT from a SELECT whose slot is no column."""
    is_sweep: bool
    """Whether it is one of the sweeps over all slots."""


@lru_cache(slot_guard.TEXTS_REMEMBERED)
def reading_of(sql: str) -> StatementReading:
    """What the text of a statement says."""
    if slot_guard.is_schema(sql) or sql == MIGRATION_LOCK:
        return StatementReading(None, False, frozenset(), frozenset(), False, False)
    refused = next((what for what, pattern in _REFUSED if pattern.search(sql)), None)
    of_one = bool(tables_of(sql) & SLOTTED) and not is_sweep(sql)
    written_out = frozenset(int(slot) for slot in _WRITTEN_OUT.findall(sql))
    known = Base.metadata.tables
    tables = [known[name] for name in tables_of(sql) if name in known and name not in BESIDE_A_SLOT]
    classes = frozenset(map(class_of, tables)) - {TableClass.REFERENCE}
    return StatementReading(refused, of_one, written_out, classes, _FROM_SELECT.search(sql) is not None, is_sweep(sql))


def given_slots(reading: StatementReading, rows: Iterable[Mapping[str, Any]]) -> set[int]:
    """The slots that a statement is given, by its values or in its text; of a statement on claims alone, theirs."""
    names = _CLAIMED if reading.classes == {TableClass.OWN_HASH} else _SLOT
    found = set(reading.written_out)
    for row in rows:
        for name, value in row.items():
            if names.search(name):
                found |= set(value) if isinstance(value, list | tuple | set | frozenset) else {value}
    return found


def check(connection: Connection, sql: str, values: Iterable[Mapping[str, Any]]) -> None:
    """Raise SlotsMixed unless the statement, with these values, and the transaction so far are of one slot."""
    values = list(values)
    reading = reading_of(sql)
    if reading.refused is not None:
        raise SlotsMixed(f"{reading.refused}: {sql[:300]}")
    place = connection.get_execution_options().get(PLACE)
    if place is not None and reading.classes:
        _check_place(place, sql, reading, values)
    if not reading.is_of_one_slot:
        return
    given = set(reading.written_out)
    for row in values:
        for name, value in row.items():
            if _SLOT.search(name):
                if not isinstance(value, int):
                    raise SlotsMixed(f"a slot that is no number, but {type(value).__name__}: {sql[:300]}")
                given.add(value)
    if not given:
        raise SlotsMixed(f"no slot is given by value: {sql[:300]}")
    if reading.from_select:
        raise SlotsMixed(f"an INSERT from a SELECT whose slot is no column: {sql[:300]}")
    _note(connection, sql, given)


def _check_place(place: int | str, sql: str, reading: StatementReading, values: Sequence[Mapping[str, Any]]) -> None:
    """Raise SlotsMixed if the statement touches what does not lie in the database for which the transaction began."""
    if place == AT_HOME:
        fits = reading.classes <= {TableClass.HOME, TableClass.OWN}
    elif place == AT_HOUSE:
        of_user = reading.classes & {TableClass.SLOT, TableClass.OWN_HASH}
        fits = not of_user or reading.is_sweep or given_slots(reading, values) == {HOUSE_SLOT}
    elif place == ANYWHERE:
        fits = TableClass.HOME not in reading.classes or reading.is_sweep
    else:
        fits = TableClass.HOME not in reading.classes and not reading.is_sweep
        fits = fits and given_slots(reading, values) == {place}
    if not fits:
        raise SlotsMixed(f"not in the database of {place}: {sql[:300]}")


def _note(connection: Connection, sql: str, given: set[int]) -> None:
    if connection.info.get(_DECLARED):
        return
    seen = connection.info.setdefault(_SEEN, set()) if connection.in_transaction() else set()
    seen |= given  # outside of a transaction each statement is one
    if len(seen) > 1:
        raise SlotsMixed(f"more than one slot in one transaction, {sorted(seen)}: {sql[:300]}")


def _forget(connection: Connection) -> None:
    if not connection.invalidated:
        connection.info.pop(_SEEN, None)
        connection.info.pop(_DECLARED, None)


def _before(connection: Connection, _cursor: Any, sql: str, parameters: Any, context: Any, _many: bool) -> None:
    compiled = getattr(context, "compiled_parameters", None)
    if compiled:
        rows: list[Any] = list(compiled)
    else:
        rows = list(parameters) if isinstance(parameters, list) else [parameters]
    check(connection, sql, [row for row in rows if isinstance(row, Mapping)])


__all__ = ["SEVERAL", "SlotsMixed", "check", "of_several_slots", "watch_engine"]
