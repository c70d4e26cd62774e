"""The trial balance: what each account gained and lost, over all slots, and that it sums to zero. No database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

from app.domain.money import is_currency_code
from app.domain.report_tables import Amount

Sheet = tuple[str, str]
"""Asset and environment: what can be added up."""


@dataclass(frozen=True, slots=True, order=True)
class BalanceHeading:
    """Under which legs are added up: an account of the house, or the accounts of that code of all users together."""

    asset: str
    environment: str
    of_users: bool
    code: str


def sheet_of(heading: BalanceHeading) -> Sheet:
    return (heading.asset, heading.environment)


@dataclass(frozen=True, slots=True)
class Sums:
    """Debits are amounts that went out, credits are amounts that came in. Exact, and of any size."""

    debits: int = 0
    credits: int = 0

    @property
    def balance(self) -> int:
        return self.credits - self.debits

    def __add__(self, other: Sums) -> Sums:
        return Sums(self.debits + other.debits, self.credits + other.credits)


Totals = Mapping[BalanceHeading, Sums]


def added(totals: Totals, more: Totals) -> dict[BalanceHeading, Sums]:
    """The sums of two stretches of time together."""
    return {key: totals.get(key, Sums()) + more.get(key, Sums()) for key in totals.keys() | more.keys()}


@dataclass(frozen=True, slots=True)
class TrialBalanceLine:
    """One account. `balance` is what its legs come to or, for users' accounts at present, what the accounts say."""

    code: str
    of_users: bool
    debits: int
    credits: int
    balance: int

    @property
    def difference(self) -> int:
        """Not zero: the balances that users' accounts keep are not what their legs come to."""
        return self.balance - (self.credits - self.debits)


@dataclass(frozen=True, slots=True)
class TrialSheet:
    """All accounts of one asset in one environment, those of the house first, by code."""

    asset: str
    environment: str
    lines: tuple[TrialBalanceLine, ...]

    @property
    def debits(self) -> int:
        return sum(line.debits for line in self.lines)

    @property
    def credits(self) -> int:
        return sum(line.credits for line in self.lines)

    @property
    def balance(self) -> int:
        """Zero, if the books are right."""
        return sum(line.balance for line in self.lines)

    @property
    def is_money(self) -> bool:
        """Whether the asset is a currency: users have coins only, and the house has no coins without them."""
        return not any(line.of_users for line in self.lines) and is_currency_code(self.asset)

    @property
    def balanced(self) -> bool:
        return self.debits == self.credits and self.balance == 0 and not any(line.difference for line in self.lines)


@dataclass(frozen=True, slots=True)
class TrialBalance:
    """The sheets in the order of asset and environment, as of a moment (and what was booked at that very moment)."""

    at: datetime
    sheets: tuple[TrialSheet, ...]

    @property
    def balanced(self) -> bool:
        return all(sheet.balanced for sheet in self.sheets)


def draw_up(at: datetime, totals: Totals, kept: Mapping[BalanceHeading, int] | None = None) -> TrialBalance:
    """From the sums of all legs and, at present, the balances that users' accounts keep."""
    touched = sorted({heading for heading, balance in (kept or {}).items() if balance} | totals.keys())
    sheets = (
        TrialSheet(*sheet, tuple(_line(heading, totals, kept) for heading in headings))
        for sheet, headings in groupby(touched, sheet_of)
    )
    return TrialBalance(at, tuple(sheets))


def totals_of(found: TrialBalance) -> dict[BalanceHeading, Sums]:
    """Its legs, added up by account."""
    return {
        BalanceHeading(sheet.asset, sheet.environment, line.of_users, line.code): Sums(line.debits, line.credits)
        for sheet in found.sheets
        for line in sheet.lines
    }


def movement(before: TrialBalance, after: TrialBalance) -> TrialBalance:
    """What moved between two trial balances. Accounts that did not move are left out."""
    earlier, totals = totals_of(before), dict[BalanceHeading, Sums]()
    for heading, sums in totals_of(after).items():
        then = earlier.get(heading, Sums())
        change = Sums(sums.debits - then.debits, sums.credits - then.credits)
        if change != Sums():
            totals[heading] = change
    return draw_up(after.at, totals)


def _line(heading: BalanceHeading, totals: Totals, kept: Mapping[BalanceHeading, int] | None) -> TrialBalanceLine:
    sums = totals.get(heading, Sums())
    balance = sums.balance if kept is None or not heading.of_users else kept.get(heading, 0)
    return TrialBalanceLine(heading.code, heading.of_users, sums.debits, sums.credits, balance)


def as_json(sheet: TrialSheet) -> dict[str, Any]:
    """Sums can pass 2^63, so they travel as decimal text."""
    return {
        "asset": sheet.asset,
        "environment": sheet.environment,
        "balanced": sheet.balanced,
        **_named(sheet),
        "lines": [
            {"account": line.code, "owner": "users" if line.of_users else "house", **_named(line)}
            for line in sheet.lines
        ],
    }


def _named(one: TrialBalanceLine | TrialSheet) -> dict[str, str]:
    return dict(zip(("debits", "credits", "balance"), numbers_of(one), strict=True))


def numbers_of(one: TrialBalanceLine | TrialSheet) -> tuple[str, str, str]:
    """Debits, credits and balance as decimal text."""
    return str(one.debits), str(one.credits), str(one.balance)


def numbers_for_people(one: TrialBalanceLine | TrialSheet, sheet: TrialSheet) -> tuple[str, str, str]:
    """As `numbers_of`; of money in major units."""
    if not sheet.is_money:
        return numbers_of(one)
    debits, credit, balance = (Amount(sum_, sheet.asset).decimal() for sum_ in (one.debits, one.credits, one.balance))
    return debits, credit, balance
