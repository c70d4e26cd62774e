"""The exact request for a payment: made once, stored with it, and given to the provider unchanged at every repeat."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from app.domain.facts import Ref
from app.domain.money import Money
from app.providers.facts import Intent


def to_json(intent: Intent) -> dict[str, Any]:
    money = intent.money
    return {
        "ours": intent.ref.ours,
        "amount_minor": money.minor if money else None,
        "currency": money.currency if money else None,
        "subject": intent.subject,
        "product": intent.product,
        "quantity": intent.quantity,
        "owner": intent.owner,
        "way": intent.way,
        "created_at": intent.created_at.isoformat(),
        "expires_at": intent.expires_at.isoformat(),
        "notify_url": intent.notify_url,
        "return_url": intent.return_url,
        "extra": dict(intent.extra),
    }


def from_json(stored: Mapping[str, Any]) -> Intent:
    money = None
    if stored["amount_minor"] is not None:
        money = Money(stored["amount_minor"], stored["currency"])
    return Intent(
        ref=Ref(ours=stored["ours"]),
        money=money,
        subject=stored["subject"],
        product=stored["product"],
        quantity=stored["quantity"],
        owner=stored["owner"],
        way=stored["way"],
        created_at=datetime.fromisoformat(stored["created_at"]),
        expires_at=datetime.fromisoformat(stored["expires_at"]),
        notify_url=stored["notify_url"],
        return_url=stored["return_url"],
        extra=stored["extra"],
    )
