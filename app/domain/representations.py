"""The things of the service as callers see them: in answers of the API, and in events.

Each function takes a row (its columns by name) and gives a dictionary, with moments and UUIDs as such; `plain` turns
these into texts. Nothing else is shown anywhere, and nowhere in another shape.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from app.domain.ledger import AccountName, Posted, Transfer
from app.domain.status import PAYABLE

_REFUND = (
    "provider_account",
    "origin",
    "amount_minor",
    "currency",
    "undone_minor",
    "reason",
    "policy",
    "status",
    "dispute_fee_minor",
    "dispute_fee_currency",
    "problem",
    "coins",
    "created_at",
    "done_at",
)
_ENDPOINT = (
    "name",
    "url",
    "types",
    "origin",
    "paused_at",
    "paused_by",
    "failing_since",
    "failures",
    "made_by",
    "made_at",
)
_GIFT = (
    *("giver", "receiver", "asset", "environment", "amount", "message", "reference", "status", "reason"),
    *("created_at", "ended_at"),
)
_AGREEMENT = (
    *("environment", "provider_account", "by_store", "way", "status", "amount_minor", "currency", "entitlements"),
    *(
        "zone",
        "paid_until",
        "grace_until",
        "next_charge_at",
        "renews",
        "price_increase",
        "cancel_at",
        "signed_at",
        "ended_at",
        "ended_by",
    ),
    *("created_at", "expires_at"),
)
_PLAIN = frozenset({str, int, bool, type(None)})
"""Types whose values are JSON already."""
_FREEZE = ("asset", "environment", "frozen", "reason", "actor", "at")


def order_data(row: Any, payments: Iterable[Any]) -> dict[str, Any]:
    """An order with its payments, in the order in which they were made."""
    return {
        "number": str(row.id),
        "user": row.user_id,
        "environment": row.environment,
        "product": row.sku,
        "title": row.title,
        "quantity": row.quantity,
        "amount_minor": row.amount_minor,
        "currency": row.currency,
        "grants": row.grants,
        "fulfilment": row.fulfilment,
        "status": row.status,
        "fulfilment_status": row.fulfilment_status,
        "created_at": row.created_at,
        "expires_at": row.expires_at,
        "paid_at": row.paid_at,
        "payments": [payment_data(each) for each in payments],
        "agreement": None if row.agreement_id is None else _period_named(row),
    }


def _period_named(order: Any) -> dict[str, Any]:
    """Which period of which agreement the order pays."""
    return {"number": str(order.agreement_id), "period": order.period_number}


def order_view_data(view: Any) -> dict[str, Any]:
    """An order that was read together with its payments."""
    return order_data(view.order, view.payments)


def payment_data(row: Any) -> dict[str, Any]:
    """A payment; what the client does next is shown while the payer has still to pay. The rows by which facts are
    applied are read without that: it is nothing that an event about money says."""
    return {
        "number": str(row.id),
        "provider_account": row.provider_account,
        "way": row.way,
        "status": row.status,
        "action": getattr(row, "action", None) if row.status in PAYABLE else None,
        "created_at": row.created_at,
        "paid_at": row.paid_at,
    }


def refund_data(row: Any, user_id: str) -> dict[str, Any]:
    """A refund of that user's order. The user is empty for money of nobody known."""
    shown = {name: getattr(row, name) for name in _REFUND}
    numbers = {"number": str(row.id), "order": str(row.order_id), "payment": str(row.payment_id)}
    return {**numbers, "user": user_id, "actor": row.caller, **shown}


def fulfilment_data(row: Any, order: Mapping[str, Any]) -> dict[str, Any]:
    """What the app's backend is to fulfil of an order, by the order's columns. The order's number never changes; the
    revision says which wish it is."""
    last = row.wishes[-1]
    return {
        "order": str(row.id),
        "user": row.user_id,
        "environment": order["environment"],
        "product": order["sku"],
        "quantity": order["quantity"],
        "payment": str(row.payment_id),
        "status": order["fulfilment_status"],
        "revision": len(row.wishes),
        "asks": None if last["answer"] else last["asks"],
        "units": row.units,
        "told": row.tellings,
        "asked_at": row.asked_at,
        "answered_at": row.answered_at,
        "reason": row.reason,
        "reference": row.reference,
        "actor": row.actor,
        "ended_by": row.ended_by,
    }


def freeze_data(row: Any) -> dict[str, Any]:
    """An entry about wallets that were frozen or unfrozen."""
    return {
        "number": str(row.id),
        "user": row.user_id,
        "refund": str(row.refund_id) if row.refund_id is not None else None,
        **{name: getattr(row, name) for name in _FREEZE},
    }


def gift_data(row: Mapping[str, Any]) -> dict[str, Any]:
    """A gift from user to user, by its columns."""
    return {"number": str(row["id"]), **{name: row[name] for name in _GIFT}}


