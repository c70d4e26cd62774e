"""What the app's backend answers about an order that it was asked to fulfil.

The locks are taken in the order of all writers: order, payment, fulfilment.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import structlog

from app.domain.event_types import EventType
from app.domain.fulfilment import (
    ANSWERS,
    REFUNDED_WITHIN,
    FulfilmentStatus,
    RefusedFulfilment,
    Wish,
    status_answered,
)
from app.domain.numbers import slot_of_number
from app.models.base import AnyRow
from app.services.base.context import Core, Tx
from app.services.base.errors import DomainError, NotFound
from app.services.base.idempotency import Keyed, decided_for_owner
from app.services.payments import fulfilments, payment_rows, provider_reports
from app.services.refunds import requests

REFUSED_DELIVERY_REASON = "the delivery was refused"
ANSWER_EVENTS = {
    FulfilmentStatus.DELIVERED: EventType.FULFILMENT_DELIVERED,
    FulfilmentStatus.REFUSED: EventType.FULFILMENT_REFUSED,
    FulfilmentStatus.TAKEN_BACK: EventType.FULFILMENT_TAKEN_BACK,
}
_log = structlog.get_logger(__name__)


class FulfilmentNotAsked(DomainError):
    """Nothing is asked of the backend that this would be an answer to."""

    code = "fulfilment_not_asked"
    remembered = False


class FulfilmentContradicted(DomainError):
    """The member `answer` says how the revision was answered, or the member `fulfilment_status` how the order stands
    that cannot come to this."""

    code = "fulfilment_contradicted"


@dataclass(frozen=True, slots=True)
class FulfilmentAnswer:
    """The backend's word about one revision. `actor` is who says it."""

    order_id: int
    revision: int
    status: FulfilmentStatus
    reason: str
    reference: str
    actor: str


def take_answer(core: Core, given: FulfilmentAnswer, key: Keyed) -> None:
    """Take in an answer; a repeat of it changes nothing, with the same key or another.

    Raises NotFound, FulfilmentNotAsked, FulfilmentContradicted, KeyReused.
    """
    slot = slot_of_number(given.order_id)

    def lock(tx: Tx) -> tuple[Keyed, AnyRow]:
        order = payment_rows.lock_known_order(tx, slot, given.order_id)
        if order is None:
            raise NotFound(order=str(given.order_id))
        return replace(key, caller=f"{key.caller}:{order.user_id}"), order

    def decide(tx: Tx, _: Keyed, order: AnyRow) -> int:
        _take_in(tx, order, given)
        return given.order_id

    decided_for_owner(core, slot, lock, decide)


def fulfilment_with_order(core: Core, order_id: int) -> tuple[AnyRow, AnyRow]:
    """An order's fulfilment, and the order. Raises NotFound."""

    def read(tx: Tx) -> tuple[AnyRow | None, AnyRow | None]:
        slot = slot_of_number(order_id)
        return fulfilments.find_fulfilment(tx, slot, order_id), payment_rows.find_order(tx, slot, order_id)

    row, order = core.of_number(order_id).read(read)
    if row is None or order is None:
        raise NotFound(order=str(order_id))
    return row, order


def _take_in(tx: Tx, order: AnyRow, given: FulfilmentAnswer) -> None:
    row, place = fulfilments.find_fulfilment(tx, order.slot, order.id), given.revision - 1
    if row is None or given.revision > len(row.wishes):
        raise FulfilmentNotAsked(order=str(order.id), revision=len(row.wishes) if row is not None else 0)
    wish = row.wishes[place]
    if wish["answer"]:
        if given.status not in (wish["answer"], _also_right(wish)):
            raise FulfilmentContradicted(order=str(order.id), answer=wish["answer"])
        return
    if given.status not in ANSWERS[Wish(wish["asks"])]:
        raise FulfilmentNotAsked(order=str(order.id), asks=wish["asks"])
    later = row.wishes[given.revision :]
    if any(each["answer"] for each in later):  # overtaken: a later wish stands for what is there now
        fulfilments.change_fulfilment(tx, row, wishes=_answered(row.wishes, [place], given.status))
        return
    after = status_answered(FulfilmentStatus(order.fulfilment_status), given.status)
    if after is None:
        raise FulfilmentContradicted(order=str(order.id), fulfilment_status=order.fulfilment_status)
    _settle(tx, order, row, given, after)


def _also_right(wish: dict[str, Any]) -> FulfilmentStatus | None:
    """What was refused before it was to be taken back may be called taken back: nothing of it is there either way."""
    is_settled = wish["asks"] == Wish.TAKE_BACK and wish["answer"] == FulfilmentStatus.REFUSED
    return FulfilmentStatus.TAKEN_BACK if is_settled else None


def _settle(tx: Tx, order: AnyRow, row: AnyRow, given: FulfilmentAnswer, after: FulfilmentStatus) -> None:
    """Write the answer down, and do what follows from it."""
    places, last = [given.revision - 1], len(row.wishes) - 1
    if after is FulfilmentStatus.REFUSED and row.wishes[last]["asks"] == Wish.TAKE_BACK:
        places = [*range(given.revision - 1, last + 1)]  # nothing was delivered: there is nothing to take back
    values: dict[str, Any] = {
        "wishes": _answered(row.wishes, places, given.status),
        "reason": given.reason,
        "reference": given.reference,
        "actor": given.actor,
        "answered_at": tx.now,
    }
    if after is FulfilmentStatus.DELIVERED and row.delivered_at is None:
        values["delivered_at"] = tx.now
    if last in places:
        values |= {"next_tell_at": None, "attention_at": None}
    if after is FulfilmentStatus.REFUSED and last in places:
        values["attention_at"] = _refuse(tx, order, given.reason)
    fulfilments.move_fulfilment(tx, order, after)
    changed = fulfilments.change_fulfilment(tx, row, **values)
    fulfilments.tell_fulfilment(
        tx, ANSWER_EVENTS[given.status], changed, fulfilments.order_with_status(order, after), given.actor
    )
    if after is FulfilmentStatus.DELIVERED and given.revision == 1:
        payment = payment_rows.lock_payment(tx, order.slot, row.payment_id)
        provider_reports.note_delivery(tx, order.slot, payment.id, payment.provider_account)


def _refuse(tx: Tx, order: AnyRow, reason: str) -> Any:
    """Give the money back, if that is the rule; from when on a person should look at the order."""
    why, refund = f"{REFUSED_DELIVERY_REASON}: {reason}"[:255] if reason else REFUSED_DELIVERY_REASON, None
    if tx.core.rules.refused_fulfilment is RefusedFulfilment.REFUND:
        refund = requests.automatic_for_refused(tx, order, why)
    tx.once_committed(_log.warning, "fulfilment_refused", order=order.id, reason=reason, refund=refund)
    return tx.now if refund is None else tx.now + REFUNDED_WITHIN


def _answered(wishes: list[dict[str, Any]], places: list[int], status: FulfilmentStatus) -> list[dict[str, Any]]:
    return [{**wish, "answer": status} if place in places else wish for place, wish in enumerate(wishes)]
