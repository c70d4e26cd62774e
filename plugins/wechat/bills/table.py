"""How WeChat Pay writes a table: names in the first line, cells that begin with a backquote, totals in the last two
lines. Trade bills and fund flow bills alike.

Source of the layouts: the official pages on both (4013071254; those of 2024-11-25), and published bills of 2014 to
2024.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache

from app.domain.money import Money, MoneyError, exponent
from plugins.wechat.documents import Unreadable

_YUAN = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,5})?", re.ASCII)
_REMEMBERED = 4096
"""Prices are few: most amounts of a bill were read before."""
Row = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class OddRow:
    """A row that cannot be read; `why` quotes nothing of it."""

    number: int
    """Of all rows of the bill, the first one is 1."""
    why: str

    def __str__(self) -> str:
        return f"row {self.number}: {self.why}"


def columns(line: str, needed: Iterable[str]) -> list[str]:
    """The names in a header, or above the totals. Raises Unreadable where a needed one is missing."""
    names = [name.strip() for name in line.split(",")]
    missing = [name for name in needed if name not in names]
    if missing:
        raise Unreadable(f"not a bill, or columns are missing: {', '.join(missing)}")
    return names


def cells(names: list[str], line: str) -> dict[str, str]:
    """Cells begin with a backquote and are never quoted: `,` alone may be part of what a shop wrote (its `attach` in
    JSON, for one), `` ,` `` may not. Some bills of 2014 have no backquotes at all."""
    quoted = "`" in line
    values = line[1:].split(",`") if quoted else line.split(",")
    if (quoted and not line.startswith("`")) or len(values) != len(names):
        raise Unreadable("other cells than the columns")
    return dict(zip(names, values, strict=True))


@lru_cache(maxsize=_REMEMBERED)
def yuan(text: str) -> Decimal:
    """An amount or a count of a bill, exactly. Raises Unreadable."""
    if not _YUAN.fullmatch(text):
        raise Unreadable("an amount that is none")
    return Decimal(text)


def minor_units(row: Row, name: str, currency: str) -> int:
    """The amount in a cell, with its sign: `-0.27000` is -27 of CNY. Raises Unreadable for an amount that is not whole
    minor units."""
    minor = _minor_units(row[name], currency)
    if minor is None:
        raise Unreadable(f"{name} is not a whole number of minor units")
    return minor


@lru_cache(maxsize=_REMEMBERED)
def _minor_units(text: str, currency: str) -> int | None:
    amount = yuan(text).scaleb(exponent(currency))
    if amount != amount.to_integral_value():
        return None
    try:
        Money(abs(int(amount)), currency)
    except MoneyError:
        raise Unreadable("an amount of no currency") from None
    return int(amount)
