"""What really happened in the quarter, as payers, providers and the game know it: the source of the recount. Nothing in
it comes from Tillbook but the numbers of its payments."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from tests.quarter.packs import Pack


@dataclass(slots=True)
class Sale:
    """A purchase of a user who buys once."""

    provider: str
    user: str
    pack: Pack
    number: str
    """Of our payment; of a store, the transaction's."""
    paid_at: datetime
    fee_at: datetime
    """When the provider takes its fee."""
    uses: list[tuple[datetime, int]] = field(default_factory=list)
    back: list[tuple[datetime, int]] = field(default_factory=list)
    """Money that went back, and when."""
    told_at: datetime | None = None
    """When we heard of the purchase, where that was after its month was closed."""

    @property
    def coins_used(self) -> int:
        return sum(coins for _, coins in self.uses)


@dataclass(frozen=True, slots=True)
class Wrong:
    """Something wrong that was planted, and the type under which it has to be found."""

    account: str
    type: str
    name: str
    """The number that the difference must name: ours, the provider's, the refund's, or the bill's day."""


@dataclass(slots=True)
class Diary:
    sales: list[Sale] = field(default_factory=list)
    wrongs: list[Wrong] = field(default_factory=list)
    aliens: list[tuple[str, int, datetime]] = field(default_factory=list)
    """Sales of other systems: provider, fen, when."""
    strays: list[tuple[str, int, datetime]] = field(default_factory=list)
    """Payments with a number like ours that no order of ours has: they end in suspense."""
    payouts: list[tuple[str, int, datetime]] = field(default_factory=list)
    """Provider, fen to the bank, when."""
