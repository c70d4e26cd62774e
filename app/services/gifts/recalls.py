"""Asks coins of a refunded purchase back from those to whom they were given, gift by gift, also on from there.

The buyer's slot has the recall, with the gifts whose receivers are still to be asked; each receiver's slot answers
once (`holders.answer`). So each step is a transaction in one slot, and safe to repeat. What nobody has any more is the
buyer's: then, by the policy of the refund, it is taken, owed or forgiven.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from app.domain.gifts import TRANSIT, GiftStatus
from app.domain.ledger import ISSUANCE, Transfer, system
from app.domain.refunding import UNRECALLED, Clawback
from app.domain.retries import Retried
from app.models.base import AnyRow
from app.models.gifts import RECALLS
from app.services.base.context import Core, Tx
from app.services.base.leases import LeaseQueue, next_try
from app.services.gifts import gift_rows, holders, journey
from app.services.gifts.holders import UnderWay
from app.services.ledger import clawback, post
from app.services.ledger.clawback import StatementText
from app.services.payments import payment_rows
from app.services.refunds import recall_rows, refund_rows, refund_status
from app.services.refunds.captured_payments import CapturedPayment, find_capture

RECALLS_DUE = LeaseQueue(RECALLS, "next_try_at", "due_gifts", counts="tries")
MOST_STEPS = 100
"""So many receivers are asked in one turn; a later turn goes on."""


def work_on_recall(core: Core, number: int) -> bool:
    """Carry on a recall that fell due; False if it is not due, or another worker has it."""
    row = core.of_number(number).transact(lambda tx: RECALLS_DUE.take(tx, number, tx.now))
    if row is None:
        return False
    if advance_recall(core, number):
        return True
    core.of_number(number).transact(
        lambda tx: recall_rows.postpone_recall(tx, number, next_try(tx.now, Retried.GIFT, row.tries - 1)),
    )
    return True


def advance_recall(core: Core, number: int) -> bool:
    """Ask on until the recall is done, MOST_STEPS times at the most. False if it waits for a gift that cannot end."""
    for _ in range(MOST_STEPS):
        recall = core.of_number(number).read(lambda tx: recall_rows.find_recall(tx, number))
        if recall is None or recall.status == recall_rows.DONE:
            return True
        if recall.taken == recall.wanted or not (recall.places or recall.round == recall_rows.OWN_KIND):
            core.of_number(number).transact(partial(_finish, number=number))
            return True
        if not recall.places:
            core.of_number(number).transact(partial(_begin_second_round, number=number))
            continue
        if not _ask(core, recall, int(recall.places[0])):
            return False
    return True  # the last answer has made it due at once


def _ask(core: Core, recall: AnyRow, gift: int) -> bool:
    """Ask the receiver of one gift, and write the answer down. False if a gift that is under way cannot end now."""
    if not journey.advance(core, gift):
        return False
    row = journey.view_gift(core, gift)
    if row.status == GiftStatus.RETURNED:
        # The coins are back in the wallet that they came from, and were not there when its user was asked.
        core.at(recall.slot).transact(partial(_note, asked=recall, gift=gift, taken=0, onward=()))
        return True
    parts = core.of_number(gift).read(lambda tx: gift_rows.parts(tx, gift))
    answered = core.of_user(row.receiver).transact(lambda tx: holders.answer(tx, recall, gift_rows.gift_in(row), parts))
    if isinstance(answered, UnderWay):
        ended = [journey.advance(core, each) for each in answered.gifts]
        return all(ended)
    core.at(recall.slot).transact(partial(_note, asked=recall, gift=gift, taken=answered.taken, onward=answered.onward))
    return True


def _note(tx: Tx, asked: AnyRow, gift: int, taken: int, onward: Sequence[str]) -> None:
    """Write an answer down, unless somebody has. `asked` is the recall as it stood when it asked."""
    recall = recall_rows.lock_recall(tx, asked.id)
    if str(gift) not in recall.places or recall.round != asked.round:
        return
    places = [place for place in recall.places if place != str(gift)]
    everybody = list(dict.fromkeys([*recall.asked, str(gift)]))
    places += [place for place in onward if place not in everybody and place not in places]
    recall_rows.change_recall(
        tx, recall, places=places, asked=everybody, taken=recall.taken + taken, next_try_at=tx.now
    )


def _begin_second_round(tx: Tx, number: int) -> None:
    """Ask everybody again, for the purchase's coins of the other kind."""
    recall = recall_rows.lock_recall(tx, number)
    if recall.round == recall_rows.OWN_KIND and not recall.places:
        recall_rows.change_recall(tx, recall, places=recall.asked, round=recall_rows.OTHER_KIND)


def _finish(tx: Tx, number: int) -> None:
    """Book what nobody had any more, and take it from the buyer. Order, payment, recall, accounts: in that order."""
    found = recall_rows.find_recall(tx, number)
    if found is None:
        raise RuntimeError(f"no recall {number}")
    locked = payment_rows.lock_with_order(tx, found.slot, found.payment_id)
    if locked is None:
        raise RuntimeError(f"recall {number} is about no payment")
    recall = recall_rows.lock_recall(tx, number)
    if recall.status == recall_rows.DONE:
        return
    told = refund_rows.told_of_payment(tx, recall.slot, recall.payment_id)()
    captured = find_capture(told, locked.order, locked.payment, recall.theirs)
    if captured is None:
        raise RuntimeError(f"recall {number} is about no captured payment")
    recall_rows.change_recall(tx, recall, status=recall_rows.DONE, done_at=tx.now, next_try_at=None)
    if recall.taken < recall.wanted:
        _take_rest(tx, captured, recall)


def _take_rest(tx: Tx, captured: CapturedPayment, recall: AnyRow) -> None:
    known = clawback.booked(tx, recall.slot, [recall.grant_id])[recall.grant_id]
    missing = Transfer(
        scope=f"clawback:{recall.grant_id.hex}",
        key=str(known.times),
        debit=system(ISSUANCE, recall.asset, recall.environment),
        credit=system(TRANSIT, recall.asset, recall.environment),
        amount=recall.wanted - recall.taken,
        kind=UNRECALLED,
        reference=recall.reference,
        note=recall.note,
        cause=recall.grant_id,
    )
    post(tx, recall.slot, [missing])
    refund_status.settle_rest(tx, captured, StatementText(recall.reference, recall.note), Clawback(recall.policy))
