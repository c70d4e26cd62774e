"""What a fact changes: the one decision of the service, as a pure function of what was told and how things stand."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from app.domain.matching import Mismatch
from app.domain.status import (
    Cause,
    OrderStatus,
    Outcome,
    PaymentStatus,
    next_order_status,
    next_payment_status,
)

NOT_OUR_MONEY = frozenset(
    {Mismatch.OTHER_ACCOUNT, Mismatch.OTHER_ENVIRONMENT, Mismatch.NO_PROVIDER_NUMBER, Mismatch.NO_AMOUNT}
)
SECOND_TRADE = "second_trade_of_one_number"
ORDER_ALREADY_PAID = "order_already_paid"
AFTER_THE_END = "after_the_end"
TOLD_WITH_ITS_BUYER = "told_again_with_its_buyer"
"""Of a store's fact that was told before its buyer was known: it lies where the buyer's data are once more."""


class Late(StrEnum):
    """What to do with money that arrives for an order that has expired."""

    CREDIT = "credit"
    PARK = "park"
    REFUND = "refund"
    """Set it aside and give it back by ourselves."""


class Surplus(StrEnum):
    """What to do with verified money for an order that another payment has already bought."""

    HOLD = "hold"
    CREDIT = "credit"
    REFUND = "refund"


class Booking(StrEnum):
    """Where the money of a fact goes."""

    NOTHING = "nothing"
    SALE = "sale"
    """Money to sales, coins to the wallet."""
    SURPLUS = "surplus"
    SUSPENSE = "suspense"


def sale_scope(provider_account: str, environment: str) -> str:
    """The name space of the transfers that this provider account's facts cause."""
    return f"fact:{provider_account}:{environment}"


def sale_steps(fact_key: str) -> tuple[str, str]:
    """Under which keys the books may know the money of a fact: moved from the provider, or out of suspense."""
    return f"{fact_key}:money", f"{fact_key}:matched"


@dataclass(frozen=True, slots=True)
class PaymentPolicy:
    late: Late = Late.CREDIT
    surplus: Surplus = Surplus.HOLD


@dataclass(frozen=True, slots=True)
class OrderStanding:
    """How the payment and its order stand, read under their locks."""

    payment: PaymentStatus
    order: OrderStatus


@dataclass(frozen=True, slots=True)
class Decision:
    outcome: Outcome
    reason: str = ""
    payment: PaymentStatus | None = None
    """The new status; None leaves it."""
    order: OrderStatus | None = None
    booking: Booking = Booking.NOTHING
    refund: bool = False
    """Whether we give the money back by ourselves."""


def decide_unmatched(why: Mismatch, *, has_money: bool) -> Decision:
    """A verified paid fact for which there is no payment here at all."""
    ours = has_money and why not in NOT_OUR_MONEY
    return Decision(Outcome.PARKED, why, booking=Booking.SUSPENSE if ours else Booking.NOTHING)


def decide_paid(standing: OrderStanding, why: Mismatch | None, policy: PaymentPolicy) -> Decision:
    """Verified money has arrived for this payment. It is never dropped: applied, surplus or parked."""
    if why is not None:
        return _mispaid(standing, why)
    if standing.payment is PaymentStatus.PAID:
        return _surplus(SECOND_TRADE, None, policy)
    paid = next_payment_status(standing.payment, Cause.PAID)
    if standing.order is OrderStatus.PAID:
        return _surplus(ORDER_ALREADY_PAID, paid, policy)
    if standing.order is OrderStatus.EXPIRED and policy.late is not Late.CREDIT:
        back = policy.late is Late.REFUND
        return Decision(Outcome.PARKED, Mismatch.LATE, payment=paid, booking=Booking.SUSPENSE, refund=back)
    order = next_order_status(standing.order, Cause.PAID)
    return Decision(Outcome.APPLIED, payment=paid, order=order, booking=Booking.SALE)


def decide_unsized(standing: OrderStanding) -> Decision:
    """Money that bought something, of which a part that nobody knows went back: held, until that part is told."""
    return _mispaid(standing, Mismatch.REFUNDS_UNKNOWN)


def decide_authorized(standing: OrderStanding, why: Mismatch | None) -> Decision:
    """The payer's money is reserved; nothing is credited. Where it is not as we asked, the reason stays with the fact:
    it is given up rather than captured."""
    if why in NOT_OUR_MONEY:
        return Decision(Outcome.PARKED, why)
    after = next_payment_status(standing.payment, Cause.AUTHORIZED)
    return Decision(Outcome.NOTED if after is None else Outcome.APPLIED, why or "", payment=after)


def decide_unpaid(standing: OrderStanding, cause: Cause, strange: Mismatch | None = None) -> Decision:
    """Pending, failed or closed. None of them moves money, and none undoes a payment; `strange` ones are not ours."""
    if strange is not None:
        return Decision(Outcome.PARKED, strange)
    after = next_payment_status(standing.payment, cause)
    if after is None:
        late = standing.payment is PaymentStatus.PAID and cause is not Cause.PENDING
        return Decision(Outcome.NOTED, AFTER_THE_END if late else "")
    if after is standing.payment:
        return Decision(Outcome.NOTED)
    return Decision(Outcome.APPLIED, payment=after)


def _mispaid(standing: OrderStanding, why: Mismatch) -> Decision:
    if why in NOT_OUR_MONEY:
        return Decision(Outcome.PARKED, why)
    held = next_payment_status(standing.payment, Cause.MISPAID)
    return Decision(Outcome.PARKED, why, payment=held, booking=Booking.SUSPENSE)


def _surplus(reason: str, payment: PaymentStatus | None, policy: PaymentPolicy) -> Decision:
    booking = Booking.SALE if policy.surplus is Surplus.CREDIT else Booking.SURPLUS
    back = policy.surplus is Surplus.REFUND
    return Decision(Outcome.SURPLUS, reason, payment=payment, booking=booking, refund=back)
