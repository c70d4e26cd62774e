"""Brings the refunds of one captured payment, and its books, to where all that was told about them says they must be.

Status and amount of every refund are worked out anew from the set of facts after each of them, so they depend on no
order of telling. A refund that we did not ask for has a row from the first word about it on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from operator import attrgetter
from typing import Any

from app.domain.facts import Kind
from app.domain.refunding import (
    OPEN_REFUND,
    Clawback,
    Origin,
    RefundCause,
    RefundStatus,
    RefundTold,
    next_refund_status,
    of_amount,
    status_told,
)
from app.domain.retries import Retried
from app.models.base import AnyRow
from app.services.base.context import Tx
from app.services.base.leases import next_try
from app.services.base.upsert import NumberTaken
from app.services.ledger import clawback, freezes
from app.services.ledger.clawback import StatementText
from app.services.payments import fulfilments
from app.services.refunds import refund_events, refund_rows
from app.services.refunds.captured_payments import (
    CapturedPayment,
    captured_payment,
    number_of,
    refunds_of,
    standing,
    under_way,
)
from app.services.refunds.settlement import Settlement, settle

FIRST_QUESTION = timedelta(seconds=60)
"""So long after the first word about a refund in progress that is not ours its provider is asked."""
FAILED = "the provider says that it failed"


def follow(tx: Tx, captured: CapturedPayment, refunds: Sequence[AnyRow], fact: AnyRow) -> tuple[bool, Sequence[AnyRow]]:
    """Take in a fact that counts from now on: whether that moved a refund, money or coins; and the refunds after that.

    The caller has locked the order. `refunds` are those of the captured payment, as they are stored.
    """
    now = standing(captured, refunds, news=fact)
    known = {number_of(row): row for row in refunds}
    new = [told for number, told in now.refunds.items() if number not in known] if captured.payment is not None else []
    about = known.get(fact.content["refund"] or "") if fact.kind == Kind.REFUNDED else None
    policy = Clawback(about.policy) if about is not None else tx.core.rules.clawback
    open_rows = under_way(refunds)
    ending = [row for row in open_rows if _after(row, now.refunds.get(number_of(row))) not in OPEN_REFUND]
    made = {told.number: _foreign(tx, captured, told, fact.provider_account) for told in new}
    new_about = made.get(fact.content["refund"] or "")
    about_id = about.id if about is not None else new_about.id if new_about is not None else None
    words = _words(fact, captured, about, about_id)
    others = [row for row in open_rows if row not in ending]
    settled = settle(tx, Settlement(captured, now, policy, words, ending, others, effective_at=fact.at))
    if captured.order is not None and captured.is_fulfilled_elsewhere:
        fulfilments.aim_fulfilment(tx, captured.order, now.part)
    moved, after = False, list[AnyRow]()
    for row in sorted([*refunds, *made.values()], key=attrgetter("created_at", "id")):
        number = number_of(row)
        told = now.refunds.get(number)
        if told is None:
            after.append(row)
            continue
        stands = refund_rows.changed(row, _values(tx, captured, row, told, settled.coins.get(number, [])))
        if number in made:
            stands = refund_rows.insert_refund(tx, stands._asdict(), wrong=NumberTaken)
            refund_events.tell_status(tx, stands, captured.user_id)
        else:
            moved |= refund_rows.change_refund(tx, row, stands._asdict()) and row.origin != Origin.PROVIDER
            refund_events.tell_change(tx, row, stands, captured.user_id)
        after.append(stands)
    if policy is Clawback.FREEZE and captured.order is not None:
        for asset in settled.owing:
            _freeze(tx, captured, asset, about_id)
    return settled.changed or moved, after


def settle_rest(tx: Tx, captured: CapturedPayment, words: StatementText, policy: Clawback) -> None:
    """Coins that were asked back from others are no longer there: take from the buyer what the policy says. The caller
    has locked the order, and booked that they were not there."""
    refunds = refunds_of(tx, captured)
    now = standing(captured, refunds)
    settled = settle(tx, Settlement(captured, now, policy, words, [], under_way(refunds), may_recall=False))
    for row in refunds:
        if number_of(row) in settled.coins:
            refund_rows.change_refund(tx, row, {"coins": settled.coins[number_of(row)]})
    if policy is Clawback.FREEZE and captured.order is not None:
        about = next((row.id for row in refunds if str(row.id) == words.reference), None)
        for asset in settled.owing:
            _freeze(tx, captured, asset, about)


def move(tx: Tx, row: AnyRow, order: AnyRow, payment: AnyRow, cause: RefundCause, values: Mapping[str, Any]) -> bool:
    """Take a refund along for a cause of our own, and write the values with it; one that ends gives its reserved coins
    back. False if the cause changes nothing."""
    after = next_refund_status(RefundStatus(row.status), cause)
    if after is None:
        return False
    due = row.next_query_at if after in OPEN_REFUND else None
    wanted = {"status": after, "next_query_at": due, **values}
    refund_rows.change_refund(tx, row, wanted)
    refund_events.tell_change(tx, row, refund_rows.changed(row, wanted), order.user_id)
    captured = captured_payment(tx, order, payment, row.theirs) if after not in OPEN_REFUND else None
    for wallet in {grant.credit for grant in captured.grants} if captured is not None else ():
        clawback.release_reserved(tx, row.slot, wallet, row.id)
    return True


def new_row(captured: CapturedPayment, **values: Any) -> dict[str, Any]:
    """A refund of the captured payment as it is first written down."""
    payment = captured.payment
    if payment is None:
        raise RuntimeError("a refund that is written down needs a payment of ours")
    return {
        "slot": captured.slot,
        "order_id": payment.order_id,
        "payment_id": payment.id,
        "provider_account": payment.provider_account,
        "theirs": captured.theirs,
        "number_there": None,
        "amount_minor": None,
        "currency": None,
        "undone_minor": 0,
        "reason": "",
        "caller": "",
        "problem": "",
        "coins": [],
        "done_at": None,
        "next_query_at": None,
        "last_query_at": None,
        "queries": 0,
        "recheck_at": None,
        "rechecks": 0,
        "alarmed_at": None,
        "ended_by": None,
        "dispute_fee_minor": None,
        "dispute_fee_currency": None,
        **values,
    }


def _foreign(tx: Tx, captured: CapturedPayment, told: RefundTold, provider_account: str) -> Any:
    """A refund that is not ours and was never told before: under way until `_values` says how it stands, and only then
    written down."""
    row = new_row(
        captured,
        id=tx.core.numbers.next(captured.slot),
        seal=None,
        provider_account=provider_account,
        number_there=told.number,
        origin=Origin.PROVIDER,
        policy=tx.core.rules.clawback,
        status=RefundStatus.PENDING,
        created_at=told.at,
        next_query_at=tx.now + FIRST_QUESTION,
    )
    return refund_rows.RefundRow(**row)


def _after(row: AnyRow, told: RefundTold | None) -> RefundStatus:
    return status_told(RefundStatus(row.status), told.status if told is not None else None)


def _values(
    tx: Tx, captured: CapturedPayment, row: AnyRow, told: RefundTold, coins: list[dict[str, Any]]
) -> dict[str, Any]:
    """How the row must stand by what was told; when it is asked about next changes only with its status."""
    before, after = RefundStatus(row.status), _after(row, told)
    undone = of_amount(told.undone, captured.paid_minor) if captured.paid_minor else 0
    values: dict[str, Any] = {"status": after, "done_at": told.done_at, "undone_minor": undone, "coins": coins}
    fee, currency = told.dispute_fee or (None, None)
    values |= {"dispute_fee_minor": fee, "dispute_fee_currency": currency}
    if row.origin == Origin.PROVIDER:
        minor = told.minor if captured.currency is not None else None
        values |= {"amount_minor": minor, "currency": captured.currency if minor else None, "created_at": told.at}
    if after is not before:
        values |= {"problem": FAILED if after is RefundStatus.DECLINED else "", "recheck_at": None, "rechecks": 0}
        if after not in OPEN_REFUND:
            values["next_query_at"] = None
        if after is RefundStatus.DECLINED:
            values["recheck_at"] = next_try(tx.now, Retried.FAILED_REFUND, 0)
    return values


def _words(fact: AnyRow, captured: CapturedPayment, about: AnyRow | None, about_id: int | None) -> StatementText:
    payment_number = captured.payment.id if captured.payment is not None else captured.theirs
    note = about.reason if about is not None else fact.kind
    return StatementText(reference=str(about_id or payment_number)[:128], note=str(note)[:255])


def _freeze(tx: Tx, captured: CapturedPayment, asset: str, refund_id: int | None) -> None:
    order = captured.order
    if order is not None:
        reason = "refunded coins were spent"
        change = freezes.Change(order.user_id, order.environment, asset, True, reason, freezes.BY_POLICY)
        freezes.apply(tx, captured.slot, change, refund_id=refund_id)
