"""Which lots a spend uses, in which order, and what of a lot is still worth money.

Order: soonest expiry, then bonus before paid (or the other way round, by setting), then oldest.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

NEVER = 2**61
"""In place of an expiry, in microseconds, for a lot that does not expire."""


class SpendOrder(IntEnum):
    """What goes first among lots with the same expiry."""

    BONUS_FIRST = 1
    PAID_FIRST = 2


@dataclass(slots=True)
class LotLeft:
    """What is left of one lot. `version` is the wallet's version at the credit that made it: its name, and its age."""

    version: int
    remaining: int
    bonus: bool
    expires_us: int
    """Microseconds since 1970, or NEVER."""

    def expired(self, at_us: int) -> bool:
        return self.expires_us <= at_us


def rank(expires_us: int, bonus: bool, order: SpendOrder) -> int:
    """An integer that sorts lots by expiry and kind; the lot's version breaks ties."""
    second = bonus == (order is SpendOrder.PAID_FIRST)
    return expires_us << 1 | second


def rank_of_now(at_us: int) -> int:
    """Every lot that has expired at that moment ranks at or below this."""
    return at_us << 1 | 1


def in_spend_order(lots: Iterable[LotLeft], order: SpendOrder) -> list[LotLeft]:
    return sorted(lots, key=lambda lot: (rank(lot.expires_us, lot.bonus, order), lot.version))


def fresh_and_stale(lots: Iterable[LotLeft], order: SpendOrder, at_us: int) -> tuple[list[LotLeft], list[LotLeft]]:
    """Of the lots with something left: those that can be spent, and those that have expired, each in spend order."""
    fresh, stale = list[LotLeft](), list[LotLeft]()
    for lot in lots:
        if lot.remaining:
            (stale if lot.expires_us <= at_us else fresh).append(lot)
    return in_spend_order(fresh, order), in_spend_order(stale, order) if stale else stale


def plan(lots: Sequence[LotLeft], amount: int) -> list[tuple[int, int]] | None:
    """How to take `amount` from lots that are already in order: (version, amount) of each. None: not enough."""
    uses: list[tuple[int, int]] = []
    missing = amount
    for lot in lots:
        if missing == 0:
            break
        take = min(missing, lot.remaining)
        if take:
            uses.append((lot.version, take))
            missing -= take
    return uses if missing == 0 else None


def plan_return(uses: Sequence[tuple[int, int]], amount: int) -> list[tuple[int, int]]:
    """Which lots get `amount` back, of what a spend took from them: the last used first."""
    returned: list[tuple[int, int]] = []
    left = amount
    for version, used in reversed(uses):
        give = min(left, used)
        if give:
            returned.append((version, give))
            left -= give
    if left:
        raise ValueError("more goes back than was taken")
    return returned


def preferring(lots: Sequence[LotLeft], version: int | None) -> list[LotLeft]:
    """The lots in their order, but the named lot comes first."""
    return sorted(lots, key=lambda lot: lot.version != version)


def unspent_value(value_minor: int, granted: int, remaining: int) -> int:
    """The part of the money paid for a lot that its unspent coins stand for, rounded half up."""
    return (2 * value_minor * remaining + granted) // (2 * granted)


def value_after_refunds(
    value_minor: int, granted: int, remaining: int, *, bought: int, paid_minor: int, refunded_minor: int
) -> int:
    """`unspent_value` of a lot whose payment was refunded in part. Value follows the money: what is not refunded lies
    on the coins that the refund leaves, and is rounded down, so that lots of one payment never exceed its money.

    `bought` are the coins of the whole purchase: a lot may hold a part of them that was given back.
    """
    left_minor = max(0, paid_minor - refunded_minor)
    left_coins = bought - (2 * bought * refunded_minor + paid_minor) // (2 * paid_minor)
    if left_coins <= 0:
        return 0
    unspent = min(remaining, left_coins)
    return value_minor * unspent * bought * left_minor // (granted * left_coins * paid_minor)


def uses_in(listed: Any) -> list[tuple[int, int]]:
    """The lots that a transfer lists, and how much it took from each or gave back; none where it lists none. Raises
    ValueError where somebody edited the pairs."""
    if listed is None:
        return []
    if type(listed) is not list or any(
        type(part) is not list or list(map(type, part)) != [int, int] for part in listed
    ):
        raise ValueError("these are no pairs of lot and amount")
    return [(lot, amount) for lot, amount in listed]
