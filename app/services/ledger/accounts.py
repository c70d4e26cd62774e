"""Finds, makes and locks accounts by name.

One statement for each slot locks the accounts of users and the journals, in one order everywhere: journals (of no
user) first, then by user, and a wallet before what its user owes. The rows of system accounts never change: they are
not locked, and their numbers are remembered by the process.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cache
from itertools import groupby
from operator import attrgetter, itemgetter
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

from sqlalchemy import ColumnElement, Engine, Uuid, and_, bindparam, func, literal, or_, select

from app.domain.books import Book
from app.domain.ledger import JOURNAL, AccountName, genesis
from app.domain.numbers import SLOT_BITS
from app.models.ledger import ACCOUNTS, HOLDS, LOTS, REFUSALS, TRANSFERS
from app.models.orders import IDEMPOTENCY
from app.services.base.statements import RowInsert, Sized, Statement
from app.services.base.transaction import Transaction
from app.services.base.wire import Row
from app.services.ledger.lot_rows import LOT_STATE

AccountPlace = tuple[int, AccountName]
"""An account: its slot and its name."""

A = ACCOUNTS.c
KEYS = ("slot", "user_id", "code", "asset", "environment")
STATE = tuple(each.name for each in fields(Book) if each.name in A and each.name not in KEYS)
"""The other columns of an account: the fields of Book after its slot and its name, in their order."""
_state_of = attrgetter(*STATE)
CHANGING = tuple(name for name in STATE if name not in ("id", "floor"))
_END = len(KEYS) - 1 + len(STATE)
"""The number of a locked row's columns that are the account's; behind them come those that are read beside it."""
ID_BITS = 63 - SLOT_BITS
NUMBERS_OF_NAME = 4
"""So many numbers follow from one name, should the first be taken."""
NAMES_AT_ONCE = 64
"""One statement locks so many accounts of a slot."""
IDS_OF_LOCK = 8
"""One statement that locks accounts also looks for so many ids of transfers."""
NO_KEY = ("", "")
"""Of what is booked for no caller's request."""
REMEMBERED = 100_000
"""A process remembers the numbers of so many system accounts of one database."""


def names_account(prefix: str = "") -> list[ColumnElement[bool]]:
    """The condition that picks one account by its whole name."""
    return [A[key] == bindparam(prefix + key) for key in KEYS]


def account_keys(place: AccountPlace, prefix: str = "") -> dict[str, Any]:
    slot, name = place
    return dict(zip(_prefixed(prefix), (slot, *name), strict=True))


@cache
def _prefixed(prefix: str) -> tuple[str, ...]:
    return tuple(prefix + key for key in KEYS)


def _one_of(size: int) -> ColumnElement[bool]:
    """So many names in one slot."""
    names = [and_(*(A[key] == bindparam(f"{key}_{i}") for key in KEYS[1:])) for i in range(size)]
    return and_(A.slot == bindparam("slot"), or_(*names))


def _name_values(slot: int, names: Sequence[AccountName]) -> dict[str, Any]:
    values: dict[str, Any] = {"slot": slot}
    for i, name in enumerate(names):
        values[f"user_id_{i}"], values[f"code_{i}"], values[f"asset_{i}"], values[f"environment_{i}"] = name
    return values


def _known_ids(size: int) -> ColumnElement[int]:
    """How many of so many ids the books know, as transfers, refusals or holds; and one more if the key of the request
    is that of an order, a gift or another thing that is not booked by it."""
    if size == 0:
        return literal(0)
    ids = [bindparam(f"id_{i}", type_=Uuid) for i in range(size)]
    counts = [
        select(func.count())
        .select_from(table)
        .where(table.c.slot == bindparam("slot"), table.c.id.in_(ids))
        .scalar_subquery()
        for table in (TRANSFERS, REFUSALS, HOLDS)
    ]
    key = (IDEMPOTENCY.c.slot == bindparam("slot"), IDEMPOTENCY.c.caller == bindparam("key_owner"))
    claims = select(func.count()).select_from(IDEMPOTENCY).where(*key, IDEMPOTENCY.c.key == bindparam("key_text"))
    return counts[0] + counts[1] + counts[2] + claims.scalar_subquery()


_SEEN = ACCOUNTS.alias("seen")


def _before(what: ColumnElement[int]) -> Any:
    """A number of the account as of the beginning of the statement that locks the account."""
    return select(what).where(_SEEN.c.slot == A.slot, _SEEN.c.id == A.id).scalar_subquery()


