"""What must hold for one user with agreements that we charge, from the provider's own books alone.

It knows nothing of our code. `knowing` is how far the books are read: a message may be under way, so that we may still
say what was true a day ago.
"""

from __future__ import annotations

import calendar
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

GRACE = timedelta(days=1)
"""Of every plan."""
EARLY = timedelta(days=1)
"""A charge is made in the hours of the due day that come before the period begins."""


FOREVER = datetime.max.replace(tzinfo=UTC)
REPLACED_FOR = timedelta(days=9)
"""So long at the most we may not know that another agreement was signed in the place of one."""
TOLD_FOR = timedelta(days=12)
"""So long before a charge its payer may have been told of its amount, or it was first tried."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is sold for one price."""

    sku: str
    minor: int
    coins: int
    names: frozenset[str]


@dataclass(slots=True)
class BookedCharge:
    """A charge in the provider's books."""

    number: str
    asked_at: datetime
    minor: int
    paid_at: datetime | None = None
    refunded_at: datetime | None = None
    is_over: bool = False
    begun_at: datetime | None = None
    """Where its month begins with no month before, as nobody worked while the tries of the month before were due."""


@dataclass(slots=True)
class Pause:
    """When we ourselves wanted no charges."""

    since: datetime
    until: datetime | None = None


@dataclass(slots=True)
class BookedAgreement:
    """An agreement in the provider's books, and what we ourselves wanted of it, and when."""

    number: str
    zone: str
    most_minor: int
    """What the payer has signed."""
    signed_at: datetime | None = None
    ended_at: datetime | None = None
    unwanted_at: datetime | None = None
    replaces: BookedAgreement | None = None
    is_paid_at_once: bool = False
    """The first period is paid by the act of signing."""
    replaced_by: BookedAgreement | None = None
    charges: list[BookedCharge] = field(default_factory=list)
    pauses: list[Pause] = field(default_factory=list)
    resumed: list[datetime] = field(default_factory=list)
    wishes: list[tuple[datetime, int]] = field(default_factory=list)
    """From when on which price was wanted."""

    def moments(self) -> Iterator[datetime]:
        """When something happened to it."""
        yield from filter(None, (self.signed_at, self.ended_at, self.unwanted_at))
        for charge in self.charges:
            yield from filter(None, (charge.paid_at, charge.refunded_at))

    @property
    def is_replaced(self) -> bool:
        return self.replaced_by is not None and self.replaced_by.signed_at is not None

    @property
    def is_paused(self) -> bool:
        return bool(self.pauses) and self.pauses[-1].until is None

    def paid_through(self) -> datetime | None:
        """The end of the newest period that is paid."""
        return max((end for _, end, _ in self.paid(FOREVER)), default=None)

    def anchor(self) -> datetime | None:
        """Where the first period begins: with the signature, or with a payment that came without one; in the place of
        another agreement, when what is paid under that is over."""
        begin = self.signed_at or min(filter(None, (charge.paid_at for charge in self.charges)), default=None)
        if begin is None or self.replaces is None or self.is_paid_at_once:
            return begin
        return max(begin, self.replaces.paid_through() or begin)

    def paid(self, knowing: datetime) -> list[tuple[datetime, datetime, BookedCharge]]:
        """Beginning and end of each period that is paid: each paid charge pays the month after the one before, but no
        month that is over. Where charging is resumed when nothing is paid any more, the next month begins then."""
        anchor, months, through = self.anchor(), 0, None
        resumed, found = list(self.resumed), list[tuple[datetime, datetime, BookedCharge]]()
        if anchor is None:
            return found
        for charge in sorted(self.charges, key=lambda each: each.asked_at):
            if charge.paid_at is None:
                continue
            while resumed and resumed[0] <= charge.asked_at:
                again_at = resumed.pop(0)
                if through is None or through <= again_at:
                    anchor, months = again_at, 0
            if charge.begun_at is not None:
                anchor, months = charge.begun_at, 0
            while charge.asked_at >= month_later(anchor, months + 1, self.zone) - EARLY:
                months += 1  # the provider took no charge of that month
            start, through = (month_later(anchor, months + further, self.zone) for further in (0, 1))
            months += 1
            found.append((start, through, charge))
        return [each for each in found if each[2].paid_at is not None and each[2].paid_at <= knowing]

    def late(self, tried_for: timedelta) -> Iterator[tuple[datetime, BookedCharge]]:
        """The paid charges that were asked for so long after the beginning of their month, with that beginning."""
        for start, _, charge in self.paid(FOREVER):
            if charge.begun_at is None and charge.asked_at >= start + tried_for:
                yield start, charge

    def active(
        self, now: datetime, knowing: datetime, knowing_signatures: datetime, plans: Mapping[int, Plan]
    ) -> dict[str, datetime]:
        """What it makes active at `now`, until when. Payments and signatures are told by messages of their own."""
        kept = [
            (start, end, plans[charge.minor].names)
            for start, end, charge in self.paid(knowing)
            if charge.refunded_at is None or charge.refunded_at > knowing
        ]
        begun = [span for span in kept if span[0] <= now]
        if not begun:
            return {}
        _, until, names = max(begun, key=lambda span: span[1])
        for start, end, others in kept:
            if start <= until and others == names:
                until = max(until, end)
        until += GRACE if self._goes_on(now, knowing_signatures) else timedelta(0)
        return dict.fromkeys(names, until) if until > now else {}

    def _goes_on(self, now: datetime, knowing: datetime) -> bool:
        """Whether the next period will be charged, as far as is known."""
        is_signed = self.signed_at is not None and self.signed_at <= knowing
        is_over = self.ended_at is not None and self.ended_at <= knowing
        is_unwanted = self.unwanted_at is not None and self.unwanted_at <= now
        other = None if self.replaced_by is None else self.replaced_by.signed_at
        is_replaced = other is not None and other <= knowing
        return is_signed and not (is_over or is_unwanted or is_replaced or self.is_paused)

    def faults(self) -> Iterator[str]:
        """What a provider's books may never show, whatever we know."""
        for start, _, charge in self.paid(FOREVER):
            if charge.asked_at < start - EARLY:
                yield f"{self.number}: charge {charge.number} of {charge.asked_at} for the period from {start} on"
        for charge in self.charges:
            at, about = charge.asked_at, f"{self.number}: charge {charge.number}"
            if self.ended_at is not None and at > self.ended_at:
                yield f"{about} was asked for after the end"
            if self.unwanted_at is not None and at > self.unwanted_at:
                yield f"{about} was asked for after we wanted its end"
            other = None if self.replaced_by is None else self.replaced_by.signed_at
            if other is not None and at > other + REPLACED_FOR:
                yield f"{about} was asked for after another one was signed in its place"
            if any(pause.since < at < (pause.until or at) for pause in self.pauses) or (
                self.is_paused and at > self.pauses[-1].since
            ):
                yield f"{about} was asked for while it was paused"
            if charge.minor not in self._wanted(at):
                yield f"{about} took {charge.minor}, and {sorted(self._wanted(at))} was wanted"

    def _wanted(self, at: datetime) -> set[int]:
        """The prices that were wanted at some moment shortly before."""
        newest = [minor for since, minor in self.wishes if since <= at - TOLD_FOR][-1:]
        return {*newest, *(minor for since, minor in self.wishes if at - TOLD_FOR < since <= at)}


