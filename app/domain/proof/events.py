"""Proves the marks of an account, and what they are about: every hold, every refusal, every freezing. No database.

Two walks. `MarksProof` goes along the chain of one account, as `BookProof` does along its postings, and derives whether
it is frozen. `SubjectProof` gets everything about one subject together, whatever tables it is in, and compares.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from app.domain.account_events import (
    BEFORE_MARKS,
    ENDED,
    FREEZING,
    FROZEN,
    HELD,
    LET_GO,
    MADE,
    REFUSED,
    RESERVED,
    Freezing,
    Mark,
    first_head,
    refusal_content,
)
from app.domain.ledger import AccountName, microseconds
from app.domain.proof.counters import Counted
from app.domain.proof.rows import Names, Report, StoredAccount
from app.domain.spending import hold_fingerprint


class StoredMark(NamedTuple):
    account: int
    number: int
    kind: str
    subject: uuid.UUID
    amount: int
    at: datetime
    content: bytes
    hash: bytes


class StoredHold(NamedTuple):
    id: uuid.UUID
    account: int
    amount: int
    captured: int
    released: int
    state: str
    expires_at: datetime
    reference: str
    note: str
    actor: str
    created_at: datetime
    fingerprint: bytes
    limited: bool


class StoredRefusal(NamedTuple):
    id: uuid.UUID
    fingerprint: bytes
    code: str
    details: object
    created_at: datetime


class MarksProof:
    """The walk along one account's marks. Feed it marks in order, then `finish`."""

    def __init__(self, slot: int, account: StoredAccount, report: Report) -> None:
        self.account = account
        self.report = report
        self.number = 0
        self.head: bytes | None = None
        self.frozen = False
        self._first = first_head(slot, account.name)

    def step(self, mark: StoredMark) -> None:
        if mark.number != self.number + 1:
            self._wrong(mark, f"number {mark.number} follows {self.number}")
        made = Mark(mark.kind, mark.subject, mark.amount, microseconds(mark.at), mark.content)
        self.head = made.after(self.head or self._first)
        if self.head != mark.hash:
            self._wrong(mark, "its content does not give its hash")
            self.head = mark.hash
        if not self._may_have(mark.kind):
            self._wrong(mark, f"no such account is {mark.kind}")
        if mark.kind in FREEZING:
            self.frozen = mark.kind == FROZEN
        self.number = mark.number

    def finish(self) -> None:
        account = self.account
        derived = {"marks": self.number, "marks_head": self.head, "frozen": self.frozen}
        for column, value in derived.items():
            if getattr(account, column) != value:
                self.report("accounts", account.id, f"{column} is not what its marks say")

    def _may_have(self, kind: str) -> bool:
        if kind in MADE | LET_GO | FREEZING:
            return self.account.name.is_wallet
        return kind == REFUSED and (self.account.has_book or self.account.name.code == BEFORE_MARKS)

    def _wrong(self, mark: StoredMark, what: str) -> None:
        self.report("marks", f"{self.account.id}/{mark.number}", what)


@dataclass(slots=True)
class Subject:
    """All that a slot says about one subject. Of each list there should be one, or none."""

    marks: list[StoredMark] = field(default_factory=list)
    holds: list[StoredHold] = field(default_factory=list)
    captures: Counter[int] = field(default_factory=Counter)
    """How much was captured, by the account that it came from."""
    refusals: list[StoredRefusal] = field(default_factory=list)
    freezings: list[Freezing] = field(default_factory=list)


