"""Making orders and the payments that try to pay them. Everything here is written before a provider hears of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any

from pydantic import BaseModel, ValidationError
from sqlalchemy import and_, bindparam, select

from app.domain.facts import Ref
from app.domain.money import MAX_MINOR, Money
from app.domain.numbers import slot_of_number, slot_of_user
from app.domain.schedule import next_ask
from app.domain.status import OPEN_PAYMENT, PAYABLE, OrderStatus, PaymentStatus
from app.models.catalogue import Product
from app.models.orders import IdempotencyKey, Order, Payment, User
from app.providers.facts import Intent
from app.providers.registry import ProviderAccount
from app.services.accounts.catalog import check_for_sale, price_in
from app.services.accounts.users import add_user
from app.services.base.context import Core, Tx, environment_of
from app.services.base.errors import (
    AmountTooLarge,
    CurrencyNotTaken,
    ExtraNotAccepted,
    Invalid,
    NeedsAgreement,
    NotFound,
    OrderNotOpen,
    TooManyPayments,
    UnknownProduct,
    UnknownProviderAccount,
    UnknownWay,
)
from app.services.base.idempotency import (
    KEPT,
    Keyed,
    claim_key,
    decided_once,
    key_values,
    remembering,
    resource_of,
)
from app.services.base.list_pages import ListPage, ListPlace, page_everywhere, page_of
from app.services.base.statements import Statement, make_row_type, with_names
from app.services.base.upsert import NumberTaken, insertion_if_new
from app.services.payments import intents, order_rows, payment_rows, repeated_attempts
from app.services.payments.order_limits import check_limits, check_time
from app.services.payments.order_rows import OrderFilter

MOST_PAYMENTS = 10
"""Attempts to pay one order."""
MOST_PIECES = 1000
SUBJECT_LENGTH = 128
_o, _p, _u = Order.__table__.c, Payment.__table__.c, User.__table__.c
_k, _g = IdempotencyKey.__table__.c, Product.__table__.c
_INSERT_ORDER, _INSERT_PAYMENT = insertion_if_new(Order.__table__), insertion_if_new(Payment.__table__)
_GOODS = (
    *(_g.sku, _g.title, _g.prices, _g.grants, _g.fulfilment, _g.store_ids, _g.active, _g.starts_at, _g.ends_at),
    _g.plan,
)
_OrderRow: Any = make_row_type("OrderRow", _o)
_PaymentRow: Any = make_row_type("PaymentRow", _p)
_BUYERS = (_u.token, *KEPT, *_GOODS, *repeated_attempts.PAYMENT_MADE)
_OWNED = (*_o, _u.token, _g.store_ids)
_Buyer: Any = make_row_type("Buyer", _BUYERS)
_Owned: Any = make_row_type("Owned", _OWNED)
# The user is locked, so that what a user has open is counted by one request at a time.
_BUYER = Statement(
    lambda _: (
        select(*_BUYERS)
        .select_from(User)
        .outerjoin(
            IdempotencyKey, and_(_k.slot == _u.slot, _k.caller == bindparam("caller"), _k.key == bindparam("key"))
        )
        .outerjoin(Product, _g.sku == bindparam("wanted_sku"))
        .outerjoin(repeated_attempts.MADE_BEFORE, repeated_attempts.is_named(_u.slot))
        .where(_u.slot == bindparam("slot"), _u.id == bindparam("user"))
        .with_for_update(key_share=True, of=[User])
    )
)
_OWN_ORDER = (
    select(*_OWNED)
    .select_from(Order)
    .join(User, and_(_u.slot == _o.slot, _u.id == _o.user_id))
    .outerjoin(Product, _g.sku == _o.sku)
    .where(_o.slot == bindparam("slot"), _o.id == bindparam("id"), _o.user_id == bindparam("user"))
)
_READ_OWN_ORDER = Statement(lambda _: _OWN_ORDER)
# The user too: attempts to pay two orders at the same time are counted one by one.
_LOCK_OWN_ORDER = Statement(lambda _: _OWN_ORDER.with_for_update(key_share=True, of=[Order, User]))


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
    """An order with its payments, in the order in which they were made."""

    order: Any
    payments: list[Any]


class Placed(tuple[int, int]):
    """The numbers of an order and of its first payment, with the rows where this request has just written them."""

    written: OrderView | None

    def __new__(cls, order_id: int, payment_id: int, written: OrderView | None = None) -> Placed:
        placed = super().__new__(cls, (order_id, payment_id))
        placed.written = written
        return placed

    @property
    def order_id(self) -> int:
        return self[0]

    @property
    def payment_id(self) -> int:
        return self[1]


def account_for(core: Core, pay_by: PayBy, of: str = "ways") -> tuple[ProviderAccount, PayBy]:
    """The provider account, and the request with `extra` as its way, one `of` those, validates it. Raises before
    anything is written."""
    account = core.registry.get(pay_by.provider_account)
    if account is None:
        raise UnknownProviderAccount(provider_account=pay_by.provider_account)
    ways: Mapping[str, type[BaseModel]] = getattr(account.provider, of, {})
    model = ways.get(pay_by.way)
    if model is None:
        raise UnknownWay(way=pay_by.way, ways=sorted(ways))
    try:
        extra = model.model_validate(dict(pay_by.extra)).model_dump(mode="json", exclude_none=True)
    except ValidationError as error:
        faults = [
            {"field": ".".join(["extra", *map(str, fault["loc"])]), "message": fault["msg"]}
            for fault in error.errors(include_input=False, include_url=False)
        ]
        raise ExtraNotAccepted(way=pay_by.way, errors=faults) from None
    return account, PayBy(pay_by.provider_account, pay_by.way, extra, pay_by.return_url)


def create_order(core: Core, wanted: NewOrder, request: Keyed) -> Placed:
    """Write the order and its first payment. A repeat gives the first ones again, or the first refusal."""
    slot = slot_of_user(wanted.user_id)

    def work(tx: Tx) -> Placed:
        buyer = _buyer(tx, slot, wanted, request)
        known = resource_of(buyer, request)
        if known is not None:  # before anything is judged anew: the product may not be for sale any more
            return _placed_before(tx, slot, known)
        if buyer.made_id is not None:
            return _placed_by_forgotten_key(tx, slot, wanted, buyer, request)
        account, pay_by = account_for(core, wanted.pay_by)
        order = _order_row(tx, slot, wanted, buyer, account)
        check_time(account, order.expires_at, tx.now)
        check_limits(tx, slot, wanted.user_id, new_order=True)
        payment = _payment_row(tx, order, 1, account, pay_by, str(buyer.token), buyer.store_ids, request)
        claim_key(tx, slot, request, order.id)
        tx.later(_INSERT_ORDER, [order._asdict()], wrong=NumberTaken)
        tx.later(_INSERT_PAYMENT, [payment._asdict()], wrong=NumberTaken)
        return Placed(order.id, payment.id, OrderView(order, [payment]))

    def repeated(order_id: int) -> Placed:
        return core.at(slot).read(lambda tx: _placed_before(tx, slot, order_id))

    return remembering(core, slot, request, work, repeated)


def add_payment(core: Core, user_id: str, order_id: int, pay_by: PayBy, request: Keyed) -> int:
    """Write another attempt to pay an open order; its number. Raises OrderNotOpen, TooManyPayments, TooLittleTime,
    NotFound."""
    slot = slot_of_user(user_id)

    def decide(tx: Tx) -> int:
        order, attempts = _own_order(tx, _LOCK_OWN_ORDER, user_id, order_id, request)
        if attempts.made_id is not None:
            repeated_attempts.check_same_attempt(attempts, order_id, pay_by)
            return int(attempts.made_id)
        account, valid = _judged(tx, order, attempts, pay_by)
        token, store_ids = str(order.token), order.store_ids or {}
        payment = _payment_row(tx, order, attempts.attempts + 1, account, valid, token, store_ids, request)
        tx.later(_INSERT_PAYMENT, [payment._asdict()], wrong=NumberTaken)
        return int(payment.id)

    return decided_once(core, slot, request, decide)


def open_payments_to_replace(tx: Tx, user_id: str, order_id: int, pay_by: PayBy, request: Keyed) -> list[int]:
    """The open payments of an order to which another attempt could be added now; none if this request has added its
    attempt already. Raises what `add_payment` would."""
    order, attempts = _own_order(tx, _READ_OWN_ORDER, user_id, order_id, request)
    if attempts.made_id is not None:
        return []
    _judged(tx, order, attempts, pay_by)
    payments = payment_rows.payments_of_order(tx, order.slot, order.id)
    return [payment.id for payment in payments if payment.status in OPEN_PAYMENT]


def _own_order(tx: Tx, read: Statement, user_id: str, order_id: int, request: Keyed) -> tuple[Any, Any]:
    """The order with its user's token and its product's store ids; how many attempts were made, and the one that this
    request made. Raises NotFound."""
    slot = slot_of_user(user_id)
    keys = {"slot": slot, "id": order_id, "user": user_id}
    order = with_names(_Owned, read.row(tx, keys)) if slot == slot_of_number(order_id) else None
    if order is None:
        raise NotFound(order=str(order_id))
    return order, repeated_attempts.attempts_of(tx, slot, order_id, request)


def _judged(tx: Tx, order: Any, attempts: Any, pay_by: PayBy) -> tuple[ProviderAccount, PayBy]:
    """The account and the valid request. Raises where no further attempt is allowed."""
    order_id = order.id
    account, valid = account_for(tx.core, pay_by)
    if order.environment != environment_of(account.live):
        raise UnknownProviderAccount("The order belongs to the other environment.")
    if order.currency not in account.provider.currencies:
        raise CurrencyNotTaken(currency=order.currency, provider_account=pay_by.provider_account)
    if order.status != OrderStatus.OPEN or order.expires_at <= tx.now:
        raise OrderNotOpen(order=str(order_id), order_status=order.status)
    check_time(account, order.expires_at, tx.now)
    if attempts.attempts >= MOST_PAYMENTS:
        raise TooManyPayments(order=str(order_id), limit=MOST_PAYMENTS)
    check_limits(tx, order.slot, order.user_id, new_order=False)
    return account, valid


def _placed_by_forgotten_key(tx: Tx, slot: int, wanted: NewOrder, buyer: Any, request: Keyed) -> Placed:
    """The order that this request made, bound to its key anew. Raises KeyReused if it made something else."""
    repeated_attempts.check_same_order(buyer, payment_rows.find_order(tx, slot, buyer.made_order), wanted)
    claim_key(tx, slot, request, buyer.made_order)
    return Placed(buyer.made_order, buyer.made_id)


def view_order(core: Core, user_id: str | None, order_id: int) -> OrderView:
    """The user's order; any order for a caller who speaks for all users (None). Raises NotFound: the order of another
    user is as absent as one that never was."""
    slot = slot_of_number(order_id)
    found = core.at(slot).alone(lambda tx: order_rows.order_with_payments(tx, slot, order_id))
    if found is None or user_id not in (None, found[0].user_id):
        raise NotFound(order=str(order_id))
    return OrderView(*found)


def list_orders(core: Core, wanted: OrderFilter, place: ListPlace | None, limit: int) -> ListPage[OrderView]:
    """A page of orders, newest first: those of one user, or of all."""
    if wanted.user_id is None:
        read = partial(order_rows.all_orders, wanted=wanted, place=place, most=limit + 1)
        page = page_everywhere(core, read, limit, order_rows.place_in_time)
    else:
        mine = partial(order_rows.orders_of_user, user_id=wanted.user_id, wanted=wanted, place=place, most=limit + 1)
        page = page_of(core.of_user(wanted.user_id).alone(mine), limit, order_rows.place_of_user)
    return ListPage([OrderView(order, payments) for order, payments in page.rows], page.next, page.missing)


def open_payments(view: OrderView) -> list[Any]:
    """Those that the payer has still to pay. What is authorized is the worker's to capture."""
    return [payment for payment in view.payments if payment.status in PAYABLE]


