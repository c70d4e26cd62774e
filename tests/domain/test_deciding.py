"""What a fact changes, for every standing, mismatch and policy there is."""

from __future__ import annotations

import itertools

import pytest

from app.domain.deciding import (
    NOT_OUR_MONEY,
    Booking,
    Decision,
    Late,
    OrderStanding,
    PaymentPolicy,
    Surplus,
    decide_paid,
    decide_unmatched,
    decide_unpaid,
)
from app.domain.matching import Mismatch
from app.domain.status import (
    PAYMENT_EDGES,
    Cause,
    OrderStatus,
    Outcome,
    PaymentStatus,
    next_payment_status,
)

STANDINGS = [OrderStanding(payment, order) for payment, order in itertools.product(PaymentStatus, OrderStatus)]
POLICIES = [PaymentPolicy(late, surplus) for late, surplus in itertools.product(Late, Surplus)]
OURS_BUT_WRONG = sorted(set(Mismatch) - NOT_OUR_MONEY)


@pytest.mark.parametrize(("standing", "policy"), list(itertools.product(STANDINGS, POLICIES)), ids=str)
def test_matching_money_is_applied_surplus_or_parked_and_always_booked(
    standing: OrderStanding, policy: PaymentPolicy
) -> None:
    decision = decide_paid(standing, None, policy)
    assert decision.booking is not Booking.NOTHING
    assert decision == _expected(standing, policy)


def _expected(standing: OrderStanding, policy: PaymentPolicy) -> Decision:
    """The promise, said another way round than in the code: first what kind of money it is, then what follows."""
    again = standing.payment is PaymentStatus.PAID
    to_paid = None if again else PaymentStatus.PAID
    if again or standing.order is OrderStatus.PAID:
        reason = "second_trade_of_one_number" if again else "order_already_paid"
        booking = Booking.SALE if policy.surplus is Surplus.CREDIT else Booking.SURPLUS
        return Decision(Outcome.SURPLUS, reason, to_paid, None, booking, refund=policy.surplus is Surplus.REFUND)
    if standing.order is OrderStatus.EXPIRED and policy.late is not Late.CREDIT:
        return Decision(Outcome.PARKED, "late", to_paid, None, Booking.SUSPENSE, refund=policy.late is Late.REFUND)
    return Decision(Outcome.APPLIED, "", to_paid, OrderStatus.PAID, Booking.SALE)


@pytest.mark.parametrize(("standing", "policy"), list(itertools.product(STANDINGS, POLICIES)), ids=str)
def test_money_that_is_not_as_asked_never_pays_and_waits_in_suspense(
    standing: OrderStanding, policy: PaymentPolicy
) -> None:
    for why in OURS_BUT_WRONG:
        decision = decide_paid(standing, Mismatch(why), policy)
        assert (decision.outcome, decision.reason) == (Outcome.PARKED, why)
        assert decision.booking is Booking.SUSPENSE
        assert decision.order is None
        assert decision.payment in (None, PaymentStatus.HELD)


@pytest.mark.parametrize(("standing", "policy"), list(itertools.product(STANDINGS, POLICIES)), ids=str)
def test_money_that_is_not_ours_moves_nothing_at_all(standing: OrderStanding, policy: PaymentPolicy) -> None:
    for why in sorted(NOT_OUR_MONEY):
        assert decide_paid(standing, why, policy) == Decision(Outcome.PARKED, why)


@pytest.mark.parametrize("why", Mismatch)
def test_unmatched_money_is_parked_and_booked_only_if_it_is_ours(why: Mismatch) -> None:
    with_money = decide_unmatched(why, has_money=True)
    assert with_money.outcome is Outcome.PARKED
    assert with_money.booking is (Booking.NOTHING if why in NOT_OUR_MONEY else Booking.SUSPENSE)
    assert decide_unmatched(why, has_money=False).booking is Booking.NOTHING


@pytest.mark.parametrize(
    ("standing", "cause"), list(itertools.product(STANDINGS, [Cause.PENDING, Cause.FAILED, Cause.CLOSED])), ids=str
)
def test_unpaid_facts_follow_the_table_and_never_touch_money_or_order(standing: OrderStanding, cause: Cause) -> None:
    decision = decide_unpaid(standing, cause)
    assert decision.booking is Booking.NOTHING
    assert decision.order is None
    after = next_payment_status(standing.payment, cause)
    moved = after is not None and after is not standing.payment
    assert decision.payment == (after if moved else None)
    assert decision.outcome is (Outcome.APPLIED if moved else Outcome.NOTED)


@pytest.mark.parametrize("standing", STANDINGS, ids=str)
def test_another_merchants_closing_closes_nothing_here(standing: OrderStanding) -> None:
    decision = decide_unpaid(standing, Cause.CLOSED, Mismatch.OTHER_ACCOUNT)
    assert decision == Decision(Outcome.PARKED, Mismatch.OTHER_ACCOUNT)


def test_closed_after_paid_is_noted_with_its_reason() -> None:
    standing = OrderStanding(PaymentStatus.PAID, OrderStatus.PAID)
    assert decide_unpaid(standing, Cause.CLOSED).reason == "after_the_end"
    assert decide_unpaid(standing, Cause.PENDING).reason == ""


def test_no_decision_makes_a_move_that_the_table_does_not_have() -> None:
    reachable = {(before, after) for (before, _), after in PAYMENT_EDGES.items()}
    for standing, policy, why in itertools.product(STANDINGS, POLICIES, [None, *Mismatch]):
        decision = decide_paid(standing, why, policy)
        assert decision.payment is None or (standing.payment, decision.payment) in reachable
