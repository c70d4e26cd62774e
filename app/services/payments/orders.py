"""Making orders and the payments that try to pay them. Everything here is written before a provider hears of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from pydantic import ValidationError
from sqlalchemy import func, select

from app.domain.facts import Ref
from app.domain.money import MAX_MINOR, Money
from app.domain.numbers import slot_of_number, slot_of_user
from app.domain.schedule import next_ask
from app.domain.status import OPEN_PAYMENT, OrderStatus, PaymentStatus
from app.models.base import AnyRow
from app.models.orders import Order, Payment
from app.providers.facts import Intent
from app.providers.registry import ProviderAccount
from app.services.accounts.catalog import price_in, product_for_sale, store_ids_of
from app.services.accounts.users import ensure_user
from app.services.base.context import Core, Tx, environment_of
from app.services.base.errors import (
    Invalid,
    NotFound,
    OrderNotOpen,
    TooManyPayments,
    UnknownProviderAccount,
    UnknownWay,
)
from app.services.base.idempotency import Keyed, claim_key, find_key
from app.services.base.upsert import insert_numbered
from app.services.payments import intents, payment_rows

MOST_PAYMENTS = 10
"""Attempts to pay one order."""
MOST_PIECES = 1000
SUBJECT_LENGTH = 128
_o, _p = Order.__table__.c, Payment.__table__.c


@dataclass(frozen=True, slots=True)
class PayBy:
    """How the user wants to pay."""

    provider_account: str
    way: str
    extra: Mapping[str, Any] = field(default_factory=dict)
    return_url: str = ""


@dataclass(frozen=True, slots=True)
class NewOrder:
    user_id: str
    sku: str
    quantity: int
    pay_by: PayBy
    currency: str | None = None


@dataclass(frozen=True, slots=True)
class OrderView:
    """An order with its payments, oldest first."""

    order: AnyRow
    payments: list[AnyRow]


class _Replay(Exception):
    """The key already stands for this resource: undo what this transaction began, and show that."""

    def __init__(self, resource_id: int) -> None:
        super().__init__()
        self.resource_id = resource_id


def account_for(core: Core, pay_by: PayBy) -> tuple[ProviderAccount, PayBy]:
    """The provider account, and the request with `extra` as its way validates it. Raises before anything is written."""
    account = core.registry.get(pay_by.provider_account)
    if account is None:
        raise UnknownProviderAccount(provider_account=pay_by.provider_account)
    model = account.provider.ways.get(pay_by.way)
    if model is None:
        raise UnknownWay(way=pay_by.way, ways=sorted(account.provider.ways))
    try:
        extra = model.model_validate(dict(pay_by.extra)).model_dump(mode="json", exclude_none=True)
    except ValidationError as error:
        faults = [
            {"field": ".".join(["extra", *map(str, fault["loc"])]), "message": fault["msg"]}
            for fault in error.errors(include_input=False, include_url=False)
        ]
        raise Invalid(f"way {pay_by.way!r} needs other fields in `extra`", errors=faults) from None
    return account, PayBy(pay_by.provider_account, pay_by.way, extra, pay_by.return_url)


def create_order(core: Core, wanted: NewOrder, request: Keyed) -> tuple[int, int]:
    """Write the order and its first payment; (order number, payment number). A repeat gives the first ones again."""
    account, pay_by = account_for(core, wanted.pay_by)

    def work(tx: Tx) -> tuple[int, int]:
        now = core.clock.now()
        known = find_key(tx, slot_of_user(wanted.user_id), request)
        if known is not None:  # before anything is judged anew: the product may not be for sale any more
            raise _Replay(known)
        user = ensure_user(tx, wanted.user_id)
        product = product_for_sale(tx, wanted.sku, now)
        row = _order_row(core, wanted, user, product, account, now)
        order_id = insert_numbered(tx, Order.__table__, core.numbers, row)
        known = claim_key(tx, user.slot, request, order_id, now)
        if known is not None:
            raise _Replay(known)
        order = payment_rows.lock_order(tx, user.slot, order_id)
        payment_id = _add_payment(tx, order, account, pay_by, str(user.token), product.store_ids)
        return order_id, payment_id

    try:
        return core.transact(work)
    except _Replay as replay:
        return replay.resource_id, _first_payment(core, replay.resource_id)


def add_payment(core: Core, user_id: str, order_id: int, pay_by: PayBy, request: Keyed) -> int:
    """Write another attempt to pay an open order; its number. Raises OrderNotOpen, TooManyPayments, NotFound."""
    account, pay_by = account_for(core, pay_by)
    slot = slot_of_user(user_id)

    def work(tx: Tx) -> int:
        now = core.clock.now()
        order = own_order(tx, user_id, order_id)
        order = payment_rows.lock_order(tx, slot, order.id)
        if order.environment != environment_of(account.live):
            raise UnknownProviderAccount("the order belongs to the other environment")
        if order.currency not in account.provider.currencies:
            raise Invalid("the provider account does not take the order's currency", field="provider_account")
        user = ensure_user(tx, user_id)
        store_ids = store_ids_of(tx, order.sku)
        payment_id = _add_payment(tx, order, account, pay_by, str(user.token), store_ids)
        known = claim_key(tx, slot, request, payment_id, now)
        if known is not None:
            raise _Replay(known)
        if order.status != OrderStatus.OPEN or order.expires_at <= now:
            raise OrderNotOpen(order=str(order_id), order_status=order.status)
        return payment_id

    try:
        return core.transact(work)
    except _Replay as replay:
        return replay.resource_id


def own_order(tx: Tx, user_id: str, order_id: int) -> AnyRow:
    """The user's order. Another user's is as absent as one that never was."""
    slot = slot_of_user(user_id)
    found = payment_rows.order(tx, slot, order_id) if slot == slot_of_number(order_id) else None
    if found is None or found.user_id != user_id:
        raise NotFound(order=str(order_id))
    return found


def view_order(core: Core, user_id: str, order_id: int) -> OrderView:
    def work(tx: Tx) -> OrderView:
        order = own_order(tx, user_id, order_id)
        return OrderView(order, payment_rows.payments_of_order(tx, order.slot, order.id))

    return core.read(work)


def list_orders(core: Core, user_id: str, *, before: int | None, limit: int) -> list[OrderView]:
    """The user's orders, newest first, older than the cursor `before`."""
    slot = slot_of_user(user_id)

    def work(tx: Tx) -> list[OrderView]:
        wanted = select(*_o).where(_o.slot == slot, _o.user_id == user_id).order_by(_o.id.desc()).limit(limit)
        if before is not None:
            wanted = wanted.where(_o.id < before)
        orders = tx.execute(wanted).all()
        payments = payment_rows.payments_of_orders(tx, slot, [order.id for order in orders])
        return [OrderView(order, [one for one in payments if one.order_id == order.id]) for order in orders]

    return core.read(work)


