"""Orders for purchases that were made in a store before we heard of them: the client pays first and brings proof."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import select

from app.domain.numbers import slot_of_user
from app.domain.status import OrderStatus, PaymentStatus
from app.models.base import AnyRow
from app.models.orders import Order, Payment
from app.providers.registry import ProviderAccount
from app.services.accounts.catalog import product_of_store
from app.services.accounts.users import ensure_user
from app.services.base.context import Core, Tx, environment_of
from app.services.base.reported_fact import ReportedFact
from app.services.base.upsert import insert_numbered
from app.services.payments import payment_rows

STORE_WAY = "store"
_o, _p = Order.__table__.c, Payment.__table__.c


def order_for_purchase(tx: Tx, reported: ReportedFact) -> int | None:
    """The number of the payment to which this purchase belongs: one that the buyer has open for the very same
    thing, else a new one. None if it is not our app's purchase, or nothing here is sold under that product id."""
    fact, account, buyer = reported.fact, reported.account, reported.buyer
    if buyer is None or (fact.account is not None and fact.account != account.provider.account):
        return None
    product = product_of_store(tx, account.name, fact.product or "")
    if product is None or not fact.ref.theirs:
        return None
    waiting = _waiting_payment(tx, reported, buyer)
    if waiting is not None:
        return int(waiting.id)
    user = ensure_user(tx, buyer)
    order_id = insert_numbered(tx, Order.__table__, tx.core.numbers, _order_row(tx.core, reported, user, product))
    row = _payment_row(tx.core, reported, account, user, order_id)
    return insert_numbered(tx, Payment.__table__, tx.core.numbers, row)


def _waiting_payment(tx: Tx, reported: ReportedFact, buyer: str) -> AnyRow | None:
    """The oldest open order of the buyer for that product and quantity, made for this store and not yet bought.

    It is locked, and then looked for again: another purchase of the same product may have bought it meanwhile, and
    this one would count as paid twice instead of getting an order of its own.
    """
    found = _oldest_waiting(tx, reported, buyer)
    while found is not None:
        payment_rows.lock_order(tx, slot_of_user(buyer), found.order_id)
        still = _oldest_waiting(tx, reported, buyer)
        if still is not None and still.id == found.id:
            break
        found = still
    return found


def _oldest_waiting(tx: Tx, reported: ReportedFact, buyer: str) -> AnyRow | None:
    fact = reported.fact
    wanted = (
        select(_p.id, _p.order_id, _p.intent)
        .join(Order, (_o.slot == _p.slot) & (_o.id == _p.order_id))
        .where(
            _p.slot == slot_of_user(buyer),
            _o.user_id == buyer,
            _o.status == OrderStatus.OPEN,
            _o.environment == environment_of(fact.live),
            _o.quantity == (fact.quantity or 1),
            _p.provider_account == reported.account.name,
            _p.status == PaymentStatus.PENDING,
            _p.theirs.is_(None),
        )
        .order_by(_p.id)
    )
    return next((row for row in tx.execute(wanted) if row.intent.get("product") == fact.product), None)


def _order_row(core: Core, reported: ReportedFact, user: AnyRow, product: AnyRow) -> dict[str, Any]:
    now = core.clock.now()
    return {
        "slot": user.slot,
        "user_id": user.id,
        "environment": environment_of(reported.fact.live),
        "sku": product.sku,
        "title": product.title,
        "quantity": reported.fact.quantity or 1,
        "amount_minor": None,
        "currency": None,
        "grants": product.grants,
        "status": OrderStatus.OPEN,
        "paid_payment_id": None,
        "created_at": now,
        "expires_at": now + timedelta(minutes=core.rules.order_minutes),
        "paid_at": None,
    }


def _payment_row(
    core: Core, reported: ReportedFact, account: ProviderAccount, user: AnyRow, order_id: int
) -> dict[str, Any]:
    now = core.clock.now()
    return {
        "slot": user.slot,
        "order_id": order_id,
        "provider_account": account.name,
        "way": STORE_WAY,
        "status": PaymentStatus.PENDING,
        "theirs": reported.fact.ref.theirs,
        "intent": {"product": reported.fact.product, "owner": str(user.token)},
        "action": None,
        "problem": "",
        "created_at": now,
        "expires_at": now + timedelta(minutes=core.rules.order_minutes),
        "paid_at": None,
        "next_query_at": None,
        "queries": 0,
    }
