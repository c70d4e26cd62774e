"""Products, orders and their payments, for the app's client and its backend."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from apiflask import APIBlueprint

from app.domain import list_tables, representations
from app.domain.numbers import parse_number
from app.providers.http import deadline
from app.providers.verbs import capabilities
from app.services.accounts.catalog import products_for_sale
from app.services.base.errors import NotFound
from app.services.base.idempotency import keyed
from app.services.base.list_pages import ListPlace, TimeSpan
from app.services.calls import payment_queries, payment_starts
from app.services.payments import orders
from app.services.payments.order_rows import OrderFilter
from app.services.payments.orders import NewOrder, OrderView, PayBy
from app.web import schemas
from app.web.access import caller, needs
from app.web.context import core
from app.web.lists import CSV_RESPONSE, MOMENT, NUMBER, ListShape, list_answer

blueprint = APIBlueprint("orders", __name__, url_prefix="/v1", tag="Orders")
ORDER_LIST = ListShape("orders", "orders", (NUMBER,), list_tables.ORDER_COLUMNS)
ALL_ORDERS = replace(ORDER_LIST, name="all-orders", place=(MOMENT, NUMBER))


@blueprint.get("/products")
@needs("read")
@blueprint.output(schemas.ProductsOut)
def list_products() -> Any:
    """What is for sale now."""
    rows = core().home.read(lambda tx: products_for_sale(tx, core().clock.now()))
    fields = ("sku", "title", "prices", "grants", "fulfilment", "store_ids", "plan", "entitlements")
    return {"products": [{name: getattr(row, name) for name in fields} for row in rows]}


@blueprint.get("/providers")
@needs("read")
@blueprint.output(schemas.ProvidersOut)
def list_providers() -> Any:
    """The provider accounts, their ways of paying and what each way needs."""
    return {
        "providers": [
            {
                "name": account.name,
                "live": account.live,
                "currencies": list(account.provider.currencies),
                "capabilities": list(capabilities(account.provider)),
                "agreement_ways": [
                    {"way": way, "extra": model.model_json_schema()}
                    for way, model in getattr(account.provider, "agreement_ways", {}).items()
                ],
                "ways": [
                    {"way": way, "extra": model.model_json_schema()} for way, model in account.provider.ways.items()
                ],
            }
            for account in core().registry
        ]
    }


@blueprint.post("/orders")
@needs("orders")
@blueprint.input(schemas.OrderIn, arg_name="body")
@blueprint.output(schemas.OrderOut, status_code=201)
def create_order(body: schemas.OrderIn) -> Any:
    """Order a product and start paying it. The answer's payment carries the `action` that the client does next.

    Sending the same request with the same Idempotency-Key again gives the same order, and goes on where the first
    one stopped.
    """
    user_id = caller().user(body.user)
    content = {**body.model_dump(mode="json"), "user": user_id}
    request = keyed(caller().speaking_for(user_id), schemas.idempotency_key(), "create_order", content)
    wanted = NewOrder(user_id, body.product, body.quantity, _pay_by(body), body.currency)
    placed = orders.create_order(core(), wanted, request)
    written = placed.written.payments[0] if placed.written else None
    started = payment_starts.start_payment(core(), placed.payment_id, written)
    if placed.written is not None and started is not None:
        return representations.order_view_data(OrderView(placed.written.order, [started]))
    return representations.order_view_data(orders.view_order(core(), user_id, placed.order_id))


@blueprint.get("/orders")
@needs("read")
@blueprint.input(schemas.OrdersQuery, location="query", arg_name="query")
@blueprint.output(schemas.OrdersOut)
@blueprint.doc(responses=CSV_RESPONSE)
def list_orders(query: schemas.OrdersQuery) -> Any:
    """Orders, newest first: the user's, or, for a backend's key without `user`, those of all users."""
    user_id = caller().user_if_named(query.user)
    house = core() if user_id is not None else core().for_reports()
    wanted = OrderFilter(user_id, query.status, TimeSpan(query.since, query.until))
    shape = ALL_ORDERS if user_id is None else ORDER_LIST
    return list_answer(
        shape,
        query,
        partial(orders.list_orders, house, wanted),
        representations.order_view_data,
        in_table=lambda view: list_tables.order_in_list(view.order, view.payments),
        place=None if query.before is None else _place_before(shape, query.before),
    )


@blueprint.get("/orders/<number>")
@needs("read")
@blueprint.input(schemas.UserQuery, location="query", arg_name="query")
@blueprint.output(schemas.OrderOut)
def show_order(number: str, query: schemas.UserQuery) -> Any:
    """One order; while it is open, the provider is asked first.

    That happens if nobody asked in the last 3 seconds, and takes 2 seconds at most. A backend's key reads every order,
    with `user` only the orders of that user.
    """
    user_id = caller().user_if_named(query.user)
    order_id = _number(number)
    view = orders.view_order(core(), user_id, order_id)
    if _ask(view):
        view = orders.view_order(core(), user_id, order_id)
    return representations.order_view_data(view)


@blueprint.post("/orders/<number>/payments")
@needs("orders")
@blueprint.input(schemas.PaymentIn, arg_name="body")
@blueprint.output(schemas.OrderOut, status_code=201)
def add_payment(number: str, body: schemas.PaymentIn) -> Any:
    """Try to pay an open order again, or by another way. Earlier attempts are asked about first, and shut."""
    user_id = caller().user(body.user)
    order_id = _number(number)
    content = {**body.model_dump(mode="json"), "user": user_id, "order": number}
    request = keyed(caller().speaking_for(user_id), schemas.idempotency_key(), "add_payment", content)
    payment_id = payment_starts.pay_again(core(), user_id, order_id, _pay_by(body), request)
    payment_starts.start_payment(core(), payment_id)
    return representations.order_view_data(orders.view_order(core(), user_id, order_id))


def _ask(view: OrderView) -> bool:
    """Ask about the open payments of the order; True if there were any. Where the provider has no place free,
    what we know is shown, and the worker asks anyway."""
    waiting = orders.open_payments(view)
    with deadline(payment_queries.READER_SECONDS):
        for payment in waiting:
            payment_queries.ask_if_due(core(), payment.id)
    return bool(waiting)


def _pay_by(body: schemas.PayByIn) -> PayBy:
    return PayBy(body.provider_account, body.way, body.extra, body.return_url)


def _place_before(shape: ListShape, before: str) -> ListPlace:
    """Where a page begins that is asked for by the older name of the cursor: by the number of one of the user's orders,
    too."""
    number = parse_number(before)
    return (number,) if number is not None and shape is ORDER_LIST else shape.place_of(before, "before")


def _number(text: str) -> int:
    number = parse_number(text)
    if number is None:
        raise NotFound
    return number
