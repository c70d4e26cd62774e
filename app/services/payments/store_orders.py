"""Orders for purchases that were made in a store before we heard of them: the client pays first and brings proof."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import JSON, and_, bindparam, literal_column, select

from app.domain.deciding import Decision
from app.domain.facts import Fact
from app.domain.numbers import slot_of_user
from app.domain.status import OPEN_PAYMENT, OrderStatus, PaymentStatus
from app.models.catalogue import Product
from app.models.orders import FactRow, Order, Payment, User
from app.services.accounts.users import add_user
from app.services.base.context import Tx, environment_of
from app.services.base.reported_fact import ReportedFact
from app.services.base.statements import RowInsert, Statement, make_row_type, with_names
from app.services.base.upsert import insertion_if_new
from app.services.payments import fulfilments, payment_rows
from app.services.payments.payment_rows import LockedPayment

STORE_WAY = "store"
_o, _p, _u, _f, _g = (table.__table__.c for table in (Order, Payment, User, FactRow, Product))
_INSERT_ORDER, _INSERT_PAYMENT = insertion_if_new(Order.__table__), insertion_if_new(Payment.__table__)
_STORE = bindparam("store", type_=JSON.JSONStrIndexType())
# The oldest open order of the buyer for that product and quantity, made for this store and not yet bought.
_WAITING = (
    select(_p.id)
    .join(Order, (_o.slot == _p.slot) & (_o.id == _p.order_id))
    .where(
        _p.slot == bindparam("slot"),
        _o.slot == bindparam("slot"),
        _o.user_id == bindparam("buyer"),
        _o.status == literal_column(f"'{OrderStatus.OPEN}'"),
        _o.environment == bindparam("environment"),
        _o.quantity == bindparam("quantity"),
        _p.provider_account == bindparam("provider_account"),
        _p.status == literal_column(f"'{PaymentStatus.PENDING}'"),
        _p.theirs.is_(None),
        _p.intent["product"].as_string() == bindparam("store_id"),
    )
    .order_by(_p.id)
    .limit(1)
    .scalar_subquery()
)
_COLUMNS = (
    _u.token,
    _f.id.label("fact_id"),
    _g.sku,
    _g.title,
    _g.grants,
    _g.fulfilment,
    _WAITING.label("waiting_id"),
    payment_rows.EARLY_REFUND,
)
_Buyer: Any = make_row_type("StoreBuyer", _COLUMNS)
# A product is found also when it is no longer for sale: it was bought there.
_BUYER = Statement(
    lambda _: (
        select(*_COLUMNS)
        .select_from(User)
        .outerjoin(Product, _g.store_ids[_STORE].as_string() == bindparam("store_id"))
        .outerjoin(
            FactRow,
            and_(
                _f.slot == bindparam("slot"),
                _f.provider_account == bindparam("provider_account"),
                _f.environment == bindparam("environment"),
                _f.key == bindparam("key"),
            ),
        )
        .where(_u.slot == bindparam("slot"), _u.id == bindparam("buyer"))
        .order_by(_g.active.desc(), _g.sku)
        .limit(1)
    )
)


def payment_of_new_purchase(tx: Tx, reported: ReportedFact) -> LockedPayment | None:
    """The payment to which a purchase belongs that was never told before. None if it was, or if it gets none."""
    return _payment(tx, reported, is_stored=False)


def payment_of_stored_purchase(tx: Tx, reported: ReportedFact) -> LockedPayment | None:
    """The payment to which a purchase belongs that was told before it could get one. None if it gets none now."""
    return _payment(tx, reported, is_stored=True)


def new_rows(locked: LockedPayment, decision: Decision, fact: Fact) -> list[tuple[RowInsert, list[dict[str, Any]]]]:
    """The rows of a new payment and of its order, as the decision leaves them: to be inserted before their fact."""
    payment, order = locked.payment, locked.order
    if decision.payment is not None:
        is_paid = decision.payment is PaymentStatus.PAID
        payment = payment._replace(status=decision.payment, paid_at=fact.at if is_paid else None)
        if decision.payment not in OPEN_PAYMENT:
            payment = payment._replace(intent=payment_rows.intent_after_end(payment.intent))
    if decision.order is not None:
        order = fulfilments.paid_order(order, payment.id, fact.at)
    return [
        (_INSERT_ORDER, [order._asdict()]),
        (_INSERT_PAYMENT, [{**payment._asdict(), "action": None, "request": None}]),
    ]


def _payment(tx: Tx, reported: ReportedFact, *, is_stored: bool) -> LockedPayment | None:
    """One that the buyer has open for the very same thing, else a new one. None if it is not our app's purchase, or if
    nothing here is sold under that product id."""
    fact, account = reported.fact, reported.account
    if reported.buyer is None or not fact.ref.theirs or fact.account not in (None, account.provider.account):
        return None
    buyer = _buyer(tx, reported, reported.buyer)
    if buyer.sku is None or (buyer.fact_id is not None and not is_stored):
        return None
    while buyer.waiting_id is not None:
        locked = payment_rows.lock_with_order(tx, reported.slot, buyer.waiting_id)
        if locked is not None and _waits(locked):
            return locked
        # Another purchase of the same product has bought it meanwhile: this one would count as paid twice.
        buyer = _buyer(tx, reported, reported.buyer)
    return _new(tx, reported, reported.buyer, buyer)


def _buyer(tx: Tx, reported: ReportedFact, user_id: str) -> Any:
    """The buyer, made on first sight, with the product, the fact as it was told before, and the order that waits for
    it: null where there is none."""
    fact = reported.fact
    keys = {
        "slot": slot_of_user(user_id),
        "buyer": user_id,
        "provider_account": reported.account.name,
        "store": reported.account.name,
        "environment": environment_of(fact.live),
        "key": reported.key,
        "store_id": fact.product or "",
        "quantity": fact.quantity or 1,
    }
    found = with_names(_Buyer, _BUYER.row(tx, keys))
    if found is None:
        add_user(tx, user_id)
        found = with_names(_Buyer, _BUYER.row(tx, keys))
    return found


def _waits(locked: LockedPayment) -> bool:
    order, payment = locked.order, locked.payment
    return order.status == OrderStatus.OPEN and payment.status == PaymentStatus.PENDING and payment.theirs is None


def _new(tx: Tx, reported: ReportedFact, user_id: str, buyer: Any) -> LockedPayment:
    fact, slot = reported.fact, slot_of_user(user_id)
    expires_at = tx.now + timedelta(minutes=tx.core.rules.order_minutes)
    order = payment_rows.OrderRow(
        slot=slot,
        id=tx.core.numbers.next(slot),
        user_id=user_id,
        environment=environment_of(fact.live),
        sku=buyer.sku,
        title=buyer.title,
        quantity=fact.quantity or 1,
        amount_minor=None,
        currency=None,
        grants=buyer.grants,
        fulfilment=buyer.fulfilment,
        fulfilment_status=None,
        status=OrderStatus.OPEN,
        paid_payment_id=None,
        created_at=tx.now,
        expires_at=expires_at,
        paid_at=None,
        seal=None,
        agreement_id=None,
        period_number=None,
    )
    order = order._replace(seal=tx.core.rules.ledger.seals.of_row("orders", order._asdict()))
    payment = payment_rows.PaymentRow(
        slot=slot,
        id=tx.core.numbers.next(slot),
        order_id=order.id,
        attempt=1,
        provider_account=reported.account.name,
        way=STORE_WAY,
        status=PaymentStatus.PENDING,
        theirs=fact.ref.theirs,
        intent={"product": fact.product, "owner": str(buyer.token)},
        problem="",
        created_at=tx.now,
        expires_at=expires_at,
        paid_at=None,
        next_query_at=None,
        last_query_at=None,
        hinted_at=None,
        queries=0,
    )
    return LockedPayment(order, payment, str(buyer.token), buyer.early_refund, is_new=True)
