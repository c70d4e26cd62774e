"""The statements on refunds, and on the facts about them. Every one names the slot but for the worker's sweep."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, exists, func, literal_column, select, update

from app.domain.facts import REFUND_KINDS, Kind
from app.domain.refunding import OPEN_REFUND, Origin
from app.domain.seals import SEALED
from app.domain.status import Outcome
from app.models.base import AnyRow
from app.models.orders import FactRow, Order
from app.models.refunds import Refund
from app.models.slot_guard import sweep
from app.services.base.context import Tx
from app.services.base.statements import LostRace, Statement, make_row_type, with_names
from app.services.base.transaction import Transaction
from app.services.base.upsert import NumberTaken, insertion_if_new

STATUS_KINDS = (Kind.REFUNDED, Kind.REFUND_UNDONE, Kind.REFUND_PENDING, Kind.REFUND_FAILED)
"""The facts from which follows how a refund stands, and how much of its payment is refunded."""
COUNTED = (Outcome.APPLIED, Outcome.NOTED)
_r, _f, _o = Refund.__table__.c, FactRow.__table__.c, Order.__table__.c
RefundRow: Any = make_row_type("RefundRow", tuple(_r))
"""A refund's row that was written just now, as a reader of the table would get it."""
OwnedRefund: Any = make_row_type("OwnedRefund", (*_r, _o.user_id))
"""A refund's row with the user whose order it is about."""
ToldRow: Any = make_row_type("ToldRow", tuple(_f))
"""A stored fact."""
Rows = Callable[[], list[Any]]
"""Gives rows that were asked for with others."""
_INSERT = insertion_if_new(Refund.__table__)
_FIND = Statement(select(*_r).where(_r.slot == bindparam("slot"), _r.id == bindparam("id")))
_OF_PAYMENT = Statement(
    select(*_r)
    .where(_r.slot == bindparam("slot"), _r.payment_id == bindparam("payment"))
    .order_by(_r.created_at, _r.id)
)
_DONE, _THERE = func.coalesce(_r.done_at, _r.created_at), func.coalesce(_r.number_there, literal_column("''"))
_OF_ORDER = Statement(
    select(*_r)
    .where(_r.slot == bindparam("slot"), _r.order_id == bindparam("order"))
    .order_by(_DONE, _r.created_at, _THERE, _r.id)
)
_TOLD = Statement(
    select(*_f)
    .where(
        _f.slot == bindparam("slot"),
        _f.payment_id == bindparam("payment"),
        _f.kind.in_([literal_column(f"'{kind}'") for kind in (Kind.PAID, *STATUS_KINDS)]),
    )
    .order_by(_f.id)
)
# A literal, so that the partial index of these few facts serves.
_WAITS: ColumnElement[bool] = _f.reason == literal_column("'before_payment'")


def find_refund(tx: Transaction, slot: int, refund_id: int) -> Any:
    """The refund with this number; None if there is none."""
    return with_names(RefundRow, _FIND.row(tx, {"slot": slot, "id": refund_id}))


def owned_refund(tx: Transaction, slot: int, refund_id: int) -> AnyRow | None:
    """A refund with its user (`user_id`)."""
    wanted = (
        select(*_r, _o.user_id)
        .join_from(Refund.__table__, Order.__table__, and_(_o.slot == _r.slot, _o.id == _r.order_id))
        .where(_r.slot == slot, _r.id == refund_id)
    )
    return tx.execute(wanted).one_or_none()


def owned(row: AnyRow, user_id: str) -> Any:
    """The refund as a row that says whose it is."""
    return OwnedRefund(**{**row._asdict(), "user_id": user_id})


def of_payment(tx: Transaction, slot: int, payment_id: int) -> Rows:
    """Gives the refunds of a payment, oldest first; asked for with what is sent next."""
    return _OF_PAYMENT.asked(tx, {"slot": slot, "payment": payment_id}, RefundRow)


def refunds_of_order(tx: Transaction, slot: int, order_id: int) -> Rows:
    """Gives them in the order in which they were done; those that are not, by when they were asked for or first told
    of. Those of one moment by their numbers at the provider: our own numbers say only which was told first."""
    return _OF_ORDER.asked(tx, {"slot": slot, "order": order_id}, RefundRow)


def insert_numbered_refund(tx: Tx, row: Mapping[str, Any]) -> Any:
    """Insert it under a new number, sealed, with what is sent next; the row. Raises NumberTaken then."""
    return insert_refund(tx, {**row, "id": tx.core.numbers.next(row["slot"])}, wrong=NumberTaken)


def insert_refund(tx: Tx, row: Mapping[str, Any], *, wrong: Callable[[], Exception]) -> Any:
    """Insert a refund that has its number, sealed, with what is sent next; the row. What `wrong` makes is raised then
    if the number is taken."""
    sealed = {**row, "seal": tx.core.rules.ledger.seals.of_row("refunds", row)}
    tx.later(_INSERT, [sealed], wrong=wrong)
    return RefundRow(**sealed)


