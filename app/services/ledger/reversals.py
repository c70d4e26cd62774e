"""Reversal: a new transfer the other way, at most once for each transfer and at most as much as it moved."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from app.domain.ledger import REVERSAL, InvalidTransfer, NoSuchEntry, Posted, Refused, Transfer, digest_of
from app.domain.limits import periods
from app.domain.lots import plan_return
from app.domain.numbers import keyed_uuid
from app.domain.spending import CAPTURE, DEBIT, GRANT, SPEND
from app.services.base.context import Tx
from app.services.base.transaction import Transaction
from app.services.ledger import idempotency
from app.services.ledger.idempotency import Stored
from app.services.ledger.ledger_transaction import LedgerTransaction, places_of

REVERSIBLE = (SPEND, CAPTURE, DEBIT, GRANT)
"""The kinds of transfer that a caller may reverse, and reversals of these. What facts, refunds and time booked, only
facts, refunds and time change: else a purchase could be taken twice."""


@dataclass(frozen=True, slots=True)
class Reverse:
    """Undo a transfer, whole or in part. A refusal is remembered under the key; the reversal under the transfer."""

    transfer_id: uuid.UUID
    key: str
    reason: str
    actor: str
    amount: int | None = None
    scope: str = "reverse"

    def request_id(self, slot: int) -> uuid.UUID:
        return keyed_uuid(slot, f"{self.scope}:{self.transfer_id.hex}", self.key)

    def fingerprint(self, slot: int) -> bytes:
        return digest_of("reverse-1", self.request_id(slot).hex, self.amount, self.reason, self.actor)

    def transfer(self, of: Stored) -> Transfer:
        """Its identity is that of the transfer it reverses, so that there is at most one."""
        return Transfer(
            scope=REVERSAL,
            key=of.id.hex,
            debit=of.credit,
            credit=of.debit,
            amount=of.amount if self.amount is None else self.amount,
            kind=REVERSAL,
            reference=of.reference,
            note=self.reason,
            actor=self.actor,
            cause=of.id,
        )


def reverse(tx: Tx, slot: int, request: Reverse) -> Posted | Refused:
    """Book the opposite. Coins go back into the lots that they came from; a credit is taken from its own lot first.

    Refusals: `not_reversible` (not one of REVERSIBLE), `reversal_exceeds`, `insufficient_funds` (the coins of that
    credit are spent). Raises NoSuchEntry if the slot has no such transfer, KeyConflict if it was reversed otherwise.
    """
    if not request.reason or not request.actor:
        raise InvalidTransfer("a reversal needs a reason and an actor")
    of = idempotency.find_transfer(tx, slot, request.transfer_id)
    if of is None:
        raise NoSuchEntry(f"no transfer {request.transfer_id}")
    transfer = request.transfer(of)
    with LedgerTransaction(tx, places_of(slot, [transfer])) as books:
        # The refusal first: it stays this key's answer, even if another key has reversed the transfer since.
        refusal_id, fingerprint = request.request_id(slot), request.fingerprint(slot)
        answer = idempotency.find_refusal(tx, slot, refusal_id, fingerprint, transfer.amount)
        if answer is not None:
            return answer
        first = idempotency.find_transfer(tx, slot, transfer.id_in(slot))
        if first is not None:
            return idempotency.repeated(first, transfer)
        refused = _refused(books, slot, refusal_id, transfer, of)
        if refused is not None:
            return books.refuse(books.book(slot, transfer.book), refused, fingerprint)
        return _book(books, slot, transfer, of)


def _origin(tx: Transaction, of: Stored) -> Stored:
    """What a chain of reversals began with."""
    while of.kind == REVERSAL and of.cause is not None:
        before = idempotency.find_transfer(tx, of.slot, of.cause)
        if before is None:
            return of
        of = before
    return of


def _refused(
    books: LedgerTransaction, slot: int, request_id: uuid.UUID, transfer: Transfer, of: Stored
) -> Refused | None:
    kind = _origin(books.tx, of).kind
    if kind not in REVERSIBLE:
        return Refused(request_id, "not_reversible", {"kind": kind})
    if transfer.amount > of.amount:
        return Refused(request_id, "reversal_exceeds", {"amount": transfer.amount, "moved": of.amount})
    if transfer.debit.keeps_balance:
        books.expire(slot, transfer.debit)
        available = books.book(slot, transfer.debit).available
        if available < transfer.amount:
            return Refused(request_id, "insufficient_funds", {"amount": transfer.amount, "available": available})
    return None


def _book(books: LedgerTransaction, slot: int, transfer: Transfer, of: Stored) -> Posted:
    if transfer.credit.is_wallet:
        uses = plan_return(of.lots_used(), transfer.amount)
        if of.kind == SPEND:
            books.book(slot, transfer.credit).uncount_spent(transfer.amount, periods(of.at, books.rules.zone))
        return books.give_back(slot, transfer, uses)
    return books.post(slot, transfer, prefer=of.lot or None)