def agreement_data(row: Any) -> dict[str, Any]:
    """An agreement; what the client does next is shown while it is to be signed."""
    length = None if row.unit is None else {"unit": row.unit, "count": row.length}
    return {
        "number": str(row.id),
        "user": row.user_id,
        "product": row.sku,
        "title": row.title,
        "provider_number": row.theirs,
        "period": length,
        "action": row.action if row.status == "signing" else None,
        "replaces": None if row.replaces_id is None else str(row.replaces_id),
        "next_product": None if row.next_plan is None else row.next_plan["sku"],
        **{name: getattr(row, name) for name in _AGREEMENT},
    }


def entitlement_data(active: Any) -> dict[str, Any]:
    """What is active, and the agreement that makes it so."""
    row = active.agreement
    return {
        "name": active.name,
        "environment": row.environment,
        "until": active.until,
        "agreement": str(row.id),
        "product": row.sku,
        "provider_account": row.provider_account,
        "status": row.status,
    }


def period_data(row: Any) -> dict[str, Any]:
    """A period of an agreement, and how far its charge is."""
    return {
        "number": row.number,
        "starts_at": row.starts_at,
        "ends_at": row.ends_at,
        "status": row.status,
        "order": None if row.order_id is None else str(row.order_id),
        "refusal": row.refusal,
        "next_try_at": row.next_try_at,
    }


def wallet_data(name: AccountName) -> dict[str, Any]:
    """Whose wallet, and of which asset."""
    return {"user": name.user_id, "asset": name.asset, "environment": name.environment}


def line_data(transfer: Transfer, posted: Posted) -> dict[str, Any]:
    """A transfer as its line stands in the statement of the account that it changes."""
    is_debit = transfer.debit == transfer.book
    return {
        "version": posted.version,
        "transfer": posted.id,
        "amount": -posted.amount if is_debit else posted.amount,
        "balance": posted.balance,
        "kind": transfer.kind,
        "reference": transfer.reference,
        "note": transfer.note,
        "other": (transfer.credit if is_debit else transfer.debit).code,
        "at": posted.at,
        "actor": transfer.actor,
    }


def hold_data(held: Any) -> dict[str, Any]:
    names = ("id", "user", "asset", "environment", "amount", "captured", "released", "rest", "state", "expires_at")
    return {name: getattr(held, name) for name in names}


def endpoint_data(
    row: Any, *, behind: int, open_deliveries: int, secrets: Iterable[tuple[str, str | None]]
) -> dict[str, Any]:
    """An endpoint, and how it is. Of each secret (with the moment of its end) only the last characters are shown."""
    failing = "failing" if row.failures else "active"
    return {
        **{name: getattr(row, name) for name in _ENDPOINT},
        "status": "paused" if row.paused_at is not None else failing,
        "reason": row.paused_why,
        "next_probe_at": row.probe_at if row.paused_at is None else None,
        "behind": behind,
        "open_deliveries": open_deliveries,
        "secrets": [{"ends_in": secret[-4:], "until": until} for secret, until in secrets],
    }


def delivery_data(row: Any) -> dict[str, Any]:
    """An event for an endpoint, and what the last attempt came to."""
    names = ("type", "status", "attempts", "latency_ms", "problem", "answer", "tried_at")
    shown = {name: getattr(row, name) for name in names}
    return {"event": row.event_id, "user": row.user_id or None, "next_at": row.next_at, "code": row.code, **shown}


def plain(value: Any) -> Any:
    """A representation as plain JSON: moments in UTC with a `Z`, UUIDs and words as texts."""
    if type(value) in _PLAIN:  # most are: the events of the money path pass here
        return value
    if isinstance(value, dict):
        members = dict[str, Any](value)
        for name, member in value.items():
            if type(member) not in _PLAIN:
                members[name] = plain(member)
        return members
    if isinstance(value, (list, tuple)):
        return list(map(plain, value))
    if isinstance(value, datetime):
        moment = value if value.tzinfo is UTC else value.astimezone(UTC)
        return f"{moment.isoformat()[:-6]}Z"
    if isinstance(value, uuid.UUID):
        return str(value)
    return value


def difference_data(row: Any) -> dict[str, Any]:
    """A disagreement between a provider's bill and the books."""
    names = ("provider_account", "side", "type", "state", "at", "zone", "ours_minor", "ours_currency", "theirs_minor")
    others = ("theirs_currency", "ours", "theirs", "refund", "owner", "note", "written_off_by", "opened_at")
    told = {name: getattr(row, name) for name in (*names, *others, "changed_at", "closed_at")}
    matched_with = None if row.matched_with is None else str(row.matched_with)
    return {"number": str(row.id), **told, "about": row.subject, "matched_with": matched_with}


def reading_data(row: Any) -> dict[str, Any]:
    """A bill, and what became of it when it was read."""
    names = ("provider_account", "feed", "name", "side", "status", "problem", "since", "until", "zone", "lines")
    return {name: getattr(row, name) for name in (*names, "sha256", "read_at")}
