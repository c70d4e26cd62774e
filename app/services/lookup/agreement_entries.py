"""What happened to an agreement, as entries of its timeline: it itself, its periods, and the charges that pay them.

What a charge brought (transfers, refunds, value) is in the timeline of its order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from sqlalchemy import ColumnElement, Text, and_, cast, or_, select

from app.domain.ledger import microseconds
from app.models.agreements import PERIODS
from app.models.base import AnyRow
from app.models.events import EVENTS
from app.models.history import CallMade, Intervention
from app.models.orders import FactRow, Payment
from app.services.base.context import Tx
from app.services.lookup.delivery_entries import tried_deliveries
from app.services.lookup.entries import EntryKind, TimelineEntry
from app.services.lookup.entry_rows import call_entry, event_entry, fact_entry, intervention_entry, payment_entry
from app.services.lookup.timeline_sources import Window

_p, _f, _c, _i = (table.__table__.c for table in (Payment, FactRow, CallMade, Intervention))
_P, _e = PERIODS.c, EVENTS.c


def agreement_entries(tx: Tx, agreement: AnyRow, window: Window) -> Iterator[TimelineEntry]:
    """The entries of the agreement from the window's moment on, in no order."""
    for source in _SOURCES:
        yield from source(tx, agreement, window)
    yield from tried_deliveries(tx, agreement.slot, _events_about(agreement), window)


def _itself(_: Tx, row: AnyRow, __: Window) -> Iterator[TimelineEntry]:
    about = {"number": str(row.id), "provider_account": row.provider_account, "what": row.sku}
    money = {"amount": row.amount_minor, "asset": row.currency}
    yield TimelineEntry(at=row.created_at, kind=EntryKind.AGREEMENT_MADE, detail=row.problem, **about, **money)
    if row.ended_at is not None:
        ended = {"outcome": row.ended_by, "actor": row.cancel_by or None}
        yield TimelineEntry(at=row.ended_at, kind=EntryKind.AGREEMENT_ENDED, **about, **ended)


def _periods(tx: Tx, row: AnyRow, window: Window) -> Iterator[TimelineEntry]:
    mine = select(*_P).where(_P.slot == row.slot, _P.agreement_id == row.id)
    for period in tx.execute(window.of(mine, _P.created_at, _P.number)):
        order = "" if period.order_id is None else f"order {period.order_id}"
        refused = f"refused: {period.refusal}" if period.refusal else ""
        yield TimelineEntry(
            at=period.created_at,
            kind=EntryKind.PERIOD,
            number=str(period.number),
            payment=period.payment_id,
            provider_account=row.provider_account,
            what=f"{period.starts_at:%Y-%m-%d %H:%M} to {period.ends_at:%Y-%m-%d %H:%M}",
            outcome=period.status,
            detail=", ".join(filter(None, (order, refused))),
        )


def _payments_of(row: AnyRow) -> Any:
    """The numbers of the payments under the agreement."""
    orders = select(_P.order_id).where(_P.slot == row.slot, _P.agreement_id == row.id)
    return select(_p.id).where(_p.slot == row.slot, or_(_p.order_id.in_(orders), _p.id == row.first_payment_id))


def _payments(tx: Tx, row: AnyRow, window: Window) -> Iterator[TimelineEntry]:
    mine = select(*_p).where(_p.slot == row.slot, _p.id.in_(_payments_of(row)))
    yield from map(payment_entry, tx.execute(window.of(mine, _p.created_at, _p.id)))


def _facts_about(row: AnyRow) -> tuple[ColumnElement[bool], ...]:
    """What was told of the agreement, and of the payments under it."""
    named = [_f.content["our_agreement"].as_string() == str(row.id)]
    if row.theirs is not None:
        theirs = _f.content["agreement"].as_string() == row.theirs
        named.append(and_(theirs, _f.provider_account == row.provider_account, _f.environment == row.environment))
    return _f.slot == row.slot, or_(_f.payment_id.in_(_payments_of(row)), *named)


def _facts(tx: Tx, row: AnyRow, window: Window) -> Iterator[TimelineEntry]:
    mine = select(*_f).where(*_facts_about(row))
    yield from map(fact_entry, tx.execute(window.of(mine, _f.recorded_at, _f.id)))


def _interventions(tx: Tx, row: AnyRow, window: Window) -> Iterator[TimelineEntry]:
    """What people did about facts that are about no payment here."""
    about = _i.fact_id.in_(select(_f.id).where(*_facts_about(row)))
    mine = select(*_i).where(_i.slot == row.slot, about)
    yield from map(intervention_entry, tx.execute(window.of(mine, _i.at, _i.id)))


def _calls(tx: Tx, row: AnyRow, window: Window) -> Iterator[TimelineEntry]:
    payments = tx.scalars(_payments_of(row)).all()  # within the condition: every call of the slot would be looked at
    about = or_(_c.agreement_id == row.id, _c.payment_id.in_(payments))
    mine = select(*_c).where(_c.slot == row.slot, about)
    yield from map(call_entry, tx.execute(window.of(mine, _c.at, _c.id)))


def _events(tx: Tx, row: AnyRow, window: Window) -> Iterator[TimelineEntry]:
    mine = select(*_e).where(*_events_about(row))
    yield from map(event_entry, tx.execute(window.of(mine, _e.at, _e.id)))


def _events_about(row: AnyRow) -> tuple[ColumnElement[bool], ...]:
    """The events of the user that name the agreement. Their bodies are JSON, in which its number is a text of its
    own."""
    named = cast(_e.body, Text).contains(f'"{row.id}"', autoescape=True)
    return _e.slot == row.slot, _e.user_id == row.user_id, _e.version >= microseconds(row.created_at), named


_SOURCES: tuple[Callable[[Tx, AnyRow, Window], Iterator[TimelineEntry]], ...] = (
    _itself,
    _periods,
    _payments,
    _facts,
    _interventions,
    _calls,
    _events,
)