def open_payments(view: OrderView) -> list[AnyRow]:
    return [payment for payment in view.payments if payment.status in OPEN_PAYMENT]


def _order_row(
    core: Core, wanted: NewOrder, user: AnyRow, product: AnyRow, account: ProviderAccount, now: datetime
) -> dict[str, Any]:
    amount, currency = _amount(wanted, product, account)
    return {
        "slot": user.slot,
        "user_id": user.id,
        "environment": environment_of(account.live),
        "sku": product.sku,
        "title": product.title,
        "quantity": wanted.quantity,
        "amount_minor": amount,
        "currency": currency,
        "grants": product.grants,
        "status": OrderStatus.OPEN,
        "paid_payment_id": None,
        "created_at": now,
        "expires_at": now + timedelta(minutes=core.rules.order_minutes),
        "paid_at": None,
    }


def _amount(wanted: NewOrder, product: AnyRow, account: ProviderAccount) -> tuple[int | None, str | None]:
    """What to charge; nothing where the provider is a store that sets its own prices."""
    if not 0 < wanted.quantity <= MOST_PIECES:
        raise Invalid(f"quantity is 1 to {MOST_PIECES}", field="quantity")
    if not account.provider.currencies:
        if account.name not in product.store_ids:
            raise Invalid("the product has no id in this store", field="product")
        return None, None
    unit, currency = price_in(product.prices, account.provider.currencies, wanted.currency)
    if unit * wanted.quantity > MAX_MINOR:
        raise Invalid("the amount is too large", field="quantity")
    return unit * wanted.quantity, currency


def _add_payment(
    tx: Tx,
    order: AnyRow,
    account: ProviderAccount,
    pay_by: PayBy,
    token: str,
    store_ids: Mapping[str, str],
) -> int:
    now = tx.now
    tried = tx.execute(
        select(func.count()).select_from(Payment).where(_p.slot == order.slot, _p.order_id == order.id)
    ).scalar_one()
    if tried >= MOST_PAYMENTS:
        raise TooManyPayments(order=str(order.id), limit=MOST_PAYMENTS)
    rules = tx.core.rules.ask
    row = {
        "slot": order.slot,
        "order_id": order.id,
        "provider_account": account.name,
        "way": pay_by.way,
        "status": PaymentStatus.CREATED,
        "theirs": None,
        "action": None,
        "problem": "",
        "created_at": now,
        "expires_at": order.expires_at,
        "next_query_at": next_ask(now=now, asked=0, expires_at=order.expires_at, rules=rules, jitter=0.5),
        "queries": 0,
        "intent": {},
    }
    payment_id = insert_numbered(tx, Payment.__table__, tx.core.numbers, row)
    intent = _intent(tx.core, order, payment_id, account, pay_by, token, store_ids)
    payment_rows.store_intent(tx, order.slot, payment_id, intents.to_json(intent))
    return payment_id


def _intent(
    core: Core,
    order: AnyRow,
    payment_id: int,
    account: ProviderAccount,
    pay_by: PayBy,
    token: str,
    store_ids: Mapping[str, str],
) -> Intent:
    return Intent(
        ref=Ref(ours=str(payment_id)),
        money=Money(order.amount_minor, order.currency) if order.amount_minor is not None else None,
        subject=order.title[:SUBJECT_LENGTH],
        product=store_ids.get(account.name, order.sku),
        quantity=order.quantity,
        owner=token,
        way=pay_by.way,
        created_at=core.clock.now(),
        expires_at=order.expires_at,
        notify_url=f"{core.public_url}/webhooks/{account.name}",
        return_url=pay_by.return_url,
        extra=pay_by.extra,
    )


def _first_payment(core: Core, order_id: int) -> int:
    slot = slot_of_number(order_id)
    rows = core.read(lambda tx: payment_rows.payments_of_order(tx, slot, order_id))
    return int(rows[0].id)
