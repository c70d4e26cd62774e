"""What each report has to say, row by row, by the recount. A row is what a report's columns come to: whatever the
recount cannot know (numbers of documents and of our own rows) is left out of both."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from fractions import Fraction
from typing import Any

from app.domain.report_tables import Amount
from tests.quarter.calendar import TICK
from tests.quarter.diary import Sale
from tests.quarter.recount import (
    OF_BREAKAGE,
    OF_REVENUE,
    RATE,
    STORE,
    WECHAT,
    Recount,
    coupon_back,
    fee_of,
    proceeds_of,
)
from tests.quarter.worth import half_up, left_of, steps_of

SANDBOX = "sandbox"
ROLLED = ("sold", "used", "expired", "refunded", "taken_back")
_COLUMN = {"sold": "sold", "used": "used", "expired": "expired", "refunded": "refunded"} | dict.fromkeys(
    ("taken_back", "breakage_back"), "taken_back"
)
_SIGN = {"sold": 1, "used": -1, "expired": -1, "refunded": -1, "taken_back": 1}
LATER = "later"
"""The time that the store has not reported yet."""
ESTIMATED_SHARE = Fraction(30, 100)
Rows = Counter[tuple[Any, ...]]


def sheet(name: str, recount: Recount, since: datetime, until: datetime) -> Rows:
    """The rows of that report for a span."""
    return Counter(SHEETS[name](recount, since, until))


def told(name: str, row: dict[str, Any]) -> tuple[Any, ...]:
    """A row of Tillbook's report, in the form of the recount's."""
    cells = {column: cell.minor if isinstance(cell, Amount) else cell for column, cell in row.items()}
    if cells.get("estimated") == "yes":
        cells["period"] = LATER
    if cells.get("provider_account") == STORE and "order" in cells:
        cells["order"] = None  # nobody orders in a store: the number is our own
    return tuple(cells[column] for column in COLUMNS[name])


COLUMNS = {
    "sales": (
        "environment",
        "product",
        "provider_account",
        "currency",
        "payments",
        "units",
        "gross",
        "refunded",
        "net",
    ),
    "refunds": ("at", "environment", "provider_account", "product", "user", "order", "kind", "amount", "currency"),
    "settlement": (
        *("day", "provider_account", "environment", "currency", "our_payments", "our_refunds", "bill_payments"),
        *("bill_refunds", "bill_fees", "others", "differences", "difference_amount", "day_boundary"),
    ),
    "store-sales": (
        *("provider_account", "period", "product", "territory", "units", "gross", "currency", "proceeds"),
        *("proceeds_currency", "share", "estimated"),
    ),
    "contract-liability": (
        *("environment", "currency", "asset", "product", "sale_month"),
        *(f"{name}_coins" for name in ("opening", *ROLLED, "brought_in", "other", "closing")),
        *("opening", *ROLLED, "brought_in", "other", "closing"),
    ),
    "revenue": (*("day", "environment", "currency", "asset", "product", "sale_month", "coins", "earned", "breakage"),),
    "unspent": ("user", "environment", "product", "sale_month", "asset", "coins", "value", "currency"),
}


def journal_moved(rows: Iterable[dict[str, Any]]) -> Counter[tuple[Any, ...]]:
    """Tillbook's journal: what moved by day, kind and pair of accounts. A correction turns the pair round, so that only
    the difference of both directions is to be compared."""
    moved, documents = Counter[tuple[Any, ...]](), defaultdict[str, list[dict[str, Any]]](list)
    for row in rows:
        documents[row["document"]].append(row)
    for debit, credit in documents.values():
        assert debit["debit"] == credit["credit"]
        assert (debit["credit"], credit["debit"]) == (None, None)
        _add(moved, debit["date"], debit["text"], (debit["account"], credit["account"]), debit["debit"])
    return moved


def _add(moved: Counter[tuple[Any, ...]], day: Any, kind: str, accounts: tuple[str, str], amount: Any) -> None:
    first, second = sorted(accounts)
    sign = 1 if accounts == (first, second) else -1
    moved[day, kind, first, second, amount.currency, SANDBOX] += sign * amount.minor


def journal(recount: Recount, since: datetime, until: datetime) -> Counter[tuple[Any, ...]]:
    moved = Counter[tuple[Any, ...]]()
    for entry in recount.entries():
        if since <= entry.counts_at < until:
            first, second = sorted((entry.debit, entry.credit))
            sign = 1 if entry.debit == first else -1
            day = recount.calendar.day(entry.counts_at)
            moved[day, entry.kind, first, second, entry.currency, SANDBOX] += sign * entry.minor
    return moved


def _sales(recount: Recount, since: datetime, until: datetime) -> Iterator[tuple[Any, ...]]:
    gross, refunded, payments = Counter[Any](), Counter[Any](), Counter[Any]()
    for sale in recount.known_sales():
        about = (SANDBOX, sale.pack.sku, sale.provider, sale.currency)
        if since <= recount.paid_at(sale) < until:
            payments[about] += 1
            gross[about] += sale.price
        for counts_at, one in recount.returns(sale):
            if since <= counts_at < until:
                refunded[about] += one.fen
    for about in payments.keys() | refunded.keys():
        number, minor, back = payments[about], gross[about], refunded[about]
        yield (*about, number, number, minor, back, minor - back)


def _refunds(recount: Recount, since: datetime, until: datetime) -> Iterator[tuple[Any, ...]]:
    for sale in recount.known_sales():
        for counts_at, one in recount.returns(sale):
            if since <= counts_at < until:
                order = sale.order or None
                about = (SANDBOX, sale.provider, sale.pack.sku, sale.user, order)
                yield (counts_at, *about, "refund", one.fen, sale.currency)


def _settlement(recount: Recount, since: datetime, until: datetime) -> Iterator[tuple[Any, ...]]:
    sums = defaultdict[tuple[Any, str, str], Counter[str]](Counter)

    def add(moment: datetime, provider: str, currency: str, what: str, minor: int) -> None:
        if since <= moment < until:
            sums[recount.calendar.day(moment), provider, currency][what] += minor

    for sale in recount.known_sales():
        add(recount.paid_at(sale), sale.provider, sale.currency, "our_payments", sale.price)
        for counts_at, one in recount.returns(sale):
            add(counts_at, sale.provider, sale.currency, "our_refunds", one.fen)
    for sale in recount.diary.sales:
        if sale.provider != STORE:
            _told_of_sale(recount, sale, add)
    for at, minor in _not_known(recount):
        add(at, WECHAT, "CNY", "differences", 1)
        add(at, WECHAT, "CNY", "difference_amount", minor)
    for stray in recount.diary.strays.values():
        if stray.told_at is not None:
            add(recount.calendar.counts_at(stray.at, stray.told_at), stray.provider, "CNY", "our_payments", stray.fen)
        add(stray.at, stray.provider, "CNY", "bill_payments", stray.fen)
        add(stray.at, stray.provider, "CNY", "bill_fees", -fee_of(stray))
    for alien in recount.diary.aliens:
        add(alien.at, alien.provider, "CNY", "others", alien.fen - fee_of(alien))
    of_bills = {"bill_payments", "bill_refunds", "others"}
    told = {(day, provider) for (day, provider, _), found in sums.items() if found.keys() & of_bills}
    for (day, provider, currency), found in sums.items():
        ours = (found["our_payments"], found["our_refunds"])
        about = (day, provider, SANDBOX, currency, *ours)
        if (day, provider) not in told:  # no bill has a row of that day
            yield (*about, None, None, None, None, 0, 0, None)
            continue
        theirs = (found["bill_payments"], found["bill_refunds"])
        differences = (found["differences"], found["difference_amount"])
        boundary = (theirs[0] - theirs[1]) - (ours[0] - ours[1]) - differences[1]
        yield (*about, *theirs, found["bill_fees"], found["others"], *differences, boundary)


def _not_known(recount: Recount) -> Iterator[tuple[datetime, int]]:
    """What the bills tell and we have not heard of: open differences. Only WeChat Pay has some."""
    for sale in recount.diary.sales:
        if not recount.knows(sale):
            yield sale.paid_at, sale.price
        for one in sale.back:
            if (one.told_at or one.at) > recount.calendar.now:
                yield one.at, -one.fen


def _told_of_sale(recount: Recount, sale: Sale, add: Callable[[datetime, str, str, str, int], None]) -> None:
    """What the trade bills have of it: fees stand in the rows of payments and refunds."""
    left = fee_of(sale)
    add(sale.paid_at, sale.provider, sale.currency, "bill_payments", sale.price)
    add(sale.paid_at, sale.provider, sale.currency, "bill_fees", -left)
    for one in sale.back:
        add(one.in_bills_at, sale.provider, sale.currency, "bill_refunds", one.fen)
        if sale.provider in recount.gives_fees_back:
            if sale.provider == WECHAT:
                fee_back = half_up((one.fen - coupon_back(sale, one)) * RATE[WECHAT])
            else:
                fee_back = min(left, half_up(Fraction(fee_of(sale) * one.fen, sale.price)))
            left -= fee_back
            add(one.in_bills_at, sale.provider, sale.currency, "bill_fees", fee_back)


def _store_sales(recount: Recount, since: datetime, until: datetime) -> Iterator[tuple[Any, ...]]:
    sums, last = defaultdict[tuple[Any, ...], list[int]](lambda: [0, 0, 0]), since
    for (month, product, territory, currency, price), units in recount.store_cells().items():
        if not recount.reported(month):
            continue
        last = max(last, month.end + TICK)
        if since < month.end < until:
            total = sums[month.name, product, territory, currency]
            for place, more in enumerate((units, units * price, units * proceeds_of(price, currency))):
                total[place] += more
    for (period, product, territory, currency), (units, gross, proceeds) in sums.items():
        money = (gross, currency, proceeds, currency, gross - proceeds)
        yield (STORE, period, product, territory, units, *money, "no")
    yield from _estimated(recount, last, until)


def _estimated(recount: Recount, since: datetime, until: datetime) -> Iterator[tuple[Any, ...]]:
    """Of the time after the reports: purchases alone, and the share by the setting."""
    sums = defaultdict[tuple[str, str, str], list[int]](lambda: [0, 0])
    for sale in recount.known_sales():
        if sale.provider == STORE and since <= sale.paid_at < until:
            total = sums[sale.pack.store_id, "US" if sale.abroad else "CN", sale.currency]
            total[0] += 1
            total[1] += sale.price
    for (product, territory, currency), (units, gross) in sums.items():
        share = half_up(gross * ESTIMATED_SHARE)
        yield (STORE, LATER, product, territory, units, gross, currency, gross - share, currency, share, "yes")


def _liability(recount: Recount, since: datetime, until: datetime) -> Iterator[tuple[Any, ...]]:
    coins, minor = defaultdict[Any, Counter[str]](Counter), defaultdict[Any, Counter[str]](Counter)
    for sale in recount.known_sales():
        about = _about(recount, sale)
        for step in steps_of(sale, recount.calendar):
            if step.counts_at >= until:
                continue
            column = _COLUMN[step.what] if step.counts_at >= since else "opening"
            for sums, moved in ((coins, step.coins), (minor, step.minor)):
                sums[about][column] += moved * _SIGN.get(column, 1)
                sums[about]["closing"] += moved
    for about in coins:
        parts = (coins[about], minor[about])
        if any(sums[name] for sums in parts for name in ("opening", *ROLLED)):
            names = ("opening", *ROLLED, "brought_in", "other", "closing")
            yield (*about, *(sums[name] for sums in parts for name in names))


def _revenue(recount: Recount, since: datetime, until: datetime) -> Iterator[tuple[Any, ...]]:
    sums = defaultdict[tuple[Any, ...], list[int]](lambda: [0, 0, 0])
    for sale in recount.known_sales():
        for step in steps_of(sale, recount.calendar):
            if step.what in OF_REVENUE and since <= step.counts_at < until:
                total = sums[recount.calendar.day(step.counts_at), *_about(recount, sale)]
                total[0] -= step.coins
                total[2 if step.what in OF_BREAKAGE else 1] -= step.minor
    for about, total in sums.items():
        if any(total):
            yield (*about, *total)


def unspent(recount: Recount) -> Rows:
    """Who has unspent paid coins, and what they are worth."""
    rows = Rows()
    for sale in recount.known_sales():
        left, value = left_of(sale, recount.calendar)
        given_to, given = sale.given or ("", 0)
        given = min(given, left)  # they expire there, too
        seen = before = 0
        for user, coins in sorted({sale.user: left - given, given_to: given}.items()):
            if coins:
                seen += coins
                upto = value * seen // left
                month = recount.calendar.month(recount.paid_at(sale))
                rows[user, SANDBOX, sale.pack.sku, month, "coin", coins, upto - before, sale.currency] += 1
                before = upto
    return rows


def _about(recount: Recount, sale: Sale) -> tuple[str, ...]:
    return (SANDBOX, sale.currency, "coin", sale.pack.sku, recount.calendar.month(recount.paid_at(sale)))


SHEETS: dict[str, Callable[[Recount, datetime, datetime], Iterable[tuple[Any, ...]]]] = {
    "sales": _sales,
    "refunds": _refunds,
    "settlement": _settlement,
    "store-sales": _store_sales,
    "contract-liability": _liability,
    "revenue": _revenue,
}
