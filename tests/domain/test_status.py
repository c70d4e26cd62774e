"""The transition table: every legal edge written out a second time, everything else refused."""

from __future__ import annotations

import itertools

import pytest

from app.domain.status import (
    OPEN_PAYMENT,
    ORDER_EDGES,
    PAYMENT_EDGES,
    UNPAID_END,
    Cause,
    OrderStatus,
    PaymentStatus,
    next_order_status,
    next_payment_status,
)

PAYABLE = ("created", "unknown", "pending")
OPEN = (*PAYABLE, "authorized")
LEGAL_PAYMENT = {
    **{(status, "paid"): "paid" for status in (*OPEN, "failed", "closed", "held")},
    **{(status, "mispaid"): "held" for status in (*OPEN, "failed", "closed")},
    **{(status, "failed"): "failed" for status in OPEN},
    **{(status, cause): "closed" for status in OPEN for cause in ("closed", "lapsed")},
    **{(status, cause): "pending" for status in PAYABLE for cause in ("pending", "started")},
    **{(status, "authorized"): "authorized" for status in PAYABLE},
    ("created", "unanswered"): "unknown",
    ("unknown", "unanswered"): "unknown",
    ("created", "declined"): "failed",
}
LEGAL_ORDER = {("open", "paid"): "paid", ("open", "lapsed"): "expired", ("expired", "paid"): "paid"}


@pytest.mark.parametrize(("status", "cause"), list(itertools.product(PaymentStatus, Cause)))
def test_a_payment_moves_exactly_as_written_here(status: PaymentStatus, cause: Cause) -> None:
    assert next_payment_status(status, cause) == LEGAL_PAYMENT.get((status, cause))


@pytest.mark.parametrize(("status", "cause"), list(itertools.product(OrderStatus, Cause)))
def test_an_order_moves_exactly_as_written_here(status: OrderStatus, cause: Cause) -> None:
    assert next_order_status(status, cause) == LEGAL_ORDER.get((status, cause))


def test_nothing_ever_leaves_paid() -> None:
    assert not [edge for edge in PAYMENT_EDGES if edge[0] is PaymentStatus.PAID]
    assert not [edge for edge in ORDER_EDGES if edge[0] is OrderStatus.PAID]


def test_verified_money_can_reach_paid_from_every_other_status() -> None:
    for status in set(PaymentStatus) - {PaymentStatus.PAID}:
        assert next_payment_status(status, Cause.PAID) is PaymentStatus.PAID
    for order in set(OrderStatus) - {OrderStatus.PAID}:
        assert next_order_status(order, Cause.PAID) is OrderStatus.PAID


def test_every_status_but_the_first_can_be_reached() -> None:
    assert {*PAYMENT_EDGES.values(), PaymentStatus.CREATED} == set(PaymentStatus)
    assert {*ORDER_EDGES.values(), OrderStatus.OPEN} == set(OrderStatus)


def test_no_edge_reopens_a_payment_that_ended() -> None:
    for (before, _), after in PAYMENT_EDGES.items():
        if before in UNPAID_END | {PaymentStatus.HELD}:
            assert after not in OPEN_PAYMENT


def test_a_second_no_proves_nothing_after_an_unanswered_call() -> None:
    assert next_payment_status(PaymentStatus.UNKNOWN, Cause.DECLINED) is None
    assert next_payment_status(PaymentStatus.PENDING, Cause.DECLINED) is None


def test_open_and_ended_share_no_status() -> None:
    assert not OPEN_PAYMENT & UNPAID_END
    assert set(PaymentStatus) - OPEN_PAYMENT - UNPAID_END == {PaymentStatus.PAID, PaymentStatus.HELD}
