"""Works out every payment and order again from its facts, and every transfer that facts make, and compares."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from typing import NamedTuple

from sqlalchemy import func, or_, select, tuple_
from sqlalchemy.orm import aliased

from app.domain.accounting_time import effective_before
from app.domain.deciding import Booking
from app.domain.facts import Kind
from app.domain.ledger import Transfer
from app.domain.report_tables import asset_written
from app.domain.status import OPEN_PAYMENT, UNPAID_END, OrderStatus, Outcome, PaymentStatus
from app.models.base import AnyRow
from app.models.ledger import ACCOUNTS, TRANSFERS
from app.models.orders import FactRow, Order, Payment
from app.models.slot_guard import sweep
from app.services.audit import fulfilments as fulfilment_audit
from app.services.audit import naming
from app.services.audit import refunds as refund_audit
from app.services.base.transaction import Sessions, Transaction, read
from app.services.payments import bookings

ORDER_PAGE = 500
MOST_TRANSFERS_NAMED = 5
"""So many unexplained transfers of a slot are named at the most."""
_o, _p, _f = Order.__table__.c, Payment.__table__.c, FactRow.__table__.c
_t = TRANSFERS.c
_KINDS = (*bookings.KINDS, *refund_audit.REFUND_TRANSFER_KINDS)
"""The kinds of transfer that only facts make."""
_HAS_BOOKED = or_(_f.booking != Booking.NOTHING, _f.from_suspense)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something in the books that is not as it must be."""

    what: str
    detail: str
    untimed_at: datetime | None = None
    """Of a transfer without the effective time that it must have: when it was booked. Rows that are older than these
    times have none."""


Progress = Callable[[str], None]


def audit_orders(sessions: Sessions, progress: Progress | None = None) -> Iterator[Finding]:
    """Findings, page by page in bounded memory. Each page is read as of one moment, so traffic does not disturb it."""
    made: Counter[int] = Counter()
    timed_since: datetime | None = None
    for number, page in enumerate(_pages(sessions), start=1):
        made.update(page.made)
        for finding in page.findings:
            if finding.untimed_at is not None and timed_since is None:
                timed_since = read(sessions, _timed_since)
            if finding.untimed_at is None or finding.untimed_at >= (timed_since or finding.untimed_at):
                yield finding
        if progress is not None:
            progress(f"orders: page {number}")
    for slot in _slots_with_more(sessions, made):
        # Orders that were paid meanwhile are no finding: this slot alone is counted again, all of it as of one moment.
        yield from read(sessions, partial(_recount, slot=slot), snapshot=True)
    for order_id in read(sessions, fulfilment_audit.unexplained_fulfilments):
        yield Finding("fulfilment_unexplained", f"order {order_id}: is not to be fulfilled by a backend")


def _timed_since(tx: Transaction) -> datetime:
    """When the first transfer was booked that bears an effective time; the end of time if none does."""
    first = select(func.min(_t.created_at)).prefix_with(sweep("audit")).where(_t.effective_at.is_not(None))
    return tx.scalar(first) or datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class _Page:
    last: tuple[int, int]
    is_last: bool
    """Whether it is short of a whole page: nothing was behind it when it was read."""
    findings: list[Finding]
    made: Counter[int]
    """How many transfers the facts of this page make, by slot."""


def _pages(sessions: Sessions) -> Iterator[_Page]:
    """Orders with what belongs to them, then the facts that belong to no payment here."""
    for check in (_check_orders, _check_unmatched):
        page = read(sessions, partial(check, after=(-1, -1)), snapshot=True)
        while page is not None:
            yield page
            page = None if page.is_last else read(sessions, partial(check, after=page.last), snapshot=True)


