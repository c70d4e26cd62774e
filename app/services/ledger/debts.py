"""Reads what users owe (`app.domain.debts`). Whatever enters a wallet repays first: see `LedgerTransaction.repay`."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import bindparam, select

from app.domain.ledger import OWED
from app.models.ledger import ACCOUNTS
from app.services.base.statements import Statement
from app.services.base.transaction import Connected

_A = ACCOUNTS.c
_OWED = Statement(
    select(_A.asset, _A.environment, _A.balance)
    .where(_A.slot == bindparam("p_slot"), _A.user_id == bindparam("p_user"), _A.code == OWED, _A.balance > 0)
    .order_by(_A.asset, _A.environment)
)


@dataclass(frozen=True, slots=True)
class Debt:
    asset: str
    environment: str
    amount: int


def owed(session: Connected, slot: int, user_id: str) -> tuple[Debt, ...]:
    """All that the user owes, by asset and environment."""
    return tuple([Debt(*row) for row in _OWED.rows(session, {"p_slot": slot, "p_user": user_id})])
