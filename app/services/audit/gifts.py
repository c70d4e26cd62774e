"""Proves gifts and recalls: each is in the books of both its slots, once, alike, and ended as both slots say.

One slot at a time, as of one moment. Rows of another slot are read where a row here names them: those were written
before it and are read after it, so traffic in between is no finding even where slots lie in several databases.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, FromClause, and_, case, func, select, tuple_

from app.domain.gifts import GIFT_KINDS, TRANSIT, Gift, GiftPart, GiftStatus
from app.domain.ledger import Lot, Transfer
from app.domain.numbers import slot_of_number, slot_of_user
from app.domain.proof.gifts import TransitSums, is_piece_of
from app.domain.refunding import RECALLED, UNRECALLED
from app.models.base import AnyRow
from app.models.gifts import GIFT_ARRIVALS, GIFT_PARTS, GIFTS, RECALL_ANSWERS, RECALLS
from app.models.ledger import ACCOUNTS, LOTS, TRANSFERS
from app.services.audit.orders import Finding, Progress
from app.services.base.transaction import Sessions, Transaction, read
from app.services.base.used_slots import used_slots
from app.services.gifts import gift_rows
from app.services.ledger import clawback, idempotency
from app.services.ledger.idempotency import STORED, Stored
from app.services.refunds import recall_rows

GIFT_PAGE = 500
_SAME = ("giver", "receiver", "asset", "environment", "amount", "message", "reference")
_G, _P, _V, _R, _W = GIFTS.c, GIFT_PARTS.c, GIFT_ARRIVALS.c, RECALLS.c, RECALL_ANSWERS.c
_A, _T, _L = ACCOUNTS.c, TRANSFERS.c, LOTS.c


def audit_gifts(sessions: Sessions, progress: Progress | None = None) -> Iterator[Finding]:
    """Findings, slot by slot in bounded memory."""
    for slot in read(sessions, _used_slots):
        yield from read(sessions, partial(_check_slot, slot=slot), snapshot=True)
        if progress is not None:
            progress(f"gifts: slot {slot}")


def _used_slots(tx: Transaction) -> list[int]:
    tables = (GIFTS, GIFT_PARTS, GIFT_ARRIVALS, RECALLS, RECALL_ANSWERS)
    in_transit = select(_A.slot).where(_A.code == TRANSIT)
    return used_slots(tx, "audit", *(select(table.c.slot) for table in tables), in_transit)


def _check_slot(tx: Transaction, slot: int) -> list[Finding]:
    tx.of_several_slots("audit")
    check = _SlotOfGifts(tx, slot)
    return [Finding(what, f"slot {slot}, {detail}") for what, detail in check.run()]


GiftFindings = Iterator[tuple[str, str]]


class _SlotOfGifts:
    """The proof of one slot."""

    def __init__(self, tx: Transaction, slot: int) -> None:
        self._tx = tx
        self._slot = slot
        self._sums = TransitSums()
        self._made = 0
        """How many transfers of GIFT_KINDS the rows explain."""
        self._wanted: Counter[uuid.UUID] = Counter()
        """What recalls have asked for, by the transfer that had credited the coins to the buyer."""
        self._missing: Counter[uuid.UUID] = Counter()
        """What of that was no longer there."""

    def run(self) -> GiftFindings:
        for gift in self._rows(GIFTS, _G.id):
            yield from self._gift(gift)
        for arrival in self._rows(GIFT_ARRIVALS, _V.gift_id):
            yield from self._arrival(arrival)
        for recall in self._rows(RECALLS, _R.id):
            yield from self._recall(recall)
        yield from self._grants()
        for answer in self._rows(RECALL_ANSWERS, _W.recall_id, _W.gift_id, _W.round):
            yield from self._answer(answer)
        for difference in self._sums.differences(self._legs()):
            yield "transit", difference
        yield from self._unexplained()

    # --- the giver's side ---

    def _gift(self, row: AnyRow) -> GiftFindings:
        gift, parts = gift_rows.gift_in(row), gift_rows.parts(self._tx, row.id)
        who = f"from user {row.giver} to user {row.receiver} (`tillbook find {row.id}`)"
        name = f"gift {row.id} of {row.amount} {row.asset} {who}"
        if self._slot != slot_of_user(gift.giver):
            yield "gift_giver", f"{name} lies in another slot than its giver"
        sent = gift.sent()
        stored = self._stored([sent.id_in(self._slot)]).get(sent.id_in(self._slot))
        yield from self._fits(stored, sent, name)
        if stored is not None:
            yield from self._parts(row.id, stored, parts, name)
            yield from self._return(gift, row, stored, name)
        if row.status != GiftStatus.RETURNED:
            self._sums.left[gift.asset, gift.environment] += gift.amount
        arrival = gift_rows.arrival(self._tx, slot_of_user(gift.receiver), row.id)
        decided = None if arrival is None else (arrival.accepted, arrival.reason)
        if row.status != GiftStatus.SENT and decided != (row.status == GiftStatus.RECEIVED, row.reason):
            yield "gift_status", f"{name} is {row.status}, and its receiver's slot says {decided}"

    def _parts(self, number: int, sent: Stored, parts: Sequence[GiftPart], name: str) -> GiftFindings:
        """They are what the transfer took, lot by lot, and each is a piece of its lot."""
        if [(part.source, part.amount) for part in parts] != sent.lots_used():
            yield "gift_parts", f"{name}: its parts are not the lots that it used"
        wanted = (_P.slot == self._slot, _P.gift_id == number)
        lots = self._tx.execute(
            select(_P.account_id, _P.position, _L.granted, *(_L[name] for name in Lot.__slots__))
            .join(LOTS, and_(_L.slot == _P.slot, _L.account_id == _P.account_id, _L.version == _P.lot))
            .where(*wanted)
            .order_by(_P.position)
        ).all()
        if [row.position for row in lots] != list(range(len(parts))):
            yield "gift_parts", f"{name}: a part of it is missing, or has no lot"
        for part, row in zip(parts, lots, strict=False):
            if row.account_id != sent.book_id or not is_piece_of(
                part, Lot(**{column: getattr(row, column) for column in Lot.__slots__}), row.granted
            ):
                yield "gift_parts", f"{name}: part {row.position} is no piece of lot {part.source}"

    def _return(self, gift: Gift, row: AnyRow, sent: Stored, name: str) -> GiftFindings:
        back = gift.returned(sent.id, row.reason)
        stored = self._stored([back.id_in(self._slot)]).get(back.id_in(self._slot))
        if row.status == GiftStatus.RETURNED:
            yield from self._fits(stored, back, name, counts=False)
        elif stored is not None:
            yield "gift_status", f"{name} is {row.status}, and has come back"

    # --- the receiver's side ---

    def _arrival(self, arrival: AnyRow) -> GiftFindings:
        who = f"to user {arrival.receiver} (`tillbook find {arrival.gift_id}`)"
        name = f"gift {arrival.gift_id} of {arrival.amount} {arrival.asset} {who}"
        if self._slot != slot_of_user(arrival.receiver):
            yield "gift_receiver", f"{name} lies in another slot than its receiver"
        if arrival.accepted:
            self._sums.came[arrival.asset, arrival.environment] += arrival.amount
        row = gift_rows.find_gift(self._tx, arrival.gift_id)
        if row is None:
            yield "gift_unknown", f"{name}: there is no such gift in slot {slot_of_number(arrival.gift_id)}"
            return
        same = all(getattr(row, column) == getattr(arrival, column) for column in _SAME)
        if not same or row.created_at != arrival.sent_at:
            yield "gift_differs", f"{name} is not what its giver gave"
        if arrival.accepted and row.status == GiftStatus.RETURNED:
            yield "gift_status", f"{name} was taken in, and has come back to its giver too"
        transfers = gift_rows.gift_in(row).received(gift_rows.parts(self._tx, row.id))
        stored = self._stored([transfer.id_in(self._slot) for transfer in transfers])
        if arrival.accepted:
            for transfer in transfers:
                yield from self._fits(stored.get(transfer.id_in(self._slot)), transfer, name)
        elif stored:
            yield "gift_status", f"{name} was refused, and came in"

    # --- recalls ---

    def _recall(self, recall: AnyRow) -> GiftFindings:
        """What is still wanted counts as taken until it is known that it is not there."""
        done = recall.status == recall_rows.DONE
        self._wanted[recall.grant_id] += recall.wanted
        self._missing[recall.grant_id] += recall.wanted - recall.taken if done else 0
        self._sums.came[recall.asset, recall.environment] += recall.taken if done else recall.wanted
        told = sum(self._taken(recall.id, int(gift)) for gift in recall.asked)
        if told != recall.taken:
            see = f"`tillbook find {recall.payment_id}`"
            about = f"{recall.wanted} {recall.asset} of payment {recall.payment_id}; {see}"
            yield "recall_taken", f"recall {recall.id} ({about}) has {recall.taken}, and those asked have given {told}"

    def _grants(self) -> GiftFindings:
        """The buyer's side has booked what was asked for, and what was no longer there."""
        grants = sorted(self._wanted)
        for start in range(0, len(grants), GIFT_PAGE):
            booked = clawback.booked(self._tx, self._slot, grants[start : start + GIFT_PAGE])
            for grant in grants[start : start + GIFT_PAGE]:
                sums = booked[grant].sums
                there = (sums.get(RECALLED, 0), sums.get(UNRECALLED, 0))
                derived = (self._wanted[grant], self._missing[grant])
                if there != derived:
                    see = f"`tillbook find {grant}`"
                    yield "recall_booked", f"grant {grant} ({see}): asked and missing are {there}, derived {derived}"

    def _taken(self, recall: int, gift: int) -> int:
        """What was given up for a recall by the receiver of that gift."""
        row = gift_rows.find_gift(self._tx, gift)
        if row is None:
            return 0
        wanted = (_W.slot == slot_of_user(row.receiver), _W.recall_id == recall, _W.gift_id == gift)
        return int(self._tx.scalar(select(func.sum(_W.taken)).where(*wanted)) or 0)

    def _answer(self, answer: AnyRow) -> GiftFindings:
        name = f"answer of gift {answer.gift_id} to recall {answer.recall_id}"
        self._sums.left[answer.asset, answer.environment] += answer.taken
        recall = recall_rows.find_recall(self._tx, answer.recall_id)
        row = gift_rows.find_gift(self._tx, answer.gift_id)
        if recall is None or row is None or str(row.id) not in (*recall.places, *recall.asked):
            yield "recall_unknown", f"{name}: nobody has asked for it"
            return
        gift, given = gift_rows.gift_in(row), gift_rows.parts(self._tx, row.id)
        bonus = recall.bonus == (answer.round == recall_rows.OWN_KIND)
        received = [transfer.id_in(self._slot) for transfer in gift.received(given)]
        possible = [
            gift.recalled(recall.id, position, 1, received[position], expired=expired).id_in(self._slot)
            for position in range(len(given))
            for expired in (False, True)
            if given[position].lot.bonus == bonus
        ]
        stored = self._stored(possible)
        self._made += len(stored)
        booked = sum(transfer.amount for transfer in stored.values())
        if booked != answer.taken:
            yield "recall_taken", f"{name} says {answer.taken}, booked {booked}"

    # --- inside ---

    def _fits(self, stored: Stored | None, wanted: Transfer, name: str, *, counts: bool = True) -> GiftFindings:
        """The transfer is there, and says all that it must."""
        if stored is None:
            yield "transfer_missing", f"{name}: {wanted.kind} of {wanted.amount} {wanted.debit.asset}"
            return
        self._made += counts
        if stored.fingerprint() != wanted.fingerprint(self._slot):
            yield "transfer_differs", f"{name}: {idempotency.differing(stored, wanted)} of its {wanted.kind}"

    def _stored(self, ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, Stored]:
        rows = self._tx.execute(STORED.where(_T.slot == self._slot, _T.id.in_(ids)))
        return {row.id: idempotency.stored(row) for row in rows}

    def _rows(self, table: FromClause, *keys: ColumnElement[Any]) -> Iterator[AnyRow]:
        """All rows of the table in this slot, page by page."""
        after: tuple[Any, ...] = (0,) * len(keys)
        wanted = select(table).where(table.c.slot == self._slot).order_by(*keys).limit(GIFT_PAGE)
        while page := self._tx.execute(wanted.where(tuple_(*keys) > after)).all():
            yield from page
            after = tuple(getattr(page[-1], key.name) for key in keys)

    def _legs(self) -> Counter[tuple[str, str]]:
        signed = case((_T.credit_id == _A.id, _T.amount), else_=-_T.amount)
        wanted = (
            select(_A.asset, _A.environment, func.sum(signed).label("total"))
            .join(TRANSFERS, and_(_T.slot == _A.slot, _A.id.in_((_T.credit_id, _T.debit_id))))
            .where(_A.slot == self._slot, _A.code == TRANSIT, _A.user_id == "")
            .group_by(_A.asset, _A.environment)
        )
        return Counter({(row.asset, row.environment): int(row.total) for row in self._tx.execute(wanted)})

    def _unexplained(self) -> GiftFindings:
        there = (_T.slot == self._slot, _T.kind.in_(GIFT_KINDS))
        booked = self._tx.scalar(select(func.count()).select_from(TRANSFERS).where(*there))
        if booked != self._made:
            yield "transfer_unexplained", f"{booked} transfers of gifts and recalls, {self._made} expected"
