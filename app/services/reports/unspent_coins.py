"""The coins that are paid for and not spent, and what they are worth: by user and purchase, or by product and month."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from app.domain.report_tables import Amount, Cell, ReportTable
from app.services.base.context import Tx
from app.services.finance.accounting_periods import closed_months
from app.services.ledger.deferred import deferred_revenue, unspent_purchases
from app.services.ledger.purchases import PurchaseHistory

UNSPENT_COLUMNS = (*("user", "environment", "product", "payment", "sale_month", "asset", "coins", "value", "currency"),)
DEFERRED_COLUMNS = ("environment", "product", "month", "asset", "coins", "value", "currency")


def unspent_coins(tx: Tx) -> ReportTable:
    """A line for each purchase and user, at present. The value of a purchase is spread over its coins so that the lines
    sum to it exactly. Coins of a gift under way have no user; coins without a price have no value."""
    rules, zone = tx.core.rules.recognition, tx.core.rules.ledger.zone
    purchases = unspent_purchases(tx, zone=zone, rules=rules, closed=closed_months(tx))
    rows = (line for purchase in purchases for line in _lines(purchase))
    return ReportTable("unspent", "Unspent coins", UNSPENT_COLUMNS, rows)


def deferred_table(tx: Tx) -> ReportTable:
    """A line for each product and month of sale, at present. Coins without a price have no value."""
    rules, zone = tx.core.rules.recognition, tx.core.rules.ledger.zone
    figures = deferred_revenue(tx, zone=zone, rules=rules, closed=closed_months(tx))
    rows: Iterator[Sequence[Cell]] = (
        (
            *(about.environment, about.product, about.month, about.asset, sums.coins),
            Amount(sums.value_minor, about.currency) if about.currency else None,
            about.currency or None,
        )
        for about, sums in figures.items()
    )
    return ReportTable("deferred-revenue", "Deferred revenue", DEFERRED_COLUMNS, rows)


def _lines(purchase: PurchaseHistory) -> Iterator[Sequence[Cell]]:
    about = (purchase.product, purchase.payment, purchase.sale_month)
    for asset, pool in purchase.standing.pools.items():
        if not asset or not pool.unspent:
            continue
        seen = before = 0
        for user, coins in _held(purchase, asset, pool.unspent):
            seen += coins
            upto = pool.value_minor * seen // pool.unspent
            worth = Amount(upto - before, purchase.currency) if purchase.currency else None
            before = upto
            yield (user, purchase.environment, *about, asset, coins, worth, purchase.currency or None)


def _held(purchase: PurchaseHistory, asset: str, unspent: int) -> Iterator[tuple[str | None, int]]:
    """Users with their coins of that asset, then what is under way."""
    of_users: dict[str, int] = {}
    for held, user, coins in purchase.holders:
        if held == asset:
            of_users[user] = of_users.get(user, 0) + coins
    yield from sorted(of_users.items())
    under_way = unspent - sum(of_users.values())
    if under_way:
        yield None, under_way
