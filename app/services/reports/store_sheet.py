"""What stores sold, by period, product and territory: as their financial reports say, and by estimate until there is
one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from app.domain.bill_lines import BillSide
from app.domain.report_tables import Amount, Cell, ReportTable
from app.providers.registry import ProviderAccount
from app.providers.verbs import ReadsBills
from app.services.base.context import Tx
from app.services.finance.store_sales import store_sales
from app.services.reports.movements import Period

STORE_COLUMNS = (
    *("provider_account", "period", "product", "territory", "units", "gross", "currency"),
    *("proceeds", "proceeds_currency", "share", "estimated"),
)


def store_sheet(tx: Tx, period: Period) -> ReportTable:
    """Each product and territory of the store's periods that end in the span, then what our own facts tell of the time
    after them. `estimated` marks a share by the setting; units without a price have empty money columns."""
    return ReportTable("store-sales", "Store sales", STORE_COLUMNS, _lines(tx, period))


def _lines(tx: Tx, period: Period) -> Iterator[Sequence[Cell]]:
    for account in sorted(filter(_is_store, tx.core.registry), key=lambda account: account.name):
        for sale in store_sales(tx, account, period.span.since, period.span.until):
            yield (
                *(account.name, sale.period, sale.product, sale.territory, sale.units),
                *(_amount(sale.gross_minor, sale.currency), sale.currency),
                *(_amount(sale.proceeds_minor, sale.proceeds_currency), sale.proceeds_currency),
                *(_amount(sale.share_minor, sale.currency), "yes" if sale.is_estimated else "no"),
            )


def _amount(minor: int | None, currency: str | None) -> Amount | None:
    return None if minor is None or currency is None else Amount(minor, currency)


def _is_store(account: ProviderAccount) -> bool:
    """Whether it makes reports of proceeds: only stores do."""
    provider = account.provider
    return isinstance(provider, ReadsBills) and BillSide.PROCEEDS in provider.bill_feeds.values()
