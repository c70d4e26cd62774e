"""Reads one slot for the audit, as of one moment: rows in the order in which they are proved, never all at once."""

from __future__ import annotations

import heapq
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import groupby
from operator import itemgetter
from typing import Any, Generic, TypeVar

from sqlalchemy import Engine, Integer, Select, and_, bindparam, func, select, text

from app.domain.account_events import Freezing
from app.domain.ledger import REVERSAL, AccountName
from app.domain.proof.events import StoredHold, StoredMark, StoredRefusal, Subject
from app.domain.proof.rows import StoredAccount, StoredLot, StoredPosting
from app.domain.spending import CAPTURE
from app.models.base import AnyRow
from app.models.engine import READ_ONLY
from app.models.ledger import ACCOUNTS, HOLDS, LOTS, MARKS, REFUSALS, TRANSFERS
from app.models.refunds import FREEZES
from app.models.slot_guard import sweep
from app.services.base.transaction import Sessions, Transaction
from app.services.base.used_slots import used_slots

A, T, L, H, R, M, Z = (table.c for table in (ACCOUNTS, TRANSFERS, LOTS, HOLDS, REFUSALS, MARKS, FREEZES))
LEDGER_ROWS_AT_ONCE = 2000
_HERE = bindparam("p_slot", type_=Integer)
_OF = TRANSFERS.alias("of")
_ACCOUNT_COLUMNS = (
    *(A.id, A.user_id, A.code, A.asset, A.environment, A.frozen, A.balance, A.held, A.floor, A.version, A.changed_us),
    *(A.open_lot, A.open_left, A.open_rank, A.open_order, A.day, A.day_spent, A.month, A.month_spent, A.head),
    *(A.marks, A.marks_head, A.open_version),
)
_POSTING_COLUMNS = (
    *(T.book_id, T.version, T.id, T.debit_id, T.credit_id, T.amount, T.balance, T.lot, T.created_at, T.cause_id),
    *(T.hash, T.kind, T.reference, T.note, T.actor, T.effective_at, T.uses),
)
_LOT_COLUMNS = (
    *(L.account_id, L.version, L.granted, L.remaining, L.bonus, L.expires_at, L.payment, L.product, L.value_minor),
    *(L.currency, L.created_at),
)
_HOLD_COLUMNS = (
    *(H.id, H.account_id, H.amount, H.captured, H.released, H.state, H.expires_at, H.reference, H.note, H.actor),
    *(H.created_at, H.fingerprint, H.limited),
)
_MARK_COLUMNS = (M.account_id, M.number, M.kind, M.subject, M.amount, M.at, M.content, M.hash)
_FREEZE_COLUMNS = (Z.id, Z.user_id, Z.asset, Z.environment, Z.frozen, Z.reason, Z.actor, Z.refund_id, Z.at, Z.request)

HOW_MANY = select(func.count()).select_from(TRANSFERS).where(T.slot >= _HERE).prefix_with(sweep("audit"))
_ACCOUNTS = select(*_ACCOUNT_COLUMNS).where(A.slot == _HERE).order_by(A.id)
_REVERSED = (
    select(
        *(T.book_id, T.version),
        *(_OF.c.id, _OF.c.book_id, _OF.c.debit_id, _OF.c.credit_id, _OF.c.amount, _OF.c.kind, _OF.c.created_at),
    )
    .outerjoin(_OF, and_(_OF.c.slot == T.slot, _OF.c.id == T.cause_id))
    .where(T.slot == _HERE, T.kind == REVERSAL, T.cause_id.is_not(None))
    .order_by(T.book_id, T.version)
)
_BOTH_ANSWERS = select(R.id).join(TRANSFERS, and_(T.slot == R.slot, T.id == R.id)).where(R.slot == _HERE)

_POSTINGS = select(*_POSTING_COLUMNS).where(T.slot == _HERE).order_by(T.book_id, T.version)
_LOTS = select(*_LOT_COLUMNS).where(L.slot == _HERE).order_by(L.account_id, L.version)
_MARKS = select(*_MARK_COLUMNS).where(M.slot == _HERE)
_MARKS_BY_ACCOUNT = _MARKS.order_by(M.account_id, M.number)
_MARKS_BY_SUBJECT = _MARKS.order_by(M.subject, M.account_id, M.number)
_HOLDS = select(*_HOLD_COLUMNS).where(H.slot == _HERE).order_by(H.id)
_CAPTURES = (
    select(T.cause_id, T.book_id, T.amount)
    .where(T.slot == _HERE, T.kind == CAPTURE, T.cause_id.is_not(None))
    .order_by(T.cause_id)
)
_REFUSALS = select(R.id, R.fingerprint, R.code, R.details, R.created_at).where(R.slot == _HERE).order_by(R.id)
_FREEZES = select(*_FREEZE_COLUMNS).where(Z.slot == _HERE).order_by(Z.id)

LedgerRow = TypeVar("LedgerRow")
Stray = Callable[[Any], None]


def slots_to_prove(tx: Transaction, start: int) -> list[int]:
    """The slots from there on that have rows of any kind."""
    columns = (A.slot, T.slot, L.slot, H.slot, R.slot, M.slot, Z.slot)
    return used_slots(tx, "audit", *(select(column).where(column >= start) for column in columns))


@contextmanager
def snapshot(sessions: Sessions) -> Iterator[Transaction]:
    """All reads see the same moment (a reading transaction of SQLite does so anyway), and none is too long."""
    engine: Engine = sessions.kw["bind"]
    options: dict[str, Any] = {READ_ONLY: True}
    on_postgres = engine.dialect.name == "postgresql"
    if on_postgres:
        options["isolation_level"] = "REPEATABLE READ"
    with engine.connect() as connection:
        snapshotted = connection.execution_options(**options)
        if on_postgres:
            snapshotted.execute(text("SET LOCAL statement_timeout = 0"))
        yield Transaction(snapshotted)