@cache
def month_later(anchor: datetime, months: int, zone: str) -> datetime:
    """By the clock on the user's wall: the same day and time, or the last day that the month has."""
    if not months:
        return anchor
    local = anchor.astimezone(ZoneInfo(zone))
    month = local.month - 1 + months
    year, month = local.year + month // 12, month % 12 + 1
    day = min(local.day, calendar.monthrange(year, month)[1])
    wall = local.replace(year=year, month=month, day=day, fold=0)
    return wall.astimezone(UTC)


@dataclass
class DebitModel:
    """All agreements of one user."""

    plans: Mapping[int, Plan]
    """By price."""
    agreements: list[BookedAgreement] = field(default_factory=list)

    def moments(self) -> Iterator[datetime]:
        for each in self.agreements:
            yield from each.moments()

    def turns(self) -> Iterator[datetime]:
        for each in self.agreements:
            for start, end, _ in each.paid(FOREVER):
                yield from (start, end, end + GRACE)

    def active(self, now: datetime, knowing: datetime, knowing_signatures: datetime) -> dict[str, datetime]:
        found = dict[str, datetime]()
        for each in self.agreements:
            for name, until in each.active(now, knowing, knowing_signatures, self.plans).items():
                found[name] = max(until, found.get(name, until))
        return found

    def kept(self, knowing: datetime) -> list[BookedCharge]:
        """What is paid, and not given back."""
        return [
            charge
            for each in self.agreements
            for _, _, charge in each.paid(knowing)
            if charge.refunded_at is None or charge.refunded_at > knowing
        ]

    def coins(self, knowing: datetime) -> int:
        return sum(self.plans[charge.minor].coins for charge in self.kept(knowing))

    def horizons(self, now: datetime, lag: timedelta) -> Sequence[datetime]:
        """Every moment up to which the books may have been read by now."""
        recent = {moment for each in self.agreements for moment in each.moments() if now - lag <= moment <= now}
        return [now - lag, *sorted(recent), now]

    def faults(self) -> Iterator[str]:
        for each in self.agreements:
            yield from each.faults()