def changed(row: AnyRow, values: Mapping[str, Any]) -> Any:
    """The row as it is with these values."""
    return RefundRow(**{**row._asdict(), **values})


def change_refund(tx: Tx, row: AnyRow, values: Mapping[str, Any]) -> bool:
    """Write what differs; True if anything did. The caller has locked the order, as every writer of refunds does.

    What is sealed of a refund of ours is sealed anew: the amount of an automatic one may shrink before it is sent."""
    changes = {name: value for name, value in values.items() if getattr(row, name) != value}
    if changes:
        if row.origin != Origin.PROVIDER and not changes.keys().isdisjoint(SEALED["refunds"]):
            changes["seal"] = _seal_after(tx, row, changes)
        tx.later(_change(tuple(sorted(changes))), {**changes, "at_slot": row.slot, "at_id": row.id}, wrong=LostRace)
    return bool(changes)


@cache
def _change(names: tuple[str, ...]) -> Statement:
    """The UPDATE of these columns."""
    values = {name: bindparam(name, type_=_r[name].type) for name in names}
    where = (_r.slot == bindparam("at_slot"), _r.id == bindparam("at_id"))
    return Statement(lambda _: update(Refund).where(*where).values(**values))


def _seal_after(tx: Tx, row: AnyRow, changes: Mapping[str, Any]) -> bytes | None:
    """The seal of the changed row. A wrong one stays wrong, to be found."""
    seals, before, seal = tx.core.rules.ledger.seals, row._asdict(), row.seal
    if seal is None or not seals.fits_row("refunds", before, bytes(seal)):
        return None if seal is None else bytes(seal)
    return seals.of_row("refunds", {**before, **changes})


def postponed(tx: Transaction, slot: int, refund_id: int, *, moment: datetime, problem: str) -> AnyRow | None:
    """A refund that is still open, after its next moment was set; None if it is settled."""
    return tx.execute(
        update(Refund)
        .where(_r.slot == slot, _r.id == refund_id, _r.status.in_(sorted(OPEN_REFUND)))
        .values(next_query_at=moment, problem=problem)
        .returning(*_r)
    ).one_or_none()


def set_recheck(tx: Transaction, slot: int, refund_id: int, moment: datetime | None) -> None:
    """When to ask once more about a refund that failed, unless it has got another status meanwhile."""
    tx.execute(
        update(Refund).where(_r.slot == slot, _r.id == refund_id, _r.recheck_at.is_not(None)).values(recheck_at=moment)
    )


# --- facts ---


def fact_numbered(tx: Transaction, slot: int, fact_id: int) -> AnyRow:
    return tx.execute(select(*_f).where(_f.slot == slot, _f.id == fact_id)).one()


def told_of_payment(tx: Transaction, slot: int, payment_id: int) -> Rows:
    """Gives what was told to be paid for this payment (more than once if its number was paid twice), and what was told
    of its refunds, oldest first; asked for with what is sent next."""
    return _TOLD.asked(tx, {"slot": slot, "payment": payment_id}, ToldRow)


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


def waiting_facts(tx: Transaction, slot: int, provider_account: str, environment: str) -> list[AnyRow]:
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
        _f.kind.in_(STATUS_KINDS),
        _f.outcome.in_(COUNTED),
    )
    return list(tx.execute(wanted.order_by(_f.at, _f.id)))


def payment_assigned_here(tx: Transaction, refund: AnyRow) -> int | None:
    """The payment of the refund's slot that got the money which was told under the numbers that the refund names: a
    person has given it to another payment than the one that the provider names. None if nobody did."""
    about = (_f.slot == refund.slot, _f.provider_account == refund.provider_account)
    told = [_f.content[name].as_string() == refund.content[name] for name in ("ours", "theirs")]
    wanted = select(_f.payment_id).where(
        *about, _f.environment == refund.environment, _f.kind == Kind.PAID, _f.payment_id.is_not(None), *told
    )
    found = tx.scalar(wanted.order_by(_f.id).limit(1))
    return None if found is None else int(found)


def waiting_anywhere(tx: Transaction, assigned: str, after: int, limit: int) -> list[AnyRow]:
    """Facts about refunds that wait for their payment, in all slots, in the order of their numbers. `money_went_away`:
    beside the refund lies the fact about its money, which says `assigned` as the reason why nothing was credited here.
    """
    paid = FactRow.__table__.alias("paid")
    went_away = exists().where(
        paid.c.slot == _f.slot,
        paid.c.provider_account == _f.provider_account,
        paid.c.environment == _f.environment,
        paid.c.kind == Kind.PAID,
        paid.c.reason == assigned,
        paid.c.content["theirs"].as_string() == _f.content["theirs"].as_string(),
    )
    wanted = (
        select(*_f, went_away.label("money_went_away"))
        .prefix_with(sweep("due_payments"))
        .where(_WAITS, _f.outcome == Outcome.PARKED, _f.kind.in_(sorted(REFUND_KINDS)), _f.id > after)
        .order_by(_f.id)
        .limit(limit)
    )
    return list(tx.execute(wanted))
