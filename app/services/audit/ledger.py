"""The proof of the books: everything that is stored about accounts is derived again from postings and marks.

One slot at a time, each in a transaction that sees one moment, in the order of the chains. Memory does not grow with
the number of postings, marks, holds or refusals; the state after each slot can be kept, and the audit resumed from it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass, field
from datetime import datetime

from app.domain.bill_figures import BillRule
from app.domain.ledger import AccountName, InvalidTransfer, genesis
from app.domain.limits import LedgerRules
from app.domain.numbers import SLOTS
from app.domain.proof.book import BookProof
from app.domain.proof.counters import Counted, Today
from app.domain.proof.events import MarksProof, StoredMark, SubjectProof
from app.domain.proof.rows import LedgerFinding, Report, Reversed, StoredAccount, StoredLot, StoredPosting
from app.domain.report_tables import asset_written
from app.services.audit.ledger_rows import (
    HOW_MANY,
    SlotReader,
    slots_to_prove,
    snapshot,
    stored_account,
    stored_accounts,
)
from app.services.base.transaction import Sessions, Transaction

MOST_LEDGER_FINDINGS = 100
TELL_EVERY = 5000


@dataclass(slots=True)
class AuditState:
    """Where the audit stands. As JSON it can be kept, and the audit resumed."""

    next_slot: int = 0
    accounts: int = 0
    transfers: int = 0
    findings: list[LedgerFinding] = field(default_factory=list)
    seal: str = ""
    """SHA-256 over the heads of all chains so far: kept elsewhere, it also proves that nothing was cut off since."""

    @property
    def clean(self) -> bool:
        return not self.findings

    @property
    def done(self) -> bool:
        return self.next_slot >= SLOTS or len(self.findings) >= MOST_LEDGER_FINDINGS

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> AuditState:
        kept = json.loads(text)
        return cls(**{**kept, "findings": [LedgerFinding(**finding) for finding in kept["findings"]]})


@dataclass(frozen=True, slots=True)
class Watch:
    """Who is told how the audit goes on."""

    begun: Callable[[int], None] = lambda _: None
    """How many transfers there are to prove, before the first."""
    proved: Callable[[int], None] = lambda _: None
    """How many have been proved since the last call. At least once every 5000."""
    slot: Callable[[AuditState], None] = lambda _: None
    """After each slot: the state from which the audit can be resumed."""


@dataclass(frozen=True, slots=True)
class AsOf:
    """The rules of the house, and the clock that says which day and month are running."""

    rules: LedgerRules
    now: Callable[[], datetime]
    bill_rules: Mapping[str, BillRule] = field(default_factory=dict)
    """How bills are read into the books, by provider account; of accounts that are not named here, the usual rule."""


SILENT = Watch()


def audit_ledger(
    sessions: Sessions, *, as_of: AsOf, state: AuditState | None = None, watch: Watch = SILENT
) -> AuditState:
    """Check all slots, or those that `state` has left. Stops after 100 findings. The books may be in use meanwhile."""
    state = state or AuditState()
    with snapshot(sessions) as tx:
        watch.begun(tx.connection().execute(HOW_MANY, {"p_slot": state.next_slot}).scalar_one())
        slots = slots_to_prove(tx, state.next_slot)
    for slot in slots:
        if state.done:
            return state
        audit_slot(sessions, slot, state, as_of=as_of, watch=watch)
        state.next_slot = slot + 1
        watch.slot(state)
    if not state.done:  # behind the last of them nothing was there
        state.next_slot = SLOTS
        watch.slot(state)
    return state


def audit_slot(sessions: Sessions, slot: int, state: AuditState, *, as_of: AsOf, watch: Watch = SILENT) -> None:
    """Check one slot and add what is found to `state`."""
    today = Today.at(as_of.now(), as_of.rules)
    with snapshot(sessions) as tx:
        _audit(tx, slot, state, today, watch)


def seal_of_slot(tx: Transaction, slot: int) -> str:
    """The seal that `audit_slot` ends with, without its proof: the seal is made of the heads of the chains. "" for a
    slot that has no account with a book."""
    seal = ""
    for row in stored_accounts(tx, slot):
        try:
            account = stored_account(row)
        except InvalidTransfer:  # a finding for the audit, which goes on
            continue
        if account.has_book:
            seal = account.sealed(seal)
    return seal


def _audit(tx: Transaction, slot: int, state: AuditState, today: Today, watch: Watch) -> None:
    with closing(SlotReader(tx, slot)) as reader:
        run = _SlotAudit(reader, slot, today, state, watch)
        try:
            run.run()
        except (ValueError, TypeError) as error:  # a text that is no time or no JSON, a number that is none
            run.found("slots", slot, f"a row in it cannot be read: {error}")


class _SlotAudit:
    """The audit of one slot."""

    def __init__(self, reader: SlotReader, slot: int, today: Today, state: AuditState, watch: Watch) -> None:
        self._reader = reader
        self._slot = slot
        self._state = state
        self._watch = watch
        self._today = today
        self._accounts: dict[int, StoredAccount] = {}
        self._names: dict[int, AccountName] = {}
        self._counted: dict[int, Counted] = {}
        self._sums: Counter[tuple[str, str]] = Counter()

    def run(self) -> None:
        self._read_accounts()
        held = self._check_subjects()
        marks = self._reader.marks(self._stray_mark)
        books = _Books(self._reader, self.found)
        for number, account in self._accounts.items():
            self._walk_marks(account, marks.of(number))
            if account.has_book:
                self._walk_book(account, books, held.pop(number, 0))
            else:
                self._check_system_account(account)
        marks.end()
        books.end()
        self._check_sums()

    def found(self, table: str, row: object, what: str) -> None:
        if len(self._state.findings) < MOST_LEDGER_FINDINGS:
            self._state.findings.append(LedgerFinding(self._slot, table, str(row), what))

    def _read_accounts(self) -> None:
        for row in self._reader.accounts():
            try:
                account = stored_account(row)
            except InvalidTransfer as error:
                self.found("accounts", row.id, str(error))
            else:
                self._accounts[row.id] = account
                self._names[row.id] = account.name

    def _check_subjects(self) -> dict[int, int]:
        """Holds, refusals and freezings; what holds reserve on each account."""
        proof = SubjectProof(self._names, self._counts_of, self.found)
        for key, subject in self._reader.subjects():
            proof.check(key, subject)
        for key in self._reader.answered_twice():
            self.found("refusals", key, "the same request was refused and booked")
        return proof.held

    def _counts_of(self, account: int) -> Counted:
        if account not in self._counted:
            self._counted[account] = Counted(self._today)
        return self._counted[account]

    def _walk_marks(self, account: StoredAccount, marks: Iterable[StoredMark]) -> None:
        proof = MarksProof(self._slot, account, self.found)
        for mark in marks:
            proof.step(mark)
        proof.finish()

    def _walk_book(self, account: StoredAccount, books: _Books, held: int) -> None:
        proof = BookProof(self._slot, account, self._names, self._counts_of(account.id), self.found)
        told = 0
        for number, posting in enumerate(books.postings.of(account.id), start=1):
            proof.step(posting, *books.beside(posting))
            if number - told == TELL_EVERY:
                self._tell(TELL_EVERY)
                told = number
        self._tell(proof.steps - told)
        proof.finish(held)
        self._counted.pop(account.id, None)
        key = (account.name.asset, account.name.environment)
        self._sums[key] += account.balance - proof.moved
        self._state.accounts += 1
        self._state.seal = account.sealed(self._state.seal)

    def _tell(self, proved: int) -> None:
        self._state.transfers += proved
        self._watch.proved(proved)

    def _check_system_account(self, account: StoredAccount) -> None:
        if not account.keeps_nothing or account.head != genesis(self._slot, account.name):
            self.found("accounts", account.id, "a system account keeps no balance")

    def _check_sums(self) -> None:
        for (asset, environment), total in sorted(self._sums.items()):
            if total:
                comes_to = asset_written(total, asset)
                self.found("accounts", f"{asset} {environment}", f"the slot does not sum to zero but to {comes_to}")

    def _stray_mark(self, mark: StoredMark) -> None:
        self.found("marks", f"{mark.account}/{mark.number}", "it belongs to no account")


Beside = tuple[StoredLot | None, Reversed | None]
NOTHING_BESIDE: Beside = (None, None)


class _Books:
    """The postings of a slot, and beside them what their books list."""

    def __init__(self, reader: SlotReader, found: Report) -> None:
        self._found = found
        self.postings = reader.postings(lambda row: found("transfers", row.id, "it belongs to no book"))
        self._lots = reader.lots(lambda row: found("lots", f"{row.account}/{row.version}", "no posting made it"))
        self._reversed = reader.reversed()
        self._nearest: tuple[int, int] | None = None
        self._look_ahead()

    def beside(self, posting: StoredPosting) -> Beside:
        """The lot that this posting made, and the transfer that it reverses: most postings have neither."""
        key = posting[:2]
        if self._nearest is None or key < self._nearest:
            return NOTHING_BESIDE
        made = next(iter(tuple(self._lots.of(key))), None)
        of = next((Reversed(*row[2:]) for row in tuple(self._reversed.of(key))), None)
        self._look_ahead()
        return made, of

    def _look_ahead(self) -> None:
        """The next posting beside which there is anything."""
        keys = (rows.key for rows in (self._lots, self._reversed))
        self._nearest = min((key for key in keys if key is not None), default=None)

    def end(self) -> None:
        for rows in (self.postings, self._lots):
            rows.end()
