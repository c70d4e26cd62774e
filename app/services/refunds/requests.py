"""We want money to go back: written down, with the coins reserved, before the provider hears of it.

The refund's own number is what the provider gets in every attempt, so one wish can never become two refunds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any

from app.domain.caps import NO_CAPS, REFUNDS, CallerCaps
from app.domain.ledger import AccountName
from app.domain.numbers import keyed_number, slot_of_number
from app.domain.refunding import WHOLE, Clawback, Origin, RefundStatus, left_to_refund, of_amount
from app.domain.schedule import LEASE_SECONDS
from app.domain.status import OrderStatus
from app.models.base import AnyRow
from app.providers.verbs import Refunds
from app.services.accounts import caller_caps
from app.services.base.context import Core, Tx
from app.services.base.errors import DomainError, KeyReused, NotFound
from app.services.base.idempotency import Keyed, decided_for_owner
from app.services.ledger import clawback
from app.services.ledger.given_coins import gifts_of_payment
from app.services.payments import payment_rows
from app.services.refunds import refund_asks, refund_events, refund_rows, refund_status
from app.services.refunds.captured_payments import (
    CapturedPayment,
    captured_payment,
    find_capture,
    refunds_of,
    standing,
    under_way,
)
from app.services.refunds.refund_rows import Rows

ONE_BY_ONE_SECONDS = 3
"""Between two refunds of one payment: providers refuse, or mix up, those that come at once."""
SURPLUS_REASON = "paid too much or too late"
AFTER_END_REASON = "charged after the end of the agreement"


class PaymentNotPaid(DomainError):
    code = "payment_not_paid"


class RefundExceedsPayment(DomainError):
    code = "refund_exceeds_payment"


class RefundNotSupported(DomainError):
    code = "refund_not_supported"


class CoinsGivenAway(DomainError):
    """Coins of the purchase were given to others, and the settings say that such a purchase is not refunded."""

    code = "coins_given_away"


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
    """Who asks, as it is written down: the backend, and the person behind it if that is said."""
    caps: CallerCaps = NO_CAPS


@dataclass(slots=True)
class WrittenRequest:
    """A refund that is written down."""

    number: int
    user_id: str
    leased: Any = None
    """Its row, if the asker has it to send it now: nobody else takes it before the lease ends."""


def request(core: Core, wanted: Wanted, key: Keyed) -> int:
    """Write the refund down and reserve its coins; its number. The worker sends it."""
    return write_request(core, wanted, key, lease=False).number


def write_request(core: Core, wanted: Wanted, key: Keyed, *, lease: bool) -> WrittenRequest:
    """Write the refund down, reserve its coins and take it for the asker (`lease`), in one transaction. The key stands
    for the first answer, yes or no.

    The number follows from caller and key, so a request that comes again when its key is forgotten is still one refund.
    Raises NotFound, PaymentNotPaid, RefundNotSupported, RefundExceedsPayment, KeyReused, OverCallCap, OverDayCap.
    Refunds of one payment are made one after the other, under the lock of its order, so their sum can't pass what was
    paid.
    """
    slot = slot_of_number(wanted.payment_id or wanted.order_id or 0)

    def lock(tx: Tx) -> tuple[Keyed, _Subject]:
        subject = _lock_subject(tx, slot, wanted)
        return replace(key, caller=f"{key.caller}:{subject.order.user_id}"), subject

    def decide(tx: Tx, own_key: Keyed, subject: _Subject) -> int:
        number = keyed_number(slot, f"refund:{own_key.caller}", own_key.key)
        order, paid, refunds = subject.order, subject.payment, subject.refunds()
        for known in refunds:
            if known.id == number:
                return _still_known(known, wanted)
        if paid is None or (wanted.payment_id is None and order.status != OrderStatus.PAID):
            raise PaymentNotPaid(order=str(order.id))
        captured = find_capture(subject.told(), order, paid, None)
        if captured is None:
            raise PaymentNotPaid(payment=str(paid.id))
        siblings = [other for other in refunds if other.payment_id == paid.id]
        row = _make(tx, captured, siblings, wanted, number, lease=lease)
        caller_caps.count(tx, wanted.caps, REFUNDS, row.currency, order.environment, row.amount_minor)
        subject.leased = row if row.queries else None
        return number

    number, subject = decided_for_owner(core, slot, lock, decide)
    return WrittenRequest(number, subject.order.user_id, subject.leased)


def _still_known(row: AnyRow, wanted: Wanted) -> int:
    """The number of a refund whose key was forgotten. Raises KeyReused if it is not what is wanted now."""
    payment, order, amount = wanted.payment_id, wanted.order_id, wanted.amount_minor
    same = (
        payment in (None, row.payment_id)
        and order in (None, row.order_id)
        and amount in (None, row.amount_minor)
        and (wanted.reason, wanted.caller) == (row.reason, row.caller)
        and wanted.policy in (None, row.policy)
    )
    if not same:
        raise KeyReused
    return int(row.id)


def automatic(tx: Tx, slot: int, payment_id: int, theirs: str | None) -> int | None:
    """Surplus or late money that our own rule gives back: an ordinary refund, in the transaction that sets the money
    aside. The caller has locked the order. None if the provider cannot refund: then it waits for a person."""
    payment = payment_rows.find_payment(tx, slot, payment_id)
    order = payment_rows.find_order(tx, slot, payment.order_id) if payment is not None else None
    captured = captured_payment(tx, order, payment, theirs) if order is not None and payment is not None else None
    if (
        captured is None
        or captured.payment is None
        or not captured.paid_minor
        or not _can_refund(tx.core, captured.payment)
    ):
        return None
    return _insert_automatic(tx, captured, captured.paid_minor, tx.core.rules.clawback, SURPLUS_REASON)


def automatic_for_refused(tx: Tx, order: AnyRow, reason: str) -> int | None:
    """An order that nobody will fulfil: an ordinary refund of what is left of its payment, and not on its way back. The
    caller has locked the order. None if the provider cannot refund, or nothing is left: a person decides."""
    payment = payment_rows.lock_payment(tx, order.slot, order.paid_payment_id)
    captured = captured_payment(tx, order, payment, None)
    if captured is None or not captured.paid_minor or not _can_refund(tx.core, payment):
        return None
    refunds = refunds_of(tx, captured)
    going = sum(row.amount_minor or 0 for row in under_way(refunds))
    left = left_to_refund(standing(captured, refunds).part, captured.paid_minor, going)
    return _insert_automatic(tx, captured, left, tx.core.rules.clawback, reason) if left > 0 else None


def automatic_for_late_charge(tx: Tx, slot: int, order_id: int) -> int | None:
    """A charge that was made after the end of its agreement: a refund like that of an order that nobody will fulfil.
    The caller has locked the order."""
    order = payment_rows.find_order(tx, slot, order_id)
    return None if order is None else automatic_for_refused(tx, order, AFTER_END_REASON)


def automatic_rest(
    tx: Tx, captured: CapturedPayment, refunds: Sequence[AnyRow], news: AnyRow | None = None
) -> int | None:
    """A refund that we began by ourselves was refused because a part had been refunded elsewhere: one of what is left.
    None if nothing is left, or if the refusal had another cause. `refunds` are those of the capture as they stand now;
    `news` is a fact that counts from now on."""
    last = max((row for row in refunds if row.origin == Origin.AUTOMATIC), key=_made_at, default=None)
    if last is None or captured.payment is None or not captured.paid_minor:
        return None
    going = under_way(refunds)
    if last.status != RefundStatus.DECLINED or last.ended_by or any(row.origin == Origin.AUTOMATIC for row in going):
        return None
    part = standing(captured, refunds, news).part
    left = left_to_refund(part, captured.paid_minor, sum(row.amount_minor or 0 for row in going))
    if not 0 < left < last.amount_minor:
        return None
    return _insert_automatic(tx, captured, left, Clawback(last.policy), last.reason)


@dataclass(frozen=True, slots=True)
class Room:
    """What a refund of ours finds when it is about to be sent."""

    there_minor: int
    """What of the payment has not gone back, by all that was told."""
    left_minor: int
    """What of that is not on its way back by another refund of ours."""
    may_change: bool
    """Whether somebody else's refund is in progress, or refunds are known to be and were asked for."""