def _recount(tx: Transaction, slot: int) -> list[Finding]:
    made: Counter[int] = Counter()
    for check in (_check_orders, _check_unmatched):
        page = check(tx, (slot, -1))
        while page is not None and page.last[0] == slot:
            made.update(page.made)
            page = check(tx, page.last)
        if page is not None:
            made[slot] += page.made[slot]
    booked = tx.execute(
        select(func.count()).select_from(TRANSFERS).where(_t.slot == slot, _t.kind.in_(_KINDS))
    ).scalar_one()
    if booked <= made[slot]:
        return []
    named = "".join(f"; {naming.of_transfer(tx, slot, number)}" for number in _unexplained(tx, slot))
    return [Finding("transfer_unexplained", f"slot {slot}: {booked} transfers by facts, {made[slot]} expected{named}")]


def _unexplained(tx: Transaction, slot: int) -> list[uuid.UUID]:
    """Those of its transfers that no fact explains, at most the first few: what is booked and has no such fact,
    and what takes back something that is not there."""
    known = set[uuid.UUID]()
    paid = select(*_f).where(_f.slot == slot, _f.kind == Kind.PAID, _HAS_BOOKED)
    for fact in tx.execute(paid).all():
        order = _order_of(tx, fact)
        money, booking = bookings.of_row(fact), Booking(fact.booking)
        made = (
            bookings.of_unmatched_row(fact)
            if order is None
            else bookings.transfers_of(money, order, fact.payment_id, booking, from_suspense=fact.from_suspense)
        )
        known |= {transfer.id_in(slot) for transfer in made}
    booked = select(_t.id, _t.cause_id).where(_t.slot == slot, _t.kind.in_(_KINDS)).order_by(_t.created_at, _t.id)
    strange = (row.id for row in tx.execute(booked) if row.id not in known and row.cause_id not in known)
    return list(islice(strange, MOST_TRANSFERS_NAMED))


def _order_of(tx: Transaction, fact: AnyRow) -> AnyRow | None:
    wanted = (
        select(*_o)
        .join(Payment.__table__, (_p.slot == _o.slot) & (_p.order_id == _o.id))
        .where(_o.slot == fact.slot, _p.slot == fact.slot, _p.id == fact.payment_id)
    )
    return tx.execute(wanted).one_or_none()


def _check_orders(tx: Transaction, after: tuple[int, int]) -> _Page | None:
    tx.of_several_slots("audit")
    wanted = (
        select(*_o)
        .prefix_with(sweep("audit"))
        .where(tuple_(_o.slot, _o.id) > after)
        .order_by(_o.slot, _o.id)
        .limit(ORDER_PAGE)
    )
    orders = tx.execute(wanted).all()
    if not orders:
        return None
    findings: list[Finding] = []
    made: Counter[int] = Counter()
    for order in orders:
        findings += _check_order(tx, order, made)
    return _Page((orders[-1].slot, orders[-1].id), len(orders) < ORDER_PAGE, findings, made)


def _check_order(tx: Transaction, order: AnyRow, made: Counter[int]) -> list[Finding]:
    payments = tx.execute(select(*_p).where(_p.slot == order.slot, _p.order_id == order.id)).all()
    numbers = [payment.id for payment in payments]
    told = tx.execute(select(*_f).where(_f.slot == order.slot, _f.payment_id.in_(numbers)).order_by(_f.id)).all()
    facts = [fact for fact in told if fact.kind == Kind.PAID]
    findings = [*_order_status(order, facts), *_payment_statuses(payments, facts), *_ends(order, payments, told)]
    for fact in facts:
        transfers = bookings.transfers_of(
            bookings.of_row(fact), order, fact.payment_id, Booking(fact.booking), from_suspense=fact.from_suspense
        )
        made[order.slot] += len(transfers)
        findings += _missing(tx, order.slot, transfers, f"fact {fact.id} of order {order.id}")
        payment = next(payment for payment in payments if payment.id == fact.payment_id)
        findings += _refunds(tx, fact, order, payment, made)
    return [replace(found, detail=found.detail + naming.of_order(order)) for found in findings]


