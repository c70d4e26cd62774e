"""What a paid order credits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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
    values = _split(paid_minor, sum(not entry["bonus"] for entry in entries))
    return tuple(
        Grant(
            asset=entry["asset"],
            amount=entry["amount"] * quantity,
            bonus=entry["bonus"],
            expires_at=paid_at + timedelta(days=entry["valid_days"]) if entry["valid_days"] else None,
            value_minor=0 if entry["bonus"] else next(values),
        )
        for entry in entries
    )


def _split(total: int, parts: int) -> Iterator[int]:
    """`total` in `parts` whole numbers that add up to it, the larger ones first."""
    return iter([total // parts + (part < total % parts) for part in range(parts)])
