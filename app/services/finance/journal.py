"""Journal entries by hand: proposed by one person, confirmed by another where the rules ask for it, booked once.

An entry is never changed and never deleted. What was wrong is taken back by another entry.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import select, tuple_, update

from app.domain.chart import HOUSE_SLOT
from app.domain.journal import (
    BadEntry,
    EntryStatus,
    JournalEntry,
    JournalLine,
    check_entry,
    person_of,
    reversal_of,
    transfers_of_entry,
)
from app.domain.ledger import moment_of
from app.models.base import AnyRow
from app.models.finance import JOURNAL_ENTRIES
from app.services.base.context import Core, Tx
from app.services.base.errors import DomainError, KeyReused, NotFound
from app.services.base.list_pages import ListPage, ListPlace, page_of, place_at
from app.services.base.transaction import Transaction
from app.services.base.upsert import insert_numbered_if_new
from app.services.ledger.postings import post

_J = JOURNAL_ENTRIES.c


class EntryRefused(DomainError):
    """It cannot be booked, whoever wants it: not balanced, an account that no entry by hand changes. The detail says
    why."""

    code = "entry_refused"
    remembered = False


class EntryEnded(DomainError):
    """It is posted or withdrawn already."""

    code = "entry_ended"


class NeedsAnother(DomainError):
    """The person who proposed it cannot confirm it."""

    code = "needs_another_person"
    remembered = False


class TakenBack(DomainError):
    """Only a posted entry can be taken back, and only once."""

    code = "entry_taken_back"


@dataclass(frozen=True, slots=True)
class EntryRequest:
    """Whose request it is, and its key: a repeat finds the entry that the first one made."""

    caller: str
    key: str
    actor: str

    @property
    def name(self) -> str:
        return hashlib.sha256(f"{self.caller}\0{self.key}".encode()).hexdigest()


def propose_entry(core: Core, entry: JournalEntry, request: EntryRequest) -> AnyRow:
    """Keep the entry, and book it unless a second person must confirm it. Raises EntryRefused, and KeyReused if the key
    stands for another entry."""
    try:
        check_entry(entry)
    except BadEntry as error:
        raise EntryRefused(str(error)) from None
    return core.house.transact(partial(_propose, entry=entry, request=request))


def propose_reversal(core: Core, number: int, document: str, reason: str, request: EntryRequest) -> AnyRow:
    """Propose the entry that takes back a posted one. Raises NotFound, TakenBack, and what `propose_entry` does."""

    def work(tx: Tx) -> AnyRow:
        row = _locked(tx, number)
        if row.status != EntryStatus.POSTED:
            raise TakenBack("it is not posted")
        entry = reversal_of(entry_of(row), number, document, reason)
        try:
            check_entry(entry)
        except BadEntry as error:
            raise EntryRefused(str(error)) from None
        return _propose(tx, entry, request)

    return core.house.transact(work)


def confirm_entry(core: Core, number: int, *, actor: str) -> AnyRow:
    """Book a proposed entry. A repeat by the same person finds it booked. Raises NotFound, EntryEnded, NeedsAnother."""

    def work(tx: Tx) -> AnyRow:
        row = _locked(tx, number)
        if row.status == EntryStatus.POSTED and row.ended_by == actor:
            return row
        _still_proposed(row)
        if person_of(row.proposed_by) == person_of(actor):
            raise NeedsAnother("another person must confirm it")
        return _book(tx, row, actor)

    return core.house.transact(work)


def post_agreed(tx: Tx, entry: JournalEntry, request: EntryRequest, *, confirmed_by: str) -> AnyRow:
    """Keep an entry and book it in this transaction, because two persons have agreed on it already: `request.actor` and
    `confirmed_by`. Raises EntryRefused, KeyReused, NeedsAnother."""
    try:
        check_entry(entry)
    except BadEntry as error:
        raise EntryRefused(str(error)) from None
    if person_of(request.actor) == person_of(confirmed_by):
        raise NeedsAnother("another person must confirm it")
    row = _propose(tx, entry, request)
    return _book(tx, row, confirmed_by) if row.status == EntryStatus.PROPOSED else row


def withdraw_entry(core: Core, number: int, *, actor: str) -> AnyRow:
    """Say that a proposed entry will never be booked. Anybody may. Raises NotFound, EntryEnded."""

    def work(tx: Tx) -> AnyRow:
        row = _locked(tx, number)
        if row.status == EntryStatus.WITHDRAWN and row.ended_by == actor:
            return row
        _still_proposed(row)
        return _end(tx, row, EntryStatus.WITHDRAWN, actor, reverses=None)

    return core.house.transact(work)


def find_entry(tx: Transaction, number: int) -> AnyRow:
    """Raises NotFound."""
    row = tx.execute(select(JOURNAL_ENTRIES).where(_J.id == number)).one_or_none()
    if row is None:
        raise NotFound("there is no such journal entry")
    return row


def entry_of_request(tx: Transaction, request: EntryRequest) -> AnyRow | None:
    """The entry that this request has made."""
    return tx.execute(select(JOURNAL_ENTRIES).where(_J.request == request.name)).one_or_none()


def is_taken_back(tx: Transaction, number: int) -> bool:
    """Whether another entry that is posted takes it back."""
    wanted = select(_J.id).where(_J.reverses == number, _J.status == EntryStatus.POSTED)
    return tx.execute(wanted).first() is not None


def list_entries(core: Core, place: ListPlace | None, limit: int, *, status: str | None = None) -> ListPage[AnyRow]:
    """The newest first."""
    wanted = select(JOURNAL_ENTRIES).order_by(_J.created_at.desc(), _J.id.desc()).limit(limit + 1)
    if status is not None:
        wanted = wanted.where(_J.status == status)
    if place is not None:
        wanted = wanted.where(tuple_(_J.created_at, _J.id) < (moment_of(place[0]), place[1]))
    rows = core.home.read(lambda tx: tx.execute(wanted).all())
    return page_of(rows, limit, lambda row: place_at(row.created_at, row.id))


def entry_of(row: AnyRow) -> JournalEntry:
    """The entry that a row keeps."""
    lines = [JournalLine(line["account"], line["debit"], line["credit"]) for line in row.lines]
    return JournalEntry(
        row.document, row.reason, row.currency, lines, row.effective_at, row.environment, reverses=row.reverses
    )


def _propose(tx: Tx, entry: JournalEntry, request: EntryRequest) -> AnyRow:
    seal = partial(tx.core.rules.ledger.seals.of_row, "journal_entries")
    row = _row(tx, entry, request)
    number = insert_numbered_if_new(tx, JOURNAL_ENTRIES, tx.core.numbers, HOUSE_SLOT, row, seal)
    if number is None:
        known = entry_of_request(tx, request)
        if known is None:
            raise TakenBack("another entry takes it back already")
        return _repeated(known, entry)
    kept = find_entry(tx, number)
    if entry.needs_a_second(tx.core.rules.finance.alone_up_to_minor):
        return kept
    return _book(tx, kept, request.actor)


def _row(tx: Tx, entry: JournalEntry, request: EntryRequest) -> dict[str, Any]:
    return {
        "request": request.name,
        "document": entry.document,
        "reason": entry.reason,
        "environment": entry.environment,
        "currency": entry.currency,
        "lines": [{"account": line.account, "debit": line.debit, "credit": line.credit} for line in entry.lines],
        "effective_at": entry.effective_at,
        "reverses": entry.reverses,
        "status": EntryStatus.PROPOSED,
        "proposed_by": request.actor,
        "created_at": tx.now,
        "ended_by": None,
        "ended_at": None,
        "booked": 0,
    }


def _repeated(known: AnyRow, entry: JournalEntry) -> AnyRow:
    before = replace(entry_of(known), lines=tuple(entry_of(known).lines))
    wanted = replace(entry, lines=tuple(entry.lines))
    for field in fields(JournalEntry):
        if getattr(before, field.name) != getattr(wanted, field.name):
            raise KeyReused(field=field.name)
    return known


def _book(tx: Tx, row: AnyRow, actor: str) -> AnyRow:
    transfers = transfers_of_entry(row.id, entry_of(row), row.proposed_by)
    post(tx, HOUSE_SLOT, transfers)
    return _end(tx, row, EntryStatus.POSTED, actor, booked=len(transfers))


def _end(tx: Tx, row: AnyRow, status: EntryStatus, actor: str, **more: Any) -> AnyRow:
    values: dict[str, Any] = {"status": status, "ended_by": actor, "ended_at": tx.now, **more}
    changed: Mapping[str, Any] = {**row._asdict(), **values}
    values["seal"] = tx.core.rules.ledger.seals.of_row("journal_entries", changed)
    tx.execute(update(JOURNAL_ENTRIES).where(_J.id == row.id).values(values))
    return find_entry(tx, row.id)


def _locked(tx: Tx, number: int) -> AnyRow:
    row = tx.execute(select(JOURNAL_ENTRIES).where(_J.id == number).with_for_update()).one_or_none()
    if row is None:
        raise NotFound("there is no such journal entry")
    return row


def _still_proposed(row: AnyRow) -> None:
    if row.status != EntryStatus.PROPOSED:
        raise EntryEnded(f"it is {row.status}")


def effective_day(moment: datetime | None, now: datetime) -> datetime | None:
    """Raises EntryRefused for a day that has not come."""
    if moment is not None and moment > now:
        raise EntryRefused("an entry cannot be effective in the future")
    return moment
