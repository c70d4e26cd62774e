"""What a user owes: refunded coins that were spent before they could be taken back.

A debt is an account of the user beside the wallet, whose balance is what is owed: its other side is an account of the
house. The wallet itself never goes below zero and its lots always add up to its balance.
"""

from __future__ import annotations

from app.domain.ledger import ISSUANCE, AccountName, Transfer, debt_of, system

OWED_BY_USERS = "debts"
"""The code of the system account on its other side."""
REPAYMENT, REPAID = "debt_repayment", "debt_repaid"
"""The kinds of the two transfers that repay: of the coins, and of the debt that they end."""


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
            debit=debt_of(wallet),
            credit=system(OWED_BY_USERS, wallet.asset, wallet.environment),
            amount=amount,
            kind=REPAID,
        ),
    )