def room_for(tx: Tx, row: AnyRow, order: AnyRow, payment: AnyRow) -> Room:
    """Worked out from the facts at this moment. The caller has locked order and payment."""
    captured = captured_payment(tx, order, payment, row.theirs)
    if captured is None or not captured.paid_minor:
        return Room(row.amount_minor, row.amount_minor, may_change=False)
    refunds = refunds_of(tx, captured)
    others = under_way(other for other in refunds if other.id != row.id)
    part = standing(captured, refunds).part
    ours = sum(other.amount_minor for other in others if other.origin != Origin.PROVIDER)
    foreign = any(other.origin == Origin.PROVIDER for other in others)
    return Room(
        left_to_refund(part, captured.paid_minor, 0),
        left_to_refund(part, captured.paid_minor, ours),
        may_change=foreign or refund_asks.is_asked(tx, row.slot, payment.id),
    )


def _made_at(row: AnyRow) -> tuple[datetime, int]:
    return row.created_at, row.id


def view_refund(core: Core, refund_id: int) -> AnyRow:
    """One refund with its user. Raises NotFound."""
    slot = slot_of_number(refund_id)
    row = core.of_number(refund_id).read(lambda tx: refund_rows.owned_refund(tx, slot, refund_id))
    if row is None:
        raise NotFound(refund=str(refund_id))
    return row


