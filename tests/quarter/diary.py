"""What really happened in the quarter, as payers, providers and the game know it: the source of the recount. Nothing in
it comes from Tillbook but the numbers of its orders and payments."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

from tests.quarter.packs import Pack

NEVER = datetime.max.replace(tzinfo=UTC)
"""Nobody has told us yet."""


@dataclass(slots=True)
class Return:
    """Money that went back to a payer."""

    number: str
    at: datetime
    fen: int
    fee_at: datetime
    """When the provider gives its part of the fee back, if it does."""
    told_at: datetime | None = None
    """When we heard of it, if that was later."""
    asked_at: datetime | None = None
    """When it was asked for, if the payer's bank took days for it: that is its time in bills."""

    @property
    def in_bills_at(self) -> datetime:
        return self.asked_at or self.at


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
    order: str = ""
    """The number of our order; empty of a store, where nobody orders."""
    coupon_fen: int = 0
    """The part that the merchant's own coupon stands for: it never reaches the merchant."""
    abroad: bool = False
    """Bought in the store's other territory, in its currency."""
    uses: list[tuple[datetime, int]] = field(default_factory=list)
    back: list[Return] = field(default_factory=list)
    given: tuple[str, int] | None = None
    """Another user, and so many of its coins: they were given away."""
    told_at: datetime | None = None
    """When we heard of the purchase, if that was later."""
    fee_told_at: datetime | None = None
    """When a bill told of the fee, if that was after its month was closed."""

    @property
    def coins_used(self) -> int:
        return sum(coins for _, coins in self.uses)

    @property
    def currency(self) -> str:
        return "USD" if self.abroad else "CNY"

    @property
    def price(self) -> int:
        """In minor units of its currency."""
        return self.pack.cents if self.abroad else self.pack.fen

    @property
    def returned(self) -> int:
        return sum(one.fen for one in self.back)


@dataclass(frozen=True, slots=True)
class Wrong:
    """Something wrong that was planted, and the type under which it has to be found."""

    account: str
    type: str
    name: str
    """The number that the difference must name: ours, the provider's, the refund's, or the bill's day."""


@dataclass(slots=True)
class Elsewhere:
    """A payment on our provider account that no order of ours has."""

    provider: str
    number: str
    fen: int
    at: datetime
    fee_at: datetime
    told_at: datetime | None = None
    """Of a number that looks like ours: when our question about it was answered."""


@dataclass(slots=True)
class Diary:
    sales: list[Sale] = field(default_factory=list)
    wrongs: list[Wrong] = field(default_factory=list)
    aliens: list[Elsewhere] = field(default_factory=list)
    """Sales of other systems."""
    strays: dict[str, Elsewhere] = field(default_factory=dict)
    """Payments with a number like ours, by that number: they end in suspense."""
    payouts: list[tuple[str, int, str, datetime]] = field(default_factory=list)
    """Provider, minor units to the bank, their currency, when."""
    closed: list[tuple[datetime, datetime]] = field(default_factory=list)
    """Months that are closed: their end, and since when bookings for them count when they are booked."""
