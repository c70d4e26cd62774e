"""When a period's charge is attempted, and attempted again after a refusal, and when that is over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from enum import StrEnum

from app.domain.facts import Refusal
from app.domain.periods import charge_moment

MOST_ATTEMPTS = 10
"""Charges of one period: as many as an order may have payments."""
RETRY_DAYS: Mapping[Refusal, tuple[int, ...]] = {
    Refusal.NO_MONEY: (1, 2, 3, 5, 7),
    Refusal.OVER_LIMIT: (1, 2, 3, 5, 7),
    Refusal.NOT_NOW: (1,),
    Refusal.AGREEMENT_GONE: (),
    Refusal.OTHER: (1, 3, 5),
}
"""So many days after the day on which a period was due a charge is attempted again, by the reason of the refusal. A
refusal that says no more than «not now» says nothing of the payer: these days count from the refusal."""
DAYTIME = timedelta(hours=12)
"""So long after the hour of charges a charge may still be made on that day: there are providers that take none at
night."""
NOTICE_MARGIN = timedelta(hours=1)
"""So much earlier than it must be told a charge is announced."""


class WhenUnpaid(StrEnum):
    """What becomes of an agreement whose period is not paid when all attempts are over."""

    END = "end"
    """We end the agreement, at the provider too."""
    KEEP = "keep"
    """It stays past due, and a person sees to it."""


class ChargeAfterEnd(StrEnum):
    """What becomes of a charge that was under way when its agreement ended, and succeeds all the same."""

    CREDIT = "credit"
    """The period is paid, and active."""
    REFUND = "refund"
    """It is credited, and given back by ourselves."""


@dataclass(frozen=True, slots=True)
class ChargingRules:
    """How this installation charges."""

    hour: int = 9
    """Of the user's day."""
    attempts: int = 4
    """For one period."""
    per_day: int = 5
    """Charges of one user within a day of that user; further ones wait for the next day."""
    when_unpaid: WhenUnpaid = WhenUnpaid.END
    zone: str = "UTC"
    """Of users for whom no other is given."""
    signing_minutes: int = 60
    """How long an agreement can be signed."""
    after_end: ChargeAfterEnd = ChargeAfterEnd.CREDIT


def announcement_moment(charge_at: datetime, notice: timedelta) -> datetime:
    """When the payer is told of a charge, where the provider wants that so long before."""
    return charge_at - notice - NOTICE_MARGIN


def announced_charge(told_at: datetime, notice: timedelta, rules: ChargingRules, zone: tzinfo) -> datetime:
    """When a charge can be made at the earliest of which the payer was told at that moment: by day."""
    earliest = told_at + notice
    day = earliest.astimezone(zone).date()
    begins = charge_moment(day, rules.hour, zone)
    if earliest > begins + DAYTIME:
        return charge_moment(day + timedelta(days=1), rules.hour, zone)
    return max(earliest, begins)


def next_attempt(
    day: date,
    refusal: Refusal,
    *,
    now: datetime,
    attempts: int,
    until: datetime,
    rules: ChargingRules,
    zone: tzinfo,
) -> datetime | None:
    """When the charge of a period that was due on that day is tried again, after so many attempts of which the last was
    refused now; None: never. `until` is when attempts make no sense any more."""
    if attempts >= min(rules.attempts, MOST_ATTEMPTS):
        return None
    if refusal is Refusal.NOT_NOW:
        day = now.astimezone(zone).date()
    moments = (charge_moment(day + timedelta(days=days), rules.hour, zone) for days in RETRY_DAYS[refusal])
    return next((moment for moment in moments if now < moment <= until), None)