def list_refunds_of_order(core: Core, order_id: int) -> list[AnyRow]:
    """All refunds of an order's payments, oldest first, whoever wanted them."""
    return core.of_number(order_id).read(
        lambda tx: refund_rows.refunds_of_order(tx, slot_of_number(order_id), order_id)()
    )


@dataclass(slots=True)
class _Subject:
    """What a refund is wanted of, locked."""

    order: AnyRow
    payment: AnyRow | None
    """None where nothing has bought the order that is named."""
    refunds: Rows
    """Gives the refunds of the order."""
    told: Rows
    """Gives what was told of the payment."""
    leased: AnyRow | None = None
    """The refund that was made of it, if the asker has it to send it now."""


def _lock_subject(tx: Tx, slot: int, wanted: Wanted) -> _Subject:
    """Locked; its refunds, and what was told, are asked for with what is sent next. Raises NotFound."""
    if wanted.payment_id is not None:
        locked = payment_rows.lock_with_order(tx, slot, wanted.payment_id)
        if locked is None or wanted.order_id not in (None, locked.order.id):
            raise NotFound(payment=str(wanted.payment_id))
    else:
        locked = payment_rows.lock_bought_order(tx, slot, wanted.order_id or 0)
    if locked is None:
        order = payment_rows.lock_known_order(tx, slot, wanted.order_id or 0)
        if order is None:
            raise NotFound(order=str(wanted.order_id))
        bought = order.paid_payment_id  # if that happened a moment ago
        payment = None if bought is None else payment_rows.lock_payment(tx, slot, bought)
    else:
        order, payment = locked.order, locked.payment
    refunds = refund_rows.refunds_of_order(tx, slot, order.id)
    told = list if payment is None else refund_rows.told_of_payment(tx, slot, payment.id)
    return _Subject(order, payment, refunds, told)


