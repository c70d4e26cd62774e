"""The statements on gifts, their parts and their arrivals. Every one names the slot but for the worker's sweep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, func, select, update

from app.domain.gifts import Gift, GiftPart, GiftRequest, GiftStatus
from app.domain.ledger import Lot
from app.domain.numbers import slot_of_number
from app.models.base import AnyRow
from app.models.gifts import GIFT_ARRIVALS, GIFT_PARTS, GIFTS
from app.services.base.leases import LeaseQueue
from app.services.base.transaction import Transaction
from app.services.base.upsert import insertion_if_new

_G, _P, _A = GIFTS.c, GIFT_PARTS.c, GIFT_ARRIVALS.c
GIFTS_DUE = LeaseQueue(GIFTS, "next_try_at", "due_gifts", counts="tries")
ADD_GIFT, ADD_PARTS, ADD_ARRIVAL = map(insertion_if_new, (GIFTS, GIFT_PARTS, GIFT_ARRIVALS))

_GIFT = select(*_G).where(_G.slot == bindparam("p_slot"), _G.id == bindparam("p_id"))
_REQUESTED = select(*_G).where(_G.slot == bindparam("p_slot"), _G.request == bindparam("p_request"))
_PARTS = select(*_P).where(_P.slot == bindparam("p_slot"), _P.gift_id == bindparam("p_id")).order_by(_P.position)
_ARRIVAL = select(*_A).where(_A.slot == bindparam("p_slot"), _A.gift_id == bindparam("p_id"))
_END = (
    update(GIFTS)
    .where(_G.slot == bindparam("p_slot"), _G.id == bindparam("p_id"), _G.status == GiftStatus.SENT)
    .values(
        status=bindparam("p_status"), reason=bindparam("p_reason"), ended_at=bindparam("p_ended_at"), next_try_at=None
    )
    .returning(_G.id)
)
_POSTPONE = (
    update(GIFTS)
    .where(_G.slot == bindparam("p_slot"), _G.id == bindparam("p_id"), _G.status == GiftStatus.SENT)
    .values(next_try_at=bindparam("p_next_try_at"))
)
_SENT_SINCE = select(func.coalesce(func.sum(_G.amount), 0)).where(
    _G.slot == bindparam("p_slot"),
    _G.giver == bindparam("p_user"),
    _G.asset == bindparam("p_asset"),
    _G.environment == bindparam("p_environment"),
    _G.status != GiftStatus.RETURNED,
    _G.created_at >= bindparam("p_since"),
)
_RECEIVED_SINCE = select(func.coalesce(func.sum(_A.amount), 0)).where(
    _A.slot == bindparam("p_slot"),
    _A.receiver == bindparam("p_user"),
    _A.asset == bindparam("p_asset"),
    _A.environment == bindparam("p_environment"),
    _A.accepted,
    _A.at >= bindparam("p_since"),
)


def find_gift(tx: Transaction, number: int) -> AnyRow | None:
    return tx.execute(_GIFT, _key(number)).one_or_none()


def requested(tx: Transaction, slot: int, request: Any) -> AnyRow | None:
    """The gift that this request made, also where its key is forgotten."""
    return tx.execute(_REQUESTED, {"p_slot": slot, "p_request": request}).one_or_none()


def parts(tx: Transaction, number: int) -> list[GiftPart]:
    """What the gift took from each lot, in order."""
    return [part_in(row) for row in tx.execute(_PARTS, _key(number))]


def part_in(row: AnyRow) -> GiftPart:
    """The part that a row of the table says."""
    lot = Lot(row.bonus, row.expires_at, row.payment, row.product, row.value_minor, row.currency)
    return GiftPart(row.amount, row.lot, lot)


def gift_in(row: AnyRow) -> Gift:
    """The gift that a row of the table says."""
    return Gift(row.id, row.giver, row.receiver, row.asset, row.environment, row.amount, row.message, row.actor)


def arrival(tx: Transaction, slot: int, number: int) -> AnyRow | None:
    """What the receiver's slot decided about a gift; None if nothing yet."""
    return tx.execute(_ARRIVAL, {"p_slot": slot, "p_id": number}).one_or_none()


def end_gift(tx: Transaction, number: int, status: GiftStatus, reason: str, at: datetime) -> bool:
    """Whether this call has ended the gift, and nobody before. Its row stays locked until the transaction ends."""
    values = {"p_status": status, "p_reason": reason, "p_ended_at": at}
    return tx.execute(_END, {**_key(number), **values}).one_or_none() is not None


def postpone_gift(tx: Transaction, number: int, until: datetime) -> None:
    """Look at a gift that cannot go on no sooner than that."""
    tx.execute(_POSTPONE, {**_key(number), "p_next_try_at": until})


def sent_since(tx: Transaction, slot: int, wanted: GiftRequest, since: datetime) -> int:
    """What the giver has given of that asset since then; what came back does not count."""
    return int(tx.scalar(_SENT_SINCE, _since(slot, wanted.giver, wanted.asset, wanted.environment, since)))


def received_since(tx: Transaction, slot: int, gift: Gift, since: datetime) -> int:
    """What the receiver has got of that asset since then."""
    return int(tx.scalar(_RECEIVED_SINCE, _since(slot, gift.receiver, gift.asset, gift.environment, since)))


def part_rows(slot: int, number: int, account_id: int, wanted: Sequence[GiftPart]) -> list[dict[str, Any]]:
    return [
        {
            "slot": slot,
            "gift_id": number,
            "position": position,
            "account_id": account_id,
            "lot": part.source,
            "amount": part.amount,
            "bonus": part.lot.bonus,
            "expires_at": part.lot.expires_at,
            "payment": part.lot.payment,
            "product": part.lot.product,
            "value_minor": part.lot.value_minor,
            "currency": part.lot.currency,
        }
        for position, part in enumerate(wanted)
    ]


def gifts_of_user(tx: Transaction, slot: int, user_id: str, before: int | None, limit: int) -> list[Mapping[str, Any]]:
    """Gifts that the user gave or got, newest first by their numbers; those under way to the user are not there yet."""
    sent = select(*_G).where(_G.slot == slot, _G.giver == user_id)
    got = select(*_A).where(_A.slot == slot, _A.receiver == user_id, _A.accepted)
    if before is not None:
        sent, got = sent.where(_G.id < before), got.where(_A.gift_id < before)
    rows: list[Mapping[str, Any]] = [row._asdict() for row in tx.execute(sent.order_by(_G.id.desc()).limit(limit))]
    rows += [_as_gift(row) for row in tx.execute(got.order_by(_A.gift_id.desc()).limit(limit))]
    return sorted(rows, key=lambda row: -row["id"])[:limit]


def _as_gift(arrived: AnyRow) -> Mapping[str, Any]:
    """A gift as the receiver's slot knows it."""
    known = {
        "id": arrived.gift_id,
        "status": GiftStatus.RECEIVED,
        "created_at": arrived.sent_at,
        "ended_at": arrived.at,
    }
    return {**arrived._asdict(), **known}


def _key(number: int) -> dict[str, Any]:
    return {"p_slot": slot_of_number(number), "p_id": number}


def _since(slot: int, user_id: str, asset: str, environment: str, since: datetime) -> dict[str, Any]:
    return {"p_slot": slot, "p_user": user_id, "p_asset": asset, "p_environment": environment, "p_since": since}
