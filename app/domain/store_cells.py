"""Sales of a store, which names no purchase in its reports: units and money by product and territory. No database.

Units are compared by day. The store's day is another one than ours may be, and the store may count a purchase when it
began, so an entry of ours may be the neighbouring day's line. A difference is what no such pairing explains.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from app.domain.bill_lines import BillLine, StoreCell

NEIGHBOURS = timedelta(days=1)
"""How far apart the two days of one purchase may be."""
WHOLE_SHARE = 100_000
"""Shares of a price are in parts per this many."""


class UnitFault(StrEnum):
    """Who knows of more units than the other."""

    OURS_NOT_THEIRS = "ours_not_theirs"
    THEIRS_NOT_OURS = "theirs_not_ours"
    NOT_OURS = "not_ours"
    """Theirs, of a product that we do not sell: another system's, and no difference."""


@dataclass(frozen=True, slots=True)
class UnitEntry:
    """Units of one product on one day of the store's calendar; of our books or of a report."""

    product: str
    day: date
    units: int
    """More than zero. Refunds are compared among themselves."""
    territory: str | None = None
    """None where our fact does not tell it: then the entry may be any territory's."""


@dataclass(frozen=True, slots=True)
class UnitDifference:
    """Units that one side knows of alone."""

    fault: UnitFault
    product: str
    territory: str | None
    day: date
    units: int


@dataclass(frozen=True, slots=True)
class StoreFigure:
    """What a store collected of one product in one territory, and what it pays for that."""

    product: str
    territory: str
    price_currency: str
    currency: str
    """Of the proceeds."""
    units: int = 0
    gross_minor: int = 0
    """What customers paid, in `price_currency`; returns taken off."""
    proceeds_minor: int = 0

    @property
    def share_minor(self) -> int | None:
        """What the store kept: its commission and taxes, which it does not tell apart. None where it pays in another
        currency than its customers: then the rate is in between, and the share is no amount."""
        return self.gross_minor - self.proceeds_minor if self.currency == self.price_currency else None

    def plus(self, cell: StoreCell, proceeds_minor: int) -> StoreFigure:
        return StoreFigure(
            self.product,
            self.territory,
            self.price_currency,
            self.currency,
            self.units + cell.units,
            self.gross_minor + cell.units * cell.price_minor,
            self.proceeds_minor + proceeds_minor,
        )


def figures_of_store(lines: Iterable[BillLine]) -> list[StoreFigure]:
    """The lines of PROCEEDS added up, in the order of product, territory and currencies."""
    found = dict[tuple[str, str, str, str], StoreFigure]()
    for line in lines:
        cell = line.cell
        if cell is None:
            continue
        key = (cell.product, cell.territory, cell.price_currency, line.currency)
        found[key] = found.get(key, StoreFigure(*key)).plus(cell, line.amount_minor)
    return [found[key] for key in sorted(found)]


def shares_of_store(figures: Iterable[StoreFigure]) -> dict[str, int]:
    """What the store kept, by currency. What it pays in another currency than it took is left out."""
    shares = defaultdict[str, int](int)
    for figure in figures:
        if figure.share_minor is not None:
            shares[figure.currency] += figure.share_minor
    return dict(shares)


def estimated_share(gross_minor: int, parts: int) -> int:
    """What the store will keep of a gross amount, if that is so many parts of `WHOLE_SHARE`; rounded half up. An
    estimate until the store's report is there: it is shown as one, and never booked."""
    if not 0 <= parts <= WHOLE_SHARE:
        raise ValueError("an estimated share is a part of the price")
    magnitude = (2 * abs(gross_minor) * parts + WHOLE_SHARE) // (2 * WHOLE_SHARE)
    return magnitude if gross_minor >= 0 else -magnitude


