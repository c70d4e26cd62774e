"""The active query: our own question to a provider about one payment, on our own clock or when somebody reads it."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from functools import partial
from typing import Any

import structlog

from app.domain.facts import REFUND_KINDS, Fact, Ref
from app.domain.numbers import parse_number, slot_of_number
from app.domain.schedule import HINT_GAP_SECONDS, READ_GAP_SECONDS, next_ask
from app.domain.status import OPEN_PAYMENT, UNPAID_END, PaymentStatus
from app.models.base import AnyRow
from app.models.orders import Payment
from app.providers.registry import ProviderAccount
from app.services.base.context import Core, Tx
from app.services.base.leases import LeaseQueue
from app.services.base.reported_fact import ReportedFact, Road
from app.services.calls import call_log
from app.services.calls.provider_call import CallSubject, ProviderCall, call_provider
from app.services.facts.owner import BesideFact, tell
from app.services.facts.record import Applied
from app.services.payments import expiry, payment_rows

ASK_SECONDS = 15.0
READER_SECONDS = 2.0
"""How long a reader waits for the provider before being shown what we know."""
# Only queries on our own clock count for the back-off: somebody who reads often must not make the worker ask less.
PAYMENTS_DUE = LeaseQueue(
    Payment.__table__,
    "next_query_at",
    "due_payments",
    counts="queries",
    stamps="last_query_at",
    gap_seconds=READ_GAP_SECONDS,
)
_log = structlog.get_logger(__name__)


class Answer(StrEnum):
    FACTS = "facts"
    NO_SUCH = "no_such"
    """The provider knows of no such payment now. It may know it later."""
    NONE = "none"
    """No answer that can be believed."""


@dataclass(frozen=True, slots=True)
class Asked:
    answer: Answer
    row: AnyRow
    """The payment as it stood after the answer was applied."""


def ask_if_due(core: Core, payment_id: int) -> None:
    """Ask because somebody is looking, if nobody asked in the last 3 seconds; wait at most 2."""
    now = core.clock.now()
    if core.of_number(payment_id).transact(lambda tx: PAYMENTS_DUE.take_early(tx, payment_id, now)) is None:
        return
    asked = ask(core, payment_id, seconds=READER_SECONDS)
    if asked is not None:
        # What is reserved is captured by the worker: a reader does not wait for that.
        is_waiting = asked.row.status == PaymentStatus.AUTHORIZED
        schedule_next(core, asked.row, answered=asked.answer is not Answer.NONE, is_waiting=is_waiting)


def take_due(core: Core, payment_id: int) -> bool:
    """Lease a payment whose query is due; False if another worker was faster."""
    now = core.clock.now()
    return core.of_number(payment_id).transact(lambda tx: PAYMENTS_DUE.take(tx, payment_id, now)) is not None


def ask(core: Core, payment_id: int, *, seconds: float = ASK_SECONDS) -> Asked | None:
    """Query the provider about the payment and apply what it says. None if there is no such payment or account."""
    row = _read(core, payment_id)
    account = core.registry.get(row.provider_account) if row is not None else None
    if row is None or account is None:
        return None
    ref = Ref(ours=str(row.id), theirs=row.theirs)
    query = account.provider.query
    called = call_provider(core, account, "query", lambda: query(ref), seconds=seconds, subject=call_subject(row))
    return apply_answer(core, account, row, called, "query")


def apply_answer(
    core: Core, account: ProviderAccount, row: AnyRow, called: ProviderCall[tuple[Fact, ...]], road: Road
) -> Asked:
    """Apply what the provider answered about the payment."""
    apply_all(core, account, called.answer or (), road, called)
    if called.answer is None:
        return Asked(Answer.NONE, row)
    return Asked(Answer.FACTS if called.answer else Answer.NO_SUCH, reread(core, row))


def call_subject(row: AnyRow) -> CallSubject:
    """What a call about this payment is about."""
    return CallSubject(row.slot, payment=row.id)


def apply_all(
    core: Core,
    account: ProviderAccount,
    facts: Sequence[Fact],
    road: Road,
    called: ProviderCall[Any] | None = None,
    finish: Callable[[Tx, Applied], object] | None = None,
) -> None:
    """Apply each fact in a transaction of its own; `called`, the call that brought them, is kept in the first. Without
    a fact, or where the first cannot be applied or lies in another slot (another user's), the call is kept alone.
    `finish` is what the asker does last: if there is one fact, in its transaction, after the call is kept with it;
    it gets what became of the fact. Otherwise `finish` is left to the asker.

    What went back is told before what was paid: so money that is back is never there as coins to be spent, nor after a
    process died between the two."""
    facts = sorted(facts, key=lambda fact: fact.kind not in REFUND_KINDS)
    if called is not None and called.record is not None:
        keep, slot = partial(call_log.keep_call, called=called, facts=facts), called.record.subject.slot
        told: Applied | None = None
        last = finish if len(facts) == 1 else None

        def beside(tx: Tx, applied: Applied) -> None:
            keep(tx)
            if last is not None:
                last(tx, applied)

        try:
            if facts:
                told = tell(core, ReportedFact(account, facts[0], road), beside=BesideFact(slot, beside))
        finally:
            if told is None or told.slot != slot:
                core.at(slot).transact(keep)
        facts = facts[1:]
    for fact in facts:
        tell(core, ReportedFact(account, fact, road))


def schedule_next(
    core: Core, row: AnyRow, *, answered: bool = True, is_unsettled: bool = False, is_waiting: bool = False
) -> None:
    """Set the next query of a payment that was just asked about; none for one that is settled. `is_unsettled`: it has
    ended, and money is reserved for it still; `is_waiting`: that the worker has something to do about it now.

    Somebody may have named it while it was asked: that answer may be older than their message, so it is asked again."""
    moment = None
    if row.status in OPEN_PAYMENT or is_unsettled:
        now, rules = core.clock.now(), core.rules.ask
        jitter = random.random()  # noqa: S311 - spreads queries, keeps no secret
        moment = next_ask(now=now, asked=row.queries, expires_at=row.expires_at, rules=rules, jitter=jitter)
    elif row.status in UNPAID_END:
        moment = expiry.late_ask_after(core, row.expires_at, row.problem, answered=answered)
    if row.status in OPEN_PAYMENT | UNPAID_END and (is_waiting or _named_since_asked(row)):
        moment = core.clock.now() + timedelta(seconds=READ_GAP_SECONDS)
    core.at(row.slot).transact(
        lambda tx: payment_rows.set_next_query(tx, row.slot, row.id, status=row.status, moment=moment),
    )


def _named_since_asked(row: AnyRow) -> bool:
    return row.hinted_at is not None and row.last_query_at is not None and row.hinted_at > row.last_query_at


def put_off(core: Core, payment_id: int) -> None:
    """Nobody can be asked about this payment now (its account is not configured): look again later."""
    row = _read(core, payment_id)
    if row is not None:
        schedule_next(core, row)


def hint(core: Core, ref: Ref, *, gap_seconds: int = HINT_GAP_SECONDS) -> bool:
    """Somebody unproven named this payment: bring its query forward, at most once a minute. True if it was."""
    number = parse_number(ref.ours)
    if number is None:
        return False
    now = core.clock.now()
    return core.of_number(number).transact(
        lambda tx: payment_rows.bring_forward(
            tx,
            slot_of_number(number),
            number,
            now=now,
            hinted_before=now - timedelta(seconds=gap_seconds),
        ),
    )


def reread(core: Core, row: AnyRow) -> AnyRow:
    """The payment as it stands now."""
    return _read(core, row.id) or row


def _read(core: Core, payment_id: int) -> AnyRow | None:
    slot = slot_of_number(payment_id)
    return core.at(slot).read(lambda tx: payment_rows.find_payment(tx, slot, payment_id))
