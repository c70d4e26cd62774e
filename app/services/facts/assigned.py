"""Money that nobody knew, given to the order of a user because a person says whose it is.

The fact is applied by the road of every parked fact, as if it had named the payment. Where that lies in another slot,
the money first leaves suspense where it was told, and the fact is told again with its payment: three transactions, each
of one slot and safe to repeat. Between them the fact is `assigned` and stays on the list of persons: nothing but this
command goes on with it, and a claim keeps a second order from getting the same money.

The provider goes on naming its old number: refunds that are told under that number are told again with the payment that
got the money (`facts.waiting_refunds`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

from sqlalchemy import func, select

from app.domain.deciding import Booking, Decision, Late
from app.domain.facts import REFUND_KINDS, Fact, Kind
from app.domain.matching import Expected, Mismatch, mismatch
from app.domain.money import Money
from app.domain.numbers import slot_of_number
from app.domain.report_tables import Amount
from app.domain.status import OrderStatus, Outcome, PaymentStatus
from app.models.base import AnyRow
from app.models.orders import FactRow
from app.providers.registry import ProviderAccount
from app.services.accounts import users
from app.services.base.context import Core, Tx
from app.services.base.reported_fact import ReportedFact
from app.services.facts import claims
from app.services.facts.apply import apply_fact, apply_stored
from app.services.facts.record import Applied, can_be_looked_at_again
from app.services.payments import bookings, fact_rows, interventions, payment_rows

_f = FactRow.__table__.c


class NotAssigned(Exception):
    """The money cannot be given to that order. The text says why."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """What would be done."""

    row: AnyRow
    order: AnyRow
    payment: AnyRow
    account: ProviderAccount
    fact: Fact
    """As it is told, with the number of the payment."""

    @property
    def sentence(self) -> str:
        told = self.row.content
        money = Amount(told["amount_minor"], told["currency"]).written()
        return (
            f"give {money} of {told['theirs']} to order {self.order.id} of user"
            f" {self.order.user_id} ({self.order.quantity} {self.order.sku}), as payment {self.payment.id}"
        )

    @property
    def reported(self) -> ReportedFact:
        return ReportedFact(self.account, self.fact, self.row.road, self.row.message_id)


def plan_assignment(core: Core, number: int, order_id: int) -> Assignment:
    """What would be done with the fact; nothing is. Raises NotAssigned."""
    row = core.of_number(number).read(partial(_fact_numbered, number=number))
    if row is None or row.kind != Kind.PAID:
        raise NotAssigned("there is no such fact about money that came in")
    if row.reason != Mismatch.ASSIGNED and (row.payment_id is not None or not can_be_looked_at_again(row)):
        raise NotAssigned(f"it is {row.outcome} {row.reason}".strip() + ": that is decided")
    if row.reason == Mismatch.ASSIGNED and row.outcome == Outcome.NOTED:
        raise NotAssigned("it is assigned already")
    account = core.registry.get(row.provider_account)
    if account is None:
        raise NotAssigned(f"provider account {row.provider_account!r} is not configured")
    slot = slot_of_number(order_id)
    order = core.at(slot).read(lambda tx: payment_rows.find_order(tx, slot, order_id))
    if order is None:
        raise NotAssigned("there is no such order")
    payments = core.at(slot).read(lambda tx: payment_rows.payments_of_order(tx, slot, order_id))
    mine = [one for one in payments if one.provider_account == account.name and one.status != PaymentStatus.PAID]
    is_late = order.status == OrderStatus.EXPIRED and core.rules.policy.late is not Late.CREDIT
    told_again = [one for one in payments if one.status == PaymentStatus.PAID and one.theirs == row.content["theirs"]]
    if row.reason != Mismatch.ASSIGNED and (order.status == OrderStatus.PAID or is_late):
        raise NotAssigned(f"the order is {order.status}: make a new one for the user")
    if not (mine or told_again):
        raise NotAssigned(f"the order has no attempt to pay by {account.name}: make one")
    payment = (told_again or mine)[-1]
    fact = fact_rows.fact_in(row)
    fact = replace(fact, ref=replace(fact.ref, ours=str(payment.id)))
    why = _mismatch(core, account, order, payment, fact)
    if why is not None:
        raise NotAssigned(f"the order does not fit it: {why}")
    if row.slot != slot and core.at(row.slot).read(partial(_has_refunds, row=row)):
        raise NotAssigned("refunds of it were told: what is left of it is to be given back")
    return Assignment(row, order, payment, account, fact)


def assign(core: Core, plan: Assignment, *, actor: str, reason: str) -> Applied:
    """Do it, once; a repeat goes on where the first was stopped. Raises NotAssigned."""
    row = plan.row
    if plan.order.slot == row.slot:
        return core.at(row.slot).transact(partial(_apply_here, plan=plan, actor=actor, reason=reason))
    core.at(row.slot).transact(partial(_leave_suspense, row=row))
    user = plan.order.user_id
    owner = claims.claim(core, row.provider_account, row.environment, row.content["theirs"], user)
    if owner != user:
        raise NotAssigned(f"it is assigned to user {owner}")
    applied = core.at(plan.order.slot).transact(partial(_tell_there, plan=plan, actor=actor, reason=reason))
    core.at(row.slot).transact(partial(_settle, row=row))
    if applied.payment_id != plan.payment.id:
        raise NotAssigned(f"it is assigned to payment {applied.payment_id}")
    return applied


def _fact_numbered(tx: Tx, number: int) -> AnyRow | None:
    return tx.execute(select(*_f).where(_f.slot == slot_of_number(number), _f.id == number)).one_or_none()


def _mismatch(core: Core, account: ProviderAccount, order: AnyRow, payment: AnyRow, fact: Fact) -> Mismatch | None:
    price = None if order.amount_minor is None else Money(order.amount_minor, order.currency)
    product, live = payment.intent["product"], order.environment == "live"
    user = core.of_user(order.user_id).read(lambda tx: users.ensure_user(tx, order.user_id))
    expected = Expected(account.provider.account, live, price, product, order.quantity, str(user.token))
    return mismatch(fact, expected)


def _has_refunds(tx: Tx, row: AnyRow) -> bool:
    about = (_f.slot == row.slot, _f.provider_account == row.provider_account, _f.environment == row.environment)
    wanted = select(func.count()).where(*about, _f.kind.in_(sorted(REFUND_KINDS)))
    return bool(tx.scalar(wanted.where(_f.content["theirs"].as_string() == row.content["theirs"])))


def _apply_here(tx: Tx, *, plan: Assignment, actor: str, reason: str) -> Applied:
    """The payment lies where the fact does: the money goes on from suspense."""
    applied = apply_stored(tx, plan.reported, plan.row.id)
    if applied.outcome is Outcome.DUPLICATE:
        raise NotAssigned("somebody else has decided it meanwhile")
    _write_down(tx, plan, actor, reason)
    return applied


def _tell_there(tx: Tx, *, plan: Assignment, actor: str, reason: str) -> Applied:
    applied = apply_fact(tx, plan.reported)
    if applied.outcome not in (Outcome.DUPLICATE, Outcome.CONFLICT):
        _write_down(tx, plan, actor, reason)
    return applied


def _write_down(tx: Tx, plan: Assignment, actor: str, reason: str) -> None:
    interventions.write_down(tx, plan.order.slot, plan.payment.id, "fact_assigned", actor=actor, reason=reason)


def _leave_suspense(tx: Tx, *, row: AnyRow) -> None:
    """From here on the fact is decided where it was told."""
    known = fact_rows.lock_fact_numbered(tx, row.slot, row.id)
    if known.reason == Mismatch.ASSIGNED:
        return
    if known.payment_id is not None or not can_be_looked_at_again(known):
        raise NotAssigned("somebody else has decided it meanwhile")
    was_there = known.booking == Booking.SUSPENSE
    if was_there:
        bookings.book(tx, row.slot, bookings.out_of_slot(bookings.of_row(known)))
    decided = Decision(Outcome.PARKED, Mismatch.ASSIGNED)
    fact_rows.settle_fact(tx, row.slot, row.id, decided, None, from_suspense=was_there)


def _settle(tx: Tx, *, row: AnyRow) -> None:
    known = tx.execute(select(_f.from_suspense).where(_f.slot == row.slot, _f.id == row.id)).one()
    decided = Decision(Outcome.NOTED, Mismatch.ASSIGNED)
    fact_rows.settle_fact(tx, row.slot, row.id, decided, None, from_suspense=known.from_suspense)
