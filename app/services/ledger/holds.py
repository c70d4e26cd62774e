"""Reserving coins: hold, capture (all, part, several times), release, expiry.

A hold reserves an amount, not certain coins: `available = balance - held`. Everything happens under the lock of the
wallet, so a capture and an expiry that race are settled by whoever comes first.
"""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import insert

from app.domain import account_events as marks
from app.domain.books import Book
from app.domain.event_types import EventType
from app.domain.ledger import AccountName, KeyConflict, NoSuchEntry, Posted, Refused
from app.domain.limits import periods
from app.domain.numbers import key_owner, rival_ids
from app.domain.spending import Capture, HoldRequest, refusal
from app.models.ledger import HOLDS
from app.services.base.context import Tx
from app.services.base.statements import Move, Statement, write_rows
from app.services.base.transaction import Transaction
from app.services.ledger import idempotency
from app.services.ledger.hold_rows import CAPTURED, EXPIRED, OPEN, RELEASED, Held, find_hold
from app.services.ledger.ledger_transaction import LedgerTransaction, places_of

_ADD_HOLD = Statement(insert(HOLDS))


def hold(tx: Tx, slot: int, request: HoldRequest) -> Held | Refused:
    """Reserve coins, or refuse as a spend would. It counts for the spend limits at once, on the day it is made.

    The same key gives the hold as it stands now (`repeated`); with other content it raises KeyConflict.
    """
    hold_id, fingerprint, account = request.id_in(slot), request.fingerprint(slot), request.account
    scope = f"{request.scope}:{request.user_id}"
    ids = [(slot, each) for each in (hold_id, *rival_ids(slot, scope, request.key))]
    key = (key_owner(scope), request.key)
    with LedgerTransaction(tx, [(slot, account)], ids=ids, key=key) as books:
        answer = _known(tx, slot, request) if (slot, hold_id) in books.known else None
        if answer is not None:
            return answer
        idempotency.check_key(books, slot, scope, request.key)
        book = books.book(slot, account)
        available = books.available(slot, account, request.amount)
        refused = refusal(hold_id, book, request.amount, available, books.rules, tx.now, limited=True)
        if refused is not None:
            return books.refuse(book, refused, fingerprint)
        book.count_spent(request.amount, periods(tx.now, books.rules.zone))
        return make(books, slot, request)


def _known(tx: Transaction, slot: int, request: HoldRequest) -> Held | Refused | None:
    hold_id, fingerprint = request.id_in(slot), request.fingerprint(slot)
    found = find_hold(tx, slot, hold_id)
    if found is None:
        return idempotency.find_refusal(tx, slot, hold_id, fingerprint, request.amount)
    if found.fingerprint != fingerprint:
        raise KeyConflict(f"the key {request.key!r} was used for another hold", _differing(found, request))
    return replace(found, repeated=True)


def _differing(found: Held, request: HoldRequest) -> str:
    """The field in which the two differ; `note` stands for the texts, which a hold keeps by their hash."""
    if found.account != request.account:
        return idempotency.differing_account(found.account, request.account)
    if found.amount != request.amount:
        return "amount"
    lasts = (found.expires_at - found.created_at) // timedelta(seconds=1)
    return "seconds" if lasts != request.seconds else "note"


def make(books: LedgerTransaction, slot: int, request: HoldRequest, *, limited: bool = True) -> Held:
    """Reserve it. The caller has checked that the coins are there, and has counted them if that is wanted."""
    book = books.book(slot, request.account)
    held = Held(
        slot=slot,
        id=request.id_in(slot),
        account=request.account,
        amount=request.amount,
        captured=0,
        released=0,
        state=OPEN,
        expires_at=books.at + timedelta(seconds=request.seconds),
        created_at=books.at,
        fingerprint=request.fingerprint(slot),
        limited=limited,
    )
    book.held += held.amount
    books.mark(book, marks.HELD if limited else marks.RESERVED, held.id, held.amount, held.fingerprint)
    write_rows(books.tx, [_row_of(held, book.id, request)])
    if limited:
        books.tell_of_hold(EventType.HOLD_MADE, held, request.actor)
    return held


def _row_of(held: Held, account_id: int, request: HoldRequest) -> Move:
    values = {
        "slot": held.slot,
        "id": held.id,
        "account_id": account_id,
        "amount": held.amount,
        "captured": held.captured,
        "released": held.released,
        "state": held.state,
        "expires_at": held.expires_at,
        "reference": request.reference,
        "note": request.note,
        "actor": request.actor,
        "created_at": held.created_at,
        "fingerprint": held.fingerprint,
        "limited": held.limited,
    }
    return _ADD_HOLD, values


