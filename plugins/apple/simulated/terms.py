"""What the simulated store keeps of a price, and when it collects it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import NamedTuple

from plugins.apple.simulated.purchases import Purchase
from plugins.apple.territories import TWO_LETTERS

YEAR = timedelta(days=365)
_CENT = Decimal("0.01")


class Commission(NamedTuple):
    """Per cent of the price without tax."""

    usual: int
    lower: int
    """Of subscriptions after a year, and of small businesses."""


_ELSEWHERE, _CHINA = Commission(30, 15), Commission(25, 12)


@dataclass
class StoreTerms:
    """China's rates are those since 2026-03-15. Taxes are invented but for the form: they are taken off the price first
    (2015: 2 per cent of 6.00, then 30, makes 4.12)."""

    commission: Mapping[str, Commission] = field(default_factory=lambda: {"CN": _CHINA})
    elsewhere: Commission = _ELSEWHERE
    tax: Mapping[str, int] = field(default_factory=lambda: {"CN": 2, "JP": 10, "GB": 20, "DE": 19})
    """Per cent of the price, by territory."""
    is_small_business: bool = False

    def share(self, price: Decimal, territory: str, *, is_long: bool) -> Decimal:
        """What the developer gets of one unit: two places, half up."""
        rates = self.commission.get(territory, self.elsewhere)
        rate = rates.lower if is_long or self.is_small_business else rates.usual
        net = price * (100 - self.tax.get(territory, 0)) / 100
        return (net * (100 - rate) / 100).quantize(_CENT, ROUND_HALF_UP)


def territory_of(purchase: Purchase) -> str:
    return TWO_LETTERS[purchase.payload["storefront"]]


def unit_price(purchase: Purchase) -> Decimal:
    """What the customer paid for one of them."""
    payload = purchase.payload
    return Decimal(payload.get("price") or 0) / 1000 / int(payload["quantity"])


def is_long(purchase: Purchase) -> bool:
    """Whether the lower rate for subscribers of more than a year holds."""
    payload = purchase.payload
    age = timedelta(milliseconds=payload["purchaseDate"] - payload["originalPurchaseDate"])
    return purchase.is_subscription and age >= YEAR