@dataclass(slots=True)
class SubjectProof:
    """Compares subject by subject. In `held` it sums what is reserved on each account."""

    names: Names
    counted: Callable[[int], Counted]
    """The counters of an account, by its number."""
    report: Report
    held: dict[int, int] = field(default_factory=dict)

    def check(self, key: uuid.UUID, subject: Subject) -> None:
        kinds = {mark.kind for mark in subject.marks}
        if subject.holds or subject.captures or kinds & (MADE | LET_GO):
            self._hold(key, subject)
        if subject.refusals or REFUSED in kinds:
            self._refusal(key, subject)
        if subject.freezings or kinds & FREEZING:
            self._freezing(key, subject)
        if subject.refusals and subject.holds:
            self.report("refusals", key, "the same request was refused and granted")

    # --- holds ---

    def _hold(self, key: uuid.UUID, subject: Subject) -> None:
        made = [mark for mark in subject.marks if mark.kind in MADE]
        gone = [mark for mark in subject.marks if mark.kind in LET_GO]
        captured = subject.captures.total()
        for row in subject.holds[:1]:
            self._hold_row(row, made, gone, captured)
            if any(book != row.account for book in subject.captures):
                self.report("holds", key, "it was captured from another account")
        if not subject.holds:
            self.report("holds", key, "it is missing, but was made or captured")
        if len(made) == 1:
            self._reserved(made[0], gone, captured)

    def _hold_row(self, row: StoredHold, made: Sequence[StoredMark], gone: Sequence[StoredMark], captured: int) -> None:
        name = self.names.get(row.account)
        kind = HELD if row.limited else RESERVED
        first = [(m.account, m.kind, m.amount, m.at, m.content) for m in made]
        if first != [(row.account, kind, row.amount, row.created_at, row.fingerprint)]:
            self.report("holds", row.id, "it is not as it was made")
        elif name is None or row.fingerprint != _fingerprint(row, name):
            self.report("holds", row.id, "its content does not give its fingerprint")
        released = sum(mark.amount for mark in gone)
        if row.captured != captured:
            self.report("holds", row.id, f"captured {row.captured}, derived {captured}")
        if row.released != released:
            self.report("holds", row.id, f"released {row.released}, derived {released}")
        state = _state(row.amount - captured - released, gone)
        if row.state != state:
            self.report("holds", row.id, f"it is {row.state}, derived {state}")

    def _reserved(self, made: StoredMark, gone: Sequence[StoredMark], captured: int) -> None:
        """What it does to its account: derived from marks and captures alone, whatever its row says."""
        rest = made.amount - sum(mark.amount for mark in gone) - captured
        self.held[made.account] = self.held.get(made.account, 0) + rest
        if made.kind == HELD:
            counts = made.amount - sum(mark.amount for mark in gone)
            self.counted(made.account).add(counts, microseconds(made.at))

    # --- refusals ---

    def _refusal(self, key: uuid.UUID, subject: Subject) -> None:
        marks = [mark for mark in subject.marks if mark.kind == REFUSED]
        for row in subject.refusals[:1]:
            content = refusal_content(row.fingerprint, row.code, row.details)
            if [(mark.at, mark.content) for mark in marks] != [(row.created_at, content)]:
                self.report("refusals", key, "it is not what was refused" if marks else "nobody refused that")
        if not subject.refusals:
            self.report("refusals", key, "it is missing")

    # --- freezing ---

    def _freezing(self, key: uuid.UUID, subject: Subject) -> None:
        marks = [mark for mark in subject.marks if mark.kind in FREEZING]
        for entry in subject.freezings[:1]:
            told = {(entry.kind, entry.at, entry.content())}
            if {(mark.kind, mark.at, mark.content) for mark in marks} != told:
                self.report("freezes", entry.id, "it is not what was done" if marks else "nobody did that")
            elif not all(self._concerns(entry, mark.account) for mark in marks):
                self.report("freezes", entry.id, "it is about other wallets")
        if not subject.freezings:
            self.report("freezes", key.int, "it is missing")

    def _concerns(self, entry: Freezing, account: int) -> bool:
        name = self.names.get(account)
        return name is not None and entry.concerns(name)


def _fingerprint(row: StoredHold, name: AccountName) -> bytes:
    lasts_us = microseconds(row.expires_at) - microseconds(row.created_at)
    return hold_fingerprint(row.id, name, row.amount, lasts_us, (row.reference, row.note, row.actor))


def _state(rest: int, gone: Sequence[StoredMark]) -> str:
    ended = [ENDED[mark.kind] for mark in gone if mark.kind in ENDED]
    return ended[-1] if ended else "captured" if rest == 0 else "open"
