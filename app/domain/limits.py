"""How the ledger is set up: the order in which lots are spent, and what a user may spend in a day and in a month."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, tzinfo
from functools import lru_cache

from app.domain.event_types import ALL_TYPES, EventType
from app.domain.ledger import MAX_AMOUNT, microseconds
from app.domain.lots import SpendOrder
from app.domain.seals import Seals


@dataclass(frozen=True, slots=True)
class SpendLimit:
    """The most that one user may spend of one asset. None: no limit."""

    day: int | None = None
    month: int | None = None


@dataclass(frozen=True, slots=True)
class LedgerRules:
    """Settings of the ledger. `limits` is by asset; days and months are those of `zone`."""

    spend_order: SpendOrder = SpendOrder.BONUS_FIRST
    limits: Mapping[str, SpendLimit] = field(default_factory=dict)
    zone: tzinfo = UTC
    zone_since: datetime | None = None
    """When this zone came into force, if there was another before: what was counted in days and months that began
    earlier cannot be derived again."""
    seals: Seals = field(default_factory=Seals)
    """The keys with which rows are sealed."""
    events: frozenset[EventType] = ALL_TYPES
    """The types of events that are written. The backend wants no others."""


@dataclass(frozen=True, slots=True)
class Periods:
    """The day and the month of a moment, as small integers that can be compared."""

    day: int
    month: int


def periods(at: datetime, zone: tzinfo) -> Periods:
    local = at.astimezone(zone)
    return Periods(day=local.date().toordinal(), month=local.year * 12 + local.month)


@lru_cache(maxsize=64)
def start_us(day: int, zone: tzinfo) -> int:
    """When that day begins, in microseconds since 1970."""
    return microseconds(datetime.combine(date.fromordinal(day), time(), zone))


def month_start_us(month: int, zone: tzinfo) -> int:
    """When that month begins, in microseconds since 1970."""
    year, before = divmod(month - 1, 12)
    return start_us(date(year, before + 1, 1).toordinal(), zone)


def room(limit: int | None, amount: int) -> int:
    """How much may have been spent before, so that `amount` still fits under the limit. Negative: it never fits."""
    return (MAX_AMOUNT if limit is None else limit) - amount


NO_LIMIT = SpendLimit()


def limit_for(rules: LedgerRules, asset: str) -> SpendLimit:
    return rules.limits.get(asset, NO_LIMIT)
