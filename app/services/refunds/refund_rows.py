"""The statements on refunds, and on the facts about them. Every one names the slot but for the worker's sweep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, literal_column, select, update

from app.domain.facts import REFUND_KINDS, Kind
from app.domain.refunding import OPEN_REFUND, RefundCause, RefundStatus, next_refund_status
from app.domain.status import Outcome
from app.models.base import AnyRow
from app.models.orders import FactRow
from app.models.refunds import Refund
from app.models.slot_guard import sweep
from app.services.base.transaction import Transaction

SIZE_KINDS = (Kind.REFUNDED, Kind.REFUND_UNDONE)
"""The facts from which follows how much is refunded; the others tell how far a refund has come."""
COUNTED = (Outcome.APPLIED, Outcome.NOTED)
_r, _f = Refund.__table__.c, FactRow.__table__.c
# A literal, so that the partial index of these few facts serves.
_WAITS: ColumnElement[bool] = _f.reason == literal_column("'before_payment'")


def refund(tx: Transaction, slot: int, refund_id: int) -> AnyRow | None:
    return tx.execute(select(*_r).where(_r.slot == slot, _r.id == refund_id)).one_or_none()


def of_payment(tx: Transaction, slot: int, payment_id: int) -> list[AnyRow]:
    wanted = select(*_r).where(_r.slot == slot, _r.payment_id == payment_id).order_by(_r.id)
    return list(tx.execute(wanted))


def add_outcome(
    tx: Transaction, row: AnyRow, amount_minor: int, currency: str | None, coins: Sequence[Mapping[str, Any]]
) -> None:
    """What a refund by the provider came to; a later telling may add to it."""
    amount = (row.amount_minor or 0) + amount_minor or None
    tx.execute(
        update(Refund)
        .where(_r.slot == row.slot, _r.id == row.id)
        .values(amount_minor=amount, currency=currency if amount else None, coins=[*row.coins, *coins])
    )


def of_order(tx: Transaction, slot: int, order_id: int) -> list[AnyRow]:
    return list(tx.execute(select(*_r).where(_r.slot == slot, _r.order_id == order_id).order_by(_r.id)))


def move(
    tx: Transaction,
    row: AnyRow,
    cause: RefundCause,
    *,
    now: datetime,
    problem: str = "",
    coins: Sequence[Mapping[str, Any]] | None = None,
) -> RefundStatus | None:
    """Take the refund along an edge of the table; the new status, or None if the cause changes nothing.

    The caller has locked the order, as every writer of refunds does."""
    after = next_refund_status(RefundStatus(row.status), cause)
    if after is None:
        return None
    values: dict[str, Any] = {"status": after, "problem": problem}
    if after not in OPEN_REFUND:
        values["next_query_at"] = None
    if after is RefundStatus.DONE:
        values |= {"done_at": now, "coins": list(coins or [])}
    tx.execute(update(Refund).where(_r.slot == row.slot, _r.id == row.id, _r.status == row.status).values(**values))
    return after


def postpone(tx: Transaction, slot: int, refund_id: int, *, moment: datetime, problem: str) -> None:
    """When to go on with a refund that is still open."""
    tx.execute(
        update(Refund)
        .where(_r.slot == slot, _r.id == refund_id, _r.status.in_(sorted(OPEN_REFUND)))
        .values(next_query_at=moment, problem=problem)
    )


# --- facts ---


def fact(tx: Transaction, slot: int, fact_id: int) -> AnyRow:
    return tx.execute(select(*_f).where(_f.slot == slot, _f.id == fact_id)).one()


def paid_facts(tx: Transaction, slot: int, payment_id: int) -> list[AnyRow]:
    """What was told to be paid for this payment, oldest first; more than one if its number was paid twice."""
    wanted = select(*_f).where(_f.slot == slot, _f.payment_id == payment_id, _f.kind == Kind.PAID).order_by(_f.id)
    return list(tx.execute(wanted))


def unmatched_paid_fact(tx: Transaction, slot: int, provider_account: str, environment: str, key: str) -> AnyRow | None:
    """Verified money for which there is no payment here, locked: there is no order to lock instead."""
    wanted = (
        select(*_f)
        .where(
            _f.slot == slot,
            _f.provider_account == provider_account,
            _f.environment == environment,
            _f.key == key,
            _f.payment_id.is_(None),
        )
        .with_for_update()
    )
    return tx.execute(wanted).one_or_none()


def facts_about(tx: Transaction, paid: AnyRow, *, first: bool) -> list[AnyRow]:
    """The facts that say how much of that trade is refunded, of those that count. A fact without the provider's number
    of the trade is about the `first` trade of its payment."""
    if paid.payment_id is None:
        rows = counted_without_payment(tx, paid.slot, paid.provider_account, paid.environment)
    else:
        wanted = select(*_f).where(
            _f.slot == paid.slot,
            _f.payment_id == paid.payment_id,
            _f.kind.in_(SIZE_KINDS),
            _f.outcome.in_(COUNTED),
        )
        rows = list(tx.execute(wanted.order_by(_f.id)))
    names = (paid.content["theirs"], None) if first else (paid.content["theirs"],)
    return [row for row in rows if row.content["theirs"] in names]


def waiting(tx: Transaction, slot: int, provider_account: str, environment: str) -> list[AnyRow]:
    """Refund facts of the slot that came before their payment: seldom any."""
    wanted = select(*_f).where(
        _f.slot == slot,
        _WAITS,
        _f.outcome == Outcome.PARKED,
        _f.provider_account == provider_account,
        _f.environment == environment,
    )
    return list(tx.execute(wanted.order_by(_f.at, _f.id)))


def counted_without_payment(tx: Transaction, slot: int, provider_account: str, environment: str) -> list[AnyRow]:
    """The facts about refunds of money that lies in suspense: seldom any."""
    wanted = select(*_f).where(
        _f.slot == slot,
        _f.payment_id.is_(None),
        _f.provider_account == provider_account,
        _f.environment == environment,
        _f.kind.in_(SIZE_KINDS),
        _f.outcome.in_(COUNTED),
    )
    return list(tx.execute(wanted.order_by(_f.at, _f.id)))


def waiting_anywhere(tx: Transaction, after: int, limit: int) -> list[AnyRow]:
    """The same over all slots, in the order of their numbers."""
    wanted = (
        select(*_f)
        .prefix_with(sweep("due_payments"))
        .where(_WAITS, _f.outcome == Outcome.PARKED, _f.kind.in_(sorted(REFUND_KINDS)), _f.id > after)
        .order_by(_f.id)
        .limit(limit)
    )
    return list(tx.execute(wanted))
