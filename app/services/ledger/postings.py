"""Transfers that must happen: money and coins of a paid order, surplus, suspense, grants."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime

from app.domain.ledger import (
    BalanceOverflow,
    InsufficientFunds,
    InvalidTransfer,
    KeyConflict,
    Posted,
    Refused,
    Transfer,
)
from app.domain.numbers import key_owner, rival_ids
from app.services.base.context import Tx
from app.services.base.outbox import Event
from app.services.ledger.accounts import NO_KEY
from app.services.ledger.idempotency import check_key, find_result
from app.services.ledger.ledger_transaction import LedgerTransaction, places_of


def post(
    tx: Tx,
    slot: int,
    transfers: Sequence[Transfer],
    *,
    at: datetime | None = None,
    told: Sequence[Event] = (),
) -> tuple[Posted, ...]:
    """Book all of them in this order, or none; accounts are made as needed. The caller commits.

    Repeating a transfer returns what the first one did. Raises KeyConflict if its key had other content or was
    refused, InsufficientFunds if a user's account lacks the coins, BalanceOverflow above 2^63 - 1. Give what belongs
    together in one call: locks are then taken in the one order that everybody keeps. `told` are events of what the
    transfers are booked for: they come before the transfers' own. `at` is when, if not now.
    """
    by_id, posted = dict[tuple[int, uuid.UUID], Transfer](), []
    for transfer in transfers:
        by_id[slot, transfer.id_in(slot)] = transfer
    if len(by_id) != len(transfers):
        raise InvalidTransfer("two transfers in one call have the same key")
    one = transfers[0] if len(transfers) == 1 else None  # a caller's request; what is booked for a fact has no owner
    owner = "" if one is None else key_owner(one.scope)
    key = NO_KEY if one is None or not owner else (owner, one.key)
    rivals = [(slot, each) for each in rival_ids(slot, one.scope, one.key)] if one is not None and owner else []
    ids, places = [*by_id, *rivals], places_of(slot, transfers)
    with LedgerTransaction(tx, places, at=at, ids=ids, key=key) as books:
        if told:
            books.tell_of(books.book(slot, transfers[0].book), told)
        for each, transfer in by_id.items():
            if each in books.known:
                posted.append(_repeat(tx, slot, transfer))
                continue
            if rivals:
                check_key(books, slot, transfer.scope, transfer.key)
            if transfer.debit.user_id:
                available = books.available(slot, transfer.debit, transfer.amount)
                if available < transfer.amount:
                    raise InsufficientFunds(f"{transfer.amount} wanted, {available} available")
            posted.append(books.post(slot, transfer))
    return tuple(posted)


def _repeat(tx: Tx, slot: int, transfer: Transfer) -> Posted:
    answer = find_result(tx, slot, transfer)
    if isinstance(answer, Posted):
        return answer
    code = answer.code if isinstance(answer, Refused) else "unknown"
    if code == BalanceOverflow.code:
        raise BalanceOverflow(f"the key {transfer.key!r} was refused before")
    raise KeyConflict(f"the key {transfer.key!r} was refused before: {code}", "")
