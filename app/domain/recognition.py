"""What the unspent coins of a purchase are worth, and when their money becomes revenue. No database.

The money of a purchase is a contract liability until its coins are used, expire or are taken back. A purchase is one
pool of coins for each asset, wherever its coins lie: a gift changes nothing. What a pool is worth is a function of how
many coins of it are unspent and how much of its money went back. Each movement of value is the difference of two such
values, so the movements of any stretch of time add up exactly.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from fractions import Fraction

from app.domain.lots import unspent_value, value_after_refunds


class Allocation(StrEnum):
    """Over which coins of a purchase its price is spread."""

    PAID = "paid"
    """Over the paid coins; a bonus is worth nothing."""
    ALL = "all"
    """Over paid and bonus coins of one asset alike, as IFRS 15 does where both are coins of one kind."""


class ChangeCause(StrEnum):
    """Why the coins or the money of a purchase changed."""

    SALE = "sale"
    OPENING = "opening"
    """An import brought the coins in with a value; their money was never booked here."""
    USE = "use"
    EXPIRY = "expiry"
    REFUND = "refund"
    """Money went back, or coins were taken back because of that; or the reverse."""
    GIFT = "gift"
    """Coins without a purchase went to another user, or came from one."""


class Movement(StrEnum):
    """The columns of the roll-forward. Their values are effects on the liability, those of coins on unspent coins."""

    SOLD = "sold"
    OPENED = "opened"
    GIVEN = "given"
    USED = "used"
    EXPIRED = "expired"
    ESTIMATED = "estimated"
    """Breakage that is recognised in proportion to use, by the estimate of the product."""
    REFUNDED = "refunded"
    TAKEN_BACK = "taken_back"
    """Revenue of used coins whose money went back."""
    BREAKAGE_BACK = "breakage_back"
    """Breakage of expired coins whose money went back."""
    REMEASURED = "remeasured"
    """The liability was worked out anew, because a setting of it changed."""
    ADJUSTED = "adjusted"
    """What was booked to the account by other kinds of transfer, as journal entries."""


EARNED = frozenset({Movement.USED, Movement.TAKEN_BACK})
"""What leaves the liability as revenue of use, or comes back from there."""
BREAKAGE = frozenset({Movement.EXPIRED, Movement.ESTIMATED, Movement.BREAKAGE_BACK, Movement.REMEASURED})
"""What leaves the liability as breakage, or comes back from there."""
NO_BREAKAGE = Fraction(0)
_BRINGING = {ChangeCause.SALE: Movement.SOLD, ChangeCause.OPENING: Movement.OPENED}


@dataclass(frozen=True, slots=True)
class RecognitionRules:
    """The settings of recognition. `expected_breakage` says, by product, which part of its coins will never be
    used; of other products breakage is recognised when coins expire."""

    allocation: Allocation = Allocation.PAID
    expected_breakage: Mapping[str, Fraction] = field(default_factory=dict)
    plans_by_day: bool = True
    """A plan without coins is earned day by day. False only in figures of versions that took its price for earned when
    it was paid: the first turn of this one works them out anew."""

    def as_text(self) -> str:
        """What is kept beside the figures, to know that the settings changed."""
        expected = {product: str(part) for product, part in sorted(self.expected_breakage.items())}
        kept = {"allocation": self.allocation, "expected_breakage": expected, "plans_by_day": self.plans_by_day}
        return json.dumps(kept, sort_keys=True)

    @classmethod
    def from_text(cls, kept: str) -> RecognitionRules:
        """The settings that were kept like that."""
        told = json.loads(kept)
        expected = {product: Fraction(part) for product, part in told["expected_breakage"].items()}
        return cls(Allocation(told["allocation"]), expected, told.get("plans_by_day", False))


@dataclass(slots=True)
class Pool:
    """The coins of one asset that a purchase brought in. `bought` is 0 until the purchase is booked.

    Where a purchase brings no coins into our wallets, the pool is one promise that is kept or not: `asset` is empty.
    """

    asset: str
    expected_breakage: Fraction = NO_BREAKAGE
    bought: int = 0
    unspent: int = 0
    price_minor: int = 0
    refunded_minor: int = 0
    given_minor: int = 0
    """Value that came with gifts less value that went with them; only for coins that nobody bought here."""
    breakage_minor: int = 0
    """Breakage that was recognised and not taken back."""
    breakage_back_minor: int = 0

    @property
    def value_minor(self) -> int:
        """What the unspent coins are worth: the liability."""
        value = self._value(self.unspent)
        if not self.expected_breakage or not value:
            return value
        left = self._left
        expected = left * self.expected_breakage
        return int(self._money_left * max(Fraction(0), min(self.unspent, left) - expected) / (left - expected))

    @property
    def recognised_minor(self) -> int:
        """All money of the pool that is revenue."""
        return self.price_minor + self.given_minor - self.refunded_minor - self.value_minor

    def set_refunded(self, minor: int) -> None:
        """So much of the price has gone back by now."""
        self.refunded_minor = minor

    def plain_value(self, unspent: int) -> int:
        """The value without regard to coins that are expected never to be used."""
        return self._value(unspent)

    @property
    def _money_left(self) -> int:
        return max(0, self.price_minor - self.refunded_minor)

    @property
    def _left(self) -> int:
        """How many coins the refunds leave."""
        if not self.refunded_minor or not self.price_minor:
            return self.bought
        return self.bought - (2 * self.bought * self.refunded_minor + self.price_minor) // (2 * self.price_minor)

    def _value(self, unspent: int) -> int:
        if self.price_minor == 0 or self.bought == 0 or unspent <= 0:
            return 0
        if not self.asset:
            return self._money_left
        if self.refunded_minor <= 0:
            return unspent_value(self.price_minor, self.bought, min(unspent, self.bought))
        return value_after_refunds(
            self.price_minor,
            self.bought,
            unspent,
            bought=self.bought,
            paid_minor=self.price_minor,
            refunded_minor=self.refunded_minor,
        )


@dataclass(frozen=True, slots=True)
class PurchaseChange:
    """One thing that happened to a purchase. `coins` is the change of unspent coins of the asset, `bought` and
    `price_minor` what a sale added, `refunded_minor` what of the money of the whole purchase went back."""

    booked_at: datetime
    day: date
    """The day in whose reports it counts."""
    cause: ChangeCause
    asset: str = ""
    coins: int = 0
    bought: int = 0
    price_minor: int = 0
    refunded_minor: int = 0


@dataclass(frozen=True, slots=True)
class LiabilityMove:
    """One movement of the roll-forward."""

    change: PurchaseChange
    movement: Movement
    asset: str
    coins: int
    value_minor: int


@dataclass(slots=True)
class PooledPurchase:
    """The pools of one purchase by asset, and how much of its money went back."""

    pools: dict[str, Pool]
    refunded_minor: int = 0

    @property
    def value_minor(self) -> int:
        return sum(pool.value_minor for pool in self.pools.values())

    def share_refunds(self) -> None:
        """Spread the money that went back over the pools by their prices, so that the shares add up exactly."""
        total = sum(pool.price_minor for pool in self.pools.values())
        before = seen = 0
        for pool in self.pools.values():
            seen += pool.price_minor
            upto = self.refunded_minor * seen // total if total else 0
            pool.set_refunded(upto - before)
            before = upto

    def follow(self, changes: Iterable[PurchaseChange]) -> Iterator[LiabilityMove]:
        """Apply the changes in their order; the movements that they make. Movements of nothing are left out."""
        for change in changes:
            for moved in self._apply(change):
                if moved.coins or moved.value_minor:
                    yield moved

    def _apply(self, change: PurchaseChange) -> Iterator[LiabilityMove]:
        pools = [self.pools[change.asset]] if change.asset in self.pools else []
        if change.refunded_minor or (change.price_minor and self.refunded_minor):
            pools = list(self.pools.values())
        before = [(pool.recognised_minor, pool.refunded_minor, pool.unspent, pool.value_minor) for pool in pools]
        self._change(change)
        for pool, (recognised, refunded, unspent, value) in zip(pools, before, strict=True):
            coins = change.coins if pool.asset == change.asset and pool.asset else 0
            if change.cause in _BRINGING and pool.asset == change.asset:
                yield LiabilityMove(change, _BRINGING[change.cause], pool.asset, coins, change.price_minor)
            elif change.cause is ChangeCause.GIFT:
                given = change.price_minor or pool.value_minor - value
                pool.given_minor += 0 if change.price_minor else given
                yield LiabilityMove(change, Movement.GIVEN, pool.asset, coins, given)
            returned = coins if change.cause is ChangeCause.REFUND else 0
            yield LiabilityMove(change, Movement.REFUNDED, pool.asset, returned, refunded - pool.refunded_minor)
            yield from _recognised(pool, change, coins, pool.recognised_minor - recognised, unspent)

    def _change(self, change: PurchaseChange) -> None:
        pool = self.pools.get(change.asset)
        if pool is not None:
            pool.unspent += change.coins
            pool.bought += change.bought
            pool.price_minor += change.price_minor
        self.refunded_minor += change.refunded_minor
        if change.refunded_minor or change.price_minor:
            self.share_refunds()


def _recognised(pool: Pool, change: PurchaseChange, coins: int, more: int, unspent: int) -> Iterator[LiabilityMove]:
    """What of the money became revenue, or is revenue no more, by the kind of the change."""
    if change.cause is ChangeCause.EXPIRY:
        pool.breakage_minor += more
        yield LiabilityMove(change, Movement.EXPIRED, pool.asset, coins, -more)
    elif change.cause is ChangeCause.REFUND:
        breakage = _of_breakage(pool, more)
        pool.breakage_minor += breakage
        pool.breakage_back_minor -= breakage
        yield LiabilityMove(change, Movement.BREAKAGE_BACK, pool.asset, 0, -breakage)
        yield LiabilityMove(change, Movement.TAKEN_BACK, pool.asset, 0, breakage - more)
    elif change.cause is ChangeCause.USE and pool.expected_breakage:
        earned = pool.plain_value(unspent) - pool.plain_value(pool.unspent)
        pool.breakage_minor += more - earned
        yield LiabilityMove(change, Movement.USED, pool.asset, coins, -earned)
        yield LiabilityMove(change, Movement.ESTIMATED, pool.asset, 0, earned - more)
    else:
        yield LiabilityMove(change, Movement.USED, pool.asset, coins if change.cause is ChangeCause.USE else 0, -more)


def _of_breakage(pool: Pool, more: int) -> int:
    """How much of a refund's effect on revenue is breakage. Coins that expired unused count first as given back, so
    their breakage is taken back first; what comes back to us when a refund is undone goes the same way."""
    if more < 0:
        return -min(-more, max(0, pool.breakage_minor))
    return min(more, max(0, pool.breakage_back_minor))


# The accounts of money that recognition moves, and the kinds of its transfers.
LIABILITY = "sales"
"""Contract liability: paid and not yet earned."""
REVENUE_EARNED, REVENUE_BREAKAGE = "revenue:earned", "revenue:breakage"
OPENING_MONEY = "opening"
"""The counterpart of the value of coins that an import brought in."""
RECOGNISED, BREAKAGE_BOOKED, OPENING_VALUE = "recognised", "breakage", "opening_value"
RECOGNITION_KINDS = (RECOGNISED, BREAKAGE_BOOKED, OPENING_VALUE)
