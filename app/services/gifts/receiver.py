"""What happens in the receiver's slot: the coins come in, lot by lot, or they are refused. Decided once."""

from __future__ import annotations

from collections.abc import Sequence

from app.domain import representations
from app.domain.books import Book
from app.domain.event_types import EventType
from app.domain.gifts import Gift, GiftPart, GiftReason, GiftStatus
from app.domain.ledger import MAX_AMOUNT
from app.domain.numbers import slot_of_user
from app.models.base import AnyRow
from app.services.base.context import Tx
from app.services.gifts import gift_rows
from app.services.gifts.giver import day_start
from app.services.ledger.idempotency import Raced
from app.services.ledger.ledger_transaction import LedgerTransaction, places_of


def arrive(tx: Tx, row: AnyRow, parts: Sequence[GiftPart]) -> AnyRow:
    """Take the gift in, or refuse it; what was decided before stays. `row` and `parts` are those of the giver's slot.

    Coins that expired under way come in and expire at once: the receiver's statement shows both. A debt of the
    receiver is repaid first, as by everything that comes in.
    """
    gift = gift_rows.gift_in(row)
    slot, transfers = slot_of_user(gift.receiver), gift.received(parts)
    with LedgerTransaction(tx, places_of(slot, transfers)) as books:
        known = gift_rows.arrival(tx, slot, gift.number)
        if known is not None:
            return known
        reason = _reason_to_refuse(tx, slot, gift, books.book(slot, gift.given_to))
        for transfer in transfers if reason is None else ():
            books.post(slot, transfer)
        if reason is None and any(part.lot.expires_at is not None for part in parts):
            books.expire(slot, gift.given_to)
        if reason is None:
            ended = {**row._asdict(), "status": GiftStatus.RECEIVED, "ended_at": tx.now}
            book = books.book(slot, gift.given_to)
            books.tell(book, EventType.GIFT_RECEIVED, {"gift": representations.gift_data(ended)}, gift.actor)
    _add(tx, slot, row, reason)
    decided = gift_rows.arrival(tx, slot, gift.number)
    if decided is None:
        raise RuntimeError(f"the arrival of gift {gift.number} was not written")
    return decided


def _reason_to_refuse(tx: Tx, slot: int, gift: Gift, book: Book) -> GiftReason | None:
    """A frozen wallet takes credits, but no gifts: what is looked into shall not be mixed with others' coins."""
    if book.frozen:
        return GiftReason.FROZEN
    if book.balance + gift.amount > MAX_AMOUNT:
        return GiftReason.OVERFLOW
    most = tx.core.rules.gifts.limit(gift.asset).received_per_day
    if most is not None:
        since = day_start(tx.now, tx.core.rules.ledger)
        if gift_rows.received_since(tx, slot, gift, since) + gift.amount > most:
            return GiftReason.LIMIT
    return None


def _add(tx: Tx, slot: int, row: AnyRow, reason: GiftReason | None) -> None:
    told = ("giver", "receiver", "asset", "environment", "amount", "message", "reference")
    arrived = {
        "slot": slot,
        "gift_id": row.id,
        **{name: getattr(row, name) for name in told},
        "accepted": reason is None,
        "reason": reason or "",
        "sent_at": row.created_at,
        "at": tx.now,
    }
    (added,) = gift_rows.ADD_ARRIVAL.run(tx, [arrived])
    if added.count == 0:
        raise Raced