def _locking(ids: int, *, lots: bool = False) -> Sized:
    """With `lots` there is a row for each lot with something left, and one row for an account without any."""
    columns: list[Any] = [*(A[key] for key in KEYS[1:]), *(A[key] for key in STATE)]
    columns += [_before(_SEEN.c.version + _SEEN.c.marks), _known_ids(ids).label("known")]
    source: Any = ACCOUNTS
    if lots:
        columns += [_before(_SEEN.c.open_lot), *(LOTS.c[name] for name in LOT_STATE)]
        of_the_account = (LOTS.c.slot == A.slot, LOTS.c.account_id == A.id, LOTS.c.remaining > 0)
        source = ACCOUNTS.outerjoin(LOTS, and_(*of_the_account))
    query = select(*columns).select_from(source).order_by(A.user_id, A.code.desc(), A.asset, A.environment)
    return Sized(lambda size: query.where(_one_of(size)).with_for_update(of=ACCOUNTS), NAMES_AT_ONCE)


_FIND = Statement(select(*(A[key] for key in STATE)).where(*names_account()))
_LOCK = [_locking(ids) for ids in range(IDS_OF_LOCK + 1)]
_LOCK_WITH_LOTS = [_locking(ids, lots=True) for ids in range(IDS_OF_LOCK + 1)]
_NUMBERS = Sized(lambda size: select(*(A[key] for key in KEYS[1:]), A.id).where(_one_of(size)), NAMES_AT_ONCE)
_INSERT = RowInsert(ACCOUNTS, lambda insert: insert.on_conflict_do_nothing().returning(A.slot, A.id))
WRITE = RowInsert(
    ACCOUNTS,
    lambda insert: insert.on_conflict_do_update(
        index_elements=["slot", "id"], set_={name: insert.excluded[name] for name in CHANGING}
    ),
)
"""Accounts that exist, as they are now: one statement for several."""


def keeps_state(name: AccountName) -> bool:
    """Whether the row of that account ever changes: users' accounts and journals."""
    return name.user_id != "" or name.code == JOURNAL


def row_of(book: Book) -> dict[str, Any]:
    """The row of that account."""
    return dict(zip((*KEYS, *STATE), (book.slot, *book.name, *_state_of(book)), strict=True))


def find_account(tx: Transaction, slot: int, name: AccountName) -> Book | None:
    """The account as it stands, not locked; None if it was never used."""
    row = _FIND.row(tx, account_keys((slot, name)))
    return None if row is None else Book(slot, row[0], name, *row[1:])


@dataclass(slots=True)
class Locked:
    """Accounts that are locked until the transaction ends."""

    books: dict[AccountPlace, Book] = field(default_factory=dict)
    numbers: dict[AccountPlace, int] = field(default_factory=dict)
    """Of the system accounts: of theirs no more is known, and no more is needed."""
    known: set[int] = field(default_factory=set)
    """The slots in which the books may know one of the ids."""
    lots: dict[AccountPlace, list[Row]] | None = None
    """Where lots were asked for: rows of lots with something left, unless the account changed while the lock waited."""


def lock_accounts(
    tx: Transaction,
    places: Iterable[AccountPlace],
    *,
    if_there: Iterable[AccountPlace] = (),
    ids: Mapping[int, Sequence[uuid.UUID]] | None = None,
    key: tuple[str, str] = NO_KEY,
    with_lots: bool = False,
    ask: Callable[[], object] | None = None,
) -> Locked:
    """Lock the accounts that keep state, and make those of `places` that are missing; of the others only the numbers
    are read. `if_there` are locked where they exist.

    The statement that locks looks for the ids and the key (its owner and its text) too, and reads the lots if the
    caller will probably need them. `ask` asks for what else is to be read under the locks: in one flight with them.
    """
    kept, systems = set[AccountPlace](), set[AccountPlace]()
    for place in places:
        (kept if keeps_state(place[1]) else systems).add(place)
    locked = Locked(lots={} if with_lots else None)
    _lock(tx, kept | set(if_there), ids or {}, locked, key, ask)
    locked.numbers = _numbers(tx, systems)
    missing = sorted(kept - locked.books.keys()) + sorted(systems - locked.numbers.keys())
    if missing:
        _make(tx, missing, locked)
    return locked


def _lock(
    tx: Transaction,
    places: Iterable[AccountPlace],
    ids: Mapping[int, Sequence[uuid.UUID]],
    locked: Locked,
    key: tuple[str, str] = NO_KEY,
    ask: Callable[[], object] | None = None,
) -> None:
    """One statement for each slot (and each NAMES_AT_ONCE names), in the order of the slots, in one flight."""
    answers, by_slot = [], defaultdict[int, list[AccountName]](list)
    for slot, name in places:
        by_slot[slot].append(name)
    for slot in sorted(by_slot):
        wanted, names = ids.get(slot, ()), by_slot[slot]
        if len(wanted) > IDS_OF_LOCK:
            locked.known.add(slot)
            wanted = ()
        if len(names) > NAMES_AT_ONCE:
            names.sort(key=_lock_order)  # of one statement the database keeps the order
        for start in range(0, len(names), NAMES_AT_ONCE):
            part = names[start : start + NAMES_AT_ONCE]
            values = _name_values(slot, part)
            for i, each in enumerate(wanted):
                values[f"id_{i}"] = each
            if wanted:
                values["key_owner"], values["key_text"] = key
            statement = (_LOCK if locked.lots is None else _LOCK_WITH_LOTS)[len(wanted)]
            answers.append((slot, tx.later(statement.of(len(part)), values)[0]))
    if ask is not None:
        ask()
    tx.flush()
    unanswered = set(ids)
    for slot, answer in answers:
        for row in answer.rows:
            _take_in(locked, slot, row)
            unanswered.discard(slot)
    locked.known |= unanswered  # without any row there is no answer about the ids either


