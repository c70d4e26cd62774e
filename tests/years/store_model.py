"""What must hold for one user with subscriptions that a store charges, from what the store sold and gave back alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import product

WHOLE = 100_000


@dataclass(slots=True)
class SoldPeriod:
    """A period in the store's books. `sold_at` is when the store had it in them."""

    number: str
    product: str
    sold_at: datetime
    start: datetime
    end: datetime
    replaced_at: datetime | None = None
    refunded_at: datetime | None = None

    def given_back(self, knowing: datetime) -> int:
        """What part of its price went back, in parts per 100 000, rounded half up."""
        if self.refunded_at is not None and self.refunded_at <= knowing:
            return WHOLE
        if self.replaced_at is None or self.replaced_at > knowing:
            return 0
        left, length = (self.end - self.replaced_at) / timedelta(milliseconds=1), (self.end - self.start) / MS
        return int((2 * WHOLE * left + length) // (2 * length))


MS = timedelta(milliseconds=1)


@dataclass(slots=True)
class Grace:
    """The store could not collect, and lets the customer use it until `until`; over for another reason at `over_at`."""

    since: datetime
    until: datetime
    over_at: datetime | None = None


@dataclass(slots=True)
class Subscription:
    """What one user bought of one subscription."""

    number: str
    periods: list[SoldPeriod] = field(default_factory=list)
    graces: list[Grace] = field(default_factory=list)

    def moments(self) -> Iterator[datetime]:
        for period in self.periods:
            yield from filter(None, (period.sold_at, period.replaced_at, period.refunded_at))
        for grace in self.graces:
            yield from filter(None, (grace.since, grace.over_at))

    def active(self, now: datetime, knowing: datetime, made_active: dict[str, frozenset[str]]) -> dict[str, datetime]:
        kept = [each for each in self.periods if each.sold_at <= knowing and each.given_back(knowing) < WHOLE]
        spans = [(each.start, self._end(each, knowing), made_active[each.product]) for each in kept]
        begun = [span for span in spans if span[0] <= now]
        if not begun:
            return {}
        _, until, names = max(begun)
        for start, end, others in sorted(spans):
            if start <= until and others == names:
                until = max(until, end)
        for grace in self.graces:
            if grace.since <= knowing and (grace.over_at is None or grace.over_at > knowing):
                until = max(until, grace.until)
        return dict.fromkeys(names, until) if until > now else {}

    def _end(self, period: SoldPeriod, knowing: datetime) -> datetime:
        """A period that another one replaced ends there."""
        later = [each.start for each in self.periods if each.start > period.start and each.sold_at <= knowing]
        replaced = [period.replaced_at] if period.replaced_at is not None and period.replaced_at <= knowing else []
        return min([period.end, *later, *replaced])


@dataclass(slots=True)
class SharedTime:
    """What one user has of what somebody of the family pays. Whose it is is known when a device has brought it."""

    number: str
    said: list[tuple[datetime, str, datetime | None]] = field(default_factory=list)
    """What the store says from a moment on: which product may be used, and until when; None: no more."""
    brought_at: datetime | None = None

    def moments(self) -> Iterator[datetime]:
        yield from (since for since, _, _ in self.said)
        if self.brought_at is not None:
            yield self.brought_at

    def active(self, now: datetime, knowing: datetime, made_active: dict[str, frozenset[str]]) -> dict[str, datetime]:
        if self.brought_at is None or self.brought_at > knowing:
            return {}
        _, named, until = [word for word in self.said if word[0] <= knowing][-1]
        return {} if until is None or until <= now else dict.fromkeys(made_active[named], until)


@dataclass
class StoreModel:
    """All subscriptions of one user."""

    made_active: dict[str, frozenset[str]]
    coins_of: dict[str, int]
    subscriptions: dict[str, Subscription] = field(default_factory=dict)
    shares: list[SharedTime] = field(default_factory=list)

    def moments(self) -> Iterator[datetime]:
        for each in (*self.subscriptions.values(), *self.shares):
            yield from each.moments()

    def turns(self) -> Iterator[datetime]:
        for share in self.shares:
            yield from filter(None, (until for _, _, until in share.said))
        for each in self.subscriptions.values():
            for period in each.periods:
                yield from (period.start, period.end)
            yield from (grace.until for grace in each.graces)

    def may_be_active(self, now: datetime, horizons: Sequence[datetime]) -> list[dict[str, datetime]]:
        """Each subscription is told of by messages of its own, and may be known as far as any of the horizons."""
        of_each = [
            _distinct(each.active(now, horizon, self.made_active) for horizon in horizons)
            for each in (*self.subscriptions.values(), *self.shares)
        ]
        return [_latest(one) for one in product(*of_each)]

    def may_have(self, horizons: Sequence[datetime]) -> set[int]:
        """What was sold and what went back are told by messages of their own, too."""
        sums = {0}
        for each in self.subscriptions.values():
            coins = {self._coins(each, *pair) for pair in product(horizons, repeat=2)}
            sums = {known + more for known in sums for more in coins}
        return sums

    def _coins(self, subscription: Subscription, knowing: datetime, knowing_refunds: datetime) -> int:
        sold = (period for period in subscription.periods if period.sold_at <= knowing)
        return sum(self._kept(period, knowing_refunds) for period in sold)

    def _kept(self, period: SoldPeriod, knowing: datetime) -> int:
        granted = self.coins_of[period.product]
        return granted - (2 * granted * period.given_back(knowing) + WHOLE) // (2 * WHOLE)

    def horizons(self, now: datetime, lag: timedelta) -> Sequence[datetime]:
        recent = {at for at in self.moments() if now - lag <= at <= now}
        return [now - lag, *sorted(recent), now]


def _distinct(found: Iterable[dict[str, datetime]]) -> list[dict[str, datetime]]:
    kept = list[dict[str, datetime]]()
    for each in found:
        if each not in kept:
            kept.append(each)
    return kept


def _latest(of_each: Iterable[dict[str, datetime]]) -> dict[str, datetime]:
    """What several subscriptions make active: each thing until the latest moment."""
    found = dict[str, datetime]()
    for each in of_each:
        for name, until in each.items():
            found[name] = max(until, found.get(name, until))
    return found
