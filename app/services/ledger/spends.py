"""Spending coins: the hot path, and what happens when it does not apply.

The usual spend is two statements: a conditional UPDATE of the wallet, whose row count is the verdict, and the INSERT
of the transfer. The UPDATE takes the coins from the open lot, counts them for the limits and continues the hash chain;
it does nothing if anything is unusual. Then the same question is answered under the lock, the long way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    Integer,
    LargeBinary,
    Uuid,
    bindparam,
    case,
    exists,
    func,
    literal_column,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from app.domain import coin_events
from app.domain.event_types import EventType
from app.domain.ledger import Posted, Refused, Transfer, microseconds, moment_of
from app.domain.limits import limit_for, periods, room, start_us
from app.domain.lots import rank_of_now
from app.domain.numbers import key_owner, rival_ids
from app.domain.spending import Spend, refusal
from app.models.ledger import ACCOUNTS, HOLDS, REFUSALS, TRANSFERS
from app.models.orders import IDEMPOTENCY
from app.services.base.context import Tx
from app.services.base.outbox import Event, events_of, write_events
from app.services.base.statements import Statement
from app.services.ledger import accounts
from app.services.ledger.idempotency import Raced, check_key, find_result
from app.services.ledger.ledger_transaction import LedgerTransaction, places_of

A, T, R, K = ACCOUNTS.c, TRANSFERS.c, REFUSALS.c, IDEMPOTENCY.c
_RIVALS = ("p_rival_0", "p_rival_1", "p_rival_2")
"""Of a spend or debit: two kinds of transfer, and holds."""


def _big(name: str) -> Any:
    return bindparam(name, type_=BigInteger)


def _known(table: Any, *names: str) -> Any:
    ids = [bindparam(name, type_=Uuid) for name in names]
    return exists().where(table.c.slot == bindparam("slot"), table.c.id.in_(ids))


def _take(_: str) -> Any:
    amount = _big("p_amount")
    at_us = case((A.changed_us > _big("p_at_us"), A.changed_us), else_=_big("p_at_us"))
    today = case((A.day == bindparam("p_day", type_=Integer), A.day_spent), else_=literal_column("0", BigInteger))
    this_month = case(
        (A.month == bindparam("p_month", type_=Integer), A.month_spent), else_=literal_column("0", BigInteger)
    )
    counted = _big("p_counted")
    return (
        update(ACCOUNTS)
        .where(
            *accounts.names_account(),
            A.frozen.is_(False),
            A.open_left >= amount,
            A.open_order == bindparam("p_order"),
            A.open_rank > _big("p_now_rank"),
            A.balance - A.held - amount >= A.floor,
            # The posting falls into the day in which it is counted, and that is not before what was counted last.
            A.day <= bindparam("p_day", type_=Integer),
            A.changed_us < _big("p_day_ends_us"),
            today <= _big("p_day_room"),
            this_month <= _big("p_month_room"),
            # The key is new, for this and for each other kind of request.
            ~_known(TRANSFERS, "p_id", *_RIVALS[:-1]),
            ~_known(REFUSALS, "p_id", *_RIVALS),
            ~_known(HOLDS, *_RIVALS[-1:]),
            ~exists().where(K.slot == bindparam("slot"), K.caller == bindparam("p_owner"), K.key == bindparam("p_key")),
        )
        .values(
            balance=A.balance - amount,
            version=A.version + literal_column("1"),
            changed_us=at_us,
            open_left=A.open_left - amount,
            day=bindparam("p_day"),
            day_spent=today + counted,
            month=bindparam("p_month"),
            month_spent=this_month + counted,
            head=func.next_head(A.head, bindparam("p_fingerprint", type_=LargeBinary), A.open_lot, at_us),
        )
        .returning(A.id, A.version, A.balance, A.open_lot, A.changed_us, A.head)
    )


def _enter(dialect: str) -> Any:
    """The transfer, if its other account exists and nobody refused or booked that key in the meantime."""
    given = ("slot", "id", "book_id", "version", "balance", "amount", "lot", "created_at", "hash")
    texts = ("kind", "reference", "note", "actor")
    values = {name: bindparam(f"t_{name}", type_=T[name].type) for name in (*given, *texts)}
    # The slot comes from the row that is read: an engine that shards by slot then sees one place.
    columns = [A.slot if name == "slot" else value for name, value in values.items()]
    other = select(*columns, bindparam("t_book_id", type_=BigInteger), A.id).where(
        *accounts.names_account("credit_"),
        ~exists().where(R.slot == bindparam("t_slot"), R.id == bindparam("t_id", type_=Uuid)),
    )
    dialect_insert = (postgresql if dialect == "postgresql" else sqlite).insert(TRANSFERS)
    return dialect_insert.from_select([*values, "debit_id", "credit_id"], other).on_conflict_do_nothing()


TAKE, ENTER = Statement(_take), Statement(_enter)


def spend(tx: Tx, slot: int, request: Spend) -> Posted | Refused:
    """Take coins from the user's lots, or refuse. Both are values, and both are recorded: the caller commits.

    The same key with the same content gives the first answer again (`repeated`), even a refusal that would not be one
    now; with other content it raises KeyConflict. Refusals: `insufficient_funds`, `spend_limit`, `wallet_frozen`.
    """
    posted = _from_open_lot(tx, slot, request)
    if posted is not None:
        return posted
    transfer = request.transfer
    own = (slot, transfer.id_in(slot))
    ids = [own, *((slot, rival) for rival in rival_ids(slot, transfer.scope, transfer.key))]
    key = (key_owner(transfer.scope), transfer.key)
    places = places_of(slot, [transfer])
    with LedgerTransaction(tx, places, ids=ids, key=key, with_lots=True) as books:
        answer = find_result(tx, slot, transfer) if own in books.known else None
        if answer is None:
            check_key(books, slot, transfer.scope, transfer.key)
        return answer or decide(books, slot, request)


def decide(books: LedgerTransaction, slot: int, request: Spend) -> Posted | Refused:
    """Spend or refuse under the lock. The caller knows that the key is new."""
    transfer, rules = request.transfer, books.rules
    book = books.book(slot, transfer.debit)
    available = books.available(slot, transfer.debit, request.amount)
    at = moment_of(book.moment(books.at_us))
    refused = refusal(transfer.id_in(slot), book, request.amount, available, rules, at, limited=request.limited)
    if refused is not None:
        return books.refuse(book, refused, transfer.fingerprint(slot))
    if request.limited:
        book.count_spent(request.amount, periods(at, rules.zone))
    return books.post(slot, transfer)


def _from_open_lot(tx: Tx, slot: int, request: Spend) -> Posted | None:
    """The usual case; None if it is not, and then nothing has changed."""
    rules, transfer, at_us = tx.core.rules.ledger, request.transfer, microseconds(tx.now)
    today = periods(tx.now, rules.zone)
    transfer_id, fingerprint = transfer.id_in(slot), transfer.fingerprint(slot)
    limit = limit_for(rules, request.asset)
    rivals = rival_ids(slot, transfer.scope, transfer.key) or [transfer_id] * len(_RIVALS)
    taken = TAKE.row(
        tx,
        {
            **accounts.account_keys((slot, transfer.debit)),
            "p_id": transfer_id,
            **dict(zip(_RIVALS, rivals, strict=True)),
            "p_owner": key_owner(transfer.scope),
            "p_key": transfer.key,
            "p_amount": request.amount,
            "p_at_us": at_us,
            "p_now_rank": rank_of_now(at_us),
            "p_order": rules.spend_order.value,
            "p_day": today.day,
            "p_month": today.month,
            "p_day_ends_us": start_us(today.day + 1, rules.zone),
            "p_day_room": room(limit.day if request.limited else None, request.amount),
            "p_month_room": room(limit.month if request.limited else None, request.amount),
            "p_counted": request.amount if request.limited else 0,
            "p_fingerprint": fingerprint,
        },
    )
    if taken is None:
        return None
    number, version, balance, lot, changed_us, head = taken
    posted = Posted(transfer_id, request.amount, balance, version, moment_of(changed_us))
    values = {
        **accounts.account_keys((slot, transfer.credit), "credit_"),
        "t_slot": slot,
        "t_id": transfer_id,
        "t_book_id": number,
        "t_version": version,
        "t_balance": balance,
        "t_amount": request.amount,
        "t_lot": lot,
        "t_created_at": posted.at,
        "t_hash": head,
        "t_kind": transfer.kind,
        "t_reference": transfer.reference,
        "t_note": transfer.note,
        "t_actor": transfer.actor,
    }
    told = _told(tx, transfer, posted)
    if not _entered(tx, values, told):
        accounts.lock_accounts(tx, [(slot, transfer.credit)])
        if not _entered(tx, values, told):
            raise Raced
    return posted


def _entered(tx: Tx, values: Mapping[str, Any], told: Sequence[Event]) -> bool:
    """Whether the transfer is in the books now. Its event is written beside it, in the same flight.

    Raises Raced if another transaction has booked the transfer meanwhile: then the event finds a row to stand beside.
    """
    entered = tx.later(ENTER, values)
    events = write_events(tx, TRANSFERS, values["t_slot"], values["t_id"], told, wrong=None)
    tx.flush()
    if entered[0].count == 0 and any(event.count for event in events):
        raise Raced
    return entered[0].count == 1


def _told(tx: Tx, transfer: Transfer, posted: Posted) -> list[Event]:
    data = coin_events.coins_data(transfer, posted)
    return events_of(tx, EventType.COINS_SPENT, transfer.debit.user_id, data, transfer.actor)
