"""Coins of a purchase that their buyer gave to others: how many, and by which gifts."""

from __future__ import annotations

from sqlalchemy import and_, bindparam, func, select

from app.domain.gifts import GiftStatus
from app.domain.ledger import AccountName
from app.models.gifts import GIFT_PARTS, GIFTS
from app.models.ledger import ACCOUNTS
from app.services.base.transaction import Transaction
from app.services.ledger import accounts

_G, _P = GIFTS.c, GIFT_PARTS.c
OF_WALLET = select(ACCOUNTS.c.id).where(*accounts.names_account("p_")).scalar_subquery()
"""The number of the wallet with the name that `accounts.account_keys` gives for `p_`."""
_PARTS = (
    select(_P.gift_id, _P.amount)
    .join(GIFTS, and_(_G.slot == _P.slot, _G.id == _P.gift_id))
    .where(
        _P.slot == bindparam("p_slot"),
        _P.payment == bindparam("p_payment"),
        _P.account_id == OF_WALLET,
        _G.status != GiftStatus.RETURNED,
    )
)
GIVEN = _PARTS.with_only_columns(func.coalesce(func.sum(_P.amount), 0)).scalar_subquery()
"""How many coins of a payment were given out of one wallet, and have not come back."""
_GIFTS = _PARTS.with_only_columns(_P.gift_id).distinct().order_by(_P.gift_id)


def gifts_of_payment(tx: Transaction, slot: int, wallet: AccountName, payment: str) -> list[int]:
    """The numbers of the gifts by which coins of that payment left the wallet and did not come back."""
    values = {"p_payment": payment, **accounts.account_keys((slot, wallet), "p_")}
    return [row.gift_id for row in tx.connection().execute(_GIFTS, values)]
