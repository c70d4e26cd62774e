"""Rows and constraints, no behaviour. Every table of user data has `slot` first in its keys."""

from app.models import (
    agreements,
    asks,
    bills,
    callers,
    catalogue,
    checkpoints,
    endpoints,
    events,
    fulfilments,
    gifts,
    history,
    ledger,
    orders,
    receipts,
    refunds,
    reports,
)

__all__ = [
    "agreements",
    "asks",
    "bills",
    "callers",
    "catalogue",
    "checkpoints",
    "endpoints",
    "events",
    "fulfilments",
    "gifts",
    "history",
    "ledger",
    "orders",
    "receipts",
    "refunds",
    "reports",
]
