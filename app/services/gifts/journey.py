"""The way of a gift through two slots, a transaction in each, and each safe to repeat.

    giver.send       the coins leave the giver's wallet; from here on the gift ends, whoever dies
    receiver.arrive  the receiver's slot takes it in or refuses it, once and for all
    giver.end        the giver's slot learns what was decided; what was refused comes back

Whoever asked for the gift carries it on at once; a repeat of the request does too, and else the worker.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import structlog
from sqlalchemy.exc import DBAPIError

from app.domain.gifts import GiftRequest, GiftStatus
from app.domain.ledger import BalanceOverflow
from app.domain.numbers import keyed_uuid, slot_of_user
from app.domain.retries import Retried
from app.models.base import AnyRow
from app.services.base.context import Core, Tx
from app.services.base.errors import DomainError, KeyReused, NotFound, SlotsFrozen
from app.services.base.idempotency import Keyed, decided_once
from app.services.base.leases import next_try
from app.services.base.list_pages import ListPage, ListPlace, page_of
from app.services.gifts import gift_rows, giver, receiver
from app.services.gifts.giver import GiftLimitReached

_log = structlog.get_logger(__name__)


class GiftsNotAllowed(DomainError):
    code = "gifts_not_allowed"
    remembered = False


class GiftToSelf(DomainError):
    code = "gift_to_self"


def give(core: Core, wanted: GiftRequest, key: Keyed) -> AnyRow:
    """Give, and carry the gift on as far as it goes now; how it stands. The key stands for the first answer.

    Raises GiftsNotAllowed, GiftToSelf, GiftLimitReached, GiverFrozen, TooFewToGive, KeyReused.
    """
    if not core.rules.gifts.enabled:
        raise GiftsNotAllowed("gifts are switched off")
    slot = slot_of_user(wanted.giver)
    request = keyed_uuid(slot, f"gift:{key.caller}", key.key)

    def decide(tx: Tx) -> int:
        known = gift_rows.requested(tx, slot, request)
        if known is not None:
            return _still_known(known, wanted)
        if wanted.giver == wanted.receiver:
            raise GiftToSelf
        most = core.rules.gifts.limit(wanted.asset).gift
        if most is not None and wanted.amount > most:
            raise GiftLimitReached(limit="gift", most=most, amount=wanted.amount)
        return giver.send(tx, wanted, request)

    number = decided_once(core, slot, key, decide)
    try:
        advance(core, number)
    except (DBAPIError, SlotsFrozen) as error:
        # The gift is written down: the worker goes on. The receiver's slot may be another database, which is away, or
        # it is on its way to one.
        _log.warning("gift_waits", gift=number, error=type(error).__name__)
    return view_gift(core, number)


def advance(core: Core, number: int) -> bool:
    """Carry a gift to its end; False if it cannot end now. Harmless to repeat, by any number of processes at once."""
    row = view_gift(core, number)
    if row.status != GiftStatus.SENT:
        return True
    parts = core.of_number(number).read(lambda tx: gift_rows.parts(tx, number))
    arrived = core.of_user(row.receiver).transact(lambda tx: receiver.arrive(tx, row, parts))
    try:
        core.of_number(number).transact(lambda tx: giver.take_decision(tx, row, arrived))
    except BalanceOverflow:
        # Refused, and the giver has come so near to 2^63 meanwhile that the coins find no room. They stay in transit.
        _log.error("gift_cannot_return", gift=number, reason=arrived.reason)
        return False
    return True


def work_on_gift(core: Core, number: int) -> bool:
    """Carry on a gift that fell due; False if it is not due, or another worker has it."""
    row = core.of_number(number).transact(lambda tx: gift_rows.GIFTS_DUE.take(tx, number, tx.now))
    if row is None:
        return False
    if not advance(core, number):
        core.of_number(number).transact(
            lambda tx: gift_rows.postpone_gift(tx, number, next_try(tx.now, Retried.GIFT, row.tries - 1)),
        )
    return True


def view_gift(core: Core, number: int) -> AnyRow:
    """One gift. Raises NotFound."""
    row = core.of_number(number).read(lambda tx: gift_rows.find_gift(tx, number))
    if row is None:
        raise NotFound(gift=str(number))
    return row


def list_gifts_of_user(core: Core, user_id: str, place: ListPlace | None, limit: int) -> ListPage[Mapping[str, Any]]:
    """A page of the gifts that a user gave or got, newest first."""
    before = None if place is None else place[0]
    rows = core.of_user(user_id).read(
        lambda tx: gift_rows.gifts_of_user(tx, slot_of_user(user_id), user_id, before, limit + 1)
    )
    return page_of(rows, limit, lambda row: (row["id"],))


def _still_known(row: AnyRow, wanted: GiftRequest) -> int:
    """The number of a gift whose key was forgotten. Raises KeyReused if it is not what is wanted now."""
    for field in ("giver", "receiver", "asset", "amount", "environment", "message", "reference", "actor"):
        if getattr(row, field) != getattr(wanted, field):
            raise KeyReused(field=field)
    return int(row.id)
