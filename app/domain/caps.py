"""Caps: how much one caller may grant, debit or refund in one call and in one day.

A cap is about what moves on the caller's own word. A reversal counts as what it does: as a grant where it gives the
user coins, as a debit where it takes them. Spends, holds, captures and gifts are the user's, who has other limits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

GRANTS, DEBITS, REFUNDS = "grants", "debits", "refunds"
VERBS = (GRANTS, DEBITS, REFUNDS)
"""What a cap can be about."""
EVERY = "*"
"""In place of an asset or a currency: each one that has no cap of its own."""
UNIT_PATTERN = r"^([A-Za-z][A-Za-z0-9_]{0,15}|\*)$"
CURRENCY_PATTERN = r"^([A-Z]{3}|\*)$"


@dataclass(frozen=True, slots=True)
class Cap:
    """The most in one call, and the most in one day. None: no cap."""

    per_call: int | None = None
    per_day: int | None = None

    def with_stricter(self, other: Cap) -> Cap:
        """The lower of each."""
        return Cap(_lower(self.per_call, other.per_call), _lower(self.per_day, other.per_day))


Caps = Mapping[tuple[str, str], Cap]
"""By what the cap is about (one of VERBS), and by asset or currency."""
NO_CAP = Cap()


@dataclass(frozen=True, slots=True)
class CallerCaps:
    """Every cap of one caller. Settings and database each may have one: the stricter counts."""

    caller: str = ""
    sources: tuple[Caps, ...] = ()

    def cap(self, verb: str, unit: str) -> Cap:
        """What this caller may do at the most with that asset or currency."""
        found = NO_CAP
        for caps in self.sources:
            found = found.with_stricter(caps.get((verb, unit)) or caps.get((verb, EVERY)) or NO_CAP)
        return found


NO_CAPS = CallerCaps()


def _lower(one: int | None, other: int | None) -> int | None:
    if one is None or other is None:
        return one if other is None else other
    return min(one, other)