def stored_accounts(tx: Transaction, slot: int) -> Sequence[AnyRow]:
    """The accounts of a slot, in the order in which they are proved and sealed."""
    return tx.execute(_ACCOUNTS, {"p_slot": slot}).all()


def stored_account(row: AnyRow) -> StoredAccount:
    """Raises InvalidTransfer if its name is none."""
    columns = row._asdict()
    name = AccountName(*(columns.pop(part) for part in AccountName._fields))
    return StoredAccount(name=name, **columns)


class SlotReader:
    """The rows of one slot, in streams that may be read side by side. `close` it: a break leaves some of them open."""

    def __init__(self, tx: Transaction, slot: int) -> None:
        self._tx = tx
        self._connection = tx.connection()
        self._values = {"p_slot": slot}
        self._open = ExitStack()
        self._options: dict[str, Any] = {}

    def close(self) -> None:
        self._open.close()

    def accounts(self) -> Iterator[AnyRow]:
        """All of them are needed at once. They tell how much there is to read: few rows come in one piece, which
        takes a round trip instead of three."""
        rows = stored_accounts(self._tx, self._values["p_slot"])
        if sum(row.version + row.marks for row in rows) > LEDGER_ROWS_AT_ONCE:
            self._options = {"yield_per": LEDGER_ROWS_AT_ONCE}
        return iter(rows)

    def postings(self, stray: Stray) -> Sorted[StoredPosting]:
        """By book."""
        return Sorted(map(StoredPosting._make, self._stream(_POSTINGS)), itemgetter(0), stray)

    def reversed(self) -> Sorted[AnyRow]:
        """What reversals reverse, by the reversal's book and version."""
        return Sorted(self._stream(_REVERSED), itemgetter(0, 1), lambda _: None)

    def lots(self, stray: Stray) -> Sorted[StoredLot]:
        """By account and version."""
        return Sorted(map(StoredLot._make, self._stream(_LOTS)), itemgetter(0, 1), stray)

    def marks(self, stray: Stray) -> Sorted[StoredMark]:
        """By account."""
        return Sorted(map(StoredMark._make, self._stream(_MARKS_BY_ACCOUNT)), itemgetter(0), stray)

    def subjects(self) -> Iterator[tuple[uuid.UUID, Subject]]:
        """Everything that is about the same subject, together."""
        merged = heapq.merge(*self._by_subject(), key=itemgetter(0))
        for number, parts in groupby(merged, itemgetter(0)):
            subject = Subject()
            for _, add, row in parts:
                add(subject, row)
            yield uuid.UUID(int=number), subject

    def answered_twice(self) -> Iterator[uuid.UUID]:
        """Requests that were refused and booked."""
        return (row.id for row in self._stream(_BOTH_ANSWERS))

    def _by_subject(self) -> Iterator[Iterator[tuple[int, Callable[[Subject, Any], None], Any]]]:
        yield ((m.subject.int, _add_mark, m) for m in map(StoredMark._make, self._stream(_MARKS_BY_SUBJECT)))
        yield ((h.id.int, _add_hold, h) for h in map(StoredHold._make, self._stream(_HOLDS)))
        yield ((row[0].int, _add_capture, row) for row in self._stream(_CAPTURES))
        yield ((r.id.int, _add_refusal, r) for r in map(StoredRefusal._make, self._stream(_REFUSALS)))
        yield ((row[0], _add_freezing, Freezing(*row)) for row in self._stream(_FREEZES))

    def _stream(self, statement: Select[Any]) -> Iterator[AnyRow]:
        result = self._connection.execute(statement, self._values, execution_options=self._options)
        if self._options:
            return iter(self._open.enter_context(result))
        return iter(result.all())


class Sorted(Generic[LedgerRow]):
    """A stream of rows in the order of a key, asked for key by key. Rows of keys that nobody asks for are strays."""

    def __init__(
        self, rows: Iterable[LedgerRow], key: Callable[[LedgerRow], Any], stray: Callable[[LedgerRow], None]
    ) -> None:
        self._groups = groupby(rows, key)
        self._stray = stray
        self._rows: Iterable[LedgerRow] = ()
        self.key: Any = None
        """The key of the rows that are read next; None at the end."""
        self._advance()

    def of(self, key: Any) -> Iterable[LedgerRow]:
        """The rows of that key, which is greater than any asked for before. Read them all before asking again."""
        while self.key is not None and self.key < key:
            self._pass_over()
        return self._of_this() if self.key == key else ()

    def end(self) -> None:
        """Nobody asks any more."""
        while self.key is not None:
            self._pass_over()

    def _of_this(self) -> Iterator[LedgerRow]:
        yield from self._rows
        self._advance()

    def _pass_over(self) -> None:
        for row in self._rows:
            self._stray(row)
        self._advance()

    def _advance(self) -> None:
        self.key, self._rows = next(self._groups, (None, ()))


def _add_mark(subject: Subject, row: StoredMark) -> None:
    subject.marks.append(row)


def _add_hold(subject: Subject, row: StoredHold) -> None:
    subject.holds.append(row)


def _add_capture(subject: Subject, row: AnyRow) -> None:
    subject.captures[row.book_id] += row.amount


def _add_refusal(subject: Subject, row: StoredRefusal) -> None:
    subject.refusals.append(row)


def _add_freezing(subject: Subject, row: Freezing) -> None:
    subject.freezings.append(row)