def _refunds(
    tx: Transaction, fact: AnyRow, order: AnyRow | None, payment: AnyRow | None, made: Counter[int]
) -> list[Finding]:
    return [Finding(*found) for found in refund_audit.check_captured(tx, fact, order, payment, made)]


def _order_status(order: AnyRow, facts: Sequence[AnyRow]) -> Iterator[Finding]:
    buying = [fact for fact in facts if fact.outcome == Outcome.APPLIED]
    paid = order.status == OrderStatus.PAID
    if len(buying) > 1:
        yield Finding("order_bought_twice", f"order {order.id}: {len(buying)} applied payments")
    if paid != bool(buying):
        yield Finding("order_status", f"order {order.id} is {order.status} with {len(buying)} applied payments")
    elif paid and order.paid_payment_id != buying[0].payment_id:
        yield Finding(
            "order_payment", f"order {order.id}: bought by {buying[0].payment_id}, not {order.paid_payment_id}"
        )
    for fact in buying:
        told = fact.content["amount_minor"], fact.content["currency"]
        if order.amount_minor is not None and told != (order.amount_minor, order.currency):
            ordered = naming.sum_told(order.amount_minor, order.currency)
            yield Finding("order_amount", f"order {order.id}: {ordered}, paid {naming.sum_told(*told)}")


def _payment_statuses(payments: Sequence[AnyRow], facts: Sequence[AnyRow]) -> Iterator[Finding]:
    """A payment is paid exactly if there is a paid fact that was not held back for not matching."""
    for payment in payments:
        own = [fact for fact in facts if fact.payment_id == payment.id]
        paying = [fact for fact in own if fact.outcome in (Outcome.APPLIED, Outcome.SURPLUS) or fact.reason == "late"]
        if (payment.status == PaymentStatus.PAID) != bool(paying):
            yield Finding("payment_status", f"payment {payment.id} is {payment.status}, paid facts: {len(paying)}")


def _ends(order: AnyRow, payments: Sequence[AnyRow], told: Sequence[AnyRow]) -> Iterator[Finding]:
    """A payment that ended unpaid, or is held, says why; an expired order has no open payment; a provider's number was
    told by the provider."""
    for payment in payments:
        own = [fact for fact in told if fact.payment_id == payment.id]
        if not _end_has_cause(payment, own):
            yield Finding("payment_status", f"payment {payment.id} is {payment.status}, and nothing says why")
        if payment.theirs is not None and payment.theirs not in {fact.content["theirs"] for fact in own}:
            yield Finding("payment_theirs", f"payment {payment.id}: nobody told its number {payment.theirs}")
        if order.status == OrderStatus.EXPIRED and payment.status in OPEN_PAYMENT:
            yield Finding("order_status", f"order {order.id} is expired with payment {payment.id} {payment.status}")


def _end_has_cause(payment: AnyRow, own: Sequence[AnyRow]) -> bool:
    if payment.status == PaymentStatus.HELD:
        return any(fact.kind == Kind.PAID and fact.booking == Booking.SUSPENSE for fact in own)
    ended = {fact.kind for fact in own if fact.kind in (Kind.CLOSED, Kind.FAILED) and fact.outcome == Outcome.APPLIED}
    if payment.status in UNPAID_END:
        return bool(payment.problem) or payment.status in ended
    return payment.status not in OPEN_PAYMENT or not ended


def _check_unmatched(tx: Transaction, after: tuple[int, int]) -> _Page | None:
    tx.of_several_slots("audit")
    wanted = (
        select(*_f)
        .prefix_with(sweep("audit"))
        .where(tuple_(_f.slot, _f.id) > after, _f.payment_id.is_(None), _HAS_BOOKED)
        .order_by(_f.slot, _f.id)
        .limit(ORDER_PAGE)
    )
    facts = tx.execute(wanted).all()
    if not facts:
        return None
    findings: list[Finding] = []
    made: Counter[int] = Counter()
    for fact in facts:
        transfers = bookings.of_unmatched_row(fact)
        made[fact.slot] += len(transfers)
        found = [*_missing(tx, fact.slot, transfers, f"fact {fact.id}")]
        found += _refunds(tx, fact, None, None, made)
        findings += [replace(each, detail=each.detail + naming.of_fact(fact)) for each in found]
    return _Page((facts[-1].slot, facts[-1].id), len(facts) < ORDER_PAGE, findings, made)


