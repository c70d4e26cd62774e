"""Proves one account from its postings alone, or says which row is the first that does not fit. No database.

The walk starts from nothing and derives version, balance, every lot and the hash after each posting; what is stored
must be what is derived. After a break the walk goes on from what is stored, so that one edit is one finding.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from app.domain.accounting_time import EFFECTIVE_KINDS
from app.domain.ledger import JOURNAL, REVERSAL, genesis, microseconds, names_of, next_head
from app.domain.ledger import fingerprint_between as fingerprint
from app.domain.lots import uses_in
from app.domain.numbers import keyed_uuid, slot_of_number
from app.domain.proof.counters import Counted
from app.domain.proof.lots import LotsProof
from app.domain.proof.rows import Names, Report, Reversed, StoredAccount, StoredLot, StoredPosting
from app.domain.spending import CAPTURE, SPEND


class _Legs(NamedTuple):
    """What the two accounts of a posting mean for the book in which it stands."""

    wrong: str
    sign: int
    names: str


class BookProof:
    """The walk along one book. Feed it postings in order, then `finish`."""

    def __init__(self, slot: int, account: StoredAccount, names: Names, counted: Counted, report: Report) -> None:
        self.slot = slot
        self.account = account
        self.names = names
        self.counted = counted
        self.report = report
        self.lots = LotsProof(account, report)
        self.head = genesis(slot, account.name)
        self.version = self.balance = self.at_us = self.steps = 0
        self.moved = 0
        """What came in less what went out: the other legs, on system accounts, come to as much below zero."""
        self._wallet = account.name.is_wallet
        self._legs: dict[tuple[int, int], _Legs] = {}

    def step(self, posting: StoredPosting, made: StoredLot | None, reversed_: Reversed | None) -> None:
        """One posting, the lot that bears its version, and what it reverses."""
        legs = self._legs.get(posting.legs) or self._look_at(posting.debit, posting.credit)
        if legs.wrong:
            self._wrong(posting, legs.wrong)
        else:
            self._count(posting, legs.sign)
            uses = () if posting.uses is None else self._uses_of(posting)
            makes = self._wallet and legs.sign > 0 and posting.kind != REVERSAL
            lot = self.lots.made_by(posting, made) if makes else None
            if made is not None and not makes:
                self.lots.stray(made)
            self._chain(posting, legs.names, None if lot is None else lot.content(), uses)
            if self._wallet and not makes:
                self.lots.use(posting, legs.sign, uses)
            if posting.cause is not None or posting.kind in (REVERSAL, CAPTURE):
                self._cause(posting, reversed_)
            if posting.effective is not None:
                self._effective(posting, posting.effective)
            if posting.kind == SPEND:
                self.counted.add(posting.amount, self.at_us)
        self.steps += 1
        self.version = posting.version
        if self.version == self.account.open_version:
            self.lots.at_opening()

    def finish(self, held: int) -> None:
        """Compare the account's row and its lots with what was derived. `held` is what its holds reserve."""
        account = self.account
        derived = {"version": self.version, "balance": self.balance, "head": self.head, "held": held, "floor": 0}
        for column, value in derived.items():
            if getattr(account, column) != value:
                self._wrong_account(f"{column} is {_shown(getattr(account, column))}, derived {_shown(value)}")
        if account.changed_us != self.at_us:
            self._wrong_account("its time is not that of its last posting")
        for difference in self.counted.differences(*account.counters):
            self._wrong_account(difference)
        self.lots.finish(self.counted.today.at_us)

    def _look_at(self, debit_id: int, credit_id: int) -> _Legs:
        """Whether this book is where such a transfer belongs, and in which direction it moves. Asked once a pair."""
        debit, credit = self.names.get(debit_id), self.names.get(credit_id)
        if debit is None or credit is None:
            return _Legs("an account of it does not exist", 0, "")
        mine = self.account.name
        wrong, sign = "", 0
        if (debit.asset, debit.environment) != (credit.asset, credit.environment):
            wrong = "its accounts hold different assets"
        elif debit.keeps_balance and credit.keeps_balance:
            wrong = "it goes from user to user"
        elif debit.keeps_balance or credit.keeps_balance:
            sign = 1 if credit.keeps_balance else -1
            if not mine.keeps_balance or self.account.id != (credit_id if sign > 0 else debit_id):
                wrong = "it is not in the book of its user"
        elif mine.code != JOURNAL or (mine.asset, mine.environment) != (debit.asset, debit.environment):
            wrong = "it is not in the journal"
        legs = self._legs[debit_id, credit_id] = _Legs(wrong, sign, names_of(debit, credit))
        return legs

    def _count(self, posting: StoredPosting, sign: int) -> None:
        if posting.version != self.version + 1:
            self._wrong(posting, f"version {posting.version} follows {self.version}")
        if slot_of_number(posting.id.int) != self.slot:
            self._wrong(posting, "its id is of another slot")
        moved = sign * posting.amount
        self.moved += moved
        self.balance += moved
        if posting.balance != self.balance:
            self._wrong(posting, f"balance {posting.balance}, derived {self.balance}")
            self.balance = posting.balance
        at_us = microseconds(posting.at)
        if at_us < self.at_us:
            self._wrong(posting, "it is earlier than the posting before it")
        self.at_us = at_us

    def _chain(
        self, posting: StoredPosting, names: str, lot: list[object] | None, uses: Sequence[tuple[int, int]]
    ) -> None:
        content = fingerprint(names, posting.id, posting.amount, posting.texts, posting.cause, lot)
        self.head = next_head(self.head, content, posting.lot, self.at_us, uses)
        if self.head != posting.hash:
            self._wrong(posting, "its content does not give its hash")
            self.head = posting.hash

    def _uses_of(self, posting: StoredPosting) -> Sequence[tuple[int, int]]:
        try:
            return uses_in(posting.uses)
        except ValueError as error:
            self._wrong(posting, f"the lots that it lists cannot be read: {error}")
            return ()

    def _effective(self, posting: StoredPosting, at: datetime) -> None:
        """Which moment it must be, the proofs of facts and bills say."""
        if posting.kind not in EFFECTIVE_KINDS or at >= posting.at:
            self._wrong(posting, f"a {posting.kind} that is effective at {at.isoformat()}")

    def _cause(self, posting: StoredPosting, of: Reversed | None) -> None:
        if posting.cause is None:
            self._wrong(posting, f"a {posting.kind} that names no cause")
        elif posting.kind == REVERSAL:
            if of is None or of.id is None or posting.id != keyed_uuid(self.slot, REVERSAL, posting.cause.hex):
                self._wrong(posting, "it reverses nothing")
            elif of.amount < posting.amount or (of.debit, of.credit) != (posting.credit, posting.debit):
                self._wrong(posting, "it is not what it reverses, the other way round")
            elif of.kind == SPEND and self._wallet:
                self.counted.add(-posting.amount, microseconds(of.at))

    def _wrong(self, posting: StoredPosting, what: str) -> None:
        self.report("transfers", posting.id, what)

    def _wrong_account(self, what: str) -> None:
        self.report("accounts", self.account.id, what)


def _shown(value: object) -> str:
    return value.hex()[:16] if isinstance(value, bytes) else str(value)
