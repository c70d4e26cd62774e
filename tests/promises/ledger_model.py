"""A pure model of one asset of the ledger, as short as the rules allow. Expiry happens before each operation."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass
class ModelLot:
    number: int
    left: int
    bonus: bool
    expires: datetime | None


@dataclass
class ModelHold:
    rest: int
    until: datetime
    made: datetime
    expired: bool = False


@dataclass(frozen=True)
class ModelRefused:
    code: str


@dataclass
class ModelPosted:
    """A transfer: which lots it filled (`into`) or emptied, and, for a spend that counts, when it was."""

    amount: int
    into: bool
    uses: list[tuple[ModelLot, int]]
    counted: datetime | None = None


@dataclass
class Purse:
    lots: list[ModelLot] = field(default_factory=list)
    holds: dict[Any, ModelHold] = field(default_factory=dict)
    spent: dict[int, int] = field(default_factory=dict)
    """By day."""


class Model:
    def __init__(self, *, paid_first: bool, day_limit: int) -> None:
        self.paid_first = paid_first
        self.day_limit = day_limit
        self.purses = {0: Purse(), 1: Purse()}
        self.answers: dict[Any, tuple[Any, Any]] = {}
        """By the name of the request: its content, and what it came to."""
        self.numbers = 0

    def copy(self) -> Model:
        return copy.deepcopy(self)

    # --- keys ---

    def conflicts(self, name: Any, content: Any) -> bool:
        return name in self.answers and self.answers[name][0] != content

    def once(self, name: Any, content: Any, work: Callable[[], Any]) -> Any:
        if name not in self.answers:
            self.answers[name] = (content, work())
        return self.answers[name][1]

    def posted(self, name: Any) -> ModelPosted:
        answer = self.answers[name][1]
        assert isinstance(answer, ModelPosted)
        return answer

    # --- what there is ---

    def balance(self, who: int) -> int:
        return sum(lot.left for lot in self.purses[who].lots)

    def held(self, who: int) -> int:
        return sum(hold.rest for hold in self.purses[who].holds.values())

    def held_at(self, who: int, now: datetime) -> int:
        return sum(hold.rest for hold in self.purses[who].holds.values() if now < hold.until)

    def ordered(self, who: int) -> list[ModelLot]:
        def place(lot: ModelLot) -> tuple[datetime, bool, int]:
            return (lot.expires or NEVER, lot.bonus == self.paid_first, lot.number)

        return sorted((lot for lot in self.purses[who].lots if lot.left), key=place)

    def stale(self, who: int, now: datetime) -> list[ModelLot]:
        return [lot for lot in self.ordered(who) if lot.expires and lot.expires <= now]

    def fresh(self, who: int, now: datetime) -> list[ModelLot]:
        return [lot for lot in self.ordered(who) if not lot.expires or lot.expires > now]

    # --- what happens ---

    def end_holds(self, who: int, now: datetime) -> None:
        """A hold is over for whoever looks."""
        for name, hold in self.purses[who].holds.items():
            if hold.rest and now >= hold.until:
                self.release(who, name, now)

    def expire(self, who: int, now: datetime) -> None:
        self.end_holds(who, now)
        loose = sum(lot.left for lot in self.stale(who, now)) - self.held(who)
        for lot in self.stale(who, now):
            gone = max(0, min(lot.left, loose))
            lot.left -= gone
            loose -= gone

    def grant(self, who: int, amount: int, bonus: bool, expires: datetime | None) -> ModelPosted:
        self.numbers += 1
        lot = ModelLot(self.numbers, amount, bonus, expires)
        self.purses[who].lots.append(lot)
        return ModelPosted(amount, True, [(lot, amount)])

    def spend(self, who: int, amount: int, now: datetime, *, limited: bool) -> ModelPosted | ModelRefused:
        refused = self.refusal(who, amount, now, limited=limited)
        if refused:
            return refused
        if limited:
            self.count(who, amount, now)
        return ModelPosted(amount, False, take(self.fresh(who, now), amount), now if limited else None)

    def hold(self, who: int, name: Any, amount: int, now: datetime, lasts: timedelta) -> ModelHold | ModelRefused:
        refused = self.refusal(who, amount, now, limited=True)
        if refused:
            return refused
        self.count(who, amount, now)
        self.purses[who].holds[name] = ModelHold(amount, now + lasts, now)
        return self.purses[who].holds[name]

    def capture(
        self, who: int, name: Any, amount: int | None, final: bool, now: datetime
    ) -> ModelPosted | ModelRefused:
        hold = self.purses[who].holds[name]
        if hold.expired:
            return ModelRefused("hold_expired")
        if hold.rest == 0:
            return ModelRefused("hold_closed")
        if now >= hold.until:
            self.release(who, name, now)
            return ModelRefused("hold_expired")
        if amount is not None and amount > hold.rest:
            return ModelRefused("hold_exceeded")
        self.expire(who, now)
        amount = amount or hold.rest
        posted = ModelPosted(amount, False, take([*self.stale(who, now), *self.fresh(who, now)], amount))
        hold.rest -= amount
        if final:
            self.release(who, name, now)
        return posted

    def release(self, who: int, name: Any, now: datetime) -> None:
        hold = self.purses[who].holds[name]
        if hold.rest:
            self.uncount(who, hold.rest, hold.made)
            hold.rest = 0
            hold.expired = now >= hold.until
            self.expire(who, now)

    def reverse(self, who: int, of: ModelPosted, amount: int | None, now: datetime) -> ModelPosted | ModelRefused:
        amount = amount or of.amount
        if not of.into:
            uses = []
            for lot, used in reversed(of.uses):
                back = min(used, amount - sum(given for _, given in uses))
                if back:
                    lot.left += back
                    uses.append((lot, back))
            if of.counted:
                self.uncount(who, amount, of.counted)
            return ModelPosted(amount, True, uses)
        self.expire(who, now)
        if self.balance(who) - self.held(who) < amount:
            return ModelRefused("insufficient_funds")
        own = of.uses[0][0] if len(of.uses) == 1 else None
        lots = sorted(self.fresh(who, now), key=lambda lot: lot is not own)
        return ModelPosted(amount, False, take(lots, amount))

    def sweep(self, now: datetime) -> None:
        for who in self.purses:
            self.expire(who, now)

    # --- limits ---

    def refusal(self, who: int, amount: int, now: datetime, *, limited: bool) -> ModelRefused | None:
        self.expire(who, now)
        if limited and self.purses[who].spent.get(now.toordinal(), 0) + amount > self.day_limit:
            return ModelRefused("spend_limit")
        if self.balance(who) - self.held(who) < amount:
            return ModelRefused("insufficient_funds")
        return None

    def count(self, who: int, amount: int, now: datetime) -> None:
        spent = self.purses[who].spent
        spent[now.toordinal()] = spent.get(now.toordinal(), 0) + amount

    def uncount(self, who: int, amount: int, then: datetime) -> None:
        spent = self.purses[who].spent
        spent[then.toordinal()] = max(0, spent.get(then.toordinal(), 0) - amount)


def take(lots: list[ModelLot], amount: int) -> list[tuple[ModelLot, int]]:
    uses = []
    for lot in lots:
        used = min(lot.left, amount)
        if used:
            lot.left -= used
            amount -= used
            uses.append((lot, used))
    assert amount == 0
    return uses
