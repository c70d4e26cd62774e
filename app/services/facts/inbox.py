"""Messages that could not simply be applied: kept raw with the reason, listed for the operator, replayable.

They hold what providers wrote about payers, and grow with the traffic. One that is settled (replayed, resolved, or put
aside and answered) is kept for some months more, then deleted; one that waits for a person is kept until then.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

import structlog
from sqlalchemy import bindparam, delete, select, update

from app.domain.numbers import slot_of_number
from app.models.asks import Ask
from app.models.base import AnyRow, Moment
from app.models.orders import KeptMessage
from app.models.slot_guard import sweep
from app.providers.facts import Message
from app.services.base.context import Core, Tx
from app.services.base.sanitize import printable, storable_text
from app.services.base.upsert import insert_numbered

DETAIL_LENGTH = 2000
_NEVER_KEPT = frozenset({"authorization", "cookie", "x-api-key", "proxy-authorization"})
_m, _a = KeptMessage.__table__.c, Ask.__table__.c
_IS_OLD = (
    _m.resolved_at < bindparam("before", type_=Moment()),
    # A message that was put aside is shown should its question find no answer.
    ~select(_a.id).where(_a.slot == _m.slot, _a.message_id == _m.id, _a.next_try_at.is_not(None)).exists(),
)
_OLD = (
    select(_m.id)
    .prefix_with(sweep("old_messages"))
    .where(_m.resolved_at.is_not(None), *_IS_OLD)
    .order_by(_m.resolved_at)
)
_DELETE = delete(KeptMessage).where(_m.slot == bindparam("at_slot"), _m.id == bindparam("at_id"), *_IS_OLD)
_log = structlog.get_logger(__name__)


def keep_message(
    tx: Tx,
    slot: int,
    account: str,
    message: Message,
    reason: str,
    detail: str,
    *,
    aside: bool = False,
    payment: int | None = None,
) -> int:
    """Store the message; its number. `aside`: nobody has to look at it unless it is shown later; `payment`: the payment
    of this slot that it is about."""
    row = {
        "slot": slot,
        "payment_id": payment,
        "provider_account": account,
        "source": message.source,
        "reason": reason,
        "detail": storable_text(detail, DETAIL_LENGTH),
        "headers": printable({name: value for name, value in message.headers.items() if name not in _NEVER_KEPT}),
        "query_string": storable_text(message.query_string),
        "body": message.body,
        "received_at": tx.now,
        "resolved_at": tx.now if aside else None,
    }
    return insert_numbered(tx, KeptMessage.__table__, tx.core.numbers, row)


@dataclass(frozen=True, slots=True)
class Scanned:
    """Something odd in a history that a provider gave us."""

    slot: int
    account: str
    reason: str
    detail: str
    body: bytes


def keep_scanned(tx: Tx, odd: Scanned, *, aside: bool = False) -> int | None:
    """Store it unless it is here already, waiting or dealt with; its number, if it is new."""
    same = (_m.slot == odd.slot, _m.provider_account == odd.account, _m.source == "scan", _m.body == odd.body)
    if tx.execute(select(_m.id).where(*same).limit(1)).one_or_none() is not None:
        return None
    row: dict[str, Any] = {
        "slot": odd.slot,
        "payment_id": None,
        "provider_account": odd.account,
        "source": "scan",
        "reason": odd.reason,
        "detail": storable_text(odd.detail, DETAIL_LENGTH),
        "headers": {},
        "query_string": "",
        "body": odd.body,
        "received_at": tx.now,
        "resolved_at": tx.now if aside else None,
    }
    return insert_numbered(tx, KeptMessage.__table__, tx.core.numbers, row)


def waiting_messages(tx: Tx, *, limit: int = 100) -> list[AnyRow]:
    """The unresolved ones, oldest first."""
    oldest_first = (_m.received_at, _m.id)
    wanted = select(*_m).prefix_with(sweep("operator")).where(_m.resolved_at.is_(None)).order_by(*oldest_first)
    return list(tx.execute(wanted.limit(limit)))


def find_message(tx: Tx, number: int) -> AnyRow | None:
    wanted = select(*_m).where(_m.slot == slot_of_number(number), _m.id == number)
    return tx.execute(wanted).one_or_none()


def kept_message(row: AnyRow) -> Message:
    return Message(row.source, bytes(row.body), row.headers, row.query_string)


def show_message(tx: Tx, number: int, reason: str) -> None:
    """Put a message that was kept aside on the list: a person has to look after all."""
    shown = update(KeptMessage).where(_m.slot == slot_of_number(number), _m.id == number)
    tx.execute(shown.values(resolved_at=None, reason=reason))


def resolve(tx: Tx, number: int) -> None:
    tx.execute(update(KeptMessage).where(_m.slot == slot_of_number(number), _m.id == number).values(resolved_at=tx.now))


def delete_old_messages(core: Core, limit: int) -> int:
    """Delete settled messages that were kept as long as the installation wants, at most `limit`; how many."""
    before = core.clock.now() - timedelta(days=core.rules.message_days)
    numbers = core.rows_everywhere(lambda tx: list(tx.scalars(_OLD.limit(limit), {"before": before})))[:limit]
    for number in numbers:
        where = {"at_slot": slot_of_number(number), "at_id": number, "before": before}
        core.of_number(number).transact(partial(Tx.execute, statement=_DELETE, values=where))
    if numbers:
        _log.info("old_messages_deleted", messages=len(numbers))
    return len(numbers)
