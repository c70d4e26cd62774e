"""A captured payment: money that a provider says was paid, what it booked here, and what was told about refunds of it.

One of our payment numbers may have been paid twice; each capture has its own refunds, its own account in the books
(sales, surplus, suspense) and its own coins, if it bought any.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from app.domain.deciding import Booking
from app.domain.facts import Kind
from app.domain.ledger import Transfer
from app.domain.matching import Mismatch
from app.domain.refunding import OPEN_REFUND, Origin, Refunded, RefundFact, RefundStatus, refunded
from app.domain.status import Outcome
from app.models.base import AnyRow
from app.services.base.transaction import Transaction
from app.services.payments import bookings, fulfilments
from app.services.refunds import refund_rows
from app.services.refunds.refund_rows import COUNTED, STATUS_KINDS


@dataclass
class CapturedPayment:
    """`order` and `payment` are None for verified money for which there is no payment here. Nobody changes one."""

    paid: AnyRow
    order: AnyRow | None
    payment: AnyRow | None
    told: Sequence[AnyRow]
    """The stored facts about its refunds, and about those of other captures of the payment: those too that do not
    count."""

    slot: int = field(init=False)
    theirs: str = field(init=False)
    """Its number at the provider."""
    paid_minor: int | None = field(init=False)
    """None where the provider is a store that tells no amount."""
    currency: str | None = field(init=False)
    user_id: str = field(init=False)
    """The buyer; nobody where there is no order here."""

    def __post_init__(self) -> None:
        content = self.paid.content
        self.slot, self.theirs = self.paid.slot, content["theirs"]
        self.paid_minor, self.currency = content["amount_minor"], content["currency"]
        self.user_id = "" if self.order is None else self.order.user_id

    @property
    def is_first(self) -> bool:
        """Whether a fact that does not name the provider's number is about this capture."""
        return self.payment is None or self.payment.theirs == self.theirs

    @property
    def is_fulfilled_elsewhere(self) -> bool:
        """Whether it bought an order that the app's backend fulfils."""
        bought = self.order is not None and self.paid.booking == Booking.SALE
        return bought and self.order is not None and fulfilments.is_fulfilled_outside(self.order)

    @property
    def money_legs(self) -> list[Transfer]:
        """The transfers of money that it made. More than one if it lay in suspense first: the last one counts."""
        return self._transfers[0]

    @property
    def grants(self) -> list[Transfer]:
        """The transfers of coins that it made."""
        return self._transfers[1]

    @cached_property
    def _transfers(self) -> tuple[list[Transfer], list[Transfer]]:
        paid, legs, grants = self.paid, list[Transfer](), list[Transfer]()
        money, booking = bookings.of_row(paid), Booking(paid.booking)
        if self.order is None:
            made = bookings.unmatched(money, booking)
        else:
            made = bookings.transfers_of(money, self.order, paid.payment_id, booking, from_suspense=paid.from_suspense)
        for transfer in made:
            (grants if transfer.credit.user_id else legs).append(transfer)
        return legs, grants


def captured_payment(tx: Transaction, order: AnyRow, payment: AnyRow, theirs: str | None) -> CapturedPayment | None:
    """The payment's capture with this number at the provider (None: its first). None if we know of no such money."""
    return find_capture(refund_rows.told_of_payment(tx, payment.slot, payment.id)(), order, payment, theirs)


def find_capture(told: Sequence[AnyRow], order: AnyRow, payment: AnyRow, theirs: str | None) -> CapturedPayment | None:
    """That capture, where the facts about the payment are at hand."""
    wanted = payment.theirs if theirs is None else theirs
    for paid in told:
        is_it = paid.kind == Kind.PAID and paid.content["theirs"] == wanted and paid.booking != Booking.NOTHING
        if is_it and (paid.booking != Booking.SUSPENSE or not is_held(paid)):
            return CapturedPayment(paid, order, payment, told)
    return None


def is_held(paid: AnyRow) -> bool:
    """Whether a paid fact waits for the word how much of its money went back. No refund is taken out of it before that:
    the first one that is told has it credited."""
    return bool(paid.outcome == Outcome.PARKED and paid.reason == Mismatch.REFUNDS_UNKNOWN)


def captured_in_suspense(tx: Transaction, paid: AnyRow) -> CapturedPayment:
    """Money that lies in suspense because there is no payment for it here."""
    told = refund_rows.counted_without_payment(tx, paid.slot, paid.provider_account, paid.environment)
    return CapturedPayment(paid, None, None, told)


def refunds_of(tx: Transaction, captured: CapturedPayment) -> list[AnyRow]:
    """The refunds of that capture, oldest first."""
    if captured.payment is None:
        return []
    rows = refund_rows.of_payment(tx, captured.slot, captured.payment.id)()
    return [row for row in rows if row.theirs == captured.theirs]


def number_of(refund: AnyRow) -> str:
    """The number under which the provider knows the refund."""
    return str(refund.number_there if refund.origin == Origin.PROVIDER else refund.id)


def standing(captured: CapturedPayment, refunds: Sequence[AnyRow], news: AnyRow | None = None) -> Refunded:
    """How the captured payment and each refund of it stand, by everything that was told and counts; so does `news`.

    A fact without the provider's number of the payment is about the refund of ours that it names, else about the first
    capture.
    """
    own, facts = {str(row.id): row.amount_minor for row in refunds if row.origin != Origin.PROVIDER}, list[RefundFact]()
    for row in captured.told:
        if row.kind not in STATUS_KINDS or row.outcome not in COUNTED or (news is not None and row.id == news.id):
            continue
        theirs = row.content["theirs"]
        if theirs == captured.theirs or (theirs is None and (captured.is_first or row.content["refund"] in own)):
            facts.append(refund_fact(row))
    if news is not None:
        facts.append(refund_fact(news))
    return refunded(facts, captured.paid_minor, own)


def refund_fact(row: AnyRow) -> RefundFact:
    content = row.content
    fee = content.get("dispute_fee_minor")
    return RefundFact(
        Kind(row.kind),
        content["refund"] or "",
        row.at,
        content["amount_minor"],
        content["total_minor"],
        content["share"],
        content.get("spares"),
        content.get("occurrence") or "",
        (fee, content["dispute_fee_currency"]) if fee is not None else None,
    )


def under_way(refunds: Iterable[AnyRow]) -> list[AnyRow]:
    return [row for row in refunds if RefundStatus(row.status) in OPEN_REFUND]
