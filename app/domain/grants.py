"""What a paid order credits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any


@dataclass(frozen=True, slots=True)
class Grant:
    """Units of one asset that enter a wallet as one lot."""

    asset: str
    amount: int
    bonus: bool
    expires_at: datetime | None
    value_minor: int
    """The part of the money paid that stands for these units; zero for a bonus."""


def grants_of(
    entries: Sequence[Mapping[str, Any]], *, quantity: int, paid_minor: int, paid_at: datetime
) -> tuple[Grant, ...]:
    """The grants of an order for `quantity` pieces; a lot's validity runs from the moment of payment."""
    grants, money_left, bought_left = [], paid_minor, 0
    for entry in entries:
        bought_left += not entry["bonus"]
    for entry in entries:
        value = 0
        if not entry["bonus"]:
            value = -(-money_left // bought_left)  # rounded up: the parts add up to what was paid, larger ones first
            money_left, bought_left = money_left - value, bought_left - 1
        expires_at = paid_at + timedelta(days=entry["valid_days"]) if entry["valid_days"] else None
        grants.append(Grant(entry["asset"], entry["amount"] * quantity, entry["bonus"], expires_at, value))
    return tuple(grants)
