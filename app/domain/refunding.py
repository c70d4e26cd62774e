"""Refunds as pure rules: their states, and how much of a purchase has been given back by what providers told so far.

Clawback is a computed target, not a sum of events: from all facts about a purchase follows the part of it that is
refunded now, from that the money and the coins that must be gone, and only the difference to what the books say is
booked. So facts may come in any order, be repeated, or be taken back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from fractions import Fraction

SHARES = 100_000
"""A fact's `share` is in parts per this many."""
NOTHING, WHOLE = Fraction(0), Fraction(1)


class RefundStatus(StrEnum):
    CREATED = "created"
    """Written down, coins reserved; the provider may not have heard of it."""
    PENDING = "pending"
    """The provider has it and has not decided: accepted is not done."""
    UNKNOWN = "unknown"
    """We asked for it and got no answer that can be believed."""
    DONE = "done"
    DECLINED = "declined"
    """A definite no: nothing was given back and nothing will be."""
    UNDONE = "undone"
    """Done, and taken back later: the money is ours again."""


class RefundCause(StrEnum):
    """What moves a refund: a fact from the provider, or how our call ended."""

    PENDING = "pending"
    DONE = "done"
    FAILED = "failed"
    UNDONE = "undone"
    UNANSWERED = "unanswered"
    """Our call ended without an answer that can be believed."""
    DECLINED = "declined"
    """Our call got a definite no."""


OPEN_REFUND = frozenset({RefundStatus.CREATED, RefundStatus.PENDING, RefundStatus.UNKNOWN})

_S, _C = RefundStatus, RefundCause
REFUND_EDGES: dict[tuple[RefundStatus, RefundCause], RefundStatus] = {
    (_S.CREATED, _C.PENDING): _S.PENDING,
    (_S.CREATED, _C.UNANSWERED): _S.UNKNOWN,
    (_S.CREATED, _C.DONE): _S.DONE,
    (_S.CREATED, _C.FAILED): _S.DECLINED,
    (_S.CREATED, _C.DECLINED): _S.DECLINED,
    # A «no» to a repeat proves something only after the provider, asked, knew nothing of the first call: the caller
    # of these rules asks before it repeats.
    (_S.UNKNOWN, _C.DECLINED): _S.DECLINED,
    (_S.UNKNOWN, _C.PENDING): _S.PENDING,
    (_S.UNKNOWN, _C.DONE): _S.DONE,
    (_S.UNKNOWN, _C.FAILED): _S.DECLINED,
    (_S.PENDING, _C.DONE): _S.DONE,
    (_S.PENDING, _C.FAILED): _S.DECLINED,
    (_S.PENDING, _C.DECLINED): _S.DECLINED,
    # The provider's word that money went back outweighs any earlier «no».
    (_S.DECLINED, _C.DONE): _S.DONE,
    (_S.DONE, _C.UNDONE): _S.UNDONE,
    # Told in the wrong order: it was taken back before we heard that it was done.
    (_S.CREATED, _C.UNDONE): _S.UNDONE,
    (_S.PENDING, _C.UNDONE): _S.UNDONE,
    (_S.UNKNOWN, _C.UNDONE): _S.UNDONE,
}


def next_refund_status(status: RefundStatus, cause: RefundCause) -> RefundStatus | None:
    """Where the cause takes the refund; None if it changes nothing."""
    return REFUND_EDGES.get((status, cause))


class Clawback(StrEnum):
    """What to do about refunded coins that are spent already."""

    DEBT = "debt"
    """The user owes them; whatever enters the wallet later repays first."""
    FORGIVE = "forgive"
    """Take what is there: the wallet ends at zero, and nobody owes anything."""
    FREEZE = "freeze"
    """Debt, and the wallet takes no more spends until somebody unfreezes it."""


class Origin(StrEnum):
    """Who wanted a refund."""

    ASKED = "asked"
    """The app's backend."""
    AUTOMATIC = "automatic"
    """Our own rule for surplus and late money."""
    PROVIDER = "provider"
    """The provider, or somebody in its console."""


@dataclass(frozen=True, slots=True)
class RefundFact:
    """A provider's word about one refund of one purchase. Sizes are minor units, or parts per 100 000; None: untold."""

    undone: bool
    number: str
    at: datetime
    money: int | None = None
    total: int | None = None
    share: int | None = None


@dataclass(frozen=True, slots=True)
class Refunded:
    """How a purchase stands."""

    part: Fraction
    """What of it is refunded, between 0 and 1."""
    standing: frozenset[str]
    """The numbers of the refunds that have not been taken back."""


