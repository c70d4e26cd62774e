"""FINANCIAL and FINANCE_DETAIL: what Apple collected in a fiscal month, and the part of it that it pays.

The share is what is left of the customer's price after taxes and commission; neither of them is a column. `S` and `R`
mark sales and returns. Whether a return's quantity is negative is not settled for FINANCE_DETAIL (no genuine file with
one is known): the report's own totals decide, and where they contradict its rows the report is refused.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal

from app.providers import BillContent, BillLine, BillSide, LineKind, StoreCell, UnreadableBill
from plugins.apple.reports.calendar import ZONE, day_start
from plugins.apple.reports.sales import NO_UNITS, NOT_IN_APP
from plugins.apple.reports.tables import (
    IN_APP,
    LineKeys,
    Row,
    column_names,
    day_of,
    decimal_of,
    minor_of,
    row_of,
    text_lines,
)

_COLUMNS = (
    *("product type identifier", "quantity", "partner share", "extended partner share", "partner share currency"),
    *("customer price", "customer currency"),
)
_FINANCIAL = (*_COLUMNS, "start date", "end date", "vendor identifier", "sales or return", "country of sale")
_DETAIL = (*_COLUMNS, "transaction date", "sku", "sale or return", "country of sale")
_HEAD = ("Vendor Name", "Start Date", "End Date")
_TRAILER = ("Total_Rows", "Total_Amount", "Total_Units")
_SUMMARY = ("country of sale", "partner share currency", "quantity", "extended partner share")
_PRODUCT = ("vendor identifier", "sku")
_DIRECTION = ("sales or return", "sale or return")
_COUNTRY = "country of sale"
_TIMES = ("start date", "end date", "transaction date", "settlement date")
_HALF = Decimal("0.005")
"""Shares are rounded to two places, so a product may differ from its extended share by this for each unit."""
SOLD, RETURNED = "S", "R"
Place = tuple[str, str]
"""A country and a currency."""


@dataclass(frozen=True, slots=True)
class _Sum:
    """Quantity and extended share, returns below zero."""

    units: int = 0
    share: Decimal = Decimal(0)


@dataclass(slots=True)
class _Seen:
    """What the rows of a report add up to."""

    rows: int = 0
    sums: dict[Place, _Sum] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)

    def count(self, row: Row) -> None:
        self.rows += 1
        place = (row.territory(_COUNTRY), row.currency("partner share currency"))
        units, share = _signed(row)
        before = self.sums.get(place, _Sum())
        self.sums[place] = _Sum(before.units + units, before.share + share)
        reason = _left_out(row)
        if reason is None:
            _line(row, LineKeys(), {})
        else:
            self.left_out[reason] += 1


def read_financial(content: bytes) -> BillContent:
    """Raises UnreadableBill."""
    seen, trailer, periods = _Seen(), dict[str, Decimal](), set[tuple[date, date]]()
    for row in _financial_rows(content, trailer):
        seen.count(row)
        periods.add((row.day("start date"), row.day("end date")))
    if set(trailer) != set(_TRAILER):
        raise UnreadableBill("the report is not whole: its totals are missing")
    if seen.rows != trailer["Total_Rows"]:
        raise UnreadableBill(f"{seen.rows} rows, and a total of {trailer['Total_Rows']}")
    if len(periods) != 1:
        raise UnreadableBill("rows of several periods" if periods else "a report without rows")
    _check_trailer(seen, trailer)
    first, last = periods.pop()
    return _content(first, last, seen, _Lines(content, is_detail=False))


def read_detail(content: bytes) -> BillContent:
    """Raises UnreadableBill."""
    head, seen, told = dict[str, str](), _Seen(), dict[Place, _Sum]()
    for row in _detail_rows(content, head, told):
        seen.count(row)
    if seen.rows and not told:
        raise UnreadableBill("the report is not whole: its summary is missing")
    if told != seen.sums:
        raise UnreadableBill("the rows do not add up to the report's summary")
    first, last = (day_of(head.get(name, ""), name) for name in _HEAD[1:])
    return _content(first, last, seen, _Lines(content, is_detail=True))


def _check_trailer(seen: _Seen, trailer: Mapping[str, Decimal]) -> None:
    """The amount is compared where the report has one currency: what Apple adds up otherwise is not established."""
    units = sum(one.units for one in seen.sums.values())
    amount = sum((one.share for one in seen.sums.values()), Decimal(0))
    is_one = len({currency for _, currency in seen.sums}) == 1
    if units != trailer["Total_Units"] or (is_one and amount != trailer["Total_Amount"]):
        raise UnreadableBill("the rows do not add up to the report's totals")


def _content(first: date, last: date, seen: _Seen, lines: _Lines) -> BillContent:
    if last < first:
        raise UnreadableBill("a period that ends before it begins")
    return BillContent(
        side=BillSide.PROCEEDS,
        account=None,
        since=day_start(first),
        until=day_start(last + timedelta(days=1)),
        zone=ZONE,
        lines=lines,
        left_out=dict(seen.left_out),
    )


class _Lines:
    """The lines of a report that was read to its end before."""

    def __init__(self, content: bytes, *, is_detail: bool) -> None:
        self._content, self._is_detail = content, is_detail

    def __iter__(self) -> Iterator[BillLine]:
        keys, head = LineKeys(), dict[str, str]()
        rows = _detail_rows(self._content, head, {}) if self._is_detail else _financial_rows(self._content, {})
        for row in rows:
            if _left_out(row) is None:
                yield _line(row, keys, head)


def _financial_rows(content: bytes, trailer: dict[str, Decimal]) -> Iterator[Row]:
    lines = text_lines(content)
    names = column_names(next(lines, ""), _FINANCIAL)
    for place, line in enumerate(lines, start=1):
        name, _, rest = line.partition("\t")
        if name.strip() in _TRAILER:
            if name.strip() in trailer:
                raise UnreadableBill(f"two lines {name.strip()}")
            trailer[name.strip()] = decimal_of(rest.strip(), name.strip())
        elif trailer:
            raise UnreadableBill("rows after the totals")
        else:
            yield row_of(place, line, names)


def _detail_rows(content: bytes, head: dict[str, str], told: dict[Place, _Sum]) -> Iterator[Row]:
    lines = text_lines(content)
    for wanted in _HEAD:
        name, _, value = next(lines, "").partition("\t")
        if name.strip() != wanted:
            raise UnreadableBill(f"not the report that was expected: no line {wanted!r}")
        head[wanted] = value.strip()
    names = column_names(next(lines, ""), _DETAIL)
    for place, line in enumerate(lines, start=1):
        if line.lower().startswith(f"{_SUMMARY[0]}\t"):
            _read_summary(line, lines, told)
            return
        yield row_of(place, line, names)


def _read_summary(header: str, lines: Iterator[str], told: dict[Place, _Sum]) -> None:
    names = column_names(header, _SUMMARY)
    for place, line in enumerate(lines, start=1):
        row = row_of(place, line, names)
        where = (row.territory(_COUNTRY), row.currency("partner share currency"))
        if where in told:
            raise UnreadableBill("a country that is summed up twice")
        told[where] = _Sum(row.units("quantity"), row.decimal("extended partner share"))


def _left_out(row: Row) -> str | None:
    if row.text("product type identifier") not in IN_APP:
        return NOT_IN_APP
    return NO_UNITS if row.units("quantity") == 0 else None


def _signed(row: Row) -> tuple[int, Decimal]:
    """Quantity and extended share, below zero for a return. Raises UnreadableBill where the row contradicts itself."""
    direction, units = row.text(*_DIRECTION), row.units("quantity")
    share, extended = row.decimal("partner share"), row.decimal("extended partner share")
    if direction not in (SOLD, RETURNED):
        raise UnreadableBill(f"row {row.place}: neither a sale nor a return")
    if share < 0 or units * extended < 0 or (direction == SOLD and units < 0):
        raise UnreadableBill(f"row {row.place}: signs that contradict each other")
    if abs(extended - units * share) > _HALF * (abs(units) + 1):
        raise UnreadableBill(f"row {row.place}: the extended share is not quantity times share")
    return (-abs(units), -abs(extended)) if direction == RETURNED else (units, extended)


def _line(row: Row, keys: LineKeys, head: Mapping[str, str]) -> BillLine:
    units, extended = _signed(row)
    currency, price_currency = row.currency("partner share currency"), row.currency("customer currency")
    price = abs(row.decimal("customer price"))
    about = [row.text(*_PRODUCT), row.territory(_COUNTRY), currency, price_currency, f"{price:f}"]
    about += [row.text("product type identifier"), row.text(*_DIRECTION), row.text("partner share")]
    about += [row.cells.get(name, "") for name in _TIMES] + [row.cells.get("promo code", "")]
    about += [head.get(name, "") for name in _HEAD[1:]]
    settled = row.cells.get("settlement date", "")
    return BillLine(
        key=keys.of(about),
        kind=LineKind.REFUND if units < 0 else LineKind.PAYMENT,
        at=day_start(row.day("transaction date" if "transaction date" in row.cells else "end date")),
        amount_minor=minor_of(extended, currency),
        currency=currency,
        word=f"{row.text('product type identifier')} {row.text(*_DIRECTION)}",
        note=f"settled {day_of(settled, f'row {row.place}: settlement date').isoformat()}" if settled else "",
        cell=StoreCell(
            product=row.text(*_PRODUCT),
            territory=row.territory(_COUNTRY),
            units=units,
            price_minor=minor_of(price, price_currency),
            price_currency=price_currency,
        ),
    )
