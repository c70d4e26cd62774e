"""The first answer to a keyed request: a transfer, or a refusal. A repeated request gets that answer again."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import ClauseElement, Uuid, and_, bindparam, select, union_all
from sqlalchemy.exc import OperationalError

from app.domain import spending
from app.domain.ledger import (
    REVERSAL,
    AccountName,
    KeyConflict,
    Lot,
    Posted,
    Refused,
    Transfer,
    fingerprint_between,
    names_of,
)
from app.domain.lots import uses_in
from app.domain.numbers import rival_ids
from app.models.ledger import ACCOUNTS, HOLDS, LOTS, REFUSALS, TRANSFERS
from app.models.orders import IDEMPOTENCY
from app.services.base.statements import Sized, Statement
from app.services.base.transaction import Transaction

OF_ANOTHER_KIND = "request"
"""Named as the field that differs, as for other requests with a key."""
IDS_AT_ONCE = 64
"""One statement looks for so many ids."""

T, L, R = TRANSFERS.c, LOTS.c, REFUSALS.c
_DEBIT, _CREDIT = ACCOUNTS.alias("debit_account"), ACCOUNTS.alias("credit_account")


class LookedUp(Protocol):
    """What a change of the books knows about the key of its request."""

    known: set[tuple[int, uuid.UUID]]
    """Slots and ids that are in the books."""
    is_claimed: bool
    """Whether the key is that of an order, a gift or another thing that is not booked by it."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A transfer as it lies in the database, with the names of its accounts and the lot that it made."""

    slot: int
    id: uuid.UUID
    book_id: int
    version: int
    balance: int
    debit: AccountName
    credit: AccountName
    amount: int
    kind: str
    reference: str
    note: str
    actor: str
    cause: uuid.UUID | None
    lot: int
    """The one lot made, used or restored; 0: none or several."""
    uses: Any
    """Where there are several: as they are stored."""
    made: Lot | None
    at: datetime
    hash: bytes

    def posted(self) -> Posted:
        return Posted(self.id, self.amount, self.balance, self.version, self.at, repeated=True)

    def lots_used(self) -> list[tuple[int, int]]:
        """The lots that it used or restored, and how much of each, in the order of their use."""
        return [(self.lot, self.amount)] if self.lot else uses_in(self.uses)

    def fingerprint(self) -> bytes:
        texts = (self.kind, self.reference, self.note, self.actor)
        lot = None if self.made is None else self.made.content()
        return fingerprint_between(names_of(self.debit, self.credit), self.id, self.amount, texts, self.cause, lot)


STORED = select(
    TRANSFERS,
    *(column.label(f"debit_{column.name}") for column in (_DEBIT.c.user_id, _DEBIT.c.code)),
    *(column.label(f"credit_{column.name}") for column in (_CREDIT.c.user_id, _CREDIT.c.code)),
    _DEBIT.c.asset,
    _DEBIT.c.environment,
    L.version.label("lot_version"),
    L.bonus,
    L.expires_at,
    L.payment,
    L.product,
    L.value_minor,
    L.currency,
).select_from(
    TRANSFERS.join(_DEBIT, and_(_DEBIT.c.slot == T.slot, _DEBIT.c.id == T.debit_id))
    .join(_CREDIT, and_(_CREDIT.c.slot == T.slot, _CREDIT.c.id == T.credit_id))
    .outerjoin(LOTS, and_(L.slot == T.slot, L.account_id == T.book_id, L.version == T.version))
)


def stored(row: Any) -> Stored:
    """Read one row of STORED."""
    made = None
    if row.lot_version is not None:
        made = Lot(row.bonus, row.expires_at, row.payment, row.product, row.value_minor, row.currency)
    return Stored(
        slot=row.slot,
        id=row.id,
        book_id=row.book_id,
        version=row.version,
        balance=row.balance,
        debit=AccountName(row.debit_user_id, row.debit_code, row.asset, row.environment),
        credit=AccountName(row.credit_user_id, row.credit_code, row.asset, row.environment),
        amount=row.amount,
        kind=row.kind,
        reference=row.reference,
        note=row.note,
        actor=row.actor,
        cause=row.cause_id,
        lot=row.lot,
        uses=row.uses,
        made=made,
        at=row.created_at,
        hash=bytes(row.hash),
    )


_READ = STORED.where(T.slot == bindparam("p_slot"), T.id == bindparam("p_id"))
_READ_REFUSAL = select(REFUSALS).where(R.slot == bindparam("p_slot"), R.id == bindparam("p_id"))


def _ids(size: int) -> ClauseElement:
    ids = [bindparam(f"id_{i}", type_=Uuid) for i in range(size)]
    return union_all(
        *(select(table.c.id).where(table.c.slot == bindparam("slot"), table.c.id.in_(ids)) for table in _ANSWERS)
    )


_ANSWERS = (TRANSFERS, REFUSALS, HOLDS)
_KNOWN = Sized(_ids, IDS_AT_ONCE)
_k = IDEMPOTENCY.c
_CLAIMED = Statement(
    select(_k.key).where(_k.slot == bindparam("slot"), _k.caller == bindparam("owner"), _k.key == bindparam("key"))
)