def _make(
    tx: Tx, captured: CapturedPayment, siblings: Sequence[AnyRow], wanted: Wanted, number: int, *, lease: bool
) -> Any:
    """The row of a new refund. Raises RefundNotSupported, RefundExceedsPayment, CoinsGivenAway, KeyReused."""
    if captured.payment is None or not captured.paid_minor or not _can_refund(tx.core, captured.payment):
        raise RefundNotSupported
    refunds = [row for row in siblings if row.theirs == captured.theirs]
    part, going = standing(captured, refunds).part, sum(row.amount_minor or 0 for row in under_way(refunds))
    left = left_to_refund(part, captured.paid_minor, going)
    amount = left if wanted.amount_minor is None else wanted.amount_minor
    if not 0 < amount <= left:
        raise RefundExceedsPayment(amount_minor=amount, left_minor=left, currency=captured.currency)
    if not tx.core.rules.gifts.refundable and _has_given(tx, captured):
        raise CoinsGivenAway(payment=str(captured.payment.id))
    policy = wanted.policy or tx.core.rules.clawback
    row = {**_new(tx, captured, amount, wanted.reason, policy, Origin.ASKED, wanted.caller), "id": number}
    if lease:
        row |= _lease(tx, siblings)
    made = refund_rows.insert_refund(tx, row, wrong=KeyReused)
    refund_events.tell_status(tx, made, captured.user_id)
    before = part + Fraction(going, captured.paid_minor)
    _reserve(tx, captured, number, before, before + Fraction(amount, captured.paid_minor))
    return made


def _has_given(tx: Tx, captured: CapturedPayment) -> bool:
    """Whether the buyer gave any of the purchase's coins away."""
    lots = {(grant.credit, grant.lot.payment) for grant in captured.grants if grant.lot is not None}
    return any(gifts_of_payment(tx, captured.slot, wallet, payment) for wallet, payment in sorted(lots))


def _lease(tx: Tx, siblings: Sequence[AnyRow]) -> dict[str, Any]:
    """The asker sends it at once, unless another refund of the payment was sent just now. Should the asker die, the
    worker goes on when the lease ends, and asks the provider first whether it knows this refund."""
    busy_until = busy_with(siblings)
    if busy_until is not None and busy_until > tx.now:
        return {"next_query_at": busy_until}
    return {"next_query_at": tx.now + timedelta(seconds=LEASE_SECONDS), "last_query_at": tx.now, "queries": 1}


def busy_with(siblings: Iterable[AnyRow]) -> datetime | None:
    """When the next refund of a payment may be sent, these being its others; None if at any time."""
    stamps = [row.last_query_at for row in siblings if row.last_query_at is not None]
    return max(stamps) + timedelta(seconds=ONE_BY_ONE_SECONDS) if stamps else None


def _can_refund(core: Core, payment: AnyRow) -> bool:
    account = core.registry.get(payment.provider_account)
    return account is not None and isinstance(account.provider, Refunds)


def _new(
    tx: Tx, captured: CapturedPayment, amount: int, reason: str, policy: Clawback, origin: Origin, caller: str
) -> dict[str, Any]:
    """Due at once: should this process die before it calls the provider, the worker does."""
    return refund_status.new_row(
        captured,
        origin=origin,
        amount_minor=amount,
        currency=captured.currency,
        reason=reason,
        policy=policy,
        status=RefundStatus.CREATED,
        caller=caller,
        created_at=tx.now,
        next_query_at=tx.now,
    )


def _insert_automatic(tx: Tx, captured: CapturedPayment, amount: int, policy: Clawback, reason: str) -> int:
    row = refund_rows.insert_numbered_refund(tx, _new(tx, captured, amount, reason, policy, Origin.AUTOMATIC, ""))
    refund_events.tell_status(tx, row, captured.user_id)
    return int(row.id)


def _reserve(tx: Tx, captured: CapturedPayment, refund_id: int, before: Fraction, after: Fraction) -> None:
    """The coins that this refund will take back, as far as the wallet still has them."""
    needs: dict[AccountName, int] = {}
    before, after = min(before, WHOLE), min(after, WHOLE)
    for grant in captured.grants:
        need = of_amount(after, grant.amount) - of_amount(before, grant.amount)
        needs[grant.credit] = needs.get(grant.credit, 0) + need
    for wallet, need in needs.items():
        if need:
            clawback.reserve(tx, captured.slot, wallet, need, refund_id)
