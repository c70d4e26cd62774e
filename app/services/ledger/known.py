"""What the books already know under an id: a transfer, or a refusal. This, not a version, makes repeats harmless."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, bindparam, insert, select, text, union_all

from app.domain.ledger import (
    AccountName,
    KeyConflict,
    Lot,
    Posted,
    Refused,
    fingerprint_of,
)
from app.models.ledger import ACCOUNTS, LOTS, REFUSALS, TRANSFERS
from app.services.base.transaction import Connected
from app.services.ledger.statements import Statement

Id = tuple[int, uuid.UUID]
"""Slot and id."""

T, L, R = TRANSFERS.c, LOTS.c, REFUSALS.c
DEBIT, CREDIT = ACCOUNTS.alias("debit_account"), ACCOUNTS.alias("credit_account")


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
    made: Lot | None
    at: datetime
    hash: bytes

    def posted(self) -> Posted:
        return Posted(self.id, self.amount, self.balance, self.version, self.at, repeated=True)

    def fingerprint(self) -> bytes:
        texts = (self.kind, self.reference, self.note, self.actor)
        lot = None if self.made is None else self.made.content()
        return fingerprint_of(self.id, self.debit, self.credit, self.amount, texts, self.cause, lot)


STORED = select(
    TRANSFERS,
    *(column.label(f"debit_{column.name}") for column in (DEBIT.c.user_id, DEBIT.c.code)),
    *(column.label(f"credit_{column.name}") for column in (CREDIT.c.user_id, CREDIT.c.code)),
    DEBIT.c.asset,
    DEBIT.c.environment,
    L.version.label("lot_version"),
    L.bonus,
    L.expires_at,
    L.payment,
    L.product,
    L.value_minor,
    L.currency,
).select_from(
    TRANSFERS.join(DEBIT, and_(DEBIT.c.slot == T.slot, DEBIT.c.id == T.debit_id))
    .join(CREDIT, and_(CREDIT.c.slot == T.slot, CREDIT.c.id == T.credit_id))
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
        made=made,
        at=row.created_at,
        hash=bytes(row.hash),
    )


_READ = STORED.where(T.slot == bindparam("p_slot"), T.id == bindparam("p_id"))
_ADD_REFUSAL = insert(REFUSALS)
_EXISTS = Statement(
    lambda _: union_all(
        select(T.id).where(T.slot == bindparam("p_slot"), T.id == bindparam("p_id")),
        select(R.id).where(R.slot == bindparam("p_slot"), R.id == bindparam("p_id")),
    )
)
_EXIST_MANY = Statement(
    lambda _: text(
        "WITH w AS (SELECT * FROM unnest(CAST(:slots AS int[]), CAST(:ids AS uuid[])) AS w(slot, id)) "
        "SELECT t.id FROM w JOIN transfers t ON t.slot = w.slot AND t.id = w.id "
        "UNION ALL SELECT r.id FROM w JOIN refusals r ON r.slot = w.slot AND r.id = w.id"
    )
)
_READ_REFUSAL = select(REFUSALS).where(R.slot == bindparam("p_slot"), R.id == bindparam("p_id"))


def transfer(session: Connected, slot: int, transfer_id: uuid.UUID) -> Stored | None:
    row = session.connection().execute(_READ, {"p_slot": slot, "p_id": transfer_id}).one_or_none()
    return None if row is None else stored(row)


def answer(session: Connected, slot: int, request_id: uuid.UUID, fingerprint: bytes) -> Posted | Refused | None:
    """The first answer to that request; None if it is new. Raises KeyConflict if it was another request."""
    found = transfer(session, slot, request_id)
    if found is not None:
        return same(found, fingerprint)
    return refusal(session, slot, request_id, fingerprint)


def same(first: Stored, fingerprint: bytes) -> Posted:
    """The transfer that is there, for a request that must be the same. Raises KeyConflict if it is another."""
    _same(first.fingerprint(), fingerprint, first.id)
    return first.posted()


def refusal(session: Connected, slot: int, request_id: uuid.UUID, fingerprint: bytes) -> Refused | None:
    """The recorded refusal of that request, if there is one. Raises KeyConflict if another request was refused."""
    row = session.connection().execute(_READ_REFUSAL, {"p_slot": slot, "p_id": request_id}).one_or_none()
    if row is None:
        return None
    _same(bytes(row.fingerprint), fingerprint, request_id)
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


def record(session: Connected, refusals: Sequence[dict[str, Any]]) -> None:
    """Keep refusals, so that the same request gets the same answer for ever."""
    if refusals:
        session.connection().execute(_ADD_REFUSAL, refusals)


def answered(session: Connected, wanted: Sequence[Id]) -> set[uuid.UUID]:
    """Which of these ids the books know."""
    if len(wanted) > 1 and session.connection().dialect.name == "postgresql":
        slots, ids = zip(*wanted, strict=True)
        return {row[0] for row in _EXIST_MANY.rows(session, {"slots": list(slots), "ids": list(ids)})}
    return {row[0] for slot, wanted_id in wanted for row in _EXISTS.rows(session, {"p_slot": slot, "p_id": wanted_id})}


def _same(stored_fingerprint: bytes, fingerprint: bytes, request_id: uuid.UUID) -> None:
    if stored_fingerprint != fingerprint:
        raise KeyConflict(f"the key of {request_id} was used for another request")
