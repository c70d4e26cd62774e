"""How the ledger is set up: the order in which lots are spent, and what a user may spend in a day and in a month."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo

from app.domain.ledger import MAX_AMOUNT
from app.domain.lots import SpendOrder


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


@dataclass(frozen=True, slots=True)
class Periods:
    """The day and the month of a moment, as small integers that can be compared."""

    day: int
    month: int


def periods(at: datetime, zone: tzinfo) -> Periods:
    local = at.astimezone(zone)
    return Periods(day=local.date().toordinal(), month=local.year * 12 + local.month)


def room(limit: int | None, amount: int) -> int:
    """How much may have been spent before, so that `amount` still fits under the limit. Negative: it never fits."""
    return (MAX_AMOUNT if limit is None else limit) - amount


NO_LIMIT = SpendLimit()


def limit_for(rules: LedgerRules, asset: str) -> SpendLimit:
    return rules.limits.get(asset, NO_LIMIT)
