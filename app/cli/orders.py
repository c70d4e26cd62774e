"""`tillbook orders`: what users have ordered."""

from __future__ import annotations

from functools import partial
from operator import itemgetter

import click

from app.cli.house import house
from app.cli.lists import Table, list_options, span_of, time_options, write_list
from app.domain import list_tables
from app.domain.report_tables import Amount
from app.domain.status import OrderStatus
from app.services.payments import orders as order_service
from app.services.payments.order_rows import OrderFilter
from app.services.payments.orders import OrderView


@click.group()
def orders() -> None:
    """What users have ordered, and whether it is paid."""


@orders.command("list")
@click.option("--user", help="Only this user's.")
@click.option("--status", type=click.Choice([str(status) for status in OrderStatus]))
@time_options
@list_options
def list_orders(
    user: str | None, status: str | None, since: str | None, until: str | None, limit: int | None, as_csv: bool
) -> None:
    """The orders of all users, or of one, newest first."""
    core = house().core if user else house().core.for_reports()
    wanted = OrderFilter(user, None if status is None else OrderStatus(status), span_of(since, until))
    write_list(
        partial(order_service.list_orders, core, wanted),
        limit,
        _line,
        _table() if as_csv else None,
    )


def _table() -> Table[OrderView]:
    cells = itemgetter(*list_tables.ORDER_COLUMNS)
    return list_tables.ORDER_COLUMNS, lambda view: cells(list_tables.order_in_list(view.order, view.payments))


def _line(view: OrderView) -> str:
    order = view.order
    money = Amount(order.amount_minor, order.currency).written() if order.amount_minor is not None else "no amount"
    return (
        f"{order.id}  {order.created_at:%Y-%m-%d %H:%M:%S}  {order.environment}  {order.status}  {money}"
        f"  {order.quantity} × {order.sku}  user={order.user_id}"
    )
