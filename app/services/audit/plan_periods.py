"""Proves until when the price of each paid period is earned: what was sold without coins lasts as long as its period,
as it was sold, and nothing else is earned by days.

Revenue of such plans follows from this one column. Periods of agreements of our own are never changed after they were
paid; a store's period may be cut by the next one, and its provider's word says how long it was sold for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import partial

from sqlalchemy import and_, or_, select, tuple_

from app.domain.facts import Kind
from app.models.agreements import AGREEMENTS, PERIODS
from app.models.base import AnyRow
from app.models.orders import FACTS, Order
from app.models.slot_guard import sweep
from app.services.agreements.agreement_rows import earned_until
from app.services.audit.orders import Finding, Progress
from app.services.base.transaction import Sessions, Transaction, read

PERIOD_PAGE = 500
_D, _A, _O, _F = PERIODS.c, AGREEMENTS.c, Order.__table__.c, FACTS.c
_PLACE = (_D.slot, _D.agreement_id, _D.number)


def audit_plan_periods(sessions: Sessions, told: Progress | None = None) -> Iterator[Finding]:
    """Page by page in bounded memory."""
    if told is not None:
        told("paid periods")
    last = (-1, -1, -1)
    while page := read(sessions, partial(_page_after, last=last), snapshot=True):
        rows, ends = page
        for row in rows:
            yield from _wrong_with(row, ends.get((row.slot, row.payment_id), frozenset()))
        last = (rows[-1].slot, rows[-1].agreement_id, rows[-1].number)


def _page_after(
    tx: Transaction, last: tuple[int, int, int]
) -> tuple[Sequence[AnyRow], dict[tuple[int, int], frozenset[datetime]]] | None:
    """Periods with their orders, and the ends of periods that facts tell of those of stores."""
    wanted = (
        select(*_PLACE, _D.starts_at, _D.ends_at, _D.earned_until, _D.payment_id)
        .add_columns(_A.by_store, _O.grants, _O.fulfilment)
        .prefix_with(sweep("audit"))
        .join(AGREEMENTS, and_(_A.slot == _D.slot, _A.id == _D.agreement_id))
        .outerjoin(Order.__table__, and_(_O.slot == _D.slot, _O.id == _D.order_id))
        .where(tuple_(*_PLACE) > last, or_(_D.payment_id.is_not(None), _D.earned_until.is_not(None)))
        .order_by(*_PLACE)
        .limit(PERIOD_PAGE)
    )
    rows = tx.execute(wanted).all()
    if not rows:
        return None
    of_stores = {(row.slot, row.payment_id) for row in rows if row.by_store and row.earned_until is not None}
    return rows, _told_ends(tx, sorted(of_stores)) if of_stores else {}


def _told_ends(tx: Transaction, payments: Sequence[tuple[int, int]]) -> dict[tuple[int, int], frozenset[datetime]]:
    wanted = select(_F.slot, _F.payment_id, _F.content).prefix_with(sweep("audit"))
    paid = wanted.where(tuple_(_F.slot, _F.payment_id).in_(payments), _F.kind == Kind.PAID)
    ends = dict[tuple[int, int], frozenset[datetime]]()
    for row in tx.execute(paid):
        if row.content.get("period_end"):
            told = datetime.fromisoformat(row.content["period_end"])
            ends[row.slot, row.payment_id] = ends.get((row.slot, row.payment_id), frozenset()) | {told}
    return ends


def _wrong_with(row: AnyRow, told_ends: frozenset[datetime]) -> Iterator[Finding]:
    name = f"period {row.number} of agreement {row.agreement_id}"
    if row.payment_id is None or row.grants is None or earned_until(row, row.ends_at) is None:
        if row.earned_until is not None:
            yield Finding(
                "plan_period", f"{name} is earned until {row.earned_until}, and is no paid plan without coins"
            )
        return
    # How long a period was sold for that was cut before this was kept, nobody knows: its cut end counts.
    right = {row.ends_at} | told_ends
    if row.earned_until not in right:
        said = " or ".join(sorted(str(moment) for moment in right))
        yield Finding("plan_period", f"{name} is earned until {row.earned_until}, and was sold until {said}")
