"""How much of one purchase has been used up, from its lots."""

from __future__ import annotations

from sqlalchemy import and_, bindparam, case, func, select

from app.domain.gifts import GIFT_RECEIVED
from app.models.ledger import ACCOUNTS, LOTS, TRANSFERS
from app.services.base.transaction import Transaction

WHOLE_PURCHASE = 100_000
A, L, T = ACCOUNTS.c, LOTS.c, TRANSFERS.c

_LEFT = case((A.open_lot == L.version, A.open_left), else_=L.remaining)
_LOTS_OF_PAYMENT = (
    select(func.coalesce(func.sum(L.granted), 0).label("granted"), func.coalesce(func.sum(_LEFT), 0).label("remaining"))
    .join(ACCOUNTS, and_(A.slot == L.slot, A.id == L.account_id))
    .join(TRANSFERS, and_(T.slot == L.slot, T.book_id == L.account_id, T.version == L.version))
    .where(L.slot == bindparam("p_slot"), L.payment == bindparam("p_payment"), T.kind != GIFT_RECEIVED)
)
"""The lots of the buyer. What came to somebody by a gift is a piece of them, and used as far as the buyer goes."""


def consumed_share(tx: Transaction, slot: int, payment: str) -> int:
    """Parts per 100 000 of what the payment brought in, bonus included, that are no longer there, also because they
    were given away; 0 if it brought nothing."""
    row = tx.connection().execute(_LOTS_OF_PAYMENT, {"p_slot": slot, "p_payment": payment}).one()
    granted, remaining = int(row.granted), int(row.remaining)
    return 0 if granted == 0 else (granted - remaining) * WHOLE_PURCHASE // granted
