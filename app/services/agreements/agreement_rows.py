"""The statements on agreements and their periods. Every one names the slot but for the worker's sweep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, func, or_, select, update

from app.domain.agreements import IN_FORCE, AgreementStatus
from app.domain.facts import Ref
from app.domain.fulfilment import FulfilledBy
from app.domain.numbers import slot_of_number, slot_of_user
from app.models.agreements import AGREEMENTS, PERIODS
from app.models.base import AnyRow, Moment
from app.models.orders import Order, Payment
from app.services.base.context import Tx
from app.services.base.leases import LeaseQueue
from app.services.base.transaction import Transaction
from app.services.base.upsert import insert_if_new

_A, _P = AGREEMENTS.c, PERIODS.c
_o, _p = Order.__table__.c, Payment.__table__.c
AGREEMENTS_DUE = LeaseQueue(AGREEMENTS, "next_work_at", "due_agreements", counts="tries")
_ONE = select(*_A).where(_A.slot == bindparam("p_slot"), _A.id == bindparam("p_id"))
_LOCK = _ONE.with_for_update()
_NAMED = select(*_A).where(
    _A.slot == bindparam("p_slot"),
    _A.provider_account == bindparam("p_account"),
    _A.environment == bindparam("p_environment"),
    _A.theirs == bindparam("p_theirs"),
)
_CLAIMED = _NAMED.where(_A.user_id == bindparam("p_user"))
_LOCK_CLAIMED = _CLAIMED.with_for_update()
_OF_IMPORT = _NAMED.where(_A.imported.is_not(None))
_LOCK_OF_IMPORT = _OF_IMPORT.with_for_update()
_IMPORTED = select(_A.id).where(
    _A.slot == bindparam("p_slot"),
    _A.user_id == bindparam("p_user"),
    _A.provider_account == bindparam("p_account"),
    or_(_A.theirs == bindparam("p_theirs"), _A.known_as == bindparam("p_known_as")),
    _A.imported.is_not(None),
)
_REQUESTED = select(*_A).where(_A.slot == bindparam("p_slot"), _A.request == bindparam("p_request"))
_OF_SKU = select(*_A).where(
    _A.slot == bindparam("p_slot"),
    _A.user_id == bindparam("p_user"),
    _A.sku == bindparam("p_sku"),
    _A.environment == bindparam("p_environment"),
    _A.status.in_(sorted(IN_FORCE)),
    _A.id != bindparam("p_but"),
)
_OPEN = (
    select(*_A)
    .where(
        _A.slot == bindparam("p_slot"),
        _A.user_id == bindparam("p_user"),
        _A.sku == bindparam("p_sku"),
        _A.provider_account == bindparam("p_account"),
        _A.status == "signing",
        _A.cancel_at.is_(None),
        _A.expires_at >= bindparam("p_until", type_=_A.expires_at.type),
    )
    .order_by(_A.id.desc())
)
_SIGNING = select(func.count(), func.min(_A.expires_at, type_=Moment())).where(
    _A.slot == bindparam("p_slot"), _A.user_id == bindparam("p_user"), _A.status == "signing"
)
_PERIOD = select(*_P).where(
    _P.slot == bindparam("p_slot"), _P.agreement_id == bindparam("p_id"), _P.number == bindparam("p_number")
)
_PERIODS = (
    select(*_P)
    .where(_P.slot == bindparam("p_slot"), _P.agreement_id == bindparam("p_id"), _P.number < bindparam("p_before"))
    .order_by(_P.number.desc())
    .limit(bindparam("p_most"))
)
_CHARGES_SINCE = (
    select(func.count())
    .select_from(Order)
    .join(Payment, (_p.slot == _o.slot) & (_p.order_id == _o.id))
    .where(
        _o.slot == bindparam("p_slot"),
        _p.slot == bindparam("p_slot"),
        _o.user_id == bindparam("p_user"),
        _o.agreement_id.is_not(None),
        _p.created_at >= bindparam("p_since", type_=_p.created_at.type),
    )
)


def find_agreement(tx: Transaction, number: int) -> AnyRow | None:
    return tx.execute(_ONE, {"p_slot": slot_of_number(number), "p_id": number}).one_or_none()


def lock_agreement(tx: Transaction, number: int) -> AnyRow | None:
    """The agreement, locked. Only after an order of its, if one is locked: one order of locks for everybody."""
    return tx.execute(_LOCK, {"p_slot": slot_of_number(number), "p_id": number}).one_or_none()


def known_agreement(tx: Transaction, number: int) -> AnyRow:
    """An agreement of which the caller knows that it is there."""
    return tx.execute(_ONE, {"p_slot": slot_of_number(number), "p_id": number}).one()


def lock_known_agreement(tx: Transaction, number: int) -> AnyRow:
    """An agreement of which the caller knows that it is there, locked as by `lock_agreement`."""
    return tx.execute(_LOCK, {"p_slot": slot_of_number(number), "p_id": number}).one()


def lock_claimed(tx: Transaction, user_id: str, account: str, environment: str, theirs: str) -> AnyRow | None:
    """The agreement, claimed for this user, that its provider knows by this number: a store's or an imported one;
    locked. A subscription that went over from one user to another has a row for each."""
    keys = _named(slot_of_user(user_id), account, environment, theirs)
    return tx.execute(_LOCK_CLAIMED, {**keys, "p_user": user_id}).first()


def find_claimed(tx: Transaction, user_id: str, account: str, environment: str, theirs: str) -> AnyRow | None:
    """The agreement that `lock_claimed` would lock."""
    keys = _named(slot_of_user(user_id), account, environment, theirs)
    return tx.execute(_CLAIMED, {**keys, "p_user": user_id}).first()


def lock_of_import(tx: Transaction, slot: int, account: str, environment: str, theirs: str) -> AnyRow | None:
    """The imported agreement of this slot that its provider knows by this number, locked."""
    return tx.execute(_LOCK_OF_IMPORT, _named(slot, account, environment, theirs)).first()


def find_of_import(tx: Transaction, slot: int, account: str, environment: str, theirs: str) -> AnyRow | None:
    """The agreement that `lock_of_import` would lock."""
    return tx.execute(_OF_IMPORT, _named(slot, account, environment, theirs)).first()


def _named(slot: int, account: str, environment: str, theirs: str) -> dict[str, Any]:
    return {"p_slot": slot, "p_account": account, "p_environment": environment, "p_theirs": theirs}


def imported_number(tx: Transaction, user_id: str, account: str, ref: Ref) -> int | None:
    """The number here of an imported agreement of the user, named by the provider's or an earlier system's number."""
    keys = {"p_slot": slot_of_user(user_id), "p_user": user_id, "p_account": account}
    found = tx.execute(_IMPORTED, {**keys, "p_theirs": ref.agreement, "p_known_as": ref.our_agreement}).first()
    return None if found is None else int(found.id)


def agreement_of_request(tx: Transaction, slot: int, request: Any) -> AnyRow | None:
    """The agreement that this request has made."""
    return tx.execute(_REQUESTED, {"p_slot": slot, "p_request": request}).one_or_none()


def in_force_of(tx: Transaction, slot: int, user_id: str, sku: str, environment: str, *, but: int = 0) -> AnyRow | None:
    """An agreement of the user about this product that is in force, `but` that one."""
    keys = {"p_slot": slot, "p_user": user_id, "p_sku": sku, "p_environment": environment, "p_but": but}
    return tx.execute(_OF_SKU, keys).first()


def signable_of(tx: Transaction, slot: int, user_id: str, sku: str, account: str, until: datetime) -> Sequence[AnyRow]:
    """Agreements of the user about this product that can be signed until that moment at least, the newest first."""
    keys = {"p_slot": slot, "p_user": user_id, "p_sku": sku, "p_account": account, "p_until": until}
    return tx.execute(_OPEN, keys).all()


def count_signing(tx: Transaction, slot: int, user_id: str) -> tuple[int, datetime | None]:
    """How many agreements of the user wait to be signed, and when the first of them ends."""
    counted: Sequence[Any] = tx.execute(_SIGNING, {"p_slot": slot, "p_user": user_id}).one()
    return int(counted[0]), counted[1]


def change_agreement(tx: Transaction, row: AnyRow, changes: Mapping[str, Any]) -> AnyRow:
    """Write these columns of an agreement that the caller has locked; the row as it is then."""
    values = {name: value for name, value in changes.items() if getattr(row, name) != value}
    if not values:
        return row
    return tx.execute(
        update(AGREEMENTS).where(_A.slot == row.slot, _A.id == row.id).values(**values).returning(*_A)
    ).one()


def set_work(tx: Transaction, row: AnyRow, moment: datetime | None, **changes: Any) -> None:
    """When the worker takes the agreement up next, unless somebody has set that meanwhile: `row` is as the lease left
    it."""
    unchanged = _A.next_work_at == row.next_work_at
    wanted = update(AGREEMENTS).where(_A.slot == row.slot, _A.id == row.id, unchanged)
    tx.execute(wanted.values(next_work_at=moment, **changes))


def bring_question_forward(tx: Tx, number: int, asked_before: datetime, as_if_asked_at: datetime) -> bool:
    """Have the provider asked about the agreement now, if it was last asked before `asked_before`. False where it is
    not known here, has ended, or was asked since."""
    mine = (_A.slot == slot_of_number(number), _A.id == number, _A.status != AgreementStatus.ENDED)
    asked = func.coalesce(_A.asked_at, _A.created_at) <= asked_before
    due = {"next_work_at": tx.now, "asked_at": as_if_asked_at}
    return tx.execute(update(AGREEMENTS).where(*mine, asked).values(due)).rowcount == 1


def add_period(tx: Tx, row: Mapping[str, Any]) -> bool:
    """False if the agreement has a period of that number."""
    empty = {"order_id": None, "payment_id": None, "announced_at": None, "next_try_at": None, "refusal": ""}
    return insert_if_new(tx, PERIODS, {**empty, "created_at": tx.now, **row})


def earned_until(order: Any, until: datetime) -> datetime | None:
    """Until when the price of a period that lasts until then is earned; None where that goes by coins or a delivery."""
    return until if not order.grants and order.fulfilment == FulfilledBy.WALLET else None


def find_period(tx: Transaction, agreement: AnyRow, number: int) -> AnyRow | None:
    keys = {"p_slot": agreement.slot, "p_id": agreement.id, "p_number": number}
    return tx.execute(_PERIOD, keys).one_or_none()


def known_period(tx: Transaction, agreement: AnyRow, number: int) -> AnyRow:
    """A period of which the caller knows that it is there."""
    return tx.execute(_PERIOD, {"p_slot": agreement.slot, "p_id": agreement.id, "p_number": number}).one()


def periods_before(tx: Transaction, agreement: AnyRow, number: int, most: int) -> list[AnyRow]:
    """Periods of the agreement, the newest first."""
    keys = {"p_slot": agreement.slot, "p_id": agreement.id, "p_before": number, "p_most": most}
    return list(tx.execute(_PERIODS, keys))


def change_period(tx: Transaction, row: AnyRow, changes: Mapping[str, Any]) -> AnyRow:
    """Write these columns of a period whose agreement the caller has locked; the row as it is then."""
    there = (_P.slot == row.slot, _P.agreement_id == row.agreement_id, _P.number == row.number)
    return tx.execute(update(PERIODS).where(*there).values(**changes).returning(*_P)).one()


def charges_since(tx: Transaction, slot: int, user_id: str, since: datetime) -> int:
    """How many charges of the user were made since that moment."""
    return int(tx.scalar(_CHARGES_SINCE, {"p_slot": slot, "p_user": user_id, "p_since": since}))