def compare_units(
    ours: Iterable[UnitEntry],
    theirs: Iterable[UnitEntry],
    *,
    reported: Collection[date],
    products: Collection[str] | None = None,
) -> list[UnitDifference]:
    """What remains when each unit of ours is paired with one of theirs of the same product and territory, on the same
    day or a neighbouring one, so that as few as possible remain.

    `reported` are the days whose reports were read, or are known to be empty: an entry of ours remains only if those of
    the neighbouring days are there too. Give our entries from the day before the first of these until the day after
    the last. `products`: those that we sell there (None: whatever is told); others are `not_ours`.
    """
    our_rest, their_rest = _by_cell(ours), _by_cell(theirs)
    for cell, days in our_rest.items():
        _pair(days, their_rest.get(cell, {}))
    _pair_without_territory(our_rest, their_rest)
    found = list(_remaining(UnitFault.OURS_NOT_THEIRS, our_rest))
    found = [one for one in found if {one.day - NEIGHBOURS, one.day, one.day + NEIGHBOURS} <= set(reported)]
    for one in _remaining(UnitFault.THEIRS_NOT_OURS, their_rest):
        if one.day in reported:
            is_ours = products is None or one.product in products
            found.append(one if is_ours else _of_another(one))
    return sorted(found, key=lambda one: (one.day, one.product, one.territory or "", one.fault))


def compare_months(
    ours: Iterable[UnitEntry], theirs: Iterable[UnitEntry], products: Collection[str] | None = None
) -> list[UnitDifference]:
    """Refunds by product, territory and month (`UnitEntry.day` is the first of the month): a store dates them in its
    own way, so days say nothing."""
    left = defaultdict[tuple[str, str | None, date], int](int)
    for sign, entries in ((1, ours), (-1, theirs)):
        for entry in entries:
            left[entry.product, entry.territory, entry.day] += sign * entry.units
    _settle_unknown_territories(left)
    found = list[UnitDifference]()
    for (product, territory, month), units in left.items():
        if units:
            fault = UnitFault.OURS_NOT_THEIRS if units > 0 else UnitFault.THEIRS_NOT_OURS
            one = UnitDifference(fault, product, territory, month, abs(units))
            is_ours = units > 0 or products is None or product in products
            found.append(one if is_ours else _of_another(one))
    return sorted(found, key=lambda one: (one.day, one.product, one.territory or "", one.fault))


_Cell = tuple[str, str | None]
_Days = dict[date, int]


def _by_cell(entries: Iterable[UnitEntry]) -> dict[_Cell, _Days]:
    found = defaultdict[_Cell, _Days](dict)
    for entry in entries:
        if entry.units <= 0:
            raise ValueError("an entry has units")
        days = found[entry.product, entry.territory]
        days[entry.day] = days.get(entry.day, 0) + entry.units
    return dict(found)


def _pair(ours: _Days, theirs: _Days) -> None:
    """Take from both what can be paired. Our days in their order, each with the earliest day that it may be: no other
    way pairs more, since a later day of ours reaches further."""
    for day in sorted(ours):
        for other in (day - NEIGHBOURS, day, day + NEIGHBOURS):
            paired = min(ours[day], theirs.get(other, 0))
            if paired:
                ours[day] -= paired
                theirs[other] -= paired


def _pair_without_territory(ours: Mapping[_Cell, _Days], theirs: Mapping[_Cell, _Days]) -> None:
    for (product, territory), days in ours.items():
        if territory is None:
            for cell in sorted((cell for cell in theirs if cell[0] == product), key=str):
                _pair(days, theirs[cell])


def _settle_unknown_territories(left: dict[tuple[str, str | None, date], int]) -> None:
    """Refunds of ours without a territory are those that a territory lacks."""
    for product, territory, month in [key for key in left if key[1] is None]:
        for key in sorted((key for key in left if key[0] == product and key[2] == month and key[1]), key=str):
            moved = min(left[product, territory, month], -left[key])
            if moved > 0:
                left[product, territory, month] -= moved
                left[key] += moved


def _remaining(fault: UnitFault, cells: Mapping[_Cell, _Days]) -> Iterator[UnitDifference]:
    for (product, territory), days in cells.items():
        for day, units in days.items():
            if units:
                yield UnitDifference(fault, product, territory, day, units)


def _of_another(one: UnitDifference) -> UnitDifference:
    return UnitDifference(UnitFault.NOT_OURS, one.product, one.territory, one.day, one.units)
