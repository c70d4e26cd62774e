"""SALES, SUMMARY, DAILY: units by product and country, of the whole vendor. Estimates; no purchase is named.

A refund has negative units, a negative customer price and positive proceeds (App Store Connect help): units times
proceeds is right, units times price is not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta

from app.providers import BillContent, BillLine, BillSide, LineKind, StoreCell, UnreadableBill
from plugins.apple.reports.calendar import ZONE, day_start
from plugins.apple.reports.tables import IN_APP, LineKeys, Row, column_names, minor_of, row_of, text_lines

_COLUMNS = (
    "sku",
    "product type identifier",
    "units",
    "developer proceeds",
    "begin date",
    "end date",
    "customer currency",
    "country code",
    "currency of proceeds",
    "customer price",
    "parent identifier",
)
_ABOUT = (
    *("sku", "product type identifier", "begin date", "country code", "customer currency", "currency of proceeds"),
    *("customer price", "parent identifier"),
)
_ALSO_ABOUT = (
    *("promo code", "subscription", "period", "device", "proceeds reason", "preserved pricing", "client"),
    *("order type", "version", "supported platforms", "cmb", "apple identifier"),
)
OTHER_APP, NOT_IN_APP, NO_UNITS = "another app", "not sold inside an app", "no units"


def read_sales(content: bytes, app_sku: str | None) -> BillContent:
    """Every row is read before the first line is given out. Raises UnreadableBill."""
    days, left_out = set[date](), Counter[str]()
    for row in _rows(content):
        days |= {row.day("begin date"), row.day("end date")}
        reason = _left_out(row, app_sku)
        if reason is None:
            _line(row, LineKeys())
        else:
            left_out[reason] += 1
    if len(days) != 1:
        raise UnreadableBill(
            "not the report of one day: units are compared by day" if days else "a report without rows"
        )
    day = days.pop()
    return BillContent(
        side=BillSide.SALES,
        account=None,
        since=day_start(day),
        until=day_start(day + timedelta(days=1)),
        zone=ZONE,
        lines=_Lines(content, app_sku),
        left_out=dict(left_out),
    )


class _Lines:
    """The lines of a report that was read to its end before."""

    def __init__(self, content: bytes, app_sku: str | None) -> None:
        self._content, self._app_sku = content, app_sku

    def __iter__(self) -> Iterator[BillLine]:
        keys = LineKeys()
        for row in _rows(self._content):
            if _left_out(row, self._app_sku) is None:
                yield _line(row, keys)


def _rows(content: bytes) -> Iterator[Row]:
    lines = text_lines(content)
    names = column_names(next(lines, ""), _COLUMNS)
    for place, line in enumerate(lines, start=1):
        yield row_of(place, line, names)


def _left_out(row: Row, app_sku: str | None) -> str | None:
    """Why the row is no business of ours."""
    if row.text("product type identifier") not in IN_APP:
        return NOT_IN_APP
    if app_sku is not None and row.text("parent identifier") != app_sku:
        return OTHER_APP
    return NO_UNITS if row.units("units") == 0 else None


def _line(row: Row, keys: LineKeys) -> BillLine:
    units, currency = row.units("units"), row.currency("currency of proceeds")
    proceeds = row.decimal("developer proceeds")
    if proceeds < 0:
        raise UnreadableBill(f"row {row.place}: developer proceeds below zero")
    price_currency = row.currency("customer currency")
    cell = StoreCell(
        product=row.text("sku"),
        territory=row.territory("country code"),
        units=units,
        price_minor=minor_of(abs(row.decimal("customer price")), price_currency),
        price_currency=price_currency,
    )
    about = [row.text(name) for name in _ABOUT] + [row.cells.get(name, "") for name in _ALSO_ABOUT]
    return BillLine(
        key=keys.of([*about, "sold" if units > 0 else "back"]),
        kind=LineKind.PAYMENT if units > 0 else LineKind.REFUND,
        at=day_start(row.day("begin date")),
        amount_minor=minor_of(units * proceeds, currency),
        currency=currency,
        word=row.text("product type identifier"),
        note=row.cells.get("proceeds reason", "")[:255],
        cell=cell,
    )
