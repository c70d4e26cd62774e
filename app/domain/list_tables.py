"""The columns of lists as CSV files, in an order that does not change (new ones come at the end), and what an order and
a refund have in them. An entry of another list has its columns as fields."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from app.domain import representations

STATEMENT = ("version", "transfer", "amount", "balance", "kind", "reference", "note", "other", "at", "actor")
ORDERS = (
    *("number", "user", "environment", "product", "title", "quantity", "amount_minor", "currency", "status"),
    *("created_at", "expires_at", "paid_at", "payment", "provider_account", "way", "grants"),
)
REFUNDS = (
    *("number", "order", "payment", "user", "provider_account", "origin", "status", "amount_minor", "currency"),
    *("undone_minor", "dispute_fee_minor", "dispute_fee_currency", "reason", "policy", "problem", "created_at"),
    *("done_at", "coins", "actor"),
)
LOTS = (
    *("lot", "kind", "granted", "left", "expires_at", "order", "payment", "product", "value_minor", "currency"),
    *("transfer", "source", "reference", "note", "created_at"),
)
HOLDS = (
    *("id", "user", "asset", "environment", "state", "amount", "captured", "released", "rest", "reference", "note"),
    *("actor", "created_at", "expires_at"),
)
GIFTS = (
    *("number", "giver", "receiver", "asset", "environment", "amount", "message", "reference", "status", "reason"),
    *("created_at", "ended_at"),
)
AGREEMENTS = (
    *("number", "user", "product", "environment", "provider_account", "provider_number", "by_store", "way", "status"),
    *("amount_minor", "currency", "zone", "paid_until", "next_charge_at", "cancel_at", "signed_at", "ended_at"),
    *("ended_by", "created_at"),
)
PERIODS = ("number", "starts_at", "ends_at", "status", "order", "refusal", "next_try_at")
TRANSFERS = (
    *("id", "kind", "user", "asset", "environment", "amount", "debit", "credit", "version", "balance"),
    *("reference", "note", "actor", "cause", "at"),
)

FREEZES = ("number", "user", "asset", "environment", "frozen", "reason", "actor", "refund", "at")


def order(row: Any, payments: Iterable[Any]) -> dict[str, Any]:
    """An order with the payment that bought it."""
    bought_by = next((payment for payment in payments if payment.id == row.paid_payment_id), None)
    return {
        **representations.order(row, ()),
        "payment": None if bought_by is None else str(bought_by.id),
        "provider_account": None if bought_by is None else bought_by.provider_account,
        "way": None if bought_by is None else bought_by.way,
    }


def refund(row: Any) -> dict[str, Any]:
    """A refund, read together with its user."""
    return {**representations.refund(row), "user": row.user_id}
