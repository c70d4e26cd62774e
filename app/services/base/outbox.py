"""Writes events, in the transaction of the change and in the slot of its user.

An event is inserted beside a row of the change (its anchor): the slot comes from that row, so an engine that is divided
by slots sees one place. Its version is the moment, or one more than the user's last version where that is greater: who
waited for a lock that another change of the user held gets a greater version than that change, whatever the clocks say.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import BigInteger, Integer, String, Table, Uuid, bindparam, func, insert, select, union_all
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import GenericFunction

from app.domain import representations
from app.domain.event_types import EventType
from app.domain.ledger import microseconds
from app.models.base import Json, Moment
from app.models.events import EVENTS
from app.services.base.context import Tx
from app.services.base.statements import LostRace, Sized
from app.services.base.wire import Sent

MOST_AT_ONCE = 32
"""Events that one statement inserts."""
_COLUMNS = ("slot", "id", "user_id", "type", "at", "version", "body")
_e = EVENTS.c


class Later(GenericFunction[int]):
    """The greater of two numbers."""

    name = identifier = "later"
    type = BigInteger()
    inherit_cache = True


@compiles(Later, "postgresql")
def _later_on_postgres(element: Later, compiler: SQLCompiler, **kw: Any) -> str:
    return f"greatest({', '.join(compiler.process(part, **kw) for part in element.clauses)})"


@compiles(Later, "sqlite")
def _later_on_sqlite(element: Later, compiler: SQLCompiler, **kw: Any) -> str:
    return f"max({', '.join(compiler.process(part, **kw) for part in element.clauses)})"


@dataclass(frozen=True, slots=True)
class Event:
    """A change to be told. `data` is the thing as the API shows it, `cause` what changed it."""

    type: EventType
    user_id: str
    at: datetime
    data: Mapping[str, Any]
    cause: Mapping[str, Any]


def events_of(tx: Tx, kind: EventType | None, user_id: str, data: Mapping[str, Any], actor: str = "") -> list[Event]:
    """The event of a change that this transaction makes; none where nobody is told of that kind. What changes things is
    the fact that is applied, else the caller or person of the name `actor`, else a rule of ours."""
    if kind is None or kind not in tx.core.rules.ledger.events:
        return []
    cause = tx.cause or ({"by": "caller", "name": actor} if actor else {"by": "rule"})
    return [Event(kind, user_id, tx.now, data, cause)]


def event_id(slot: int, at_us: int) -> uuid.UUID:
    """A new UUID (version 7, RFC 9562): 48 bits of milliseconds, 62 random bits, the slot in the last 12."""
    ms = at_us // 1000 & (1 << 48) - 1
    chance = int.from_bytes(os.urandom(8), "big")
    value = (ms << 80) | (7 << 76) | (chance >> 52 << 64) | (2 << 62) | ((chance & (1 << 50) - 1) << 12) | slot
    return uuid.UUID(int=value)


@cache
def _insertion(anchor: Table) -> Sized:
    """INSERT of so many events of one slot beside a row of that table. It inserts nothing if that row is not there."""
    row = anchor.c
    there = (row.slot == bindparam("slot"), row.id == bindparam("anchor", type_=row.id.type))

    def one(i: int) -> Any:
        user = bindparam(f"user_{i}", type_=String)
        last = select(func.coalesce(func.max(_e.version), 0)).where(_e.slot == row.slot, _e.user_id == user)
        version = func.later(last.scalar_subquery() + 1, bindparam("us", type_=BigInteger))
        return select(
            row.slot,
            bindparam(f"id_{i}", type_=Uuid),
            user,
            bindparam(f"type_{i}", type_=String),
            bindparam(f"at_{i}", type_=Moment),
            version + bindparam(f"place_{i}", type_=Integer),
            bindparam(f"body_{i}", type_=Json),
        ).where(*there)

    def build(size: int) -> Any:
        parts = [one(i) for i in range(size)]
        return insert(EVENTS).from_select(_COLUMNS, parts[0] if size == 1 else union_all(*parts))

    return Sized(build, MOST_AT_ONCE)


def write_events(
    tx: Tx,
    anchor: Table,
    slot: int,
    anchor_id: Any,
    events: Sequence[Event],
    *,
    wrong: Callable[[], Exception] | None = LostRace,
) -> list[Sent]:
    """Write events of one slot beside that row, with what is sent next: one statement, and one more for each further
    MOST_AT_ONCE events. What `wrong` makes is raised then if the row is not there."""
    sent: list[Sent] = []
    for start in range(0, len(events), MOST_AT_ONCE):
        part = events[start : start + MOST_AT_ONCE]
        statement = _insertion(anchor).of(len(part))
        sent += tx.later(statement, _values(slot, anchor_id, part, tx.now), wrong=wrong, rows=len(part))
    return sent


def _values(slot: int, anchor_id: Any, events: Sequence[Event], written_at: datetime) -> dict[str, Any]:
    at_us = microseconds(written_at)
    values: dict[str, Any] = {"slot": slot, "anchor": anchor_id, "us": at_us}
    for i, event in enumerate(events):
        values[f"id_{i}"] = event_id(slot, at_us)
        values[f"user_{i}"] = event.user_id
        values[f"type_{i}"] = event.type
        values[f"at_{i}"] = event.at
        values[f"place_{i}"] = i
        values[f"body_{i}"] = {"data": representations.plain(event.data), "cause": dict(event.cause)}
    return values
