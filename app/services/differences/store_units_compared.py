"""A store's sales reports beside our books: units by product, territory and day, and refunds by month. No line of such
a report names a purchase, so a difference is about units and not about one payment."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from app.domain.differences import Difference, DifferenceType
from app.domain.store_cells import UnitDifference, UnitFault
from app.providers.registry import ProviderAccount
from app.services.base.context import Tx
from app.services.finance.store_units import refund_differences, unit_differences, zone_of_sales

_A_DAY = timedelta(days=1)
_INSTANT = timedelta(microseconds=1)
_OF_UNITS = {
    UnitFault.OURS_NOT_THEIRS: DifferenceType.OURS_NOT_THEIRS,
    UnitFault.THEIRS_NOT_OURS: DifferenceType.THEIRS_NOT_OURS,
}
_OF_REFUNDS = {
    UnitFault.OURS_NOT_THEIRS: DifferenceType.REFUND_MISSING,
    UnitFault.THEIRS_NOT_OURS: DifferenceType.REFUND_EXTRA,
}


@dataclass(slots=True)
class UnitsCompared:
    """What one comparison found."""

    zone: str
    not_ours: int = 0
    found: list[Difference] = field(default_factory=list)


def units_compared(tx: Tx, account: ProviderAccount, since: datetime, until: datetime) -> UnitsCompared:
    """Of that time: the days of the store's calendar that begin in it, and the months whose last day does."""
    zone = zone_of_sales(tx, account)
    result = UnitsCompared(zone.key)
    first, last = since.astimezone(zone).date(), (until - _INSTANT).astimezone(zone).date()
    for one in unit_differences(tx, account, first, last):
        _take(result, one, _OF_UNITS, f"day {one.day}", one.day, zone)
    for month, end in _months_that_end(first, last):
        for one in refund_differences(tx, account, month):
            _take(result, one, _OF_REFUNDS, f"refunds of {month:%Y-%m}", end, zone)
    result.found = [one for one in result.found if since <= one.at < until]
    return result


def _take(
    result: UnitsCompared,
    one: UnitDifference,
    types: dict[UnitFault, DifferenceType],
    when: str,
    day: date,
    zone: ZoneInfo,
) -> None:
    if one.fault not in types:
        result.not_ours += one.units
        return
    subject = f"{one.units} x {one.product}, {one.territory or 'territory unknown'}, {when}"
    at = datetime.combine(day, time(), zone).astimezone(UTC)
    result.found.append(Difference(types[one.fault], subject, at))


def _months_that_end(first: date, last: date) -> Iterator[tuple[date, date]]:
    """The first and the last day of each month whose last day is one of these days."""
    day = first
    while day <= last:
        if (day + _A_DAY).day == 1:
            yield day.replace(day=1), day
        day += _A_DAY
