"""What the app's backend, its clients and operators may want of an agreement that is there."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from sqlalchemy import select

from app.domain.agreements import CHARGEABLE, IN_FORCE, AgreementCause, AgreementStatus, next_agreement_status
from app.domain.numbers import slot_of_number
from app.models.base import AnyRow
from app.models.catalogue import Product
from app.services.accounts.catalog import check_for_sale
from app.services.agreements import agreement_facts, agreement_rows, charge_rows
from app.services.agreements.agreement_facts import ENDED_BY_RULE, REPLACED_BY
from app.services.agreements.signing_requests import AgreementNotInForce, AlreadyAgreed, KeptByTheStore, NotAPlan
from app.services.base.context import Core, Tx
from app.services.base.errors import DomainError, NoPrice, NotFound, UnknownProduct
from app.services.base.idempotency import Keyed, decided_for_owner

_g = Product.__table__.c


class NeedsSigning(DomainError):
    """The payer has signed less, or another period."""

    code = "needs_signing"


def view_agreement(core: Core, user_id: str | None, number: int) -> AnyRow:
    """The user's agreement; any for a caller who speaks for all users (None). Raises NotFound."""
    row = core.of_number(number).read(lambda tx: agreement_rows.find_agreement(tx, number))
    if row is None or user_id not in (None, row.user_id):
        raise NotFound(agreement=str(number))
    return row


def request_end(
    core: Core, number: int, user_id: str | None, owned: Callable[[str], Keyed], actor: str, *, at_once: bool
) -> None:
    """End it, now or with the period that is paid. No charge is made from here on. Where it is to end already, another
    wish makes that no later. Raises NotFound, KeptByTheStore, AgreementNotInForce."""

    def decide(tx: Tx, row: AnyRow) -> None:
        if row.status not in IN_FORCE | {AgreementStatus.SIGNING}:
            raise AgreementNotInForce(agreement=str(number), agreement_status=row.status)
        ends_later = not at_once and row.paid_until is not None and row.paid_until > tx.now
        cancel_at: datetime = row.paid_until if ends_later else tx.now
        if row.cancel_at is not None and row.cancel_at <= cancel_at:
            return
        agreement_facts.settle_agreement(tx, row, {"cancel_at": cancel_at, "cancel_by": actor, "tries": 0}, None)

    _changed(core, number, user_id, owned, decide)


def pause_charges(core: Core, number: int, user_id: str | None, owned: Callable[[str], Keyed]) -> None:
    """Charge nothing until it is resumed. Raises NotFound, KeptByTheStore, AgreementNotInForce."""

    def decide(tx: Tx, row: AnyRow) -> None:
        after = next_agreement_status(AgreementStatus(row.status), AgreementCause.PAUSED)
        if after is None and row.status != AgreementStatus.PAUSED:
            raise AgreementNotInForce(agreement=str(number), agreement_status=row.status)
        agreement_facts.settle_agreement(tx, row, {"status": AgreementStatus.PAUSED}, None)

    _changed(core, number, user_id, owned, decide)


def resume_charges(core: Core, number: int, user_id: str | None, owned: Callable[[str], Keyed]) -> None:
    """Charge again: what is not paid begins now. Takes back a wish to end it that is not carried out yet. Raises
    NotFound, KeptByTheStore, AgreementNotInForce, AlreadyAgreed."""

    def decide(tx: Tx, row: AnyRow) -> None:
        if row.status not in IN_FORCE:
            raise AgreementNotInForce(agreement=str(number), agreement_status=row.status)
        if row.cancel_at is not None:
            _check_the_only_one(tx, row, row.sku)
            _check_not_replaced(tx, row)
        begin_again(tx, row)

    _changed(core, number, user_id, owned, decide)


def begin_again(tx: Tx, row: AnyRow, *, despite_held: bool = False) -> None:
    """Go on charging a locked agreement in force. Where nothing is paid any more, the next period begins now; the one
    that stayed unpaid is not made up for. A charge that is under way, or can be tried again, goes on. One that waits
    for a person (another amount was paid) stops all others, unless the person wants to go on `despite_held`."""
    changes: dict[str, Any] = {"cancel_at": None, "cancel_by": "", "tries": 0}
    if row.status == AgreementStatus.PAUSED:
        changes["status"] = next_agreement_status(AgreementStatus.PAUSED, AgreementCause.RESUMED)
    has_gap = row.paid_until is None or row.paid_until <= tx.now
    due = agreement_rows.find_period(tx, row, row.next_period)
    if (
        due is not None
        and due.status == "due"
        and has_gap
        and charge_rows.is_missed(tx, due, despite_held=despite_held)
    ):
        due = agreement_rows.change_period(tx, due, {"status": "unpaid", "next_try_at": None})
    is_given_up = due is not None and due.status == "unpaid"
    if is_given_up:
        row = agreement_rows.change_agreement(tx, row, {"next_period": row.next_period + 1})
    has_order = due is not None and due.order_id is not None and not is_given_up
    if row.anchor_at is not None and has_gap and not has_order:
        row, _ = agreement_facts.begin_now(tx, row, None if is_given_up else due)
    told = [due] if due is not None and due.next_try_at else []
    changed = agreement_facts.settle_agreement(tx, row, changes, None, *told)
    if changed.status in CHARGEABLE and changed.next_charge_at is None and is_given_up:
        agreement_facts.plan_charge(tx, changed)


