"""Where the entries of a timeline come from: each function reads one kind of row of the order's slot, from a moment
on."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, Text, and_, cast, or_, select

from app.domain.deciding import Booking
from app.domain.facts import Kind
from app.domain.ledger import microseconds
from app.domain.numbers import slot_of_number
from app.models.asks import Ask
from app.models.base import AnyRow
from app.models.events import EVENTS
from app.models.history import CallMade, Intervention, Telling
from app.models.ledger import ACCOUNTS, TRANSFERS
from app.models.orders import FactRow, KeptMessage
from app.models.receipts import Receipt
from app.models.refunds import Freeze, Refund
from app.services.base.context import Tx
from app.services.lookup.entries import EntryKind, TimelineEntry
from app.services.lookup.entry_rows import call_entry, event_entry, fact_entry, intervention_entry, payment_entry
from app.services.payments import bookings, payment_rows
from app.services.refunds.captured_payments import number_of

MOST_CAPTURES = 100
"""Facts about money of one order whose transfers are looked for."""
MOST_CAUSES = 100
"""Facts of one order whose events are looked for; what shows the order itself is found beside."""
MOST_QUESTIONS = 100
"""Questions that messages raised about one order whose messages are looked for."""
UNFINISHED_WITHIN = timedelta(days=1)
"""How long a question without an end is shown: a later one overwrites its stamp."""
_f, _t, _c, _m = (table.__table__.c for table in (FactRow, Telling, CallMade, KeptMessage))
_r, _z, _i, _a, _s = (table.__table__.c for table in (Refund, Freeze, Intervention, Ask, Receipt))
_x, _e = TRANSFERS.c, EVENTS.c
_debit, _credit = ACCOUNTS.alias("debit"), ACCOUNTS.alias("credit")


@dataclass(frozen=True, slots=True)
class TimelineSubject:
    """The order that is looked into, and its payments."""

    order: AnyRow
    payments: Sequence[AnyRow]

    @property
    def slot(self) -> int:
        return int(self.order.slot)

    @property
    def payment_ids(self) -> list[int]:
        return [payment.id for payment in self.payments]


@dataclass(frozen=True, slots=True)
class Window:
    """From when on, and how many rows of one source are wanted at most."""

    since: datetime
    most: int

    def of(self, wanted: Select[Any], at: ColumnElement[Any], number: ColumnElement[Any]) -> Select[Any]:
        return wanted.where(at >= self.since).order_by(at, number).limit(self.most)


Source = Callable[[Tx, TimelineSubject, Window], Iterable[TimelineEntry]]


def subject_of_order(tx: Tx, slot: int, order_id: int) -> TimelineSubject | None:
    """None if there is no such order."""
    order = payment_rows.find_order(tx, slot, order_id)
    return None if order is None else TimelineSubject(order, payment_rows.payments_of_order(tx, slot, order_id))


def _order(_: Tx, subject: TimelineSubject, __: Window) -> Iterator[TimelineEntry]:
    order = subject.order
    money = {"amount": order.amount_minor, "asset": order.currency}
    yield TimelineEntry(at=order.created_at, kind=EntryKind.ORDER_MADE, number=str(order.id), what=order.sku, **money)
    if order.status == "expired":
        yield TimelineEntry(at=order.expires_at, kind=EntryKind.ORDER_EXPIRED, number=str(order.id))
    yield from map(payment_entry, subject.payments)


def _facts(tx: Tx, subject: TimelineSubject, window: Window) -> Iterator[TimelineEntry]:
    wanted = select(*_f).where(_f.slot == subject.slot, _f.payment_id.in_(subject.payment_ids))
    for row in tx.execute(window.of(wanted, _f.recorded_at, _f.id)):
        yield fact_entry(row)


def _tellings(tx: Tx, subject: TimelineSubject, window: Window) -> Iterator[TimelineEntry]:
    wanted = (
        select(*_t, _f.payment_id, _f.provider_account, _f.kind)
        .join(FactRow, and_(_f.slot == _t.slot, _f.id == _t.fact_id))
        .where(_t.slot == subject.slot, _f.slot == subject.slot, _f.payment_id.in_(subject.payment_ids))
    )
    for row in tx.execute(window.of(wanted, _t.at, _t.fact_id).order_by(_t.road)):
        yield TimelineEntry(
            at=row.at,
            kind=EntryKind.TOLD_AGAIN,
            number=str(row.fact_id),
            payment=row.payment_id,
            provider_account=row.provider_account,
            what=row.kind,
            road=row.road,
            outcome="conflict" if row.differs else "duplicate",
            detail=f"with another {row.differs}" if row.differs else "",
        )


def _calls(tx: Tx, subject: TimelineSubject, window: Window) -> Iterator[TimelineEntry]:
    """The calls about the payments, and those about receipts from which the order came."""
    about: ColumnElement[bool] = _c.payment_id.in_(subject.payment_ids)
    # Read first: with a select within the condition the database would look at every call of the slot.
    receipts = tx.scalars(select(_s.id).where(*_is_receipt_of(subject))).all()
    if receipts:
        about = or_(about, and_(_c.payment_id.is_(None), _c.receipt_id.in_(receipts)))
    wanted = select(*_c).where(_c.slot == subject.slot, about)
    for row in tx.execute(window.of(wanted, _c.at, _c.id)):
        yield call_entry(row)


def _unfinished(tx: Tx, subject: TimelineSubject, window: Window) -> Iterator[TimelineEntry]:
    """Payments and refunds that were taken to be asked about, after which no call ended: the one in progress, or one
    whose process died."""
    since = tx.now - UNFINISHED_WITHIN
    for row in subject.payments:
        if row.last_query_at is not None and row.last_query_at >= since:
            yield from _without_end(tx, row, _c.refund_id.is_(None), payment=row.id, refund=None)
    refunds = select(*_r).where(_r.slot == subject.slot, _r.order_id == subject.order.id, _r.last_query_at >= since)
    for row in tx.execute(refunds.order_by(_r.last_query_at).limit(window.most)):
        yield from _without_end(tx, row, _c.refund_id == row.id, payment=row.payment_id, refund=number_of(row))


def _without_end(
    tx: Tx, row: AnyRow, about: ColumnElement[bool], *, payment: int, refund: str | None
) -> Iterator[TimelineEntry]:
    ended = select(_c.id).where(_c.slot == row.slot, _c.payment_id == payment, about, _c.at >= row.last_query_at)
    if tx.execute(ended.limit(1)).first() is None:
        yield TimelineEntry(
            at=row.last_query_at,
            kind=EntryKind.CALL_UNFINISHED,
            number=str(row.id),
            payment=payment,
            refund=refund,
            provider_account=row.provider_account,
            outcome="unfinished",
        )


def _messages(tx: Tx, subject: TimelineSubject, window: Window) -> Iterator[TimelineEntry]:
    """Those that were kept beside a payment, and those that raised a question about one before it was found."""
    mine = (_m.slot == subject.slot, _m.payment_id.in_(subject.payment_ids))
    wanted = select(*_m).where(*mine)
    for row in tx.execute(window.of(wanted, _m.received_at, _m.id)):
        yield _message(row)
    for row in tx.execute(window.of(wanted.where(_m.resolved_at > _m.received_at), _m.resolved_at, _m.id)):
        yield _message_settled(row)
    asks = select(_a.message_id).where(
        _a.slot == subject.slot, _a.payment_id.in_(subject.payment_ids), _a.message_id.is_not(None)
    )
    for number in tx.scalars(asks.order_by(_a.id).limit(MOST_QUESTIONS)):
        elsewhere = select(*_m).where(_m.slot == slot_of_number(number), _m.id == number, _m.payment_id.is_(None))
        for row in tx.execute(elsewhere):
            yield _message(row)
            if row.resolved_at is not None and row.resolved_at > row.received_at:
                yield _message_settled(row)


def _message(row: AnyRow) -> TimelineEntry:
    return TimelineEntry(
        at=row.received_at,
        kind=EntryKind.MESSAGE,
        number=str(row.id),
        payment=row.payment_id,
        provider_account=row.provider_account,
        what=row.reason,
        road=row.source,
        detail=row.detail,
    )


def _message_settled(row: AnyRow) -> TimelineEntry:
    return TimelineEntry(
        at=row.resolved_at,
        kind=EntryKind.MESSAGE_SETTLED,
        number=str(row.id),
        payment=row.payment_id,
        provider_account=row.provider_account,
    )


def _transfers(tx: Tx, subject: TimelineSubject, window: Window) -> Iterator[TimelineEntry]:
    """What the facts about money booked, found by the names that follow from the facts, and what was booked because of
    that."""
    ids = _booked_ids(tx, subject)
    if not ids:
        return
    wanted = (
        select(*_x, _debit.c.code.label("debit"), _credit.c.code.label("credit"), _debit.c.asset)
        .join(_debit, and_(_debit.c.slot == _x.slot, _debit.c.id == _x.debit_id))
        .join(_credit, and_(_credit.c.slot == _x.slot, _credit.c.id == _x.credit_id))
        .where(_x.slot == subject.slot, or_(_x.id.in_(ids), _x.cause_id.in_(ids)))
    )
    for row in tx.execute(window.of(wanted, _x.created_at, _x.id)):
        yield TimelineEntry(
            at=row.created_at,
            kind=EntryKind.TRANSFER,
            number=str(row.id),
            what=row.kind,
            detail=f"{row.debit} to {row.credit}",
            amount=row.amount,
            asset=row.asset,
            actor=row.actor or None,
            reason=row.note or None,
        )


def _booked_ids(tx: Tx, subject: TimelineSubject) -> list[uuid.UUID]:
    paid = select(*_f).where(
        _f.slot == subject.slot, _f.payment_id.in_(subject.payment_ids), _f.kind == Kind.PAID, _f.booking != "nothing"
    )
    return [
        transfer.id_in(subject.slot)
        for fact in tx.execute(paid.order_by(_f.id).limit(MOST_CAPTURES))
        for transfer in bookings.transfers_of(
            bookings.of_row(fact),
            subject.order,
            fact.payment_id,
            Booking(fact.booking),
            from_suspense=fact.from_suspense,
        )
    ]


def _refunds(tx: Tx, subject: TimelineSubject, window: Window) -> Iterator[TimelineEntry]:
    mine = select(*_r).where(_r.slot == subject.slot, _r.order_id == subject.order.id)
    for row in tx.execute(window.of(mine, _r.created_at, _r.id)):
        yield _refund(row, EntryKind.REFUND_MADE, row.created_at)
    for row in tx.execute(window.of(mine.where(_r.done_at.is_not(None)), _r.done_at, _r.id)):
        yield _refund(row, EntryKind.REFUND_DONE, row.done_at)


def _refund(row: AnyRow, kind: EntryKind, at: datetime) -> TimelineEntry:
    return TimelineEntry(
        at=at,
        kind=kind,
        number=str(row.id),
        payment=row.payment_id,
        refund=number_of(row),
        provider_account=row.provider_account,
        what=row.origin,
        outcome=row.status,
        detail=row.problem,
        amount=row.amount_minor,
        asset=row.currency,
        actor=row.caller or None,
        reason=row.reason or None,
    )


def _freezes(tx: Tx, subject: TimelineSubject, window: Window) -> Iterator[TimelineEntry]:
    """Of the user's wallets in the order's environment, since the order was made."""
    order = subject.order
    wanted = select(*_z).where(
        _z.slot == subject.slot,
        _z.user_id == order.user_id,
        _z.environment == order.environment,
        _z.at >= order.created_at,
    )
    for row in (
        *tx.execute(window.of(wanted.where(_z.frozen.is_(True)), _z.at, _z.id)),
        *tx.execute(window.of(wanted.where(_z.frozen.is_(False)), _z.at, _z.id)),
    ):
        yield TimelineEntry(
            at=row.at,
            kind=EntryKind.FREEZE if row.frozen else EntryKind.UNFREEZE,
            number=str(row.id),
            refund=None if row.refund_id is None else str(row.refund_id),
            asset=row.asset,
            actor=row.actor,
            reason=row.reason,
        )


def _interventions(tx: Tx, subject: TimelineSubject, window: Window) -> Iterator[TimelineEntry]:
    wanted = select(*_i).where(_i.slot == subject.slot, _i.payment_id.in_(subject.payment_ids))
    yield from map(intervention_entry, tx.execute(window.of(wanted, _i.at, _i.id)))


def _receipts(tx: Tx, subject: TimelineSubject, window: Window) -> Iterator[TimelineEntry]:
    wanted = select(_s.id, _s.provider_account, _s.status, _s.submitted_at).where(*_is_receipt_of(subject))
    for row in tx.execute(window.of(wanted, _s.submitted_at, _s.id)):
        yield TimelineEntry(
            at=row.submitted_at,
            kind=EntryKind.RECEIPT,
            number=str(row.id),
            provider_account=row.provider_account,
            outcome=row.status,
        )


def _events(tx: Tx, subject: TimelineSubject, window: Window) -> Iterator[TimelineEntry]:
    for row in tx.execute(window.of(select(*_e).where(*events_about(tx, subject)), _e.at, _e.id)):
        yield event_entry(row)


def events_about(tx: Tx, subject: TimelineSubject) -> tuple[ColumnElement[bool], ...]:
    """The events of the user that show the order, a payment or a refund of it, or that a fact about it caused. Their
    bodies are JSON, in which each of these numbers is a text of its own."""
    facts = select(_f.id).where(_f.slot == subject.slot, _f.payment_id.in_(subject.payment_ids))
    numbers = [subject.order.id, *subject.payment_ids, *tx.scalars(facts.order_by(_f.id).limit(MOST_CAUSES))]
    told = [cast(_e.body, Text).contains(f'"{number}"', autoescape=True) for number in numbers]
    mine = (_e.slot == subject.slot, _e.user_id == subject.order.user_id)
    return *mine, _e.version >= microseconds(subject.order.created_at), or_(*told)


def _is_receipt_of(subject: TimelineSubject) -> tuple[ColumnElement[bool], ...]:
    """Those of the user that tell this order. What each purchase became is kept as JSON, in which the order's number is
    a text of its own."""
    names = cast(_s.purchases, Text).contains(f'"{subject.order.id}"', autoescape=True)
    return _s.slot == subject.slot, _s.user_id == subject.order.user_id, names


SOURCES: tuple[Source, ...] = (
    _order,
    _facts,
    _tellings,
    _calls,
    _unfinished,
    _messages,
    _transfers,
    _refunds,
    _freezes,
    _interventions,
    _receipts,
    _events,
)
