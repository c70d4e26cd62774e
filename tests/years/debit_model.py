"""What must hold for one user with agreements that we charge, from the provider's own books alone.

It knows nothing of our code. `knowing` is how far the books are read: a message may be under way, so that we may still
say what was true a day ago.
"""

from __future__ import annotations

import calendar
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

GRACE = timedelta(days=1)
"""The plan's."""
EARLY = timedelta(days=1)
"""A charge is made in the hours of the due day that come before the period begins."""


@dataclass(slots=True)
class BookedCharge:
    """A charge in the provider's books."""

    number: str
    asked_at: datetime
    paid_at: datetime | None = None
    refunded_at: datetime | None = None


@dataclass(slots=True)
class BookedAgreement:
    """An agreement in the provider's books, and when we ourselves wanted its end."""

    number: str
    zone: str
    signed_at: datetime | None = None
    ended_at: datetime | None = None
    unwanted_at: datetime | None = None
    charges: list[BookedCharge] = field(default_factory=list)

    def moments(self) -> Iterator[datetime]:
        """When something happened to it."""
        yield from filter(None, (self.signed_at, self.ended_at, self.unwanted_at))
        for charge in self.charges:
            yield from filter(None, (charge.paid_at, charge.refunded_at))

    def anchor(self) -> datetime | None:
        """Where the first period begins: with the signature, or with a payment that came without one."""
        return self.signed_at or min(filter(None, (charge.paid_at for charge in self.charges)), default=None)

    def paid(self, knowing: datetime) -> list[tuple[datetime, datetime, BookedCharge]]:
        """Beginning and end of each period that is paid: the n-th paid charge pays the n-th month."""
        anchor = self.anchor()
        if anchor is None:
            return []
        in_order = sorted(self.charges, key=lambda charge: charge.asked_at)
        known = [charge for charge in in_order if charge.paid_at is not None and charge.paid_at <= knowing]
        return [
            (month_later(anchor, n, self.zone), month_later(anchor, n + 1, self.zone), charge)
            for n, charge in enumerate(known)
        ]

    def until(self, now: datetime, knowing: datetime, knowing_signatures: datetime) -> datetime | None:
        """Until when it makes something active at `now`; None: it does not. Payments and signatures are told by
        messages of their own."""
        kept = [
            (start, end)
            for start, end, charge in self.paid(knowing)
            if charge.refunded_at is None or charge.refunded_at > knowing
        ]
        begun = [end for start, end in kept if start <= now]
        if not begun:
            return None
        until = max(begun)
        for start, end in kept:
            if start <= until:
                until = max(until, end)
        is_signed = self.signed_at is not None and self.signed_at <= knowing_signatures
        is_over = self.ended_at is not None and self.ended_at <= knowing_signatures
        is_unwanted = self.unwanted_at is not None and self.unwanted_at <= now
        until += GRACE if is_signed and not is_over and not is_unwanted else timedelta(0)
        return until if until > now else None


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

    agreements: list[BookedAgreement] = field(default_factory=list)

    def moments(self) -> Iterator[datetime]:
        for each in self.agreements:
            yield from each.moments()

    def turns(self) -> Iterator[datetime]:
        for each in self.agreements:
            for start, end, _ in each.paid(datetime.max.replace(tzinfo=UTC)):
                yield from (start, end, end + GRACE)

    def active_until(self, now: datetime, knowing: datetime, knowing_signatures: datetime) -> datetime | None:
        found = (each.until(now, knowing, knowing_signatures) for each in self.agreements)
        return max(filter(None, found), default=None)

    def paid_and_kept(self, knowing: datetime) -> int:
        """How many periods are paid, and not given back."""
        return sum(
            charge.refunded_at is None or charge.refunded_at > knowing
            for each in self.agreements
            for _, _, charge in each.paid(knowing)
        )

    def horizons(self, now: datetime, lag: timedelta) -> Sequence[datetime]:
        """Every moment up to which the books may have been read by now."""
        recent = {moment for each in self.agreements for moment in each.moments() if now - lag <= moment <= now}
        return [now - lag, *sorted(recent), now]

    def faults(self) -> Iterator[str]:
        """What a provider's books may never show, whatever we know."""
        for each in self.agreements:
            for start, _, charge in each.paid(datetime.max.replace(tzinfo=UTC)):
                if charge.asked_at < start - EARLY:
                    yield f"{each.number}: charge {charge.number} of {charge.asked_at} for the period from {start} on"
            for charge in each.charges:
                if each.ended_at is not None and charge.asked_at > each.ended_at:
                    yield f"{each.number}: charge {charge.number} was asked for after the end"
                if each.unwanted_at is not None and charge.asked_at > each.unwanted_at:
                    yield f"{each.number}: charge {charge.number} was asked for after we wanted its end"
