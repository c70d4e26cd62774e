"""Reports of finance as tables: their columns, and what a cell may hold. No database, no file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple

from app.domain.chart import chart_account
from app.domain.money import exponent, is_currency_code


class Amount(NamedTuple):
    """Money of either sign: whole minor units of an ISO 4217 currency, or of an asset that has no minor unit."""

    minor: int
    currency: str

    def decimal(self) -> str:
        """As people write the amount: `-6.00` for -600 CNY, `600` for 600 JPY. Exact, whatever its size."""
        digits = exponent(self.currency)
        whole, part = divmod(abs(self.minor), 10**digits)
        sign = "-" if self.minor < 0 else ""
        return f"{sign}{whole}.{part:0{digits}d}" if digits else f"{sign}{whole}"

    def written(self) -> str:
        """With its currency: `6.00 CNY`. So is money in every line for people; names with `_minor` are in minor
        units."""
        return f"{self.decimal()} {self.currency}"


def asset_written(amount: int, asset: str, *accounts: str) -> str:
    """So much of an asset on accounts of these codes, for people: money of the chart as `6.00 CNY`, coins as
    `60 coin`."""
    is_money = is_currency_code(asset) and all(map(chart_account, accounts))
    return Amount(amount, asset).written() if is_money else f"{amount} {asset}"


Cell = str | int | Amount | date | datetime | None
"""Text (numbers of orders and payments, too), a count, money, a day, a moment; None where there is nothing to say."""


@dataclass(frozen=True, slots=True)
class ReportTable:
    """One table. The rows come one after another, so that a report of a million lines needs no more memory than a
    short one."""

    name: str
    """Of the file, without its ending."""
    title: str
    columns: Sequence[str]
    rows: Iterable[Sequence[Cell]]