def _missing(tx: Transaction, slot: int, transfers: list[Transfer], whose: str) -> Iterator[Finding]:
    """Transfers that the fact must have made and that are not there, or are not what they must be."""
    if not transfers:
        return
    booked = _booked(tx, slot, [transfer.id_in(slot) for transfer in transfers])
    for transfer in transfers:
        row = booked.get(transfer.id_in(slot))
        if row is None:
            yield Finding("transfer_missing", f"{whose}: {_wanted(transfer).shown()}")
        elif _said(row) != _wanted(transfer):
            yield Finding("transfer_differs", f"{whose}: {_said(row).shown()}, must be {_wanted(transfer).shown()}")
        elif row.effective_at != (due := effective_before(transfer.effective_at, row.created_at)):
            detail = f"{whose}: {transfer.kind} is effective at {row.effective_at}, must be {due}"
            yield Finding("transfer_time", detail, None if row.effective_at else row.created_at)


def _booked(tx: Transaction, slot: int, ids: list[uuid.UUID]) -> dict[uuid.UUID, AnyRow]:
    debit, credit = aliased(ACCOUNTS, name="debit_account"), aliased(ACCOUNTS, name="credit_account")
    rows = tx.execute(
        select(
            _t.id,
            _t.amount,
            _t.kind,
            _t.created_at,
            _t.effective_at,
            debit.c.code.label("debit_code"),
            credit.c.code.label("credit_code"),
            debit.c.user_id.label("debit_user"),
            credit.c.user_id.label("credit_user"),
            debit.c.asset,
            debit.c.environment,
        )
        .join(debit, (debit.c.slot == _t.slot) & (debit.c.id == _t.debit_id))
        .join(credit, (credit.c.slot == _t.slot) & (credit.c.id == _t.credit_id))
        .where(_t.slot == slot, _t.id.in_(ids))
    )
    return {row.id: row for row in rows}


class _Moved(NamedTuple):
    kind: str
    amount: int
    asset: str
    environment: str
    debit_user: str
    debit: str
    credit_user: str
    credit: str

    def shown(self) -> str:
        """As `payment of 6.00 CNY from clearing:shop to sales (live)`."""
        accounts = (
            f"{code} of {user}" if user else code
            for code, user in ((self.debit, self.debit_user), (self.credit, self.credit_user))
        )
        moved = asset_written(self.amount, self.asset, self.debit, self.credit)
        return f"{self.kind} of {moved} from {' to '.join(accounts)} ({self.environment})"


def _said(row: AnyRow) -> _Moved:
    about = (row.kind, row.amount, row.asset, row.environment)
    return _Moved(*about, row.debit_user, row.debit_code, row.credit_user, row.credit_code)


def _wanted(transfer: Transfer) -> _Moved:
    debit, credit = transfer.debit, transfer.credit
    about = (transfer.kind, transfer.amount, debit.asset, debit.environment)
    return _Moved(*about, debit.user_id, debit.code, credit.user_id, credit.code)


def _slots_with_more(sessions: Sessions, made: Counter[int]) -> list[int]:
    """Slots in which there are more transfers of the kinds that only facts make than facts that make them."""
    counted = (
        select(_t.slot, func.count().label("times"))
        .prefix_with(sweep("audit"))
        .where(_t.kind.in_(_KINDS))
        .group_by(_t.slot)
    )
    rows = read(sessions, lambda tx: tx.execute(counted).all())
    return [row.slot for row in rows if row.times > made[row.slot]]