def charge_at_once(core: Core, number: int) -> AnyRow:
    """An operator wants the period that is due charged at once, whatever the table says. Where money for it was held,
    the operator has seen to that, and the next one begins. Raises NotFound, KeptByTheStore, AgreementNotInForce."""

    def work(tx: Tx) -> AnyRow:
        row = _locked(tx, number, None)
        _check_is_ours(row)
        is_unwanted = row.cancel_at is not None and row.cancel_by != ENDED_BY_RULE
        if row.status not in CHARGEABLE or is_unwanted:
            raise AgreementNotInForce(agreement=str(number), agreement_status=row.status)
        due = agreement_rows.find_period(tx, row, row.next_period)
        if due is not None and due.status == "due" and due.next_try_at is not None:
            agreement_rows.change_period(tx, due, {"next_try_at": tx.now})
            return agreement_rows.change_agreement(tx, row, {"next_charge_at": tx.now, "next_work_at": tx.now})
        begin_again(tx, row, despite_held=True)
        return agreement_rows.known_agreement(tx, number)

    return core.of_number(number).transact(work)


def change_plan(core: Core, number: int, user_id: str | None, owned: Callable[[str], Keyed], sku: str) -> None:
    """From the next period on the agreement is about another product. Raises NotFound, KeptByTheStore,
    AgreementNotInForce, UnknownProduct, NotAPlan, NoPrice, NeedsSigning, AlreadyAgreed."""

    def decide(tx: Tx, row: AnyRow) -> None:
        if row.status not in IN_FORCE or row.cancel_at is not None:
            raise AgreementNotInForce(agreement=str(number), agreement_status=row.status)
        if sku == row.sku:  # it stays as it is, also where that is for sale no more, or dearer by now
            agreement_rows.change_agreement(tx, row, {"next_plan": None})
            return
        product = tx.execute(select(*_g).where(_g.sku == sku)).one_or_none()
        if product is None:
            raise UnknownProduct(sku=sku)
        check_for_sale(product, sku, tx.now)
        if product.plan is None:
            raise NotAPlan(sku=sku)
        price = product.prices.get(row.currency)
        if price is None:
            raise NoPrice(currencies=[row.currency])
        if price > row.most_minor or (product.plan["unit"], product.plan["count"]) != (row.unit, row.length):
            raise NeedsSigning(sku=sku, most_minor=row.most_minor)
        _check_the_only_one(tx, row, sku)
        names = ("sku", "title", "grants", "fulfilment", "entitlements")
        plan = {name: getattr(product, name) for name in names} | {"amount_minor": price}
        agreement_rows.change_agreement(tx, row, {"next_plan": plan})

    _changed(core, number, user_id, owned, decide)


def _check_the_only_one(tx: Tx, row: AnyRow, sku: str) -> None:
    """Nobody pays for one product twice. Raises AlreadyAgreed."""
    other = agreement_rows.in_force_of(tx, row.slot, row.user_id, sku, row.environment, but=row.id)
    if other is not None:
        raise AlreadyAgreed(agreement=str(other.id))


def _check_not_replaced(tx: Tx, row: AnyRow) -> None:
    """Nobody goes on with an agreement in whose place another one was signed. Raises AlreadyAgreed."""
    if row.cancel_by.startswith(REPLACED_BY):
        other = agreement_rows.known_agreement(tx, int(row.cancel_by.removeprefix(REPLACED_BY)))
        if other.status in IN_FORCE:
            raise AlreadyAgreed(agreement=str(other.id))


def _changed(
    core: Core,
    number: int,
    user_id: str | None,
    owned: Callable[[str], Keyed],
    decide: Callable[[Tx, AnyRow], None],
) -> None:
    """Decide once a request whose key belongs to caller and user: the agreement says who the user is."""

    def lock(tx: Tx) -> tuple[Keyed, AnyRow]:
        row = _locked(tx, number, user_id)
        return owned(row.user_id), row

    def work(tx: Tx, _: Keyed, row: AnyRow) -> int:
        _check_is_ours(row)
        decide(tx, row)
        return number

    decided_for_owner(core, slot_of_number(number), lock, work)


def _locked(tx: Tx, number: int, user_id: str | None) -> AnyRow:
    row = agreement_rows.lock_agreement(tx, number)
    if row is None or user_id not in (None, row.user_id):
        raise NotFound(agreement=str(number))
    return row


def _check_is_ours(row: AnyRow) -> None:
    if row.by_store:
        raise KeptByTheStore(agreement=str(row.id))
