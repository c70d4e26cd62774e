"""What is active for a user until when, from every provider at once: read from the periods that are paid.

A period counts while its money is with us, or with the earlier system that sold it: a refund of all of it ends what it
made active, a refund of a part does not.
An agreement that is being charged goes on for the plan's days of grace; a store says itself how long.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from sqlalchemy import bindparam, func, or_, select

from app.domain.agreements import CHARGEABLE, AgreementStatus
from app.domain.facts import Ending, Kind
from app.domain.numbers import slot_of_user
from app.domain.refunding import SHARE_PARTS, RefundStatus
from app.models.agreements import AGREEMENTS, PERIODS
from app.models.base import AnyRow, Moment
from app.models.orders import FactRow, Order
from app.models.refunds import Refund
from app.services.accounts.catalog import MOST_GRACE_DAYS
from app.services.base.context import Core, Tx

_A, _P = AGREEMENTS.c, PERIODS.c
_o, _r, _f = Order.__table__.c, Refund.__table__.c, FactRow.__table__.c
_RECENT = timedelta(days=MOST_GRACE_DAYS)
_REFUNDED = (
    select(func.coalesce(func.sum(_r.amount_minor - _r.undone_minor), 0))
    .where(
        _r.slot == bindparam("p_slot"),
        _r.payment_id == _P.payment_id,
        _r.status == RefundStatus.DONE,
    )
    .scalar_subquery()
)
_PAID_MINOR = select(_o.amount_minor).where(_o.slot == bindparam("p_slot"), _o.id == _P.order_id).scalar_subquery()
# Where a store tells no amounts, the newest word about the purchase's refunds says what share of it went back.
_WENT_BACK = (
    select(func.count())
    .where(
        _r.slot == bindparam("p_slot"),
        _r.payment_id == _P.payment_id,
        _r.amount_minor.is_(None),
        _r.status == RefundStatus.DONE,
    )
    .scalar_subquery()
)
_LISTED = (
    select(*_A, _P.number.label("period"), _P.starts_at, _P.ends_at, _P.status.label("period_status"), _P.payment_id)
    .add_columns(
        _P.entitlements.label("active"),
        _REFUNDED.label("refunded_minor"),
        _PAID_MINOR.label("paid_minor"),
        _WENT_BACK.label("refunds_without_amount"),
    )
    .select_from(AGREEMENTS)
    .outerjoin(
        PERIODS,
        (_P.slot == _A.slot)
        & (_P.agreement_id == _A.id)
        & _P.status.in_(["paid", "free", "refunded"])
        & (_P.ends_at > bindparam("p_since", type_=Moment)),
    )
    .where(
        _A.slot == bindparam("p_slot"),
        _A.user_id == bindparam("p_user"),
        or_(_A.status != AgreementStatus.ENDED, _A.paid_until > bindparam("p_since", type_=Moment)),
    )
    .order_by(_A.id, _P.number)
)
_TOLD_SHARES = (
    select(_f.content, _f.kind)
    .where(
        _f.slot == bindparam("p_slot"),
        _f.payment_id == bindparam("p_payment"),
        _f.kind.in_([Kind.REFUNDED, Kind.REFUND_UNDONE]),
    )
    .order_by(_f.at.desc(), _f.id.desc())
    .limit(1)
)


@dataclass(frozen=True, slots=True)
class Entitlement:
    """Something that is active, and the agreement that makes it so."""

    name: str
    until: datetime
    agreement: AnyRow


def entitlements_of_user(core: Core, user_id: str) -> list[Entitlement]:
    """What is active for the user now, each once in each environment: until the latest moment that any agreement gives.
    What a store's sandbox sold costs nothing, so it never stands for what is live, nor hides that."""
    return core.of_user(user_id).read(lambda tx: _active(tx, user_id))


