"""What users owe: refunded coins that were spent before they could be taken back.

A debt is an account of the user beside the wallet, `debt`, whose balance is what is owed: its other side is the system
account `debts`. The wallet itself never goes below zero and its lots always add up to its balance. Whatever enters the
wallet, and whatever a hold lets go of, repays first, in the same transaction: nobody who owes coins has any to spend.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, select

from app.domain.ledger import ISSUANCE, AccountName, Transfer, system
from app.models.ledger import ACCOUNTS
from app.services.base.transaction import Connected

if TYPE_CHECKING:
    from app.services.ledger.open_books import OpenBooks

DEBT = "debt"
DEBTS = "debts"
REPAYMENT, REPAID = "debt_repayment", "debt_repaid"
_A = ACCOUNTS.c
_OWED = (
    select(_A.asset, _A.environment, _A.balance)
    .where(_A.slot == bindparam("p_slot"), _A.user_id == bindparam("p_user"), _A.code == DEBT, _A.balance > 0)
    .order_by(_A.asset, _A.environment)
)


def account_of(wallet: AccountName) -> AccountName:
    """The account of what the wallet's user owes in its asset."""
    return AccountName(wallet.user_id, DEBT, wallet.asset, wallet.environment)


@dataclass(frozen=True, slots=True)
class Debt:
    asset: str
    environment: str
    amount: int


def owed(session: Connected, slot: int, user_id: str) -> tuple[Debt, ...]:
    """All that the user owes, by asset and environment."""
    rows = session.connection().execute(_OWED, {"p_slot": slot, "p_user": user_id})
    return tuple(Debt(row.asset, row.environment, row.balance) for row in rows)


def repay(books: OpenBooks, slot: int, wallet: AccountName, *, lot: int = 0) -> None:
    """Pay back as much as the wallet has, coins of that lot first. Does nothing for a user who owes nothing."""
    debt = books.debt(slot, wallet)
    if debt is None or debt.balance == 0:
        return
    amount = min(debt.balance, books.available(slot, wallet, debt.balance))
    if amount <= 0:
        return
    book = books.book(slot, wallet)
    first, second = repayment(book.id, book.version, wallet, amount)
    books.post(slot, first, prefer=lot or None)
    books.post(slot, second)


def repayment(account_id: int, version: int, wallet: AccountName, amount: int) -> tuple[Transfer, Transfer]:
    """The coins, and the debt that they end. The wallet's version makes the key: one account, one version, once."""
    key = f"{account_id}:{version}"
    return (
        Transfer(
            scope="repayment",
            key=key,
            debit=wallet,
            credit=system(ISSUANCE, wallet.asset, wallet.environment),
            amount=amount,
            kind=REPAYMENT,
        ),
        Transfer(
            scope="repaid",
            key=key,
            debit=account_of(wallet),
            credit=system(DEBTS, wallet.asset, wallet.environment),
            amount=amount,
            kind=REPAID,
        ),
    )
