"""What a store paid out for a period, by its own statement. No database."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class PayoutPart:
    """What was paid out of the sales in one currency, in minor units of that currency. Each may be less than zero."""

    currency: str
    paid_minor: int
    """What came of it to the bank, before it was changed into the bank account's currency."""
    withheld_minor: int
    """Taxes that the store kept back, more than zero where it did."""
    adjusted_minor: int
    """Taxes and corrections that the store added to what was earned."""

    bank_minor: int
    """What came to the bank after the change, in minor units of its currency: with `paid_minor` it is the rate that the
    store used."""

    @property
    def settled_minor(self) -> int:
        """What the store does not owe any more."""
        return self.paid_minor + self.withheld_minor - self.adjusted_minor


@dataclass(frozen=True, slots=True)
class StorePayout:
    """One transfer to a bank account."""

    period: str
    """The month whose sales it is about, as the store counts its months: `2026-07`."""
    parts: tuple[PayoutPart, ...]
    """One for each currency."""
    bank_minor: int
    bank_currency: str
    """What came to the bank, in the currency of the account there."""

    @property
    def digest(self) -> str:
        """Names what the statement says, in whatever bytes."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()