def _buyer(tx: Tx, slot: int, wanted: NewOrder, request: Keyed) -> Any:
    """The user, locked, with what the key stands for and the wanted product: null where there is none. A user is made
    on first sight."""
    keys = {
        "slot": slot,
        "user": wanted.user_id,
        **key_values(slot, request),
        "wanted_sku": wanted.sku,
        "request": repeated_attempts.request_name(slot, request),
    }
    found = with_names(_Buyer, _BUYER.row(tx, keys))
    if found is None:
        add_user(tx, wanted.user_id)
        found = with_names(_Buyer, _BUYER.row(tx, keys))
    return found


def _placed_before(tx: Tx, slot: int, order_id: int) -> Placed:
    return Placed(order_id, payment_rows.payments_of_order(tx, slot, order_id)[0].id)


def _order_row(tx: Tx, slot: int, wanted: NewOrder, product: Any, account: ProviderAccount) -> Any:
    check_for_sale(product, wanted.sku, tx.now)
    amount, currency = _amount(wanted, product, account)
    order = _OrderRow(
        slot=slot,
        id=tx.core.numbers.next(slot),
        user_id=wanted.user_id,
        environment=environment_of(account.live),
        sku=product.sku,
        title=product.title,
        quantity=wanted.quantity,
        amount_minor=amount,
        currency=currency,
        grants=product.grants,
        fulfilment=product.fulfilment,
        fulfilment_status=None,
        status=OrderStatus.OPEN,
        paid_payment_id=None,
        created_at=tx.now,
        expires_at=tx.now + timedelta(minutes=tx.core.rules.order_minutes),
        paid_at=None,
        seal=None,
        agreement_id=None,
        period_number=None,
    )
    return order._replace(seal=tx.core.rules.ledger.seals.of_row("orders", order._asdict()))


