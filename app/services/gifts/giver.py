"""What happens in the giver's slot: the coins leave the wallet, and the gift ends, or they come back."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, select

from app.domain import representations
from app.domain.books import Book
from app.domain.event_types import EventType
from app.domain.gifts import MOST_PARTS, Gift, GiftPart, GiftRequest, GiftStatus, giftable, part_of
from app.domain.ledger import InsufficientFunds, Lot, moment_of
from app.domain.limits import LedgerRules, periods, start_us
from app.domain.lots import LotLeft, plan, plan_return
from app.domain.numbers import slot_of_number, slot_of_user
from app.domain.schedule import LEASE_SECONDS
from app.models.base import AnyRow
from app.models.ledger import LOTS
from app.services.base.context import Tx
from app.services.base.errors import DomainError
from app.services.base.upsert import NumberTaken
from app.services.gifts import gift_rows
from app.services.ledger import idempotency
from app.services.ledger.ledger_transaction import LedgerTransaction, places_of

_L = LOTS.c
_LOTS = select(
    _L.version, _L.granted, _L.bonus, _L.expires_at, _L.payment, _L.product, _L.value_minor, _L.currency
).where(
    _L.slot == bindparam("p_slot"),
    _L.account_id == bindparam("p_account"),
    _L.version.in_(bindparam("p_lots", expanding=True)),
)


class GiftLimitReached(DomainError):
    """The member `limit` says which: `gift`, `day`, or `lots` (MOST_PARTS)."""

    code = "gift_limit"


class GiverFrozen(DomainError):
    code = "wallet_frozen"


class TooFewToGive(DomainError):
    """Fewer coins than wanted may be given: what is held, has expired or is paid (where only bonus coins may be given)
    does not count."""

    code = InsufficientFunds.code


def send(tx: Tx, wanted: GiftRequest, request: uuid.UUID) -> int:
    """Take the coins out of the giver's wallet and write the gift down; its number. Raises a refusal.

    The gift is due a minute later: until then whoever has asked for it carries it on, and then the worker does.
    """
    slot, rules = slot_of_user(wanted.giver), tx.core.rules
    number = tx.core.numbers.next(slot)
    gift = Gift(
        number,
        wanted.giver,
        wanted.receiver,
        wanted.asset,
        wanted.environment,
        wanted.amount,
        wanted.message,
        wanted.actor,
    )
    transfer = gift.sent()
    with LedgerTransaction(tx, places_of(slot, [transfer]), with_lots=True) as books:
        book = books.book(slot, gift.given_from)
        books.expire(slot, gift.given_from)
        if book.frozen:
            raise GiverFrozen
        _keep_within_day(tx, slot, wanted)
        lots = giftable(book, rules.ledger.spend_order, books.at_us, paid=rules.gifts.paid)
        parts = _parts(tx, book, _uses(book, lots, wanted.amount))
        books.take_back(slot, transfer, [lot.version for lot in lots])
        row = _row(tx, slot, gift, wanted.reference, request)
        books.tell(book, EventType.GIFT_SENT, {"gift": representations.gift_data(row)}, gift.actor)
    (added,) = gift_rows.ADD_GIFT.run(tx, [row])
    if added.count == 0:
        raise NumberTaken
    gift_rows.ADD_PARTS.run(tx, gift_rows.part_rows(slot, number, book.id, parts))
    return number


def day_start(at: datetime, rules: LedgerRules) -> datetime:
    """When the day of that moment began in the ledger's zone."""
    return moment_of(start_us(periods(at, rules.zone).day, rules.zone))


def take_decision(tx: Tx, row: AnyRow, arrived: AnyRow) -> None:
    """Write down what the receiver's slot decided; where it refused, the coins go back. Harmless to repeat."""
    if arrived.accepted:
        gift_rows.end_gift(tx, row.id, GiftStatus.RECEIVED, "", tx.now)
    elif gift_rows.end_gift(tx, row.id, GiftStatus.RETURNED, arrived.reason, tx.now):
        _put_back(tx, row, arrived.reason)


def _keep_within_day(tx: Tx, slot: int, wanted: GiftRequest) -> None:
    most = tx.core.rules.gifts.limit(wanted.asset).sent_per_day
    if most is None:
        return
    sent = gift_rows.sent_since(tx, slot, wanted, day_start(tx.now, tx.core.rules.ledger))
    if sent + wanted.amount > most:
        raise GiftLimitReached(limit="day", most=most, sent=sent, amount=wanted.amount)


def _uses(book: Book, lots: Sequence[LotLeft], amount: int) -> list[tuple[int, int]]:
    """What to take from each lot. Raises TooFewToGive, GiftLimitReached."""
    there = min(book.available, sum(lot.remaining for lot in lots))
    uses = plan(lots, amount) if amount <= there else None
    if uses is None:
        raise TooFewToGive(amount=amount, available=max(0, there), balance=book.balance, held=book.held)
    if len(uses) > MOST_PARTS:
        raise GiftLimitReached(limit="lots", most=MOST_PARTS)
    return uses


def _parts(tx: Tx, book: Book, uses: Sequence[tuple[int, int]]) -> list[GiftPart]:
    values = {"p_slot": book.slot, "p_account": book.id, "p_lots": [lot for lot, _ in uses]}
    rows = {row.version: row for row in tx.execute(_LOTS, values)}
    left = book.lots or {}
    return [_part(rows[lot], left[lot].remaining, amount) for lot, amount in uses]


def _part(row: AnyRow, remaining: int, amount: int) -> GiftPart:
    lot = Lot(row.bonus, row.expires_at, row.payment, row.product, row.value_minor, row.currency)
    return part_of(lot, row.granted, remaining, amount, row.version)


def _row(tx: Tx, slot: int, gift: Gift, reference: str, request: uuid.UUID) -> dict[str, Any]:
    """The gift as it is first written down."""
    row: dict[str, Any] = {
        "slot": slot,
        "id": gift.number,
        "giver": gift.giver,
        "receiver": gift.receiver,
        "asset": gift.asset,
        "environment": gift.environment,
        "amount": gift.amount,
        "message": gift.message,
        "reference": reference,
        "actor": gift.actor,
        "request": request,
        "status": GiftStatus.SENT,
        "reason": "",
        "created_at": tx.now,
        "ended_at": None,
        "next_try_at": tx.now + timedelta(seconds=LEASE_SECONDS),
        "tries": 0,
    }
    return {**row, "seal": tx.core.rules.ledger.seals.of_row("gifts", row)}


def _put_back(tx: Tx, row: AnyRow, reason: str) -> None:
    """Into the lots that the coins came from; what has expired meanwhile expires there. Raises BalanceOverflow."""
    gift, slot = gift_rows.gift_in(row), slot_of_number(row.id)
    sent = idempotency.find_transfer(tx, slot, gift.sent().id_in(slot))
    if sent is None:
        raise RuntimeError(f"gift {gift.number} is written down, and its transfer is not there")
    transfer = gift.returned(sent.id, reason)
    with LedgerTransaction(tx, places_of(slot, [transfer])) as books:
        books.give_back(slot, transfer, plan_return(sent.lots_used(), sent.amount))
        books.expire(slot, gift.given_from)
        ended = {**row._asdict(), "status": GiftStatus.RETURNED, "reason": reason, "ended_at": tx.now}
        book = books.book(slot, gift.given_from)
        books.tell(book, EventType.GIFT_RETURNED, {"gift": representations.gift_data(ended)}, gift.actor)
