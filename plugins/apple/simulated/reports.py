"""Sales and financial reports of the simulated store, made from its own purchases, as Apple writes them."""

from __future__ import annotations

import gzip
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal

from plugins.apple.reports.calendar import Period, pacific_day
from plugins.apple.settings import Environment
from plugins.apple.signed_data import moment
from plugins.apple.simulated.purchases import Purchase, Purchases
from plugins.apple.simulated.terms import StoreTerms, is_long, territory_of, unit_price
from plugins.apple.transactions import CONSUMABLE, NON_RENEWING, SUBSCRIPTION, WHOLE

_TYPES = {SUBSCRIPTION: "IAY", NON_RENEWING: "IA9"}
SALES_COLUMNS = (
    "Provider\tProvider Country\tSKU\tDeveloper\tTitle\tVersion\tProduct Type Identifier\tUnits\tDeveloper Proceeds\t"
    "Begin Date\tEnd Date\tCustomer Currency\tCountry Code\tCurrency of Proceeds\tApple Identifier\tCustomer Price\t"
    "Promo Code\tParent Identifier\tSubscription\tPeriod\tCategory\tCMB\tDevice\tSupported Platforms\tProceeds Reason\t"
    "Preserved Pricing\tClient\tOrder Type"
)
FINANCIAL_COLUMNS = (
    "Start Date\tEnd Date\tUPC\tISRC/ISBN\tVendor Identifier\tQuantity\tPartner Share\tExtended Partner Share\t"
    "Partner Share Currency\tSales or Return\tApple Identifier\tArtist/Show/Developer/Author\tTitle\t"
    "Label/Studio/Network/Developer/Publisher\tGrid\tProduct Type Identifier\tISAN/Other Identifier\tCountry Of Sale\t"
    "Pre-order Flag\tPromo Code\tCustomer Price\tCustomer Currency"
)
DETAIL_COLUMNS = (
    "Transaction Date\tSettlement Date\tApple Identifier\tSKU\tTitle\tDeveloper Name\tProduct Type Identifier\t"
    "Country of Sale\tQuantity\tPartner Share\tExtended Partner Share\tPartner Share Currency\tCustomer Price\t"
    "Customer Currency\tSale or Return\tPromo Code\tOrder Type\tRegion"
)
SUMMARY_COLUMNS = "Country Of Sale\tPartner Share Currency\tQuantity\tExtended Partner Share"
DEVELOPER = "Example Ltd"
NEVER = date.max
"""When what could not be collected is paid."""


@dataclass(frozen=True, slots=True)
class Sold:
    """What a row adds up: units of one product at one price on one day, or given back where negative."""

    sku: str
    type: str
    territory: str
    currency: str
    price: Decimal
    share: Decimal
    day: date
    settled: date
    app: str
    is_return: bool = False
    reason: str = ""


