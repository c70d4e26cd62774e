"""We want money to go back: written down, with the coins reserved, before the provider hears of it.

The refund's own number is what the provider gets in every attempt, so one wish can never become two refunds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from app.domain.ledger import AccountName
from app.domain.numbers import slot_of_number
from app.domain.refunding import Clawback, Origin, RefundStatus, left_to_refund, of_amount
from app.domain.status import OrderStatus
from app.models.base import AnyRow
from app.models.refunds import Refund
from app.providers.verbs import Refunds
from app.services.base.context import Core, Tx
from app.services.base.errors import DomainError, NotFound
from app.services.base.idempotency import Keyed, claim_key, find_key
from app.services.base.upsert import insert_numbered
from app.services.ledger import clawback
from app.services.payments import payment_rows
from app.services.refunds import refund_rows, settlement
from app.services.refunds.captured_payments import Trade, refunds_of, standing, trade_of, under_way

SURPLUS_REASON = "paid too much or too late"


class PaymentNotPaid(DomainError):
    code = "payment_not_paid"


class RefundExceedsPayment(DomainError):
    code = "refund_exceeds_payment"


class RefundNotSupported(DomainError):
    code = "refund_not_supported"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the app's backend asks for: by payment, or by order (the payment that bought it)."""

    payment_id: int | None
    order_id: int | None
    amount_minor: int | None
    """None: all that is left."""
    reason: str
    policy: Clawback | None
    caller: str


def request(core: Core, wanted: Wanted, key: Keyed) -> int:
    """Write the refund down and reserve its coins; its number. The same key gives the first one again.

    Raises NotFound, PaymentNotPaid, RefundNotSupported, RefundExceedsPayment. Refunds of one payment are made one after
    the other, under the lock of its order, so their sum can't pass what was paid.
    """
    slot = slot_of_number(wanted.payment_id or wanted.order_id or 0)

    def work(tx: Tx) -> int:
        order, payment = _locked(tx, slot, wanted)
        own_key = replace(key, caller=f"{key.caller}:{order.user_id}")
        known = find_key(tx, slot, own_key)
        if known is not None:
            return known
        trade = trade_of(tx, order, payment, None)
        if trade is None:
            raise PaymentNotPaid(payment=str(payment.id))
        refund_id = _make(tx, trade, wanted)
        return claim_key(tx, slot, own_key, refund_id) or refund_id

    return core.transact(work)


def automatic(tx: Tx, slot: int, payment_id: int, theirs: str | None) -> int | None:
    """Surplus or late money that our own rule gives back: an ordinary refund, in the transaction that sets the money
    aside. The caller has locked the order. None if the provider cannot refund: then it waits for a person."""
    payment = payment_rows.payment(tx, slot, payment_id)
    order = payment_rows.order(tx, slot, payment.order_id) if payment is not None else None
    trade = trade_of(tx, order, payment, theirs) if order is not None and payment is not None else None
    if trade is None or trade.payment is None or not trade.paid_minor or not _can_refund(tx.core, trade.payment):
        return None
    return _insert(tx, trade, trade.paid_minor, SURPLUS_REASON, tx.core.rules.clawback, Origin.AUTOMATIC, "")


def view(core: Core, refund_id: int) -> AnyRow:
    """One refund. Raises NotFound."""
    slot = slot_of_number(refund_id)
    row = core.read(lambda tx: refund_rows.refund(tx, slot, refund_id))
    if row is None:
        raise NotFound(refund=str(refund_id))
    return row


def of_order(core: Core, order_id: int) -> list[AnyRow]:
    """All refunds of an order's payments, oldest first, whoever wanted them."""
    return core.read(lambda tx: refund_rows.of_order(tx, slot_of_number(order_id), order_id))


def _locked(tx: Tx, slot: int, wanted: Wanted) -> tuple[AnyRow, AnyRow]:
    """Order and payment, locked in the one order."""
    payment_id, order_id = wanted.payment_id, wanted.order_id
    if payment_id is not None:
        keys = payment_rows.payment_keys(tx, slot, payment_id)
        if keys is None or order_id not in (None, keys.order_id):
            raise NotFound(payment=str(payment_id))
        order_id = keys.order_id
    if order_id is None or payment_rows.order(tx, slot, order_id) is None:
        raise NotFound(order=str(order_id))
    order = payment_rows.lock_order(tx, slot, order_id)
    if payment_id is None and order.status != OrderStatus.PAID:
        raise PaymentNotPaid(order=str(order_id))
    return order, payment_rows.lock_payment(tx, slot, payment_id or order.paid_payment_id)


def _make(tx: Tx, trade: Trade, wanted: Wanted) -> int:
    if trade.payment is None or not trade.paid_minor or not _can_refund(tx.core, trade.payment):
        raise RefundNotSupported
    part, going = standing(tx, trade).part, sum(row.amount_minor for row in under_way(refunds_of(tx, trade)))
    left = left_to_refund(part, trade.paid_minor, going)
    amount = left if wanted.amount_minor is None else wanted.amount_minor
    if not 0 < amount <= left:
        raise RefundExceedsPayment(amount_minor=amount, left_minor=left, currency=trade.currency)
    policy = wanted.policy or tx.core.rules.clawback
    refund_id = _insert(tx, trade, amount, wanted.reason, policy, Origin.ASKED, wanted.caller)
    before = part + Fraction(going, trade.paid_minor)
    _reserve(tx, trade, refund_id, before, before + Fraction(amount, trade.paid_minor))
    return refund_id


def _can_refund(core: Core, payment: AnyRow) -> bool:
    account = core.registry.get(payment.provider_account)
    return account is not None and isinstance(account.provider, Refunds)


def _insert(tx: Tx, trade: Trade, amount: int, reason: str, policy: Clawback, origin: Origin, caller: str) -> int:
    """Due at once: should this process die before it calls the provider, the worker does."""
    now, payment = tx.now, trade.payment
    if payment is None:
        raise RuntimeError("a refund of ours needs a payment of ours")
    row: dict[str, Any] = {
        "slot": trade.slot,
        "order_id": payment.order_id,
        "payment_id": payment.id,
        "provider_account": payment.provider_account,
        "theirs": trade.theirs,
        "number_there": None,
        "origin": origin,
        "amount_minor": amount,
        "currency": trade.currency,
        "reason": reason,
        "policy": policy,
        "status": RefundStatus.CREATED,
        "caller": caller,
        "problem": "",
        "coins": [],
        "created_at": now,
        "done_at": None,
        "next_query_at": now,
        "last_query_at": None,
        "queries": 0,
    }
    return insert_numbered(tx, Refund.__table__, tx.core.numbers, row)


def _reserve(tx: Tx, trade: Trade, refund_id: int, before: Fraction, after: Fraction) -> None:
    """The coins that this refund will take back, as far as the wallet still has them."""
    needs: dict[AccountName, int] = {}
    for grant in trade.grants:
        need = of_amount(min(after, Fraction(1)), grant.amount) - of_amount(min(before, Fraction(1)), grant.amount)
        needs[grant.credit] = needs.get(grant.credit, 0) + need
    for wallet, need in needs.items():
        if need:
            clawback.reserve(
                tx,
                trade.slot,
                wallet,
                need,
                key=settlement.hold_key(refund_id, wallet.asset),
                reference=str(refund_id),
                at=tx.now,
                rules=tx.core.rules.ledger,
            )