class _Repeatable(Exception):
    sqlstate = "40001"


class Raced(OperationalError):
    """Another transaction answered the same key while this one ran: the whole of this one must run again.

    To `transact` this is what it is, a serialization failure (SQLSTATE 40001).
    """

    def __init__(self) -> None:
        super().__init__("INSERT", None, _Repeatable("a key was used at the same time"))


def find_transfer(tx: Transaction, slot: int, transfer_id: uuid.UUID) -> Stored | None:
    row = tx.connection().execute(_READ, {"p_slot": slot, "p_id": transfer_id}).one_or_none()
    return None if row is None else stored(row)


_REASONED = (spending.GRANT, spending.DEBIT, REVERSAL)
"""Kinds of transfer whose note is the reason that the caller gives."""


def find_result(tx: Transaction, slot: int, transfer: Transfer) -> Posted | Refused | None:
    """The first answer to the request to book that; None if it is new. Raises KeyConflict if it was another request."""
    found = find_transfer(tx, slot, transfer.id_in(slot))
    if found is not None:
        return repeated(found, transfer)
    return find_refusal(tx, slot, transfer.id_in(slot), transfer.fingerprint(slot), transfer.amount)


def repeated(first: Stored, transfer: Transfer) -> Posted:
    """The transfer that is there, for a request that must ask for nothing else. Raises KeyConflict if it does."""
    if first.fingerprint() != transfer.fingerprint(first.slot):
        raise KeyConflict(f"the key {transfer.key!r} was used for another transfer", differing(first, transfer))
    return first.posted()


def differing(first: Stored, transfer: Transfer) -> str:
    """The first field in which the two differ, as whoever asks for such a transfer calls it; of a lot as
    `lot.expires_at`."""
    for side in ("debit", "credit"):
        if getattr(first, side) != getattr(transfer, side):
            return differing_account(getattr(first, side), getattr(transfer, side)) or side
    for name in ("amount", "kind", "reference", "note", "actor", "cause"):
        if getattr(first, name) != getattr(transfer, name):
            return "reason" if name == "note" and transfer.kind in _REASONED else name
    mine, other = first.made, transfer.lot_made
    if mine is None or other is None:
        return "lot"
    return next(
        (f"lot.{each.name}" for each in fields(Lot) if getattr(mine, each.name) != getattr(other, each.name)), ""
    )


def differing_account(first: AccountName, other: AccountName) -> str:
    """Which part of an account's name another request names otherwise; empty: only the code."""
    for name, shown in (("asset", "asset"), ("environment", "environment"), ("user_id", "user")):
        if getattr(first, name) != getattr(other, name):
            return shown
    return ""


def find_refusal(
    tx: Transaction, slot: int, request_id: uuid.UUID, fingerprint: bytes, amount: int | None
) -> Refused | None:
    """The recorded refusal of that request, if there is one. Raises KeyConflict if another request was refused;
    `amount` is what is wanted now."""
    row = tx.connection().execute(_READ_REFUSAL, {"p_slot": slot, "p_id": request_id}).one_or_none()
    if row is None:
        return None
    if bytes(row.fingerprint) != fingerprint:
        # A refusal keeps the hash of its request, which does not tell which field is another one; most keep the amount.
        is_amount = row.details.get("amount", amount) != amount
        raise KeyConflict(f"the key of {request_id} was refused for another request", "amount" if is_amount else "")
    return Refused(row.id, row.code, row.details, repeated=True)


def refusal_row(slot: int, refused: Refused, fingerprint: bytes, at: datetime) -> dict[str, Any]:
    return {
        "slot": slot,
        "id": refused.id,
        "fingerprint": fingerprint,
        "code": refused.code,
        "details": dict(refused.details),
        "created_at": at,
    }


def find_ids(tx: Transaction, slot: int, wanted: Sequence[uuid.UUID]) -> set[uuid.UUID]:
    """Which of these ids the books know in that slot."""
    found: set[uuid.UUID] = set()
    for start in range(0, len(wanted), IDS_AT_ONCE):
        part = wanted[start : start + IDS_AT_ONCE]
        values = {"slot": slot, **{f"id_{i}": each for i, each in enumerate(part)}}
        found |= {row[0] for row in _KNOWN.of(len(part)).rows(tx, values)}
    return found


def is_claimed(tx: Transaction, slots: Iterable[int], key: tuple[str, str]) -> bool:
    """Whether the key is that of an order, a gift or another thing that is not booked by it."""
    owner, text = key
    values = [{"slot": slot, "owner": owner, "key": text} for slot in slots if owner]
    return any(_CLAIMED.row(tx, each) is not None for each in values)


def check_key(books: LookedUp, slot: int, scope: str, key: str) -> None:
    """Raises KeyConflict if the key of a new request was used for another kind of request."""
    if books.is_claimed or any((slot, rival) in books.known for rival in rival_ids(slot, scope, key)):
        raise of_another_kind(key)


def of_another_kind(key: str) -> KeyConflict:
    return KeyConflict(f"the key {key!r} was used for another kind of request", OF_ANOTHER_KIND)
