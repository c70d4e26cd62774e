"""Proves one account from its postings alone, or says which row is the first that does not fit. No database.

The walk starts from nothing and derives version, balance, every lot and the hash after each posting; what is stored
must be what is derived.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from app.domain.ledger import (
    JOURNAL,
    REVERSAL,
    AccountName,
    Lot,
    fingerprint_of,
    genesis,
    microseconds,
    next_head,
)
from app.domain.numbers import slot_of_number


@dataclass(frozen=True, slots=True)
class Finding:
    """One row that does not fit, and why. `row` names it inside its slot."""

    slot: int
    table: str
    row: str
    what: str


@dataclass(frozen=True, slots=True)
class StoredAccount:
    id: int
    name: AccountName
    balance: int
    held: int
    version: int
    changed_us: int
    open_lot: int
    open_left: int
    head: bytes


@dataclass(frozen=True, slots=True)
class StoredPosting:
    id: uuid.UUID
    version: int
    debit_id: int
    credit_id: int
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


@dataclass(frozen=True, slots=True)
class StoredLot:
    version: int
    granted: int
    remaining: int
    lot: Lot
    created_at: datetime


Names = Mapping[int, AccountName]
"""The accounts of a slot by their numbers."""


@dataclass(slots=True)
class BookProof:
    """The walk along one book. Feed it postings in order, then `finish`."""

    slot: int
    account: StoredAccount
    names: Names
    lots: Mapping[int, StoredLot]
    report: Callable[[Finding], None]
    head: bytes = b""
    version: int = 0
    balance: int = 0
    at_us: int = 0
    left: dict[int, int] = field(default_factory=dict)
    """What is left of each lot, as derived."""

    def __post_init__(self) -> None:
        self.head = genesis(self.slot, self.account.name)

    def step(self, posting: StoredPosting, uses: Sequence[tuple[int, int]]) -> None:
        """One posting and the lots that it lists."""
        debit, credit = self.names.get(posting.debit_id), self.names.get(posting.credit_id)
        if debit is None or credit is None:
            self._wrong(posting, "an account of it does not exist")
        elif self._is_here(posting, debit, credit):
            self._count(posting, debit, credit)
            self._chain(posting, debit, credit, uses)
            self._use_lots(posting, uses)
        self.version = posting.version

    def finish(self, holds: int) -> None:
        """Compare the account's row, its lots and its holds with what was derived."""
        account = self.account
        derived = {"version": self.version, "balance": self.balance, "head": self.head, "held": holds}
        for column, value in derived.items():
            if getattr(account, column) != value:
                self._wrong_account(f"{column} is {_shown(getattr(account, column))}, derived {_shown(value)}")
        if account.changed_us != self.at_us:
            self._wrong_account("its time is not that of its last posting")
        for version, lot in self.lots.items():
            remaining = account.open_left if version == account.open_lot else lot.remaining
            if version not in self.left:
                self._wrong_lot(version, "no posting made it")
            elif remaining != self.left[version]:
                self._wrong_lot(version, f"{remaining} remain, derived {self.left[version]}")
        if account.open_lot and account.open_lot not in self.lots:
            self._wrong_account(f"its open lot {account.open_lot} does not exist")

    def _is_here(self, posting: StoredPosting, debit: AccountName, credit: AccountName) -> bool:
        """Whether this book is where such a transfer belongs."""
        name = self.account.name
        if (debit.asset, debit.environment) != (credit.asset, credit.environment):
            self._wrong(posting, "its accounts hold different assets")
        elif debit.keeps_balance and credit.keeps_balance:
            self._wrong(posting, "it goes from user to user")
        elif debit.keeps_balance or credit.keeps_balance:
            if self.account.id in (posting.debit_id, posting.credit_id) and name.keeps_balance:
                return True
            self._wrong(posting, "it is not in the book of its user")
        elif name.code == JOURNAL and (name.asset, name.environment) == (debit.asset, debit.environment):
            return True
        else:
            self._wrong(posting, "it is not in the journal")
        return False

    def _count(self, posting: StoredPosting, debit: AccountName, credit: AccountName) -> None:
        if posting.version != self.version + 1:
            self._wrong(posting, f"version {posting.version} follows {self.version}")
        if slot_of_number(posting.id.int) != self.slot:
            self._wrong(posting, "its id is of another slot")
        if credit.keeps_balance:
            self.balance += posting.amount
        elif debit.keeps_balance:
            self.balance -= posting.amount
        if posting.balance != self.balance:
            self._wrong(posting, f"balance {posting.balance}, derived {self.balance}")
            self.balance = posting.balance
        at_us = microseconds(posting.at)
        if at_us < self.at_us:
            self._wrong(posting, "it is earlier than the posting before it")
        self.at_us = at_us

    def _chain(
        self, posting: StoredPosting, debit: AccountName, credit: AccountName, uses: Sequence[tuple[int, int]]
    ) -> None:
        """After a break the walk goes on from the stored hash, so that one edit is one finding."""
        made = self._made(posting)
        content = fingerprint_of(
            posting.id,
            debit,
            credit,
            posting.amount,
            (posting.kind, posting.reference, posting.note, posting.actor),
            posting.cause,
            None if made is None else made.lot.content(),
        )
        self.head = next_head(self.head, content, posting.lot, self.at_us, uses)
        if self.head != posting.hash:
            self._wrong(posting, "its content does not give its hash")
            self.head = posting.hash

    def _makes_lot(self, posting: StoredPosting) -> bool:
        return self.account.name.is_wallet and posting.credit_id == self.account.id and posting.kind != REVERSAL

    def _made(self, posting: StoredPosting) -> StoredLot | None:
        if not self._makes_lot(posting):
            return None
        made = self.lots.get(posting.version)
        if made is None:
            self._wrong(posting, "the lot that it made is missing")
        elif made.granted != posting.amount or made.created_at != posting.at:
            self._wrong_lot(made.version, "it is not as its posting made it")
        return made

    def _use_lots(self, posting: StoredPosting, uses: Sequence[tuple[int, int]]) -> None:
        if not self.account.name.is_wallet:
            return
        if self._makes_lot(posting):
            self.left[posting.version] = posting.amount
            return
        sign = 1 if posting.credit_id == self.account.id else -1
        used = list(uses) if posting.lot == 0 else [(posting.lot, posting.amount)]
        if sum(amount for _, amount in used) != posting.amount:
            self._wrong(posting, "the lots that it used do not sum to it")
        for version, amount in used:
            self.left[version] = self.left.get(version, 0) + sign * amount
            granted = self.lots[version].granted if version in self.lots else 0
            if not 0 <= self.left[version] <= granted:
                self._wrong(posting, f"lot {version} cannot have given or taken {amount}")

    def _wrong(self, posting: StoredPosting, what: str) -> None:
        self.report(Finding(self.slot, "transfers", str(posting.id), what))

    def _wrong_account(self, what: str) -> None:
        self.report(Finding(self.slot, "accounts", str(self.account.id), what))

    def _wrong_lot(self, version: int, what: str) -> None:
        self.report(Finding(self.slot, "lots", f"{self.account.id}/{version}", what))


def sum_by_asset(accounts: Iterable[StoredAccount]) -> dict[tuple[str, str], int]:
    """What users own, by asset and environment."""
    sums: dict[tuple[str, str], int] = {}
    for account in accounts:
        key = (account.name.asset, account.name.environment)
        sums[key] = sums.get(key, 0) + account.balance
    return sums


def _shown(value: object) -> str:
    return value.hex()[:16] if isinstance(value, bytes) else str(value)
