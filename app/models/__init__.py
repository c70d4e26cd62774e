"""Rows and constraints, no behaviour. Every table of user data has `slot` first in its keys."""

from app.models import catalogue, ledger, orders, receipts, refunds, reports

__all__ = ["catalogue", "ledger", "orders", "receipts", "refunds", "reports"]
