"""The rows of lots: what is left of each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import ClauseElement, bindparam, case, select, update

from app.domain.books import Book
from app.domain.ledger import Lot, microseconds
from app.domain.lots import NEVER, LotLeft
from app.models.ledger import LOTS
from app.services.base.statements import Sized, Statement, Transaction
from app.services.base.wire import Row

L = LOTS.c
LOTS_AT_ONCE = 64
"""One statement writes what is left of so many lots."""

LOT_STATE = ("version", "remaining", "bonus", "expires_at")
_LOT = select(*(L[name] for name in LOT_STATE)).where(
    L.slot == bindparam("slot"), L.account_id == bindparam("account_id")
)
_LOTS_LEFT = Statement(_LOT.where(L.remaining > 0))
_ONE_LOT = Statement(_LOT.where(L.version == bindparam("lot")))


def _remaining(size: int) -> ClauseElement:
    """What is left of so many lots of one account."""
    lots = [bindparam(f"lot_{i}", type_=L.version.type) for i in range(size)]
    left = {lot: bindparam(f"left_{i}", type_=L.remaining.type) for i, lot in enumerate(lots)}
    return (
        update(LOTS)
        .where(L.slot == bindparam("p_slot"), L.account_id == bindparam("p_account"), L.version.in_(lots))
        .values(remaining=case(*((L.version == lot, value) for lot, value in left.items()), else_=L.remaining))
    )


WRITE_REMAINING = Sized(_remaining, LOTS_AT_ONCE)


def lots_left(tx: Transaction, book: Book) -> list[LotLeft]:
    """The lots of that wallet with something left."""
    return read_lots(_LOTS_LEFT.rows(tx, {"slot": book.slot, "account_id": book.id}))


def read_lots(rows: Iterable[Row]) -> list[LotLeft]:
    """Lots out of the columns LOT_STATE."""
    return [lot_left(*row) for row in rows]


def one_lot(tx: Transaction, book: Book, version: int) -> LotLeft | None:
    row = _ONE_LOT.row(tx, {"slot": book.slot, "account_id": book.id, "lot": version})
    return None if row is None else lot_left(*row)


def lot_left(version: int, remaining: int, bonus: bool, expires_at: datetime | None) -> LotLeft:
    return LotLeft(version, remaining, bool(bonus), NEVER if expires_at is None else microseconds(expires_at))


def remaining_values(book: Book) -> Iterator[dict[str, Any]]:
    lots = list(book.written.items())
    for start in range(0, len(lots), LOTS_AT_ONCE):
        values: dict[str, Any] = {"p_slot": book.slot, "p_account": book.id}
        for i, (lot, left) in enumerate(lots[start : start + LOTS_AT_ONCE]):
            values |= {f"lot_{i}": lot, f"left_{i}": left}
        yield values


def made(book: Book, lot: Lot, granted: int, version: int, at: datetime) -> dict[str, Any]:
    """The row of a lot that a credit of that version makes."""
    return {
        "slot": book.slot,
        "account_id": book.id,
        "version": version,
        "granted": granted,
        "remaining": granted,
        "bonus": lot.bonus,
        "expires_at": lot.expires_at,
        "payment": lot.payment,
        "product": lot.product,
        "value_minor": lot.value_minor,
        "currency": lot.currency,
        "created_at": at,
    }
