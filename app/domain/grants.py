"""What a paid order credits."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

_MEMBERS = frozenset({"asset", "amount", "bonus", "valid_days"})
_SHORT = re.compile(r"(\d+) (bonus )?([A-Za-z][A-Za-z0-9_]{0,15})(?: (\d+)d)?", re.ASCII)


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


def shortened(entries: Sequence[Mapping[str, Any]]) -> list[Any]:
    """The entries as an order's row keeps them: `60 coin`, `6 bonus coin 90d`. An entry that such a text would not give
    back whole stays as it is."""
    return [_short(entry) for entry in entries]


def lengthened(kept: Any) -> Any:
    """The entries that a row keeps, short or in the long form of before; what is neither, as it is: the audit tells."""
    if type(kept) is not list:
        return kept
    return [entry if type(entry) is not str else dict(_long(entry) or ()) or entry for entry in kept]


def _short(entry: Mapping[str, Any]) -> Any:
    if entry.keys() != _MEMBERS:
        return entry
    words = [str(entry["amount"]), *(["bonus"] if entry["bonus"] else []), str(entry["asset"])]
    text = " ".join(words if entry["valid_days"] is None else [*words, f"{entry['valid_days']}d"])
    return text if _long(text) == entry else entry


@lru_cache(maxsize=1024)  # what is sold is sold often; whoever gets the entry gets a copy
def _long(text: str) -> dict[str, Any] | None:
    parts = _SHORT.fullmatch(text)
    if parts is None:
        return None
    amount, bonus, asset, days = parts.groups()
    valid_days = None if days is None else int(days)
    return {"asset": asset, "amount": int(amount), "bonus": bonus is not None, "valid_days": valid_days}
