"""Rows and constraints, no behaviour. Every table of user data has `slot` first in its keys."""

from app.models import (
    asks,
    catalogue,
    checkpoints,
    endpoints,
    events,
    history,
    ledger,
    orders,
    receipts,
    refunds,
    reports,
)

__all__ = [
    "asks",
    "catalogue",
    "checkpoints",
    "endpoints",
    "events",
    "history",
    "ledger",
    "orders",
    "receipts",
    "refunds",
    "reports",
]