def refunded(facts: Iterable[RefundFact], paid_minor: int | None) -> Refunded:
    """What part of a purchase is refunded, by all that was told about it, whatever the order of telling.

    In the order in which things happened at the provider: a single amount adds to what was refunded before; a running
    total lifts it to at least that much; a share says how it stands, but never less than the single amounts. So a
    total told by one road and a single amount told by another are not counted twice, and a refund that only the total
    of a later one shows is not missed. What is taken back by its number never counted; a taking back without a known
    number ends everything before it.
    """
    told = list(facts)
    numbers = {fact.number for fact in told if not fact.undone}
    taken_back = {fact.number for fact in told if fact.undone and fact.number in numbers}
    counting = _Counting(paid_minor)
    for fact in sorted(told, key=lambda fact: (fact.at, fact.undone, fact.number)):
        if fact.number in taken_back:
            continue
        if fact.undone:
            counting.take_back(fact)
        else:
            counting.add(fact)
    return Refunded(min(counting.level, WHOLE), frozenset(counting.standing))


class _Counting:
    def __init__(self, paid_minor: int | None) -> None:
        self._paid = paid_minor
        self.level = NOTHING
        self._singles = NOTHING
        self.standing: set[str] = set()

    def add(self, fact: RefundFact) -> None:
        single = self._part(fact.money)
        self._singles += single
        self.level = max(self.level + single, self._part(fact.total))
        if fact.share is not None:
            self.level = max(self._singles, Fraction(fact.share, SHARES))
        self.standing.add(fact.number)

    def take_back(self, fact: RefundFact) -> None:
        back = self._part(fact.money) if fact.money is not None else self.level
        self.level = max(NOTHING, self.level - back)
        self._singles = max(NOTHING, self._singles - back)
        if self.level == NOTHING:
            self.standing.clear()

    def _part(self, minor: int | None) -> Fraction:
        return Fraction(minor, self._paid) if minor is not None and self._paid else NOTHING


def tells_a_size(fact: RefundFact, paid_minor: int | None) -> bool:
    """Whether the fact can be turned into a part of the purchase at all."""
    in_money = fact.money is not None or fact.total is not None
    return fact.share is not None or (in_money and bool(paid_minor))


def of_amount(part: Fraction, amount: int) -> int:
    """That part of a whole amount (money paid, coins granted), rounded half up."""
    return int(part * amount + Fraction(1, 2))


def left_to_refund(part: Fraction, paid_minor: int, under_way: int) -> int:
    """How much may still be asked for: what is neither refunded nor being refunded."""
    return max(0, paid_minor - of_amount(part, paid_minor) - under_way)


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

    @property
    def accounted(self) -> int:
        """All that is gone, whoever took it."""
        return self.by_refunds + self.reversed + self.expired

    @property
    def by_refunds(self) -> int:
        return self.coins + self.owed + self.forgiven


@dataclass(frozen=True, slots=True)
class Step:
    """What to book so that a grant's books meet its target. At most one of the two sides is not zero."""

    take: int = 0
    owe: int = 0
    forgive: int = 0
    unforgive: int = 0
    cancel: int = 0
    give_back: int = 0


def step_to(target: int, taken: Taken, *, available: int, debt: int, policy: Clawback) -> Step:
    """The step from what the books say to the target, for a wallet with `available` coins and a user who owes `debt`.

    Taking: what the wallet has, the rest by policy. Giving back, in the reverse order: what was forgiven or is still
    owed is let go of first, and only then coins return.
    """
    missing = target - taken.accounted
    if missing > 0:
        take = min(missing, max(0, available))
        rest = missing - take
        return Step(take=take, forgive=rest) if policy is Clawback.FORGIVE else Step(take=take, owe=rest)
    surplus = min(-missing, taken.by_refunds)
    unforgive = min(surplus, taken.forgiven)
    cancel = min(surplus - unforgive, taken.owed, debt)
    return Step(unforgive=unforgive, cancel=cancel, give_back=surplus - unforgive - cancel)


def taken_from(sums: Mapping[str, int]) -> Taken:
    """The same from the sums of transfers by kind."""
    return Taken(
        coins=sums.get(CLAWBACK, 0) - sums.get(RETURNED, 0),
        owed=sums.get(DEBT, 0) - sums.get(DEBT_CANCELLED, 0),
        forgiven=sums.get(FORGIVEN, 0) - sums.get(UNFORGIVEN, 0),
        reversed=sums.get("reversal", 0),
        expired=sums.get("expiry", 0),
    )


# The kinds of transfer that refunds make, as the statement shows them.
REFUND, REFUND_UNDONE = "refund", "refund_undone"
CLAWBACK, RETURNED = "clawback", "clawback_returned"
DEBT, DEBT_CANCELLED = "debt", "debt_cancelled"
FORGIVEN, UNFORGIVEN = "forgiven", "unforgiven"
MONEY_KINDS = (REFUND, REFUND_UNDONE)
COIN_KINDS = (CLAWBACK, RETURNED, DEBT, DEBT_CANCELLED, FORGIVEN, UNFORGIVEN)
