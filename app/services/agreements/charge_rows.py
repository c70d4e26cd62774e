"""The rows of a charge: the order of a period, made once, and the payments that try to pay it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from app.domain.facts import Ref
from app.domain.money import Money
from app.domain.schedule import next_ask
from app.domain.status import OPEN_PAYMENT, OrderStatus, PaymentStatus
from app.models.base import AnyRow
from app.models.orders import Order, Payment
from app.providers.facts import Intent
from app.services.base.context import Tx
from app.services.base.statements import make_row_type
from app.services.base.upsert import NumberTaken, insertion_if_new
from app.services.payments import intents, payment_rows

_INSERT_ORDER, _INSERT_PAYMENT = insertion_if_new(Order.__table__), insertion_if_new(Payment.__table__)
_PaymentRow: Any = make_row_type("ChargeRow", Payment.__table__.c)
LONGEST_SUBJECT = 128


def amount_of(agreement: Any, number: int) -> int:
    """What that period costs."""
    first = agreement.first_minor
    return int(first if number == 0 and first is not None else agreement.amount_minor)


def new_order(tx: Tx, agreement: Any, number: int, expires_at: datetime) -> Any:
    """The order of that period, not yet written."""
    order = payment_rows.OrderRow(
        slot=agreement.slot,
        id=tx.core.numbers.next(agreement.slot),
        user_id=agreement.user_id,
        environment=agreement.environment,
        sku=agreement.sku,
        title=agreement.title,
        quantity=1,
        amount_minor=amount_of(agreement, number),
        currency=agreement.currency,
        grants=agreement.grants,
        fulfilment=agreement.fulfilment,
        fulfilment_status=None,
        status=OrderStatus.OPEN,
        paid_payment_id=None,
        created_at=tx.now,
        expires_at=expires_at,
        paid_at=None,
        seal=None,
        agreement_id=agreement.id,
        period_number=number,
    )
    return order._replace(seal=tx.core.rules.ledger.seals.of_row("orders", order._asdict()))


def new_payment(
    tx: Tx,
    agreement: Any,
    order: Any,
    attempt: int,
    *,
    expires_at: datetime | None = None,
    return_url: str = "",
    extra: Mapping[str, Any] | None = None,
) -> Any:
    """An attempt to pay the order, not yet written; it can be paid as long as the order, unless a later moment is
    given. What the provider knows of product and owner is as it was signed."""
    number = tx.core.numbers.next(order.slot)
    terms, until = agreement.terms, expires_at or order.expires_at
    intent = Intent(
        ref=Ref(ours=str(number)),
        money=Money(order.amount_minor, order.currency),
        subject=order.title[:LONGEST_SUBJECT],
        product=terms["product"],
        quantity=1,
        owner=terms["owner"],
        way=agreement.way,
        created_at=tx.now,
        expires_at=until,
        notify_url=terms["notify_url"],
        return_url=return_url,
        extra=extra or {},
    )
    return _PaymentRow(
        slot=order.slot,
        id=number,
        order_id=order.id,
        attempt=attempt,
        provider_account=agreement.provider_account,
        way=agreement.way,
        status=PaymentStatus.CREATED,
        theirs=None,
        intent=intents.to_json(intent),
        action=None,
        problem="",
        created_at=tx.now,
        expires_at=until,
        paid_at=None,
        next_query_at=next_ask(now=tx.now, asked=0, expires_at=until, rules=tx.core.rules.ask, jitter=0.5),
        last_query_at=None,
        hinted_at=None,
        queries=0,
        request=None,
    )


def write(tx: Tx, order: Any, payment: Any) -> None:
    """Write a payment, and its order unless that is there (None)."""
    if order is not None:
        tx.later(_INSERT_ORDER, [order._asdict()], wrong=NumberTaken)
    tx.later(_INSERT_PAYMENT, [payment._asdict()], wrong=NumberTaken)


def latest_payment(tx: Tx, slot: int, order_id: int) -> AnyRow:
    return payment_rows.payments_of_order(tx, slot, order_id)[-1]


def is_missed(tx: Tx, period: AnyRow, *, despite_held: bool = False) -> bool:
    """Whether the order of a period stayed unpaid: all attempts have ended, and no time is left for another. A payment
    that a person has to look at has ended only if that person says so (`despite_held`)."""
    if period.order_id is None:
        return False
    payments = payment_rows.payments_of_order(tx, period.slot, period.order_id)
    if any(each.status in OPEN_PAYMENT for each in payments):
        return False
    if any(each.status == PaymentStatus.HELD for each in payments):
        return despite_held
    return bool(payments[-1].expires_at <= tx.now)
