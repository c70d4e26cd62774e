"""Up to 500 spends and grants in one request, each with its own key and its own result.

One transaction, a handful of statements for each hundred items. It may touch several slots: see ADR 0010.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace

from app.domain.ledger import BalanceOverflow, InvalidTransfer, KeyConflict, Posted, Refused, Transfer
from app.domain.numbers import rival_ids, slot_of_user
from app.domain.spending import Spend
from app.models.slot_watch import of_several_slots
from app.services.base.context import Tx
from app.services.ledger.accounts import AccountPlace
from app.services.ledger.idempotency import check_key, find_result, of_another_kind
from app.services.ledger.ledger_transaction import LedgerTransaction, places_of
from app.services.ledger.spends import decide

MOST = 500


@dataclass(frozen=True, slots=True)
class BatchResult:
    """One answer for each item, in their order.

    `applied` is False if it was all or nothing and some item was refused: then nothing was booked or remembered, and
    the refusals say why.
    """

    answers: tuple[Posted | Refused, ...]
    applied: bool


class _NotApplied(Exception):
    """Leaves the open books without writing them."""

    def __init__(self, answers: tuple[Posted | Refused, ...]) -> None:
        super().__init__("nothing is written")
        self.answers = answers


def book_batch(tx: Tx, items: Sequence[Spend | Transfer], *, all_or_nothing: bool) -> BatchResult:
    """Book spends and grants (`app.domain.spending.grant`) in this order. The caller commits.

    A key that was used for something else is the item's refusal `key_conflict`, which is not remembered; every other
    refusal is, `balance_overflow` too. Raises InvalidTransfer for more than 500 items.
    """
    if not 0 < len(items) <= MOST:
        raise InvalidTransfer(f"a batch has 1 to {MOST} items")
    of_several_slots(tx.connection(), "batch")
    placed = [_placed(item) for item in items]
    places: set[AccountPlace] = set()
    for one in placed:
        places |= places_of(one.slot, [one.transfer])
    try:
        with LedgerTransaction(tx, places, ids={each for one in placed for each in one.ids}) as books:
            answers = _answers(books, placed)
            if all_or_nothing and any(isinstance(answer, Refused) for answer in answers):
                raise _NotApplied(answers)
            return BatchResult(answers, applied=True)
    except _NotApplied as stopped:
        return BatchResult(stopped.answers, applied=False)


@dataclass(frozen=True, slots=True)
class _Placed:
    slot: int
    id: uuid.UUID
    transfer: Transfer
    spend: Spend | None

    @property
    def ids(self) -> list[tuple[int, uuid.UUID]]:
        """The id of the item, and the ids that another kind of request with the same key would have."""
        rivals = rival_ids(self.slot, self.transfer.scope, self.transfer.key)
        return [(self.slot, each) for each in (self.id, *rivals)]


def _placed(item: Spend | Transfer) -> _Placed:
    transfer = item.transfer if isinstance(item, Spend) else item
    slot = slot_of_user(transfer.book.user_id)
    if not transfer.book.is_wallet:
        raise InvalidTransfer("a batch books on wallets")
    return _Placed(slot, transfer.id_in(slot), transfer, item if isinstance(item, Spend) else None)


def _answers(books: LedgerTransaction, items: Sequence[_Placed]) -> tuple[Posted | Refused, ...]:
    now: dict[uuid.UUID, tuple[_Placed, Posted | Refused]] = {}
    answers: list[Posted | Refused] = []
    for item in items:
        try:
            answers.append(_answer(books, item, now))
        except KeyConflict as error:
            answers.append(Refused(item.id, error.code))
    return tuple(answers)


def _answer(
    books: LedgerTransaction, item: _Placed, now: dict[uuid.UUID, tuple[_Placed, Posted | Refused]]
) -> Posted | Refused:
    """What the books say, what an earlier item with the same key came to, or a decision."""
    if (item.slot, item.id) in books.known:
        answer = find_result(books.tx, item.slot, item.transfer)
        if answer is not None:
            return answer
    if any(rival in now for _, rival in item.ids[1:]):
        raise of_another_kind(item.transfer.key)
    check_key(books, item.slot, item.transfer.scope, item.transfer.key)
    if item.id in now:
        first, first_answer = now[item.id]
        if first.transfer.fingerprint(item.slot) != item.transfer.fingerprint(item.slot):
            raise KeyConflict(f"the key {item.transfer.key!r} is used twice in the batch", "")
        return replace(first_answer, repeated=True)
    answer = _granted(books, item) if item.spend is None else decide(books, item.slot, item.spend)
    now[item.id] = (item, answer)
    return answer


def _granted(books: LedgerTransaction, item: _Placed) -> Posted | Refused:
    """Booked, or refused for good: the wallet may have room when the item comes again, and a no stays a no."""
    try:
        return books.post(item.slot, item.transfer)
    except BalanceOverflow as error:
        book = books.book(item.slot, item.transfer.book)
        return books.refuse(book, Refused(item.id, error.code), item.transfer.fingerprint(item.slot))
