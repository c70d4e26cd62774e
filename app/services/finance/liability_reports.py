"""The roll-forward of the contract liability, and revenue by day: read from the figures, line by line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from itertools import groupby

from sqlalchemy import Select, case, func, select

from app.domain.recognition import BREAKAGE, EARNED, Movement
from app.domain.report_tables import Amount, Cell, ReportTable
from app.models.base import AnyRow
from app.models.recognition import FIGURES
from app.services.base.transaction import Transaction
from app.services.finance.contract_liability import LiabilityKey

ROWS_AT_ONCE = 1000
_F = FIGURES.c
_OPENING = "opening"
_KEY = (_F.environment, _F.currency, _F.asset, _F.product, _F.sale_month)
_COLUMN = {
    Movement.SOLD: ("sold", 1),
    Movement.OPENED: ("brought_in", 1),
    Movement.GIVEN: ("brought_in", 1),
    Movement.USED: ("used", -1),
    Movement.EXPIRED: ("expired", -1),
    Movement.ESTIMATED: ("expired", -1),
    Movement.REFUNDED: ("refunded", -1),
    Movement.TAKEN_BACK: ("taken_back", 1),
    Movement.BREAKAGE_BACK: ("taken_back", 1),
    Movement.REMEASURED: ("other", 1),
    Movement.ADJUSTED: ("other", 1),
}
"""In which column of the roll-forward a movement stands, and with which sign."""
ROLL_FORWARD = ("sold", "brought_in", "used", "expired", "refunded", "taken_back", "other")
"""opening + sold + brought_in - used - expired - refunded + taken_back + other = closing"""


class PeriodReversed(ValueError):
    """The report would end before it begins."""


@dataclass(slots=True)
class LiabilityLine:
    """What became of the purchases of one product and month of sale. Counters are by the names in ROLL_FORWARD."""

    about: LiabilityKey
    opening_coins: int = 0
    opening_minor: int = 0
    closing_coins: int = 0
    closing_minor: int = 0
    coins: Counter[str] = field(default_factory=Counter)
    minor: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class RevenueLine:
    """Revenue of one day from the purchases of one product and month of sale; below zero where it was taken back."""

    day: date
    about: LiabilityKey
    coins: int
    """Coins that were used or expired."""
    earned_minor: int
    breakage_minor: int


def liability_lines(tx: Transaction, since: date, until: date) -> Iterator[LiabilityLine]:
    """The roll-forward from the beginning of the day `since` to the end of `until`, in order. Raises
    PeriodReversed."""
    _check(since, until)
    part = case((_F.day < since, _OPENING), else_=_F.movement).label("part")
    sums = (func.sum(_F.coins).label("coins_moved"), func.sum(_F.value_minor).label("minor_moved"))
    wanted = select(*_KEY, part, *sums).where(_F.day <= until).group_by(*_KEY, part).order_by(*_KEY, part)
    for about, rows in groupby(_stream(tx, wanted), _about):
        line = LiabilityLine(about)
        for row in rows:
            coins, minor = int(row.coins_moved), int(row.minor_moved)
            line.closing_coins += coins
            line.closing_minor += minor
            if row.part == _OPENING:
                line.opening_coins, line.opening_minor = coins, minor
            else:
                column, sign = _COLUMN[Movement(row.part)]
                line.coins[column] += sign * coins
                line.minor[column] += sign * minor
        if any((line.opening_coins, line.opening_minor, *line.coins.values(), *line.minor.values())):
            yield line


def revenue_lines(tx: Transaction, since: date, until: date) -> Iterator[RevenueLine]:
    """Revenue of the days from `since` to `until`, in order. Raises PeriodReversed."""
    _check(since, until)
    earned = func.sum(case((_F.movement.in_(sorted(EARNED)), -_F.value_minor), else_=0)).label("earned")
    breakage = func.sum(case((_F.movement.in_(sorted(BREAKAGE)), -_F.value_minor), else_=0)).label("breakage")
    moved = func.sum(-_F.coins).label("coins_moved")
    within = (_F.day >= since, _F.day <= until, _F.movement.in_(sorted(EARNED | BREAKAGE)))
    wanted = select(_F.day, *_KEY, moved, earned, breakage).where(*within).group_by(_F.day, *_KEY)
    for row in _stream(tx, wanted.order_by(_F.day, *_KEY)):
        if row.coins_moved or row.earned or row.breakage:
            yield RevenueLine(row.day, _about(row), int(row.coins_moved), int(row.earned), int(row.breakage))


def contract_liability_table(tx: Transaction, since: date, until: date) -> ReportTable:
    """The roll-forward as a table. Money that nobody told is empty. Raises PeriodReversed."""
    _check(since, until)
    names = ("opening", *ROLL_FORWARD, "closing")
    columns = [*LiabilityKey._fields, *(f"{name}_coins" for name in names), *names]
    rows = map(_liability_cells, liability_lines(tx, since, until))
    return ReportTable("contract-liability", "Contract liability", columns, rows)


def revenue_table(tx: Transaction, since: date, until: date) -> ReportTable:
    """Revenue by day as a table. Money that nobody told is empty. Raises PeriodReversed."""
    _check(since, until)
    columns = ["day", *LiabilityKey._fields, "coins", "earned", "breakage"]
    rows = map(_revenue_cells, revenue_lines(tx, since, until))
    return ReportTable("revenue", "Revenue", columns, rows)


def _liability_cells(line: LiabilityLine) -> list[Cell]:
    coins = [line.opening_coins, *(line.coins[name] for name in ROLL_FORWARD), line.closing_coins]
    minor = [line.opening_minor, *(line.minor[name] for name in ROLL_FORWARD), line.closing_minor]
    return [*line.about, *coins, *(_money(each, line.about) for each in minor)]


def _revenue_cells(line: RevenueLine) -> list[Cell]:
    money = (line.earned_minor, line.breakage_minor)
    return [line.day, *line.about, line.coins, *(_money(each, line.about) for each in money)]


def _money(minor: int, about: LiabilityKey) -> Cell:
    return Amount(minor, about.currency) if about.currency else None


def _check(since: date, until: date) -> None:
    if until < since:
        raise PeriodReversed(f"from {since} to {until}")


def _about(row: AnyRow) -> LiabilityKey:
    return LiabilityKey(row.environment, row.currency, row.asset, row.product, row.sale_month)


def _stream(tx: Transaction, wanted: Select[tuple[object, ...]]) -> Iterator[AnyRow]:
    yield from tx.connection().execute(wanted, execution_options={"yield_per": ROWS_AT_ONCE})