@dataclass
class Reports:
    """The books of one vendor, who may have other apps beside ours."""

    purchases: Purchases
    environment: Environment
    app_sku: str
    terms: StoreTerms = field(default_factory=StoreTerms)
    others: list[tuple[Sold, int]] = field(default_factory=list)
    """Sales of other apps of the vendor, and how many units of each."""

    def sales(self, period: Period) -> bytes | None:
        """SALES, SUMMARY of one day; None where nothing was sold."""
        rows = [(one, units) for one, units in self._grouped() if period.first <= one.day <= period.last]
        lines = [_sales_row(one, units) for one, units in rows]
        return _document([SALES_COLUMNS, *lines]) if lines else None

    def financial(self, period: Period, territory: str | None = None) -> bytes | None:
        """FINANCIAL of one region, or of all."""
        rows = [
            (one, units)
            for one, units in self._by_price(self._settled(period))
            if territory is None or one.territory == territory
        ]
        if not rows:
            return None
        amount = sum((units * one.share for one, units in rows), Decimal(0))
        totals = {"Total_Rows": len(rows), "Total_Amount": amount, "Total_Units": sum(units for _, units in rows)}
        lines = [_financial_row(period, one, units) for one, units in rows]
        return _document([FINANCIAL_COLUMNS, *lines, *(f"{name}\t{total}" for name, total in totals.items())])

    def detail(self, period: Period) -> bytes | None:
        """FINANCE_DETAIL of all regions."""
        rows, sums = self._settled(period), defaultdict[tuple[str, str], list[Decimal]](lambda: [Decimal(0)] * 2)
        if not rows:
            return None
        for one, units in rows:
            units_before, share = sums[one.territory, one.currency]
            sums[one.territory, one.currency] = [units_before + units, share + units * one.share]
        head = [f"Vendor Name\t{DEVELOPER}", f"Start Date\t{_us(period.first)}", f"End Date\t{_us(period.last)}"]
        summary = [f"{place[0]}\t{place[1]}\t{total[0]}\t{total[1]}" for place, total in sorted(sums.items())]
        lines = [_detail_row(one, units) for one, units in rows]
        return _document([*head, DETAIL_COLUMNS, *lines, SUMMARY_COLUMNS, *summary])

    def _settled(self, period: Period) -> list[tuple[Sold, int]]:
        """What was collected in the period; what costs nothing is in no financial report."""
        found = [(one, units) for one, units in self._grouped() if period.first <= one.settled <= period.last]
        return [(one, units) for one, units in found if one.price]

    def _by_price(self, rows: Iterable[tuple[Sold, int]]) -> Iterator[tuple[Sold, int]]:
        sums, named = defaultdict[tuple[object, ...], int](int), dict[tuple[object, ...], Sold]()
        for one, units in rows:
            key = (one.sku, one.territory, one.currency, one.price, one.share, one.is_return)
            sums[key] += units
            named.setdefault(key, one)
        yield from ((named[key], units) for key, units in sums.items())

    def _grouped(self) -> list[tuple[Sold, int]]:
        sums = defaultdict[Sold, int](int)
        for one, units in (*self._ours(), *self.others):
            sums[one] += units
        return sorted(sums.items(), key=lambda row: (row[0].day, row[0].sku, row[0].territory, row[1]))

    def _ours(self) -> Iterator[tuple[Sold, int]]:
        for purchase in self.purchases.all():
            payload = purchase.payload
            is_shared = payload["inAppOwnershipType"] != "PURCHASED"
            if purchase.environment != self.environment or is_shared:
                continue
            is_restored = not purchase.is_subscription and payload["transactionId"] != payload["originalTransactionId"]
            price = Decimal(0) if is_restored else unit_price(purchase)
            kind = "IA3" if is_restored else _TYPES.get(payload["type"], "IA1")
            day = pacific_day(moment(payload["purchaseDate"]))
            settled = day + timedelta(days=purchase.collected_after_days) if purchase.is_collected else NEVER
            yield self._sold(purchase, kind, price, day, settled), int(payload["quantity"])
            for at, part in _returns(purchase):
                back, paid_back = pacific_day(at), price * part / WHOLE
                settled = max(back, settled) if purchase.is_collected else NEVER
                yield self._sold(purchase, kind, paid_back, back, settled, is_return=True), -int(payload["quantity"])

    def _sold(
        self, purchase: Purchase, kind: str, price: Decimal, day: date, settled: date, *, is_return: bool = False
    ) -> Sold:
        territory, long = territory_of(purchase), is_long(purchase)
        return Sold(
            sku=purchase.payload["productId"],
            type=kind,
            territory=territory,
            currency=purchase.payload["currency"],
            price=price.quantize(Decimal("0.01"), ROUND_HALF_UP),
            share=self.terms.share(price, territory, is_long=long),
            day=day,
            settled=settled,
            app=self.app_sku,
            is_return=is_return,
            reason="Rate After One Year" if long else "",
        )


