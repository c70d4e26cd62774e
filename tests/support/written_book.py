"""A wallet's book as the domain writes it, without a database: the rows that the proof then reads."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from app.domain.books import Book, Entry
from app.domain.ledger import (
    EXPIRED,
    ISSUANCE,
    REVENUE,
    REVERSAL,
    Lot,
    Transfer,
    genesis,
    microseconds,
    moment_of,
    system,
    wallet,
)
from app.domain.limits import LedgerRules, periods
from app.domain.lots import NEVER, LotLeft, SpendOrder, plan_return, uses_in
from app.domain.proof.book import BookProof
from app.domain.proof.counters import Counted, Today
from app.domain.proof.rows import Reversed, StoredAccount, StoredLot, StoredPosting

SLOT, NUMBER = 7, 1
ALICE = wallet("alice", "coin")
NAMES = {NUMBER: ALICE, 2: system(ISSUANCE, "coin"), 3: system(REVENUE, "coin"), 4: system(EXPIRED, "coin")}
NUMBERS = {name: number for number, name in NAMES.items()}
BEGINNING = datetime(2026, 3, 10, 12, tzinfo=UTC)
ORDER = SpendOrder.BONUS_FIRST


class Written(NamedTuple):
    """One posting, and the rows that the proof gets beside it."""

    posting: StoredPosting
    lot: StoredLot | None
    reversed_: Reversed | None


def _new_book() -> Book:
    columns = dict.fromkeys(StoredAccount._fields, 0) | {"id": NUMBER, "name": ALICE, "frozen": False}
    columns |= {"head": genesis(SLOT, ALICE), "marks_head": None}
    return Book(slot=SLOT, **columns)  # type: ignore[arg-type]


@dataclass
class WrittenBook:
    """Alice's coins. Each call is one transaction: it loads lots only where the open one does not cover a spend."""

    now: datetime = BEGINNING
    book: Book = field(default_factory=_new_book)
    rows: list[Written] = field(default_factory=list)
    keys: itertools.count[int] = field(default_factory=itertools.count)

    def credit(self, amount: int, *, bonus: bool = True, expires_at: datetime | None = None) -> None:
        made = Lot(bonus, expires_at, payment="" if bonus else "4711")
        transfer = Transfer("test", self._key(), NAMES[2], ALICE, amount, "grant", lot=made)
        left = LotLeft(0, amount, bonus, NEVER if expires_at is None else microseconds(expires_at))
        entry = self.book.credit_lot(amount, left, transfer.fingerprint(SLOT), ORDER, self._now_us)
        lot = StoredLot(
            account=NUMBER,
            version=entry.version,
            granted=amount,
            remaining=amount,
            bonus=made.bonus,
            expires_at=made.expires_at,
            payment=made.payment,
            product=made.product,
            value_minor=made.value_minor,
            currency=made.currency,
            created_at=moment_of(entry.at_us),
        )
        self._keep(transfer, entry, lot=lot)

    def spend(self, amount: int) -> None:
        transfer = Transfer("spend", self._key(), ALICE, NAMES[3], amount, "spend", reference="sword")
        if not self.book.covers(amount, ORDER, self._now_us):
            self._load()
        entry = self.book.take(amount, transfer.fingerprint(SLOT), self._now_us, ORDER)
        self.book.count_spent(amount, periods(moment_of(entry.at_us), UTC))
        self._keep(transfer, entry)

    def reverse(self, spent: Written, amount: int) -> None:
        """Give back a part of a spend, which was not given back before."""
        of = spent.posting
        transfer = Transfer(REVERSAL, of.id.hex, NAMES[3], ALICE, amount, REVERSAL, cause=of.id)
        self._load()
        used = uses_in(of.uses) or [(of.lot, of.amount)]
        entry = self.book.give_back(plan_return(used, amount), transfer.fingerprint(SLOT), self._now_us)
        self.book.uncount_spent(amount, periods(of.at, UTC))
        self._keep(transfer, entry, of=Reversed(of.id, of.book, of.debit, of.credit, of.amount, of.kind, of.at))

    def expire(self) -> None:
        self._load()
        for version, amount in self.book.expiring(ORDER, self._now_us):
            transfer = Transfer("expiry", self._key(), ALICE, NAMES[4], amount, "expiry")
            self._keep(transfer, self.book.take_lot(version, amount, transfer.fingerprint(SLOT), self._now_us))
        self._settle()

    # --- what is stored, and what the proof says of it ---

    @property
    def account(self) -> StoredAccount:
        values = {name: getattr(self.book, name) for name in StoredAccount._fields}
        return StoredAccount(**values)

    def findings(self, account: StoredAccount | None = None, rows: Sequence[Written] | None = None) -> list[str]:
        """Each finding as `table: what`."""
        seen: list[str] = []
        proof = BookProof(
            SLOT,
            self.account if account is None else account,
            NAMES,
            Counted(Today.at(self.now, LedgerRules())),
            lambda table, _row, what: seen.append(f"{table}: {what}"),
        )
        for row in self.rows if rows is None else rows:
            proof.step(*row)
        proof.finish(held=0)
        return seen

    def with_posting(self, index: int, **change: Any) -> list[Written]:
        row = self.rows[index]
        return self._with(index, row._replace(posting=row.posting._replace(**change)))

    def with_lot(self, index: int, **change: Any) -> list[Written]:
        row = self.rows[index]
        assert row.lot is not None
        return self._with(index, row._replace(lot=row.lot._replace(**change)))

    def _with(self, index: int, row: Written) -> list[Written]:
        return [*self.rows[:index], row, *self.rows[index + 1 :]]

    # --- inside ---

    @property
    def _now_us(self) -> int:
        return microseconds(self.now)

    def _key(self) -> str:
        return f"k{next(self.keys)}"

    def _keep(
        self, transfer: Transfer, entry: Entry, *, lot: StoredLot | None = None, of: Reversed | None = None
    ) -> None:
        posting = StoredPosting(
            book=NUMBER,
            version=entry.version,
            id=transfer.id_in(SLOT),
            debit=NUMBERS[transfer.debit],
            credit=NUMBERS[transfer.credit],
            amount=transfer.amount,
            balance=entry.balance,
            lot=entry.lot,
            at=moment_of(entry.at_us),
            cause=transfer.cause,
            hash=entry.hash,
            kind=transfer.kind,
            reference=transfer.reference,
            note=transfer.note,
            actor=transfer.actor,
            uses=[list(use) for use in entry.uses] or None,
        )
        self.rows.append(Written(posting, lot, of))
        if transfer.kind != "expiry":
            self._settle()
        self.now += timedelta(seconds=1)

    def _load(self) -> None:
        lots = [row.lot for row in self.rows if row.lot is not None]
        self.book.load(LotLeft(lot.version, lot.remaining, lot.bonus, lot.expires_us) for lot in lots)

    def _settle(self) -> None:
        """The end of a transaction: remainders go to the lots' rows, and the book is read anew next time."""
        self.book.settle(ORDER, self._now_us)
        for index, row in enumerate(self.rows):
            if row.lot is not None and row.lot.version in self.book.written:
                remaining = self.book.written[row.lot.version]
                self.rows[index] = row._replace(lot=row.lot._replace(remaining=remaining))
        self.book = replace(self.book, lots=None, written={})
