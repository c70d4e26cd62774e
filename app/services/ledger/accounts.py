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

from sqlalchemy import Select, bindparam, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session
from sqlalchemy.sql import ColumnElement

from app.domain.books import Book
from app.domain.ledger import JOURNAL, AccountName, genesis
from app.domain.numbers import SLOT_BITS
from app.models.ledger import ACCOUNTS
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
ID_BITS = 63 - SLOT_BITS
ATTEMPTS = 5


def named(prefix: str = "") -> list[ColumnElement[bool]]:
    """The condition that picks one account by its whole name."""
    return [A[key] == bindparam(prefix + key) for key in KEYS]


def keys(place: Place, prefix: str = "") -> dict[str, Any]:
    slot, name = place
    return dict(zip((prefix + key for key in KEYS), (slot, *name.parts()), strict=True))


def _columns() -> list[ColumnElement[Any]]:
    return [A[key] for key in (*KEYS, *STATE)]


def _one(lock: bool) -> Select[Any]:
    found = select(*_columns()).where(*named())
    return found.with_for_update() if lock else found


def _several(lock: bool) -> Any:
    """On PostgreSQL many names travel as five arrays, so that the text stays the same however many there are."""
    listed = ", ".join(f"a.{key}" for key in (*KEYS, *STATE))
    same = " AND ".join(f"a.{key} = w.{key}" for key in KEYS)
    arrays = "CAST(:slot AS int[]), " + ", ".join(f"CAST(:{key} AS text[])" for key in KEYS[1:])
    return text(
        f"SELECT {listed} FROM unnest({arrays}) AS w({', '.join(KEYS)}) JOIN accounts a ON {same} "  # noqa: S608 - names of columns, no values
        f"ORDER BY a.slot, a.user_id, a.id{' FOR UPDATE OF a' if lock else ''}"
    )


_FIND = Statement(lambda _: _one(False))
_LOCK = Statement(lambda _: _one(True))
_FIND_MANY = Statement(lambda _: _several(False))
_LOCK_MANY = Statement(lambda _: _several(True))
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


def find(session: Session, slot: int, name: AccountName) -> Book | None:
    """The account as it stands, not locked; None if it was never used."""
    row = _FIND.row(session, keys((slot, name)))
    return None if row is None else _book(row)


def lock(session: Session, places: Iterable[Place]) -> dict[Place, Book]:
    """All these accounts, made where missing. Those that keep state are locked until the transaction ends."""
    wanted = sorted(set(places))
    kept = [place for place in wanted if keeps_state(place[1])]
    books = _fetch(session, wanted, lock=False)
    _make(session, kept, books)
    books |= _fetch(session, kept, lock=True)
    _make(session, wanted, books)
    return books


def _make(session: Session, wanted: Sequence[Place], books: dict[Place, Book]) -> None:
    """Insert those of the accounts that are missing in `books`, and add them there."""
    for _ in range(ATTEMPTS):
        missing = [place for place in wanted if place not in books]
        if not missing:
            return
        _INSERT.many(session, [_new(place) for place in missing])
        books |= _fetch(session, missing, lock=False)
    raise RuntimeError("no free account number in this slot")


def lock_if_there(session: Session, places: Sequence[Place]) -> dict[Place, Book]:
    """Those of the accounts that exist, locked; none is made."""
    return _fetch(session, sorted(places), lock=True)


def _fetch(session: Session, places: Sequence[Place], *, lock: bool) -> dict[Place, Book]:
    rows: list[Row] = []
    if len(places) > 1 and session.get_bind().dialect.name == "postgresql":
        columns = zip(*((slot, *name.parts()) for slot, name in places), strict=True)
        values = {key: list(column) for key, column in zip(KEYS, columns, strict=True)}
        rows = (_LOCK_MANY if lock else _FIND_MANY).rows(session, values)
    else:
        for place in places:
            rows += (_LOCK if lock else _FIND).rows(session, keys(place))
    books = [_book(row) for row in rows]
    return {(book.slot, book.name): book for book in books}


def _book(row: Row) -> Book:
    slot, name, state = row[0], AccountName(*row[1 : len(KEYS)]), dict(zip(STATE, row[len(KEYS) :], strict=True))
    return Book(slot=slot, name=name, **state)


def _new(place: Place) -> dict[str, Any]:
    slot, name = place
    empty = dict.fromkeys(STATE, 0)
    # The number is drawn, not counted: two processes that make accounts at once need not know of each other.
    number = secrets.randbits(ID_BITS) << SLOT_BITS | slot
    return {**empty, **keys(place), "id": number, "frozen": False, "head": genesis(slot, name), "marks_head": None}
