"""The payments table of App Store Connect (Payments and Financial Reports), as a person downloads it: what Apple paid.

There is no interface for it, and Apple documents its words, not its file. What is read here was seen in public examples
and public readers of real files, of 2014 to 2026, in English: a title with the month; a table by country or region and
currency, whose columns differ (`Balance`, `Pre-Tax Subtotal`, `Exchange Rate` may be missing); the sum that was paid;
`Paid to` with the bank account. Tables without the last two are estimates, or amounts below the threshold, which are
carried over. Everything that can be checked is: each row's sum, and that the rows' proceeds come to what was paid.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal

from app.providers import PayoutPart, StorePayout, UnreadableBill
from plugins.apple.reports.tables import decimal_of, minor_of

MAX_PAYMENTS_BYTES = 1024 * 1024
"""A table has a row for each of Apple's regions, some 50."""
_TITLE = re.compile(r"iTunes Connect - Payments and Financial Reports\s+\((\w+),\s*(\d{4})\)")
_FIRST_COLUMN = re.compile(r"(Country or Region|Territory|Region) \(Currency\)")
_REGION = re.compile(r".+\(([A-Z]{3})\)")
_PAID_SUM = re.compile(r"([0-9.,]+) ([A-Z]{3})")
_PAID_TO = "Paid to "
_NEEDED = ("earned", "input tax", "adjustments", "withholding tax", "total owed", "proceeds", "bank account currency")
_Block = tuple[list[str], list[list[str]]]
_Rows = Sequence[list[str]]


def read_payments(content: bytes) -> tuple[StorePayout, ...]:
    """The transfers that the table tells of: one, or several where Apple paid in parts. Raises UnreadableBill."""
    if len(content) > MAX_PAYMENTS_BYTES:
        raise UnreadableBill("larger than any payments table")
    try:
        rows = [[cell.strip() for cell in row] for row in csv.reader(io.StringIO(content.decode("utf-8-sig")))]
    except (UnicodeDecodeError, csv.Error):
        raise UnreadableBill("no CSV file in UTF-8") from None
    period = _period(rows)
    found = tuple(_payout(period, *block) for block in _paid_blocks(rows))
    if not found:
        raise UnreadableBill("nothing is paid yet: without «Paid to» a table has estimates, or what is carried over")
    return found


def _period(rows: _Rows) -> str:
    title = _TITLE.match(rows[0][0]) if rows and rows[0] else None
    try:
        if title is not None:
            return f"{datetime.strptime(f'{title[1]} {title[2]}', '%B %Y'):%Y-%m}"  # noqa: DTZ007 - a month has no zone
    except ValueError:
        pass
    raise UnreadableBill("not the payments table of App Store Connect in English")


def _paid_blocks(rows: _Rows) -> Iterator[tuple[_Block, str]]:
    """Each table with the sum that was paid for it."""
    heads = [place for place, row in enumerate(rows) if row and _FIRST_COLUMN.fullmatch(row[0])]
    for head, end in zip(heads, [*heads[1:], len(rows)], strict=True):
        names = [name.lower() for name in rows[head]]
        length = next((n for n, row in enumerate(rows[head + 1 : end]) if not row or not row[0]), end - head - 1)
        table = rows[head + 1 : head + 1 + length]
        after = [cell for row in rows[head + 1 + length : end] for cell in row if cell]
        if len(after) >= 2 and after[1].startswith(_PAID_TO):
            yield (names, list(table)), after[0]


def _payout(period: str, block: _Block, paid: str) -> StorePayout:
    names, rows = block
    missing = [name for name in _NEEDED if name not in names]
    if missing:
        raise UnreadableBill(f"a table without the column {missing[0]!r}")
    sums: dict[str, list[int]] = {}
    told = _PAID_SUM.fullmatch(paid)
    if told is None:
        raise UnreadableBill(f"no sum with its currency: {paid!r}")
    bank = told[2]
    for row in rows:
        cells = dict(zip(names, row, strict=False))
        region = _REGION.fullmatch(row[0])
        if region is None:
            raise UnreadableBill(f"a row that names no currency: {row[0]!r}")
        currency = region[1]
        if _minor(cells, "total owed", currency) != _owed(cells, currency):
            raise UnreadableBill(f"{row[0]}: the total owed is not what its columns come to")
        if cells.get("bank account currency") != bank:
            raise UnreadableBill(f"{row[0]}: paid in another currency than {bank}")
        total = sums.setdefault(currency, [0, 0, 0, 0])
        total[0] += _minor(cells, "total owed", currency)
        total[1] -= _minor(cells, "withholding tax", currency)
        total[2] += _minor(cells, "input tax", currency) + _minor(cells, "adjustments", currency)
        total[3] += _minor(cells, "proceeds", bank)
    paid_minor = minor_of(_decimal(told[1], "the sum that was paid"), bank)
    if sum(in_bank for *_, in_bank in sums.values()) != paid_minor:
        raise UnreadableBill(f"the proceeds do not come to the sum that was paid, {paid}")
    parts = tuple(PayoutPart(currency, *total) for currency, total in sorted(sums.items()))
    return StorePayout(period, parts, paid_minor, bank)


def _owed(cells: dict[str, str], currency: str) -> int:
    """What is earned, and carried over from before, with taxes and corrections."""
    before_tax = ("pre-tax subtotal",) if cells.get("pre-tax subtotal") else ("balance", "earned")
    return sum(_minor(cells, name, currency) for name in (*before_tax, "input tax", "adjustments", "withholding tax"))


def _minor(cells: dict[str, str], name: str, currency: str) -> int:
    """An empty cell, or a column that the table does not have, is nothing."""
    return minor_of(_decimal(cells.get(name) or "0", name), currency)


def _decimal(text: str, what: str) -> Decimal:
    return decimal_of(text.replace(",", ""), what)
