"""The columns of lists as CSV files, in an order that does not change (new ones come at the end), and what an order has
in them. An entry of another list has its columns as fields."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from app.domain import representations

STATEMENT_COLUMNS = ("version", "transfer", "amount", "balance", "kind", "reference", "note", "other", "at", "actor")
ORDER_COLUMNS = (
    *("number", "user", "environment", "product", "title", "quantity", "amount_minor", "currency", "status"),
    *("created_at", "expires_at", "paid_at", "payment", "provider_account", "way", "grants"),
    *("fulfilment", "fulfilment_status", "agreement", "period"),
)
REFUND_COLUMNS = (
    *("number", "order", "payment", "user", "provider_account", "origin", "status", "amount_minor", "currency"),
    *("undone_minor", "dispute_fee_minor", "dispute_fee_currency", "reason", "policy", "problem", "created_at"),
    *("done_at", "coins", "actor"),
)
LOT_COLUMNS = (
    *("lot", "kind", "granted", "left", "expires_at", "order", "payment", "product", "value_minor", "currency"),
    *("transfer", "source", "reference", "note", "created_at"),
)
HOLD_COLUMNS = (
    *("id", "user", "asset", "environment", "state", "amount", "captured", "released", "rest", "reference", "note"),
    *("actor", "created_at", "expires_at"),
)
GIFT_COLUMNS = (
    *("number", "giver", "receiver", "asset", "environment", "amount", "message", "reference", "status", "reason"),
    *("created_at", "ended_at"),
)
AGREEMENT_COLUMNS = (
    *("number", "user", "product", "environment", "provider_account", "provider_number", "by_store", "way", "status"),
    *("amount_minor", "currency", "zone", "paid_until", "next_charge_at", "cancel_at", "signed_at", "ended_at"),
    *("ended_by", "created_at"),
)
PERIOD_COLUMNS = ("number", "starts_at", "ends_at", "status", "order", "refusal", "next_try_at")
TRANSFER_COLUMNS = (
    *("id", "kind", "user", "asset", "environment", "amount", "debit", "credit", "version", "balance"),
    *("reference", "note", "actor", "cause", "at"),
)

FULFILMENT_COLUMNS = (
    *("order", "user", "environment", "product", "quantity", "payment", "status", "revision", "asks", "units", "told"),
    *("asked_at", "answered_at", "reason", "reference", "actor", "ended_by"),
)
BILL_LINE_COLUMNS = (
    *("provider_account", "feed", "name", "side", "position", "key", "kind", "at", "amount_minor", "currency"),
    *("fee_minor", "discount_minor", "balance_minor", "ours", "theirs", "refund", "related", "undecided", "word"),
    *("note", "cell"),
)
BILL_COLUMNS = (
    *("provider_account", "feed", "name", "side", "status", "problem", "since", "until", "zone", "lines", "sha256"),
    "read_at",
)
DIFFERENCE_COLUMNS = (
    *("number", "provider_account", "side", "type", "state", "at", "zone", "ours_minor", "ours_currency"),
    *("theirs_minor", "theirs_currency", "ours", "theirs", "refund", "about", "owner", "note"),
    *("written_off_by", "matched_with", "opened_at", "changed_at", "closed_at"),
)
FREEZE_COLUMNS = ("number", "user", "asset", "environment", "frozen", "reason", "actor", "refund", "at")


def order_in_list(row: Any, payments: Iterable[Any]) -> dict[str, Any]:
    """An order with the payment that bought it."""
    bought_by = next((payment for payment in payments if payment.id == row.paid_payment_id), None)
    return {
        **representations.order_data(row, ()),
        "payment": None if bought_by is None else str(bought_by.id),
        "provider_account": None if bought_by is None else bought_by.provider_account,
        "way": None if bought_by is None else bought_by.way,
        "agreement": None if row.agreement_id is None else str(row.agreement_id),
        "period": row.period_number,
    }
