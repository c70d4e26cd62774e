"""The ledger: wallets that are credited once, spent by lots, held, reversed and proved. Start at docs/ledger.md.

    post        transfers that must happen (money and coins of a paid order)
    spend       take coins, or refuse; both are remembered
    statement, holdings, balance_at   what there is and was

Every function takes the caller's transaction and the slot of the user; none commits or reads the clock.
"""

from app.services.ledger.postings import post
from app.services.ledger.reading import (
    Balance,
    Debt,
    Holdings,
    Line,
    StatementPage,
    balance,
    balance_at,
    balances,
    holdings,
    statement,
)
from app.services.ledger.spends import spend

__all__ = [
    "Balance",
    "Debt",
    "Holdings",
    "Line",
    "StatementPage",
    "balance",
    "balance_at",
    "balances",
    "holdings",
    "post",
    "spend",
    "statement",
]