def _amount(wanted: NewOrder, product: Any, account: ProviderAccount) -> tuple[int | None, str | None]:
    """What to charge; nothing where the provider is a store that sets its own prices."""
    if not 0 < wanted.quantity <= MOST_PIECES:
        raise Invalid(f"quantity is 1 to {MOST_PIECES}", field="quantity")
    if not account.provider.currencies:
        if account.name not in product.store_ids:
            raise UnknownProduct("The product has no id in this store.", sku=wanted.sku)
        return None, None
    if product.plan is not None:
        raise NeedsAgreement(sku=wanted.sku)
    unit, currency = price_in(product.prices, account.provider.currencies, wanted.currency)
    if unit * wanted.quantity > MAX_MINOR:
        raise AmountTooLarge(quantity=wanted.quantity)
    return unit * wanted.quantity, currency


def _payment_row(
    tx: Tx,
    order: Any,
    attempt: int,
    account: ProviderAccount,
    pay_by: PayBy,
    token: str,
    store_ids: Mapping[str, str],
    request: Keyed,
) -> Any:
    number, rules = tx.core.numbers.next(order.slot), tx.core.rules.ask
    intent = Intent(
        ref=Ref(ours=str(number)),
        money=Money(order.amount_minor, order.currency) if order.amount_minor is not None else None,
        subject=order.title[:SUBJECT_LENGTH],
        product=store_ids.get(account.name, order.sku),
        quantity=order.quantity,
        owner=token,
        way=pay_by.way,
        created_at=tx.now,
        expires_at=order.expires_at,
        notify_url=f"{tx.core.public_url}/webhooks/{account.name}",
        return_url=pay_by.return_url,
        extra=pay_by.extra,
    )
    return _PaymentRow(
        slot=order.slot,
        id=number,
        order_id=order.id,
        attempt=attempt,
        provider_account=account.name,
        way=pay_by.way,
        status=PaymentStatus.CREATED,
        theirs=None,
        intent=intents.to_json(intent),
        action=None,
        problem="",
        created_at=tx.now,
        expires_at=order.expires_at,
        paid_at=None,
        next_query_at=next_ask(now=tx.now, asked=0, expires_at=order.expires_at, rules=rules, jitter=0.5),
        last_query_at=None,
        hinted_at=None,
        queries=0,
        request=repeated_attempts.request_name(order.slot, request),
    )