def capture(tx: Tx, slot: int, request: Capture) -> Posted | Refused:
    """Turn (part of) a hold into a spend. Refusals: `hold_expired`, `hold_closed`, `wallet_frozen`,
    `hold_exceeded`; all are recorded.

    Raises NoSuchEntry if the slot has no such hold, KeyConflict if the key had another content.
    """
    account = _of_caller(tx, slot, request.hold_id).account
    transfer = request.transfer(account, request.amount or 1)
    with LedgerTransaction(tx, places_of(slot, [transfer]), with_lots=True) as books:
        found = _must_find(tx, slot, request.hold_id)
        answer = _captured_before(tx, slot, request, account)
        if answer is not None:
            return answer
        refused = _capture_refused(slot, request, found, books.book(slot, account), tx.now)
        if refused is not None:
            if refused.code == "hold_expired" and found.state == OPEN:
                _let_go(books, found, EXPIRED)
            return books.refuse(books.book(slot, account), refused, request.fingerprint(slot))
        amount = request.amount or found.rest
        posted = books.capture(slot, request.transfer(account, amount))
        books.book(slot, account).held -= amount
        left = replace(found, captured=found.captured + amount)
        if request.final and left.rest:
            left = _let_go(books, left, CAPTURED)
        else:
            left = replace(left, state=OPEN if left.rest else CAPTURED)
            books.write_hold(left)
        books.tell_of_hold(EventType.HOLD_CAPTURED, left, request.actor)
        return posted


def _captured_before(tx: Transaction, slot: int, request: Capture, account: AccountName) -> Posted | Refused | None:
    transfer_id = request.id_in(slot)
    first = idempotency.find_transfer(tx, slot, transfer_id)
    if first is None:
        return idempotency.find_refusal(tx, slot, transfer_id, request.fingerprint(slot), request.amount)
    amount = first.amount if request.amount is None else request.amount
    return idempotency.repeated(first, request.transfer(account, amount))


def _capture_refused(slot: int, request: Capture, found: Held, book: Book, at: datetime) -> Refused | None:
    request_id = request.id_in(slot)
    if found.state == EXPIRED or (found.state == OPEN and at >= found.expires_at):
        return Refused(request_id, "hold_expired", {"expired_at": found.expires_at.isoformat()})
    if found.state != OPEN:
        return Refused(request_id, "hold_closed", {"state": found.state})
    if book.frozen:
        return Refused(request_id, "wallet_frozen")
    if request.amount is not None and request.amount > found.rest:
        return Refused(request_id, "hold_exceeded", {"amount": request.amount, "rest": found.rest})
    return None


def release(tx: Tx, slot: int, hold_id: uuid.UUID) -> Held:
    """Give back what is still reserved. Harmless to repeat: a hold that is not open is returned as it is."""
    _of_caller(tx, slot, hold_id)
    return _end(tx, slot, hold_id, RELEASED)


def expire(tx: Tx, slot: int, hold_id: uuid.UUID) -> Held:
    """Release it if its time is over (for the worker)."""
    return _end(tx, slot, hold_id, EXPIRED)


def _end(tx: Tx, slot: int, hold_id: uuid.UUID, state: str) -> Held:
    account = _must_find(tx, slot, hold_id).account
    with LedgerTransaction(tx, [(slot, account)]) as books:
        found = _must_find(tx, slot, hold_id)
        if found.state != OPEN or (state == EXPIRED and tx.now < found.expires_at):
            return replace(found, repeated=True)
        over = tx.now >= found.expires_at
        return _let_go(books, found, EXPIRED if over else state)


def _let_go(books: LedgerTransaction, held: Held, state: str) -> Held:
    """Nothing stays reserved: the coins can be spent again, or expire now if their time came while they were held."""
    done = books.end_hold(held, state)
    books.expire(held.slot, held.account)
    books.repay(held.slot, held.account)
    return done


def _must_find(tx: Transaction, slot: int, hold_id: uuid.UUID) -> Held:
    found = find_hold(tx, slot, hold_id)
    if found is None:
        raise NoSuchEntry(f"no hold {hold_id}")
    return found


def _of_caller(tx: Transaction, slot: int, hold_id: uuid.UUID) -> Held:
    """A hold that a caller made. The reservation of a refund is none: only its refund ends it."""
    found = _must_find(tx, slot, hold_id)
    if not found.limited:
        raise NoSuchEntry(f"no hold {hold_id}")
    return found
