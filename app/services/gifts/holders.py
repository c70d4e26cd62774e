"""What a recall does in the slot of a user to whom coins were given: what is left of them goes back. Decided once."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, bindparam, case, func, select

from app.domain.gifts import EXPIRED_RECALLED, Gift, GiftPart, GiftStatus
from app.domain.ledger import EXPIRED, EXPIRY, JOURNAL, system
from app.domain.numbers import slot_of_user
from app.models.base import AnyRow
from app.models.gifts import GIFT_PARTS, GIFTS, RECALL_ANSWERS
from app.models.ledger import TRANSFERS
from app.services.base.context import Tx
from app.services.base.upsert import insertion_if_new
from app.services.ledger.idempotency import Raced
from app.services.ledger.ledger_transaction import LedgerTransaction
from app.services.refunds import recall_rows

_T, _G, _P, _A = TRANSFERS.c, GIFTS.c, GIFT_PARTS.c, RECALL_ANSWERS.c
_ANSWER = select(*_A).where(
    _A.slot == bindparam("p_slot"),
    _A.recall_id == bindparam("p_recall"),
    _A.gift_id == bindparam("p_gift"),
    _A.round == bindparam("p_round"),
)
_ADD_ANSWER = insertion_if_new(RECALL_ANSWERS)
_LOTS = select(_T.id, _T.version).where(_T.slot == bindparam("p_slot"), _T.id.in_(bindparam("p_ids", expanding=True)))
_ONWARD = (
    select(_G.id, _G.status)
    .join(GIFT_PARTS, and_(_P.slot == _G.slot, _P.gift_id == _G.id))
    .where(
        _G.slot == bindparam("p_slot"),
        _P.account_id == bindparam("p_account"),
        _P.payment == bindparam("p_payment"),
        _P.lot.in_(bindparam("p_lots", expanding=True)),
        _G.status != GiftStatus.RETURNED,
    )
    .distinct()
    .order_by(_G.id)
)
_EXPIRED_HERE = select(func.coalesce(func.sum(_T.amount), 0)).where(
    _T.slot == bindparam("p_slot"),
    _T.book_id == bindparam("p_account"),
    _T.lot == bindparam("p_lot"),
    _T.kind == EXPIRY,
    _T.version > bindparam("p_lot"),
)
_COUNTED_BEFORE = select(func.coalesce(func.sum(case((_T.kind == EXPIRED_RECALLED, _T.amount), else_=0)), 0)).where(
    _T.slot == bindparam("p_slot"), _T.cause_id == bindparam("p_received")
)


@dataclass(frozen=True, slots=True)
class UnderWay:
    """Coins of the purchase are on their way from this user to others: these gifts have to end first."""

    gifts: list[int]


@dataclass(frozen=True, slots=True)
class _Piece:
    """One lot that a gift made here. `position` is that of its part."""

    position: int
    received: uuid.UUID
    lot: int


def answer(tx: Tx, recall: AnyRow, gift: Gift, parts: Sequence[GiftPart]) -> AnyRow | UnderWay:
    """Take back what of the payment's coins the gift had brought here and is left, up to what the recall still wants.

    What has expired here unused counts first: the house has it. Coins that are held stay held.
    """
    slot, most = slot_of_user(gift.receiver), recall.wanted - recall.taken
    places = [gift.given_to, gift.transit, *(system(code, gift.asset, gift.environment) for code in (EXPIRED, JOURNAL))]
    with LedgerTransaction(tx, [(slot, name) for name in places]) as books:
        known = _answer(tx, slot, recall, gift)
        if known is not None:
            return known
        books.expire(slot, gift.given_to)
    # What has expired just now is written: it is counted like the rest.
    with LedgerTransaction(tx, [(slot, name) for name in places]) as books:
        book = books.book(slot, gift.given_to)
        pieces = _pieces(tx, slot, recall, gift, parts)
        onward = _onward(tx, slot, book.id, recall, pieces)
        under_way = [row.id for row in onward if row.status == GiftStatus.SENT]
        if under_way:
            return UnderWay(under_way)
        left = most - _take_expired(tx, books, slot, recall, gift, pieces, most)
        taken = most - left + _take(books, slot, recall, gift, pieces, left)
    _add(tx, slot, recall, gift, taken, [str(row.id) for row in onward])
    decided = _answer(tx, slot, recall, gift)
    if decided is None:
        raise RuntimeError(f"the answer to recall {recall.id} was not written")
    return decided


def _answer(tx: Tx, slot: int, recall: AnyRow, gift: Gift) -> AnyRow | None:
    values = {"p_slot": slot, "p_recall": recall.id, "p_gift": gift.number, "p_round": recall.round}
    return tx.execute(_ANSWER, values).one_or_none()


def _pieces(tx: Tx, slot: int, recall: AnyRow, gift: Gift, parts: Sequence[GiftPart]) -> list[_Piece]:
    """The lots with coins of the payment, and of the kind that this round asks for, that the gift made here."""
    payment = str(recall.payment_id)
    bonus = recall.bonus == (recall.round == recall_rows.OWN_KIND)
    ids = {
        position: transfer.id_in(slot)
        for position, (part, transfer) in enumerate(zip(parts, gift.received(parts), strict=True))
        if part.lot.payment == payment and part.lot.bonus == bonus
    }
    lots = {row.id: row.version for row in tx.execute(_LOTS, {"p_slot": slot, "p_ids": list(ids.values())})}
    return [_Piece(position, ids[position], lots[ids[position]]) for position in sorted(ids)]


def _onward(tx: Tx, slot: int, account: int, recall: AnyRow, pieces: Sequence[_Piece]) -> Sequence[AnyRow]:
    """The gifts by which coins of these lots went on."""
    values = {"p_slot": slot, "p_account": account, "p_payment": str(recall.payment_id)}
    return tx.execute(_ONWARD, {**values, "p_lots": [piece.lot for piece in pieces]}).all()


def _take_expired(
    tx: Tx, books: LedgerTransaction, slot: int, recall: AnyRow, gift: Gift, pieces: Sequence[_Piece], most: int
) -> int:
    """Count what expired in these lots, and was not counted for a recall before; how much."""
    left, account = most, books.book(slot, gift.given_to).id
    for piece in pieces:
        there = int(tx.scalar(_EXPIRED_HERE, {"p_slot": slot, "p_account": account, "p_lot": piece.lot}))
        there -= int(tx.scalar(_COUNTED_BEFORE, {"p_slot": slot, "p_received": piece.received})) if there else 0
        amount = min(left, there)
        if amount > 0:
            books.post(slot, gift.recalled(recall.id, piece.position, amount, piece.received, expired=True))
            left -= amount
    return most - left


def _take(books: LedgerTransaction, slot: int, recall: AnyRow, gift: Gift, pieces: Sequence[_Piece], most: int) -> int:
    """Take what is left in these lots; how much."""
    book, left = books.book(slot, gift.given_to), most
    books.load_lots(book)
    for piece in pieces:
        lot = (book.lots or {}).get(piece.lot)
        amount = min(left, book.available, lot.remaining if lot is not None else 0)
        if amount > 0:
            transfer = gift.recalled(recall.id, piece.position, amount, piece.received, expired=False)
            books.take_back(slot, transfer, [piece.lot])
            left -= amount
    return most - left


def _add(tx: Tx, slot: int, recall: AnyRow, gift: Gift, taken: int, onward: list[str]) -> None:
    row: Mapping[str, Any] = {
        "slot": slot,
        "recall_id": recall.id,
        "gift_id": gift.number,
        "round": recall.round,
        "asset": gift.asset,
        "environment": gift.environment,
        "taken": taken,
        "onward": onward,
        "at": tx.now,
    }
    (added,) = _ADD_ANSWER.run(tx, [row])
    if added.count == 0:
        raise Raced
