"""How much of one purchase has been used up, from its lots."""

from __future__ import annotations

from sqlalchemy import and_, bindparam, case, func, select

from app.models.ledger import ACCOUNTS, LOTS
from app.services.base.transaction import Connected

WHOLE = 100_000
A, L = ACCOUNTS.c, LOTS.c

_LEFT = case((A.open_lot == L.version, A.open_left), else_=L.remaining)
_LOTS_OF_PAYMENT = (
    select(func.coalesce(func.sum(L.granted), 0).label("granted"), func.coalesce(func.sum(_LEFT), 0).label("remaining"))
    .join(ACCOUNTS, and_(A.slot == L.slot, A.id == L.account_id))
    .where(L.slot == bindparam("p_slot"), L.payment == bindparam("p_payment"))
)


def consumed_share(session: Connected, slot: int, payment: str) -> int:
    """Parts per 100 000 of what the payment brought in, bonus included, that are no longer there; 0 if it brought
    nothing."""
    row = session.connection().execute(_LOTS_OF_PAYMENT, {"p_slot": slot, "p_payment": payment}).one()
    granted, remaining = int(row.granted), int(row.remaining)
    return 0 if granted == 0 else (granted - remaining) * WHOLE // granted
