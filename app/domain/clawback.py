"""The arithmetic of taking coins back: what was done about one grant, and the step from there to what must be gone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from app.domain.refunding import (
    CLAWBACK,
    DEBT,
    DEBT_CANCELLED,
    FORGIVEN,
    RECALLED,
    RETURNED,
    UNFORGIVEN,
    UNRECALLED,
    Clawback,
)


@dataclass(frozen=True, slots=True)
class Taken:
    """What the books say was done about one grant of a refunded purchase, in its asset."""

    coins: int = 0
    """Taken out of the wallet, less what was given back."""
    owed: int = 0
    """Booked as the user's debt, less what was cancelled. Repaying does not lower it."""
    forgiven: int = 0
    reversed: int = 0
    """Taken by an operator, who reversed the credit itself."""
    expired: int = 0
    """Expired unused: the house has them back already."""
    recalled: int = 0
    """Asked back from those to whom they were given, less what was no longer there."""

    @property
    def accounted(self) -> int:
        """All that is gone, whoever took it."""
        return self.by_refunds + self.reversed + self.expired

    @property
    def by_refunds(self) -> int:
        return self.coins + self.owed + self.forgiven + self.recalled


@dataclass(frozen=True, slots=True)
class Step:
    """What to book so that a grant's books meet its target. At most one of the two sides is not zero."""

    take: int = 0
    owe: int = 0
    forgive: int = 0
    unforgive: int = 0
    cancel: int = 0
    give_back: int = 0
    recall: int = 0


def step_to(
    target: int, taken: Taken, *, available: int, debt: int, policy: Clawback, own: int = 0, elsewhere: int = 0
) -> Step:
    """The step from what the books say to the target, for a wallet with `available` coins and a user who owes `debt`.
    Of the purchase's coins `own` are in the wallet, and `elsewhere` were given away and can be asked back.

    Taking: the purchase's coins where they are, then what the wallet has, the rest by policy. Giving back, in the
    reverse order: what was forgiven or is still owed is let go of first, and only then coins return.
    """
    missing = target - taken.accounted
    if missing > 0:
        recall = min(elsewhere, max(0, missing - min(own, max(0, available))))
        take = min(missing - recall, max(0, available))
        rest = missing - recall - take
        forgive, owe = (rest, 0) if policy is Clawback.FORGIVE else (0, rest)
        return Step(take=take, forgive=forgive, owe=owe, recall=recall)
    surplus = min(-missing, taken.by_refunds)
    unforgive = min(surplus, taken.forgiven)
    cancel = min(surplus - unforgive, taken.owed, debt)
    return Step(unforgive=unforgive, cancel=cancel, give_back=surplus - unforgive - cancel)


def taken_from(sums: Mapping[str, int]) -> Taken:
    """What was done about a grant, from the sums of its transfers by kind."""
    return Taken(
        coins=sums.get(CLAWBACK, 0) - sums.get(RETURNED, 0),
        owed=sums.get(DEBT, 0) - sums.get(DEBT_CANCELLED, 0),
        forgiven=sums.get(FORGIVEN, 0) - sums.get(UNFORGIVEN, 0),
        reversed=sums.get("reversal", 0),
        expired=sums.get("expiry", 0),
        recalled=sums.get(RECALLED, 0) - sums.get(UNRECALLED, 0),
    )
