"""The proof of the books: every balance, lot, hold, version and hash is derived again from the postings.

One slot at a time, each in a transaction that sees one moment, reading postings in the order of their chains. Memory
does not grow with the number of postings; the state after each slot can be kept, and the audit resumed from it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from hashlib import sha256
from itertools import groupby
from typing import Any

from sqlalchemy import Integer, and_, bindparam, func, or_, select
from sqlalchemy.orm import Session

from app.domain.ledger import JOURNAL, AccountName, Lot, genesis
from app.domain.numbers import SLOTS
from app.domain.proof import BookProof, Finding, StoredAccount, StoredLot, StoredPosting, sum_by_asset
from app.domain.spending import CAPTURE
from app.models.base import AnyRow
from app.models.engine import READ_ONLY
from app.models.ledger import ACCOUNTS, HOLDS, LOT_USES, LOTS, REFUSALS, TRANSFERS
from app.models.slot_guard import sweep
from app.services.ledger import holding
from app.services.transaction import Sessions, read

A, T, L, U, H, R = ACCOUNTS.c, TRANSFERS.c, LOTS.c, LOT_USES.c, HOLDS.c, REFUSALS.c
AT_ONCE = 2000
MOST_FINDINGS = 100
_HERE = bindparam("p_slot", type_=Integer)

_ACCOUNTS = select(ACCOUNTS).where(A.slot == _HERE).order_by(A.id)
_TRANSFERS = select(TRANSFERS).where(T.slot == _HERE).order_by(T.book_id, T.version)
_LOTS = select(LOTS).where(L.slot == _HERE).order_by(L.account_id, L.version)
_USES = select(LOT_USES).where(U.slot == _HERE).order_by(U.account_id, U.version, U.position)
_HOLDS = holding.HOLD.add_columns(H.reference, H.note, H.actor).where(H.slot == _HERE)
_CAPTURES = (
    select(T.cause_id, func.sum(T.amount).label("captured"))
    .where(T.slot == _HERE, T.cause_id.is_not(None), T.kind == CAPTURE)
    .group_by(T.cause_id)
)
_OF = TRANSFERS.alias("of")
_BAD_REVERSALS = (
    select(T.id)
    .outerjoin(_OF, and_(_OF.c.slot == T.slot, _OF.c.id == T.cause_id))
    .where(T.slot == _HERE, T.kind == "reversal", or_(_OF.c.id.is_(None), _OF.c.amount < T.amount))
)
_FIRST_SLOTS = select(
    *(
        select(func.min(column)).where(column >= _HERE).scalar_subquery().label(f"of_{column.table.name}")
        for column in (A.slot, T.slot, L.slot, U.slot, H.slot)
    )
).prefix_with(sweep("audit"))
_BOTH_ANSWERS = select(R.id).join(TRANSFERS, and_(T.slot == R.slot, T.id == R.id)).where(R.slot == _HERE)


@dataclass(slots=True)
class AuditState:
    """Where the audit stands. As JSON it can be kept, and the audit resumed."""

    next_slot: int = 0
    accounts: int = 0
    transfers: int = 0
    findings: list[Finding] = field(default_factory=list)
    seal: str = ""
    """SHA-256 over the heads of all chains so far: kept elsewhere, it also proves that nothing was cut off since."""

    @property
    def clean(self) -> bool:
        return not self.findings

    @property
    def done(self) -> bool:
        return self.next_slot >= SLOTS or len(self.findings) >= MOST_FINDINGS

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> AuditState:
        kept = json.loads(text)
        return cls(**{**kept, "findings": [Finding(**finding) for finding in kept["findings"]]})


Watcher = Callable[[AuditState], None]


def audit(sessions: Sessions, *, state: AuditState | None = None, watch: Watcher = lambda _: None) -> AuditState:
    """Check all slots, or those that `state` has left. `watch` is called after each slot: a progress bar, a file.

    Stops after 100 findings. The books may be in use meanwhile.
    """
    state = state or AuditState()
    while not state.done:
        slot = read(sessions, partial(_next_used, start=state.next_slot))
        if slot < SLOTS:
            audit_slot(sessions, slot, state)
        state.next_slot = slot + 1
        watch(state)
    return state


def _next_used(session: Session, start: int) -> int:
    """The first slot from there on that has rows of any kind; SLOTS if there is none."""
    found = session.connection().execute(_FIRST_SLOTS, {"p_slot": start}).one()
    return min((slot for slot in found if slot is not None), default=SLOTS)


def audit_slot(sessions: Sessions, slot: int, state: AuditState) -> None:
    """Check one slot and add what is found to `state`."""
    with _snapshot(sessions) as session:
        _SlotAudit(session, slot, state).run()


@contextmanager
def _snapshot(sessions: Sessions) -> Iterator[Session]:
    """All reads see the same moment (a reading transaction of SQLite does so anyway)."""
    with sessions() as session:
        options: dict[str, Any] = {READ_ONLY: True}
        if session.get_bind().dialect.name == "postgresql":
            options["isolation_level"] = "REPEATABLE READ"
        session.connection(execution_options=options)
        yield session


class _SlotAudit:
    """The audit of one slot."""

    def __init__(self, session: Session, slot: int, state: AuditState) -> None:
        self._session = session
        self._state = state
        self._slot = slot
        self._accounts = [_account(row) for row in self._rows(_ACCOUNTS)]
        self._names = {account.id: account.name for account in self._accounts}
        self._books = {account.id: account for account in self._accounts if _has_book(account)}
        self._system: dict[tuple[str, str], int] = {}

    def run(self) -> None:
        held = self._check_holds()
        lots = _Groups(self._stream(_LOTS), lambda row: row.account_id)
        uses = _Groups(self._stream(_USES), lambda row: row.account_id)
        postings = _Groups(self._stream(_TRANSFERS), lambda row: row.book_id)
        for number in sorted(self._books):
            self._strangers(lots.before(number), "lots")
            self._strangers(uses.before(number), "lot_uses")
            self._strangers(postings.before(number), "transfers")
            self._walk(number, postings.of(number), lots.of(number), uses.of(number), held.get(number, 0))
        for table, rest in (("lots", lots), ("lot_uses", uses), ("transfers", postings)):
            self._strangers(rest.before(None), table)
        self._check_system_accounts()
        self._check_sums()
        self._check_causes()

    def _walk(
        self, number: int, postings: Iterator[AnyRow], lots: Iterator[AnyRow], uses: Iterator[AnyRow], held: int
    ) -> None:
        account = self._books[number]
        proof = BookProof(self._slot, account, self._names, {r.version: _lot(r) for r in lots}, self._report)
        listed = _Groups(uses, lambda row: row.version)
        for row in postings:
            self._strangers(listed.before(row.version), "lot_uses")
            proof.step(_posting(row), [(use.lot, use.amount) for use in listed.of(row.version)])
            self._count(row)
        self._strangers(listed.before(None), "lot_uses")
        proof.finish(held)
        self._state.accounts += 1
        self._state.seal = sha256(bytes.fromhex(self._state.seal) + account.head).hexdigest()

    def _count(self, row: AnyRow) -> None:
        self._state.transfers += 1
        for number, amount in ((row.debit_id, -row.amount), (row.credit_id, row.amount)):
            name = self._names.get(number)
            if name is not None and not name.keeps_balance:
                key = (name.asset, name.environment)
                self._system[key] = self._system.get(key, 0) + amount

    def _check_holds(self) -> dict[int, int]:
        """What is reserved on each account, after each hold was compared with its captures and its fingerprint."""
        captured = {row.cause_id: int(row.captured) for row in self._rows(_CAPTURES)}
        held: dict[int, int] = {}
        for row in self._rows(_HOLDS):
            hold = holding.held_of(row)
            if row.captured != captured.pop(row.id, 0):
                self._found("holds", row.id, "its captures do not sum to what it says")
            if hold.fingerprint != holding.content_fingerprint(hold, (row.reference, row.note, row.actor)):
                self._found("holds", row.id, "its content does not give its fingerprint")
            held[row.account_id] = held.get(row.account_id, 0) + hold.rest
        for cause in captured:
            self._found("holds", cause, "it is missing, but was captured")
        return held

    def _check_system_accounts(self) -> None:
        for account in self._accounts:
            if account.id not in self._books and (
                account.balance or account.held or account.version or account.head != genesis(self._slot, account.name)
            ):
                self._found("accounts", account.id, "a system account keeps no balance")

    def _check_sums(self) -> None:
        owned = sum_by_asset(account for account in self._accounts if account.name.keeps_balance)
        for asset, environment in sorted(owned.keys() | self._system.keys()):
            total = owned.get((asset, environment), 0) + self._system.get((asset, environment), 0)
            if total:
                self._found("accounts", f"{asset} {environment}", f"the slot does not sum to zero but to {total}")

    def _check_causes(self) -> None:
        for row in self._rows(_BAD_REVERSALS):
            self._found("transfers", row.id, "it reverses nothing, or more than was moved")
        for row in self._rows(_BOTH_ANSWERS):
            self._found("refusals", row.id, "the same request was refused and booked")

    def _strangers(self, rows: Iterator[AnyRow], table: str) -> None:
        for row in rows:
            name = row.id if table == "transfers" else f"{row.account_id}/{row.version}"
            self._found(table, name, "it belongs to no book")

    def _found(self, table: str, row: object, what: str) -> None:
        self._report(Finding(self._slot, table, str(row), what))

    def _report(self, finding: Finding) -> None:
        if len(self._state.findings) < MOST_FINDINGS:
            self._state.findings.append(finding)

    def _rows(self, statement: Any) -> Sequence[AnyRow]:
        return self._session.connection().execute(statement, {"p_slot": self._slot}).all()

    def _stream(self, statement: Any) -> Iterator[AnyRow]:
        values = {"p_slot": self._slot}
        return iter(self._session.connection().execute(statement, values, execution_options={"yield_per": AT_ONCE}))


class _Groups:
    """A stream of rows in the order of a key, handed out group by group."""

    def __init__(self, rows: Iterator[AnyRow], key: Callable[[AnyRow], int]) -> None:
        self._groups = groupby(rows, key)
        self._next = next(self._groups, None)

    def before(self, key: int | None) -> Iterator[AnyRow]:
        """All rows of smaller keys (None: all that are left)."""
        while self._next is not None and (key is None or self._next[0] < key):
            yield from self._next[1]
            self._next = next(self._groups, None)

    def of(self, key: int) -> Iterator[AnyRow]:
        """The rows of that key. Read them all before asking for more."""
        if self._next is not None and self._next[0] == key:
            yield from self._next[1]
            self._next = next(self._groups, None)


def _has_book(account: StoredAccount) -> bool:
    return account.name.keeps_balance or account.name.code == JOURNAL


def _account(row: AnyRow) -> StoredAccount:
    return StoredAccount(
        id=row.id,
        name=AccountName(row.user_id, row.code, row.asset, row.environment),
        balance=row.balance,
        held=row.held,
        version=row.version,
        changed_us=row.changed_us,
        open_lot=row.open_lot,
        open_left=row.open_left,
        head=bytes(row.head),
    )


def _posting(row: AnyRow) -> StoredPosting:
    return StoredPosting(
        id=row.id,
        version=row.version,
        debit_id=row.debit_id,
        credit_id=row.credit_id,
        amount=row.amount,
        balance=row.balance,
        lot=row.lot,
        at=row.created_at,
        cause=row.cause_id,
        hash=bytes(row.hash),
        kind=row.kind,
        reference=row.reference,
        note=row.note,
        actor=row.actor,
    )


def _lot(row: AnyRow) -> StoredLot:
    lot = Lot(row.bonus, row.expires_at, row.payment, row.product, row.value_minor, row.currency)
    return StoredLot(row.version, row.granted, row.remaining, lot, row.created_at)
