"""The rows that the audit proves, as they are stored, and how a wrong one is reported. No database."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any, NamedTuple

from app.domain.ledger import JOURNAL, AccountName, Lot, microseconds
from app.domain.lots import NEVER


@dataclass(frozen=True, slots=True)
class LedgerFinding:
    """One row that does not fit, and why. `row` names it inside its slot."""

    slot: int
    table: str
    row: str
    what: str


UNREADABLE = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError)
"""What reading a row raises that somebody edited: a text that is no time, JSON of another shape, no number."""
Report = Callable[[str, object, str], None]
"""Gets table, row and what is wrong with it."""


class StoredAccount(NamedTuple):
    id: int
    name: AccountName
    frozen: bool
    balance: int
    held: int
    floor: int
    version: int
    changed_us: int
    open_lot: int
    open_left: int
    open_rank: int
    open_order: int
    day: int
    day_spent: int
    month: int
    month_spent: int
    head: bytes
    marks: int
    marks_head: bytes | None
    open_version: int | None

    @property
    def has_book(self) -> bool:
        """Whether it has a version, a balance and a chain: users' accounts and journals."""
        return self.name.keeps_balance or self.name.code == JOURNAL

    @property
    def counters(self) -> tuple[int, int, int, int]:
        """What was spent today and this month, and which day and month these are."""
        return self.day, self.day_spent, self.month, self.month_spent

    @property
    def keeps_nothing(self) -> bool:
        """Whether it has no balance, lot, posting and counter, as an account of the house has none."""
        balance = (self.balance, self.held, self.floor, self.version, self.changed_us)
        lot = (self.open_lot, self.open_left, self.open_rank, self.open_order, self.open_version)
        return not any((*balance, *lot, *self.counters))

    def sealed(self, seal: str) -> str:
        """The audit's seal after the chains of this account, which has a book; `seal` is the one before."""
        return sha256(bytes.fromhex(seal) + self.head + (self.marks_head or b"")).hexdigest()


class StoredPosting(NamedTuple):
    book: int
    version: int
    id: uuid.UUID
    debit: int
    credit: int
    amount: int
    balance: int
    lot: int
    at: datetime
    cause: uuid.UUID | None
    hash: bytes
    kind: str
    reference: str
    note: str
    actor: str
    effective: datetime | None = None
    uses: Any = None
    """The several lots that it lists, as they are stored."""

    @property
    def legs(self) -> tuple[int, int]:
        return self.debit, self.credit

    @property
    def texts(self) -> tuple[str, str, str, str]:
        """Those that the hash covers."""
        return self.kind, self.reference, self.note, self.actor


class Reversed(NamedTuple):
    """The transfer that a reversal names as its cause; its columns are None if there is no such transfer."""

    id: uuid.UUID
    book: int
    debit: int
    credit: int
    amount: int
    kind: str
    at: datetime


Names = Mapping[int, AccountName]
"""The accounts of a slot by their numbers."""


class StoredLot(NamedTuple):
    account: int
    version: int
    granted: int
    remaining: int
    bonus: bool
    expires_at: datetime | None
    payment: str
    product: str
    value_minor: int
    currency: str
    created_at: datetime

    def content(self) -> list[object]:
        lot = Lot(self.bonus, self.expires_at, self.payment, self.product, self.value_minor, self.currency)
        return lot.content()

    @property
    def expires_us(self) -> int:
        return NEVER if self.expires_at is None else microseconds(self.expires_at)
