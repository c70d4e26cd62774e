"""Finds, makes and locks accounts by name.

Rows that are to be locked and do not exist yet are inserted first, before this call locks anything: a row that is
found missing, and made by somebody else meanwhile, would be locked out of order. Then rows are locked in one order
everywhere: by slot, then user, then id; journals (of no user) come before wallets. System accounts are never locked;
missing ones are inserted last, in the order of their names.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import bindparam, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql import ColumnElement

from app.domain.books import Book
from app.domain.ledger import JOURNAL, AccountName, genesis
from app.domain.numbers import SLOT_BITS
from app.models.ledger import ACCOUNTS
from app.services.base.transaction import Connected
from app.services.ledger.prepared import Row
from app.services.ledger.statements import Statement

Place = tuple[int, AccountName]
"""An account: its slot and its name."""

A = ACCOUNTS.c
KEYS = ("slot", "user_id", "code", "asset", "environment")
STATE = (
    "id",
    "frozen",
    "balance",
    "held",
    "floor",
    "version",
    "changed_us",
    "open_lot",
    "open_left",
    "open_rank",
    "open_order",
    "day",
    "day_spent",
    "month",
    "month_spent",
    "head",
    "marks",
    "marks_head",
    "open_version",
)
"""In the order of Book's fields (without its slot and name)."""
ID_BITS = 63 - SLOT_BITS
ATTEMPTS = 5


def named(prefix: str = "") -> list[ColumnElement[bool]]:
    """The condition that picks one account by its whole name."""
    return [A[key] == bindparam(prefix + key) for key in KEYS]


def keys(place: Place, prefix: str = "") -> dict[str, Any]:
    slot, name = place
    return dict(zip((prefix + key for key in KEYS), (slot, *name.parts()), strict=True))


def _several(columns: str, end: str = "") -> Any:
    """On PostgreSQL many names travel as five arrays, so that the text stays the same however many there are. The
    first column of the answer is the place of the name in them, counted from 1."""
    same = " AND ".join(f"a.{key} = w.{key}" for key in KEYS)
    arrays = "CAST(:slot AS int[]), " + ", ".join(f"CAST(:{key} AS text[])" for key in KEYS[1:])
    return text(
        f"SELECT w.place, {columns} FROM unnest({arrays}) WITH ORDINALITY AS w({', '.join(KEYS)}, place) "  # noqa: S608 - names of columns, no values
        f"JOIN accounts a ON {same}{end}"
    )


_STATE = select(*[A[key] for key in STATE]).where(*named())
_FIND = Statement(lambda _: _STATE)
_LOCK = Statement(lambda _: _STATE.with_for_update())
_NUMBER = Statement(lambda _: select(A.id).where(*named()))
_NUMBERS = Statement(lambda _: _several("a.id"))
_LOCK_MANY = Statement(
    lambda _: _several(", ".join(f"a.{key}" for key in STATE), " ORDER BY a.slot, a.user_id, a.id FOR UPDATE OF a")
)
_INSERT = Statement(
    lambda dialect: (
        (postgresql if dialect == "postgresql" else sqlite)
        .insert(ACCOUNTS)
        .values({column.name: bindparam(column.name, type_=column.type) for column in A})
        .on_conflict_do_nothing()
    )
)


def keeps_state(name: AccountName) -> bool:
    """Whether the row of that account ever changes: users' accounts and journals."""
    return name.keeps_balance or name.code == JOURNAL


def find(session: Connected, slot: int, name: AccountName) -> Book | None:
    """The account as it stands, not locked; None if it was never used."""
    row = _FIND.row(session, keys((slot, name)))
    return None if row is None else _book((slot, name), row)


def lock(session: Connected, places: Iterable[Place]) -> dict[Place, Book]:
    """All these accounts, made where missing. Those that keep state are locked until the transaction ends; the rows of
    the others never change, and only their numbers are read."""
    wanted = sorted(set(places))
    kept = [place for place in wanted if keeps_state(place[1])]
    numbers = _numbers(session, wanted)
    _make(session, kept, numbers)
    books = lock_if_there(session, kept)
    _make(session, wanted, numbers)
    return books | {place: _stateless(place, numbers[place]) for place in wanted if not keeps_state(place[1])}


def _make(session: Connected, wanted: Sequence[Place], numbers: dict[Place, int]) -> None:
    """Insert those of the accounts that are missing in `numbers`, and add them there."""
    for _ in range(ATTEMPTS):
        missing = [place for place in wanted if place not in numbers]
        if not missing:
            return
        _INSERT.many(session, [_new(place) for place in missing])
        numbers |= _numbers(session, missing)
    raise RuntimeError("no free account number in this slot")


def _numbers(session: Connected, places: Sequence[Place]) -> dict[Place, int]:
    """The numbers of those that exist, by their place."""
    if _at_once(session, places):
        return {places[at - 1]: number for at, number in _NUMBERS.rows(session, _arrays(places))}
    found = ((place, _NUMBER.row(session, keys(place))) for place in places)
    return {place: row[0] for place, row in found if row is not None}


def lock_if_there(session: Connected, places: Iterable[Place]) -> dict[Place, Book]:
    """Those of the accounts that exist, locked; none is made."""
    wanted = sorted(places)
    if _at_once(session, wanted):
        rows = _LOCK_MANY.rows(session, _arrays(wanted))
        return {wanted[row[0] - 1]: _book(wanted[row[0] - 1], row[1:]) for row in rows}
    found = ((place, _LOCK.row(session, keys(place))) for place in wanted)
    return {place: _book(place, row) for place, row in found if row is not None}


def _at_once(session: Connected, places: Sequence[Place]) -> bool:
    return len(places) > 1 and session.connection().dialect.name == "postgresql"


def _arrays(places: Sequence[Place]) -> dict[str, list[Any]]:
    columns = zip(*((slot, *name.parts()) for slot, name in places), strict=True)
    return {key: list(column) for key, column in zip(KEYS, columns, strict=True)}


def _book(place: Place, row: Row) -> Book:
    slot, name = place
    number, *state = row
    return Book(slot, number, name, *state)


def _stateless(place: Place, number: int) -> Book:
    slot, name = place
    return Book(slot, number, name, **_NO_STATE)


_NO_STATE: dict[str, Any] = {**dict.fromkeys(STATE[1:], 0), "frozen": False, "head": b"", "marks_head": None}


def _new(place: Place) -> dict[str, Any]:
    slot, name = place
    empty = dict.fromkeys(STATE, 0)
    # The number is drawn, not counted: two processes that make accounts at once need not know of each other.
    number = secrets.randbits(ID_BITS) << SLOT_BITS | slot
    return {**empty, **keys(place), "id": number, "frozen": False, "head": genesis(slot, name), "marks_head": None}
