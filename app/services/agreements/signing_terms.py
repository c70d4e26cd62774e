"""The exact request for an agreement: made once, stored with it, and given to the provider unchanged at every repeat.

The first payment, if there is one, is stored with its own row, as every payment's request is.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from app.domain.facts import Ref
from app.domain.money import Money
from app.providers.agreements import Terms
from app.providers.facts import Intent


def as_stored(terms: Terms) -> dict[str, Any]:
    return {
        "our_agreement": terms.ref.our_agreement,
        "amount_minor": terms.money.minor,
        "currency": terms.money.currency,
        "subject": terms.subject,
        "product": terms.product,
        "unit": terms.unit,
        "count": terms.count,
        "first_due": terms.first_due.isoformat(),
        "owner": terms.owner,
        "way": terms.way,
        "created_at": terms.created_at.isoformat(),
        "expires_at": terms.expires_at.isoformat(),
        "notify_url": terms.notify_url,
        "return_url": terms.return_url,
        "extra": dict(terms.extra),
    }


def stored_terms(stored: Mapping[str, Any], first: Intent | None) -> Terms:
    return Terms(
        ref=Ref(our_agreement=stored["our_agreement"]),
        money=Money(stored["amount_minor"], stored["currency"]),
        subject=stored["subject"],
        product=stored["product"],
        unit=stored["unit"],
        count=stored["count"],
        first_due=date.fromisoformat(stored["first_due"]),
        owner=stored["owner"],
        way=stored["way"],
        created_at=datetime.fromisoformat(stored["created_at"]),
        expires_at=datetime.fromisoformat(stored["expires_at"]),
        notify_url=stored["notify_url"],
        return_url=stored["return_url"],
        extra=stored["extra"],
        first=first,
    )
