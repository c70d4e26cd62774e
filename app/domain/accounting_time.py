"""When a transfer counts in the reports of finance. No database.

A transfer is booked at one moment (`created_at`) and effective at another: a payment is effective when the provider
took the money, though its fact may come days later. Finance reports by effective time, until a month is closed. What is
booked for a closed month afterwards counts when it is booked, as an adjustment of a prior period: so what was reported
for a closed month never changes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from enum import StrEnum

from app.domain.ledger import moment_of
from app.domain.limits import month_start_us

FACT_KINDS = frozenset({"payment", "surplus", "suspense", "purchase", "bonus", "refund", "refund_undone"})
"""The kinds of transfer that are effective when a provider's fact says."""
BILL_KINDS = frozenset(
    {
        "bill_fee",
        "bill_fee_return",
        "bill_discount",
        "bill_payout",
        "bill_transfer",
        "bill_share",
        "bill_adjustment",
        "bill_other",
        "bill_others_money",
    }
)
"""The kinds of transfer that are effective when a line of a provider's bill says."""
HAND_KINDS = frozenset({"journal"})
"""Journal entries, which are effective when their document says."""
DERIVED_KINDS = frozenset({"recognised", "breakage", "opening_value", "store_share", "store_tax"})
"""What is worked out for a day that has ended, and booked later."""
EFFECTIVE_KINDS = FACT_KINDS | BILL_KINDS | HAND_KINDS | DERIVED_KINDS
"""All others are effective when they are booked."""
TICK = timedelta(microseconds=1)
"""The smallest step of time in the books."""
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_MONTH = re.compile(r"([0-9]{4})-([0-9]{2})", re.ASCII)


class Basis(StrEnum):
    """By which time a report counts transfers."""

    EFFECTIVE = "effective"
    """When they happened; in a closed month only what was booked before its closing."""
    BOOKING = "booking"
    """When they were booked."""


class NotATime(ValueError):
    """The text is no date, month or moment."""


@dataclass(frozen=True, slots=True)
class ClosedMonth:
    """A month whose reports stand. It contains everything that was booked before `booked_until`."""

    until: datetime
    """The end of the month in the zone of the rules."""
    booked_until: datetime
    """What is booked from that moment on counts when it is booked. Never before `until`."""


@dataclass(frozen=True, slots=True)
class LateTransfers:
    """Transfers that were booked after a moment and all the same count before it: those that are effective from `since`
    until just before `until`, and were booked before `booked_until` (None: whenever)."""

    since: datetime
    until: datetime
    booked_until: datetime | None


@dataclass(frozen=True, slots=True)
class Span:
    """From `since` until just before `until`."""

    since: datetime
    until: datetime


def effective_before(told: datetime | None, created_at: datetime) -> datetime | None:
    """What is stored as a transfer's effective time: nothing happens after it was booked."""
    return told if told is not None and told < created_at else None


def accounting_at(created_at: datetime, effective_at: datetime | None, closed: Iterable[ClosedMonth]) -> datetime:
    """When the transfer counts."""
    if effective_at is None or effective_at >= created_at:
        return created_at
    for month in closed:
        if effective_at < month.until and created_at >= month.booked_until:
            return created_at
    return effective_at


def accounting_date(
    created_at: datetime, effective_at: datetime | None, closed: Iterable[ClosedMonth], zone: tzinfo
) -> date:
    """The day in whose reports the transfer counts. A late transfer of a closed month counts on the day of its booking,
    which lies in a month that was open then."""
    return accounting_at(created_at, effective_at, closed).astimezone(zone).date()


def late_at(moment: datetime, closed: Sequence[ClosedMonth]) -> list[LateTransfers]:
    """Which transfers that were booked after the moment count at the moment or before. `closed` in the order of time.

    Of a closed month, and of those before it, only what was booked before its closing: months that were closed before
    the moment have none.
    """
    late, since = list[LateTransfers](), datetime.min.replace(tzinfo=UTC)
    end = moment + TICK
    for month in closed:
        until = min(month.until, end)
        if since < until and month.booked_until > end:
            late.append(LateTransfers(since, until, month.booked_until))
        since = max(since, month.until)
    if since < end:
        late.append(LateTransfers(since, end, None))
    return late


def start_of_day(day: date, zone: tzinfo) -> datetime:
    """When that day begins in the zone."""
    return datetime.combine(day, time(), zone).astimezone(UTC)


def end_of_day(day: date, zone: tzinfo) -> datetime:
    """When the day after it begins in the zone."""
    return start_of_day(day + timedelta(days=1), zone)


def month_span(month: str, zone: tzinfo) -> Span:
    """A month like `2026-01` in that zone. Raises NotATime."""
    found = _MONTH.fullmatch(month)
    if found is None or not 1 <= int(found[2]) <= 12 or not 1 <= int(found[1]) < 9999:
        raise NotATime(f"not a month like 2026-01: {month}")
    number = int(found[1]) * 12 + int(found[2])
    return Span(moment_of(month_start_us(number, zone)), moment_of(month_start_us(number + 1, zone)))


def month_after(month: str) -> str:
    """The month that follows one like `2026-01`."""
    year, number = map(int, month.split("-"))
    return f"{year + number // 12:04}-{number % 12 + 1:02}"


def moment_given(text: str, zone: tzinfo, *, is_end: bool) -> datetime:
    """A bare date is the beginning of that day in the zone, or its last microsecond if `is_end`; everything else must
    be an ISO 8601 time with its zone. Raises NotATime."""
    try:
        if _DAY.fullmatch(text):
            day = date.fromisoformat(text)
            return end_of_day(day, zone) - TICK if is_end else start_of_day(day, zone)
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise NotATime(f"not a date like 2026-01-31, and not an ISO 8601 time with its zone: {text}")