def _take_in(locked: Locked, slot: int, row: Row) -> None:
    """One row of the statement that locks.

    Every answer raises the version or the number of marks. If that changed while the statement waited for the lock, it
    looked for the ids too early (PostgreSQL reads other tables as of the statement's beginning), and it read the lots
    too early: what is left of a lot is written with an answer, or when another lot is opened.
    """
    place = slot, AccountName._make(row[: len(KEYS) - 1])
    state, (seen, known), lot = row[len(KEYS) - 1 : _END], row[_END : _END + 2], row[_END + 2 :]
    book = locked.books.get(place)
    if book is None:
        book = locked.books[place] = Book(slot, state[0], place[1], *state[1:])
    changed = seen != book.version + book.marks
    if known or changed:
        locked.known.add(slot)
    if locked.lots is not None and not changed and lot[0] == book.open_lot:
        lots = locked.lots.setdefault(place, [])
        if lot[1] is not None:
            lots.append(lot[1:])


def _lock_order(name: AccountName) -> tuple[Any, ...]:
    return (name.user_id, [-ord(letter) for letter in name.code], name.asset, name.environment)


def _make(tx: Transaction, wanted: Sequence[AccountPlace], locked: Locked) -> None:
    """Insert the missing accounts. What this transaction inserted is its own; what another one has inserted meanwhile
    is locked, or its number read. A deadlock with that other one is possible, and repeats the transaction."""
    _makers.add(tx)
    numbers = locked.numbers
    for attempt in range(NUMBERS_OF_NAME):
        rows = {_number(place, attempt): place for place in wanted}
        made = _INSERT.rows(tx, [row_of(_empty(place, number)) for number, place in rows.items()])
        for _, number in made:
            place = rows[number]
            if keeps_state(place[1]):
                locked.books[place] = _empty(place, number)
            else:
                numbers[place] = number
        wanted = [place for place in wanted if place not in locked.books and place not in numbers]
        if wanted:
            _lock(tx, [place for place in wanted if keeps_state(place[1])], {}, locked)
            numbers |= _numbers(tx, [place for place in wanted if not keeps_state(place[1])])
            wanted = [place for place in wanted if place not in locked.books and place not in numbers]
        if not wanted:
            return
    raise RuntimeError("no free account number in this slot")


def _number(place: AccountPlace, attempt: int) -> int:
    """The number follows from the name, so that an account that is made again is the one that was remembered."""
    slot, name = place
    drawn = int.from_bytes(genesis(slot, name)[8 * attempt :][:8])
    return (drawn & ((1 << ID_BITS) - 1)) << SLOT_BITS | slot


# --- the numbers of system accounts ---

_remembered: WeakKeyDictionary[Engine, dict[AccountPlace, int]] = WeakKeyDictionary()
_makers: WeakSet[Transaction] = WeakSet()
"""Transactions in progress that have made accounts: what they read may be their own, and be rolled back."""


def _numbers(tx: Transaction, places: Iterable[AccountPlace]) -> dict[AccountPlace, int]:
    """The numbers of those system accounts that exist. They never change: what others have committed is remembered."""
    memory = _remembered.setdefault(tx.engine, {})
    found, unknown = {}, []
    for place in places:
        if place in memory:
            found[place] = memory[place]
        else:
            unknown.append(place)
    if not unknown:
        return found
    unknown.sort()
    read: dict[AccountPlace, int] = {}
    for slot, group in groupby(unknown, itemgetter(0)):
        names = [name for _, name in group]
        for start in range(0, len(names), NAMES_AT_ONCE):
            part = names[start : start + NAMES_AT_ONCE]
            rows = _NUMBERS.of(len(part)).rows(tx, _name_values(slot, part))
            read |= {(slot, AccountName._make(row[:4])): row[4] for row in rows}
    if tx not in _makers:
        if len(memory) + len(read) > REMEMBERED:
            memory.clear()
        memory |= read
    return found | read


# --- rows ---


def _empty(place: AccountPlace, number: int) -> Book:
    """An account without postings."""
    slot, name = place
    nothing: dict[str, Any] = {**dict.fromkeys(STATE, 0), "id": number, "frozen": False, "head": genesis(slot, name)}
    return Book(slot=slot, name=name, **{**nothing, "marks_head": None})