def is_in_force(row: AnyRow, now: datetime) -> bool:
    """Whether a store's agreement is in force by what the store says of it, as far as no payment decides that."""
    until = _told_until(row, (), ())
    return until is not None and until > now


def _active(tx: Tx, user_id: str) -> list[Entitlement]:
    values = {"p_slot": slot_of_user(user_id), "p_user": user_id, "p_since": tx.now - _RECENT}
    found = dict[tuple[str, str], Entitlement]()
    for _, lines in groupby(tx.execute(_LISTED, values), key=lambda line: line.id):
        for each in _of_agreement(tx, list(lines)):
            key = (each.name, each.agreement.environment)
            known = found.get(key)
            if known is None or known.until < each.until:
                found[key] = each
    return [found[key] for key in sorted(found)]


def _of_agreement(tx: Tx, lines: Sequence[AnyRow]) -> list[Entitlement]:
    row = lines[0]
    kept = [line for line in lines if line.period is not None and not _is_refunded(tx, line)]
    running = [line for line in kept if line.starts_at <= tx.now]
    newest = max(running, key=lambda line: line.ends_at, default=None)
    paid_until = None if newest is None else _goes_on(row, newest, _follow_on(newest.ends_at, newest.active, kept))
    if row.ended_by == Ending.PROVIDER and row.by_store and paid_until is not None:
        paid_until = min(paid_until, row.ended_at)
    names = row.entitlements if newest is None or paid_until is None or paid_until <= tx.now else newest.active
    told_until = _told_until(row, lines, kept)
    if told_until is not None and told_until > tx.now and (paid_until is None or told_until > paid_until):
        paid_until = _follow_on(told_until, names, kept)
    return _entitled(tx, row, names, paid_until)


def _entitled(tx: Tx, row: AnyRow, names: Sequence[str], until: datetime | None) -> list[Entitlement]:
    return [Entitlement(name, until, row) for name in names] if until is not None and until > tx.now else []


def _follow_on(until: datetime, names: Sequence[str], kept: Sequence[AnyRow]) -> datetime:
    """The end of what is paid without a gap after that moment, and makes the very same active."""
    for line in sorted(kept, key=lambda each: each.starts_at):
        if line.starts_at <= until and line.active == names:
            until = max(until, line.ends_at)
    return until


def _goes_on(row: AnyRow, newest: AnyRow, until: datetime) -> datetime:
    if row.by_store:
        grace: datetime | None = row.grace_until
        return max(until, grace) if row.status == AgreementStatus.PAST_DUE and grace is not None else until
    if row.status in CHARGEABLE and row.cancel_at is None:
        return until + timedelta(days=row.grace_days)
    return until


def _told_until(row: AnyRow, lines: Sequence[AnyRow], kept: Sequence[AnyRow]) -> datetime | None:
    """Until when a store says that it is in force, whatever was paid: time that is shared in a family, given as a
    present, or free by an offer, and the grace after that. None where it says nothing of that kind, or gave the newest
    payment back."""
    paid = [line for line in lines if line.period is not None]
    newest = max(paid, key=lambda line: line.starts_at, default=None)
    if not row.by_store or (newest is not None and newest not in kept):
        return None
    told: dict[str, datetime | None] = {
        AgreementStatus.ACTIVE: row.valid_until,
        AgreementStatus.PAST_DUE: row.grace_until,
    }
    return told.get(row.status)


def _is_refunded(tx: Tx, line: AnyRow) -> bool:
    """Whether all of its money went back."""
    if line.period_status == "refunded":
        return True
    if line.paid_minor is not None:
        return bool(line.refunded_minor >= line.paid_minor)
    if not line.refunds_without_amount:
        return False
    told: Any = tx.execute(_TOLD_SHARES, {"p_slot": line.slot, "p_payment": line.payment_id}).one_or_none()
    if told is None or told.kind == Kind.REFUND_UNDONE:
        return False
    share = told.content["share"]
    return share is None or share >= SHARE_PARTS
