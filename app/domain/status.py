"""The states of orders and payments, and every legal way from one to another.

Each edge names its cause: a kind of fact told by the provider, or something that we did ourselves. What is not in the
table does not happen. A payment whose outcome we do not know is in a state of its own, never an exception.
"""

from __future__ import annotations

from enum import StrEnum


class PaymentStatus(StrEnum):
    CREATED = "created"
    """Written down here; the provider may not have heard of it."""
    PENDING = "pending"
    """The client has what it needs to pay, or the provider says that it is not decided."""
    UNKNOWN = "unknown"
    """We asked the provider to make it and got no answer that can be believed."""
    AUTHORIZED = "authorized"
    """The payer's money is reserved for us. Nothing is credited before it is captured."""
    PAID = "paid"
    FAILED = "failed"
    CLOSED = "closed"
    HELD = "held"
    """The provider says that it is paid, but not as we asked (another amount, …): its money waits for a person."""


class OrderStatus(StrEnum):
    OPEN = "open"
    PAID = "paid"
    EXPIRED = "expired"


class Cause(StrEnum):
    """What moves a payment or an order. The first five are facts from the provider, the rest is ours."""

    PENDING = "pending"
    AUTHORIZED = "authorized"
    PAID = "paid"
    FAILED = "failed"
    CLOSED = "closed"
    STARTED = "started"
    """`start` gave the client its next step."""
    UNANSWERED = "unanswered"
    """`start` ended without an answer that can be believed."""
    DECLINED = "declined"
    """`start` got a definite no."""
    MISPAID = "mispaid"
    """A verified payment that does not match what we asked for."""
    LAPSED = "lapsed"
    """Time and grace are over and the provider, asked, knows of no payment."""


PAYABLE = frozenset({PaymentStatus.CREATED, PaymentStatus.PENDING, PaymentStatus.UNKNOWN})
"""The payer has still to pay."""
OPEN_PAYMENT = PAYABLE | {PaymentStatus.AUTHORIZED}
"""Not ended: its provider is asked about it."""
UNPAID_END = frozenset({PaymentStatus.FAILED, PaymentStatus.CLOSED})

_P, _C = PaymentStatus, Cause
PAYMENT_EDGES: dict[tuple[PaymentStatus, Cause], PaymentStatus] = {
    (_P.CREATED, _C.STARTED): _P.PENDING,
    (_P.CREATED, _C.UNANSWERED): _P.UNKNOWN,
    (_P.CREATED, _C.DECLINED): _P.FAILED,
    (_P.CREATED, _C.PENDING): _P.PENDING,
    (_P.CREATED, _C.PAID): _P.PAID,
    (_P.CREATED, _C.FAILED): _P.FAILED,
    (_P.CREATED, _C.CLOSED): _P.CLOSED,
    (_P.CREATED, _C.LAPSED): _P.CLOSED,
    # No (UNKNOWN, DECLINED): an earlier call may have made it, so a later «no» proves nothing; a query decides.
    (_P.UNKNOWN, _C.STARTED): _P.PENDING,
    (_P.UNKNOWN, _C.UNANSWERED): _P.UNKNOWN,
    (_P.UNKNOWN, _C.PENDING): _P.PENDING,
    (_P.UNKNOWN, _C.PAID): _P.PAID,
    (_P.UNKNOWN, _C.FAILED): _P.FAILED,
    (_P.UNKNOWN, _C.CLOSED): _P.CLOSED,
    (_P.UNKNOWN, _C.LAPSED): _P.CLOSED,
    (_P.PENDING, _C.STARTED): _P.PENDING,
    (_P.PENDING, _C.PENDING): _P.PENDING,
    (_P.PENDING, _C.PAID): _P.PAID,
    (_P.PENDING, _C.FAILED): _P.FAILED,
    (_P.PENDING, _C.CLOSED): _P.CLOSED,
    (_P.PENDING, _C.LAPSED): _P.CLOSED,
    **{(status, _C.AUTHORIZED): _P.AUTHORIZED for status in sorted(PAYABLE)},
    # No (CLOSED, AUTHORIZED): what is reserved for a payment that has ended is given up, not captured.
    (_P.AUTHORIZED, _C.PAID): _P.PAID,
    (_P.AUTHORIZED, _C.FAILED): _P.FAILED,
    (_P.AUTHORIZED, _C.CLOSED): _P.CLOSED,
    (_P.AUTHORIZED, _C.LAPSED): _P.CLOSED,
    # Late money: a payment that ended unpaid, here or at the provider, can still turn out to be paid.
    (_P.FAILED, _C.PAID): _P.PAID,
    (_P.CLOSED, _C.PAID): _P.PAID,
    (_P.CREATED, _C.MISPAID): _P.HELD,
    (_P.UNKNOWN, _C.MISPAID): _P.HELD,
    (_P.PENDING, _C.MISPAID): _P.HELD,
    (_P.AUTHORIZED, _C.MISPAID): _P.HELD,
    (_P.FAILED, _C.MISPAID): _P.HELD,
    (_P.CLOSED, _C.MISPAID): _P.HELD,
    (_P.HELD, _C.PAID): _P.PAID,
}

_O = OrderStatus
ORDER_EDGES: dict[tuple[OrderStatus, Cause], OrderStatus] = {
    (_O.OPEN, _C.PAID): _O.PAID,
    (_O.OPEN, _C.LAPSED): _O.EXPIRED,
    (_O.EXPIRED, _C.PAID): _O.PAID,
}


def next_payment_status(status: PaymentStatus, cause: Cause) -> PaymentStatus | None:
    """Where the cause takes the payment; None if it changes nothing (a paid payment stays paid)."""
    return PAYMENT_EDGES.get((status, cause))


def next_order_status(status: OrderStatus, cause: Cause) -> OrderStatus | None:
    return ORDER_EDGES.get((status, cause))


class Outcome(StrEnum):
    """What became of a fact."""

    APPLIED = "applied"
    """It moved its payment (and, if paid, the order and the ledger)."""
    NOTED = "noted"
    """True, and recorded, but there was nothing left for it to change."""
    DUPLICATE = "duplicate"
    """Told before, with the same content. Nothing is written."""
    CONFLICT = "conflict"
    """Told before with another content. The first telling stands; a person is alarmed."""
    SURPLUS = "surplus"
    """Verified money for an order that was already paid."""
    PARKED = "parked"
    """Verified, but it matches nothing here; kept until a policy or a person decides."""
    NOT_OURS = "not_ours"
    """Listed in a history or a bill, and about nothing here: a sale of the merchant's other systems or accounts. It is
    written down and counted, and looked at again only if it is told again."""


NEEDS_A_PERSON = frozenset({Outcome.CONFLICT, Outcome.SURPLUS, Outcome.PARKED})
NOT_MATCHED = frozenset({Outcome.PARKED, Outcome.NOT_OURS})
"""Nothing here is known that the fact could be about, or it may not be used: it moved nothing."""