def other_sale(document: Mapping[str, object], today: date) -> tuple[Sold, int]:
    """A sale of another app of the vendor: `sku`, `app`, and perhaps `type`, `units`, `territory`, `currency`, `price`
    and `share`."""
    day = date.fromisoformat(str(document["day"])) if "day" in document else today
    price = Decimal(str(document.get("price", "1.00")))
    sold = Sold(
        sku=str(document["sku"]),
        type=str(document.get("type", "IA1")),
        territory=str(document.get("territory", "CN")),
        currency=str(document.get("currency", "CNY")),
        price=price,
        share=Decimal(str(document.get("share", "0.70"))),
        day=day,
        settled=day,
        app=str(document["app"]),
    )
    return sold, int(str(document.get("units", 1)))


def _returns(purchase: Purchase) -> Iterator[tuple[datetime, int]]:
    """When something of it was given back, and how many parts of 100 000: by a refund, or silently by an upgrade."""
    payload = purchase.payload
    if purchase.credited_at is not None and payload["type"] != CONSUMABLE:
        length = payload["expiresDate"] - payload["purchaseDate"]
        unused = payload["expiresDate"] - purchase.credited_at
        yield moment(purchase.credited_at), (2 * WHOLE * unused + length) // (2 * length)
    elif "revocationDate" in payload:
        yield moment(payload["revocationDate"]), int(payload.get("revocationPercentage", WHOLE))


def _sales_row(one: Sold, units: int) -> str:
    """A refund has negative units and a negative price, and positive proceeds. Apple writes .42 for 0.42."""
    price = -one.price if one.is_return else one.price
    cells = {
        "Provider": "APPLE",
        "Provider Country": "US",
        "SKU": one.sku,
        "Developer": DEVELOPER,
        "Title": one.sku,
        "Product Type Identifier": one.type,
        "Units": str(units),
        "Developer Proceeds": f"{one.share:.2f}".removeprefix("0"),
        "Begin Date": _us(one.day),
        "End Date": _us(one.day),
        "Customer Currency": one.currency,
        "Country Code": one.territory,
        "Currency of Proceeds": one.currency,
        "Apple Identifier": "1234567890",
        "Customer Price": f"{price:.2f}",
        "Parent Identifier": one.app,
        "Device": "iPhone",
        "Supported Platforms": "iOS",
        "Proceeds Reason": one.reason,
    }
    return _cells(SALES_COLUMNS, cells)


def _financial_row(period: Period, one: Sold, units: int) -> str:
    cells = _shared_cells(one, units) | {
        "Start Date": _us(period.first),
        "End Date": _us(period.last),
        "ISRC/ISBN": one.sku,
        "Vendor Identifier": one.sku,
        "Sales or Return": "R" if one.is_return else "S",
        "Artist/Show/Developer/Author": DEVELOPER,
        "Country Of Sale": one.territory,
    }
    return _cells(FINANCIAL_COLUMNS, cells)


def _detail_row(one: Sold, units: int) -> str:
    cells = _shared_cells(one, units) | {
        "Transaction Date": _us(one.day),
        "Settlement Date": _us(one.settled),
        "SKU": one.sku,
        "Developer Name": DEVELOPER,
        "Country of Sale": one.territory,
        "Sale or Return": "R" if one.is_return else "S",
        "Region": one.territory,
    }
    return _cells(DETAIL_COLUMNS, cells)


def _shared_cells(one: Sold, units: int) -> dict[str, str]:
    price = -one.price if one.is_return else one.price
    return {
        "Quantity": str(units),
        "Partner Share": f"{one.share:.2f}",
        "Extended Partner Share": f"{units * one.share:.2f}",
        "Partner Share Currency": one.currency,
        "Apple Identifier": "1234567890",
        "Title": one.sku,
        "Product Type Identifier": one.type,
        "Customer Price": f"{price:.2f}",
        "Customer Currency": one.currency,
    }


def _cells(columns: str, cells: Mapping[str, str]) -> str:
    return "\t".join(cells.get(name, "") for name in columns.split("\t"))


def _us(day: date) -> str:
    return f"{day:%m/%d/%Y}"


def _document(lines: Sequence[str]) -> bytes:
    """Compressed without a time in it: what is asked for twice is the same document."""
    return gzip.compress("".join(f"{line}\n" for line in lines).encode(), mtime=0)
