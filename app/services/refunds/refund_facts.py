"""A provider's fact about a refund, inside the one consumer of facts. The caller records the fact and settles it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from app.domain.deciding import Booking, Decision
from app.domain.facts import Fact, Kind, Ref, key_of
from app.domain.matching import Mismatch, Told, foreign
from app.domain.numbers import parse_number
from app.domain.refunding import Clawback, Origin, RefundCause, RefundStatus, tells_a_size
from app.domain.schedule import HINT_GAP_SECONDS
from app.domain.status import Outcome
from app.models.base import AnyRow
from app.models.refunds import Refund
from app.services.accounts import freezes
from app.services.base.context import Core, Tx
from app.services.base.upsert import insert_numbered
from app.services.ledger import clawback
from app.services.ledger.clawback import ClawbackResult, StatementText
from app.services.payments import payment_rows
from app.services.payments.payment_rows import LockedPayment
from app.services.refunds import refund_rows, settlement
from app.services.refunds.captured_payments import Trade, own_amounts, refund_fact, refunds_of, trade_of
from app.services.refunds.refund_rows import SIZE_KINDS
from app.services.refunds.settlement import Plan

_PROGRESS = {Kind.REFUND_PENDING: RefundCause.PENDING, Kind.REFUND_FAILED: RefundCause.FAILED}
_WAITS = Decision(Outcome.PARKED, Mismatch.BEFORE_PAYMENT)


def says_more(known: Mapping[str, Any], told: Mapping[str, Any]) -> bool:
    """Whether a later telling of one refund brings a size that the first did not: one road tells this refund alone,
    another the total so far."""
    return any(known[name] is None and told[name] is not None for name in ("amount_minor", "total_minor", "share"))


def take_in(tx: Tx, slot: int, fact_id: int, locked: LockedPayment | None) -> tuple[Decision, int | None]:
    """What the recorded fact changes, and the payment that it is about, if there is one here."""
    if locked is None:
        return _take_in_unmatched(tx, refund_rows.fact(tx, slot, fact_id)), None
    fact = refund_rows.fact(tx, slot, fact_id)
    return apply(tx, fact, locked.order, locked.payment), int(locked.payment.id)


def apply(tx: Tx, fact: AnyRow, order: AnyRow, payment: AnyRow) -> Decision:
    """The same for a fact about a payment whose order and row are locked. Safe to repeat."""
    if payment.provider_account != fact.provider_account:
        return Decision(Outcome.PARKED, Mismatch.OTHER_PROVIDER_ACCOUNT)
    strange = _strange(tx.core, fact, live=order.environment == "live")
    if strange is not None:
        return Decision(Outcome.PARKED, strange)
    if fact.kind not in SIZE_KINDS:
        return _progress(tx, fact, order, payment)
    trade = trade_of(tx, order, payment, fact.content["theirs"])
    if trade is None:
        _ask_soon(tx, payment)
        return _WAITS
    return _sized(tx, fact, trade)


def apply_to_unmatched(tx: Tx, fact: AnyRow, paid: AnyRow) -> Decision:
    """The same for money that lies in suspense because there is no payment for it here."""
    return _sized(tx, fact, Trade(paid, None, None))


def _take_in_unmatched(tx: Tx, fact: AnyRow) -> Decision:
    # No check of the environment: it is part of the name under which the payment will be looked for.
    strange = _strange(tx.core, fact, live=fact.content["live"])
    if strange is not None:
        return Decision(Outcome.PARKED, strange)
    if fact.kind not in SIZE_KINDS:
        return Decision(Outcome.PARKED, Mismatch.UNKNOWN_NUMBER)
    key = key_of(Fact(Kind.PAID, Ref(theirs=fact.content["theirs"]), fact.at))
    paid = refund_rows.unmatched_paid_fact(tx, fact.slot, fact.provider_account, fact.environment, key)
    if paid is None or paid.booking == Booking.NOTHING:
        return _WAITS
    return apply_to_unmatched(tx, fact, paid)


def _strange(core: Core, fact: AnyRow, *, live: bool) -> Mismatch | None:
    account = core.registry.get(fact.provider_account)
    content = fact.content
    told = Told(content["account"], content["live"], content["theirs"], None, None, None, None)
    expected = account.provider.account if account is not None else content["account"] or ""
    return foreign(told, account=expected, live=live)


def _ask_soon(tx: Tx, payment: AnyRow) -> None:
    """What is refunded was paid: ask about the payment now, since the news of that may be lost."""
    now = tx.now
    before = now - timedelta(seconds=HINT_GAP_SECONDS)
    payment_rows.bring_forward(tx, payment.slot, payment.id, now=now, hinted_before=before)


# --- how far a refund of ours has come ---


def _progress(tx: Tx, fact: AnyRow, order: AnyRow, payment: AnyRow) -> Decision:
    cause, row = _PROGRESS.get(Kind(fact.kind)), _own(tx, fact, payment)
    if cause is None or row is None:
        return Decision(Outcome.NOTED)
    problem = "the provider says that it failed" if cause is RefundCause.FAILED else ""
    return Decision(Outcome.APPLIED if move(tx, row, order, payment, cause, problem=problem) else Outcome.NOTED)


def move(tx: Tx, row: AnyRow, order: AnyRow, payment: AnyRow, cause: RefundCause, *, problem: str) -> bool:
    """Take a refund of ours along; a declined one gives its reserved coins back. False if nothing changed."""
    now = tx.now
    after = refund_rows.move(tx, row, cause, now=now, problem=problem)
    if after is RefundStatus.DECLINED:
        trade = trade_of(tx, order, payment, row.theirs)
        for wallet in {grant.credit for grant in trade.grants} if trade is not None else ():
            hold = clawback.hold_id(row.slot, wallet.user_id, settlement.hold_key(row.id, wallet.asset))
            clawback.release(tx, row.slot, wallet, [hold], at=now, rules=tx.core.rules.ledger)
    return after is not None


def _own(tx: Tx, fact: AnyRow, payment: AnyRow) -> AnyRow | None:
    """The refund of ours that the fact is about."""
    number = parse_number(fact.content["refund"])
    row = refund_rows.refund(tx, payment.slot, number) if number is not None else None
    return row if row is not None and row.payment_id == payment.id and row.origin != Origin.PROVIDER else None


# --- how much is refunded ---


def _sized(tx: Tx, fact: AnyRow, trade: Trade) -> Decision:
    unusable = _unusable(tx, fact, trade)
    if unusable is not None:
        return Decision(Outcome.PARKED, unusable)
    payment_id = trade.payment.id if trade.payment is not None else None
    # From here on it counts; the caller writes the final outcome.
    payment_rows.settle_fact(tx, trade.slot, fact.id, Decision(Outcome.NOTED), payment_id)
    wanted = settlement.plan(tx, trade)
    row = _refund_row(tx, fact, trade, wanted)
    policy = Clawback(row.policy) if row is not None else tx.core.rules.clawback
    ending = row if row is not None and row.origin != Origin.PROVIDER and fact.kind == Kind.REFUNDED else None
    outcomes = settlement.settle(tx, trade, wanted, policy=policy, words=_words(fact, trade, row), ending=ending)
    moved = _move_refunds(tx, trade, wanted, row, outcomes)
    _freeze(tx, trade, policy, outcomes, row)
    return Decision(Outcome.APPLIED if wanted.changes or moved else Outcome.NOTED)


def _unusable(tx: Tx, fact: AnyRow, trade: Trade) -> Mismatch | None:
    currency = fact.content["currency"]
    if currency is not None and trade.currency is not None and currency != trade.currency:
        return Mismatch.OTHER_CURRENCY
    told = refund_fact(fact, own_amounts(refunds_of(tx, trade)))
    return None if told.undone or tells_a_size(told, trade.paid_minor) else Mismatch.NO_AMOUNT


def _refund_row(tx: Tx, fact: AnyRow, trade: Trade, wanted: Plan) -> AnyRow | None:
    """The refund that the fact is about: ours, or the provider's own decision, written down now if it changes
    anything. None for one that was undone, or for money without a payment here."""
    if trade.payment is None or trade.order is None or fact.kind != Kind.REFUNDED:
        return None
    own = _own(tx, fact, trade.payment)
    if own is not None:
        return own
    number = fact.content["refund"] or ""
    known = next((row for row in refunds_of(tx, trade) if row.number_there == number), None)
    if known is not None or not wanted.changes:
        return known
    now = tx.now
    refund_id = insert_numbered(
        tx,
        Refund.__table__,
        tx.core.numbers,
        {
            "slot": trade.slot,
            "order_id": trade.order.id,
            "payment_id": trade.payment.id,
            "provider_account": fact.provider_account,
            "theirs": trade.theirs,
            "number_there": number,
            "origin": Origin.PROVIDER,
            "amount_minor": None,
            "currency": None,
            "reason": "",
            "policy": tx.core.rules.clawback,
            "status": RefundStatus.DONE,
            "caller": "",
            "problem": "",
            "coins": [],
            "created_at": now,
            "done_at": now,
            "next_query_at": None,
            "last_query_at": None,
            "queries": 0,
        },
    )
    return refund_rows.refund(tx, trade.slot, refund_id)


def _words(fact: AnyRow, trade: Trade, row: AnyRow | None) -> StatementText:
    number = row.id if row is not None else trade.payment.id if trade.payment is not None else trade.theirs
    return StatementText(reference=str(number)[:128], note=str(row.reason if row is not None else fact.kind)[:255])


def _move_refunds(tx: Tx, trade: Trade, wanted: Plan, row: AnyRow | None, outcomes: list[ClawbackResult]) -> bool:
    """The refund is done; others may be undone by the same fact. True if any moved."""
    now, moved, coins = tx.now, False, settlement.told_of(outcomes)
    if row is not None and row.origin == Origin.PROVIDER:
        refund_rows.add_outcome(tx, row, max(0, wanted.money), trade.currency, coins)
    for refund in refunds_of(tx, trade):
        number = refund.number_there if refund.origin == Origin.PROVIDER else str(refund.id)
        if refund.status == RefundStatus.DONE and number not in wanted.refunded.standing:
            moved |= refund_rows.move(tx, refund, RefundCause.UNDONE, now=now) is not None
        elif row is not None and refund.id == row.id:
            cause = RefundCause.DONE if number in wanted.refunded.standing else RefundCause.UNDONE
            moved |= refund_rows.move(tx, refund, cause, now=now, coins=coins) is not None
    return moved


def _freeze(tx: Tx, trade: Trade, policy: Clawback, outcomes: list[ClawbackResult], row: AnyRow | None) -> None:
    if policy is not Clawback.FREEZE or trade.order is None:
        return
    for asset in {outcome.asset for outcome in outcomes if outcome.step.owe}:
        change = freezes.Change(
            trade.order.user_id, trade.order.environment, asset, True, "refunded coins were spent", freezes.POLICY
        )
        freezes.apply(tx, trade.slot, change, refund_id=row.id if row is not None else None)
