"""What the worker does about agreements: asks how they stand, ends them where that is wanted, charges what is due."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from typing import Any

import structlog

from app.domain.agreements import CHARGEABLE, IN_FORCE, NEVER_SIGNED, AgreementStatus
from app.domain.event_types import EventType
from app.domain.facts import AGREEMENT_KINDS, Ending, Fact, Kind, Ref
from app.domain.numbers import parse_number
from app.domain.schedule import HINT_GAP_SECONDS, give_up_moment, grace_end
from app.models.base import AnyRow
from app.providers.registry import ProviderAccount
from app.providers.verbs import Cancels
from app.services.agreements import agreement_facts, agreement_rows, plans
from app.services.agreements.agreement_facts import ENDED_BY_RULE
from app.services.base.context import Core, Tx, environment_of
from app.services.calls import call_log
from app.services.calls.agreement_charges import charge_if_due, ref_of_agreement, retry_moment
from app.services.calls.payment_queries import ASK_SECONDS, apply_all
from app.services.calls.provider_call import CallEnd, CallSubject, ProviderCall, call_provider
from app.services.facts import claims

STORE_SILENCE = timedelta(days=61)
"""So long after its paid period a subscription of which the store tells nothing new is over: stores go on collecting
for 60 days at the most (seen 2026-11-28)."""
DECLINED_PAUSE = timedelta(days=1)
"""After a provider refused to end an agreement."""
_log = structlog.get_logger(__name__)


def work_on_agreement(core: Core, number: int) -> bool:
    """One step about an agreement that fell due; False if it is not due, or another worker has it. Each step is
    recorded before the next, so dying anywhere only repeats a step."""
    row = core.of_number(number).transact(lambda tx: agreement_rows.AGREEMENTS_DUE.take(tx, number, tx.now))
    if row is None:
        return False
    again_at = _work(core, row)

    def plan(tx: Tx) -> None:
        now_is = agreement_rows.find_agreement(tx, number)
        if now_is is None:
            return
        usual = plans.next_work(now_is, tx.now, tx.core.rules.ask, plans.window_of(tx, now_is))
        agreement_rows.set_work(tx, row, _sooner(now_is, again_at, usual, tx.now))

    core.at(row.slot).transact(plan)
    return True


def _sooner(row: AnyRow, again_at: datetime | None, usual: datetime | None, now: datetime) -> datetime | None:
    """What the step says counts before the plan, but for the moment of the next question."""
    if row.status == AgreementStatus.ENDED or again_at is None:
        return usual
    asked_at: datetime = row.asked_at or row.signed_at or row.created_at
    return max(now, min(again_at, max(asked_at + plans.ASK_GAP, now + timedelta(hours=1))))


def _work(core: Core, row: AnyRow) -> datetime | None:
    now = core.clock.now()
    account = core.registry.get(row.provider_account)
    if account is None:
        _log.error("agreement_without_provider_account", agreement=row.id)
        return now + plans.ASK_GAP
    if row.status != AgreementStatus.ENDED and row.cancel_at is not None and row.cancel_at <= now:
        return end_at_provider(core, account, row)
    asked_at = row.asked_at or row.signed_at or row.created_at
    if row.status == AgreementStatus.SIGNING or row.by_store or asked_at + plans.ASK_GAP <= now:
        return ask_about_agreement(core, account, row)
    if row.status in CHARGEABLE:
        return charge_if_due(core, row.id)
    return None


def hint_agreement(
    core: Core, ref: Ref, *, account: ProviderAccount | None = None, gap_seconds: int = HINT_GAP_SECONDS
) -> bool:
    """Somebody unproven named this agreement: have the worker ask its provider now, at most once a minute. True if it
    will. An earlier system's number is understood where the provider account is told."""
    number = parse_number(ref.our_agreement)
    now = core.clock.now()
    before, due = now - timedelta(seconds=gap_seconds), now - plans.ASK_GAP

    def bring_forward(number: int) -> bool:
        return core.of_number(number).transact(
            lambda tx: agreement_rows.bring_question_forward(tx, number, before, due)
        )

    if number is not None and bring_forward(number):
        return True
    imported = None if account is None else _imported(core, account, ref)
    return imported is not None and bring_forward(imported)


def ask_when_read(core: Core, row: AnyRow) -> bool:
    """Ask the store about an agreement in force that somebody looks at, at most once a day; whether it was asked. A
    lost word about its renewal is told by nothing else before the period ends. The caller says how long may be waited
    for."""
    now = core.clock.now()
    before = now - plans.ASK_GAP
    if not row.by_store or row.status not in IN_FORCE or (row.asked_at or row.created_at) > before:
        return False
    forward = partial(agreement_rows.bring_question_forward, number=row.id, asked_before=before, as_if_asked_at=now)
    if not core.at(row.slot).transact(forward):
        return False
    return work_on_agreement(core, row.id)


def _imported(core: Core, account: ProviderAccount, ref: Ref) -> int | None:
    """Our number of an imported agreement that is named so."""
    environment, reference = environment_of(account.live), claims.imported_reference(ref)
    owner = claims.owner_of(core, account.name, environment, reference)
    if owner is None:
        return None
    return core.of_user(owner).read(lambda tx: agreement_rows.imported_number(tx, owner, account.name, ref))


def ask_about_agreement(core: Core, account: ProviderAccount, row: AnyRow) -> datetime | None:
    """Ask the provider how the agreement stands, and apply what it says; when to ask again, None: by the plan."""
    called: ProviderCall[tuple[Fact, ...]] = call_provider(
        core,
        account,
        "query",
        lambda: account.provider.query(ref_of_agreement(row)),
        seconds=ASK_SECONDS,
        subject=CallSubject(row.slot, agreement=row.id),
    )
    if called.answer is None:
        core.at(row.slot).transact(lambda tx: call_log.keep_call(tx, called))
        return retry_moment(core, row, called)
    if called.answer:
        apply_all(core, account, called.answer, "query", called)
    is_anothers = row.by_store and _is_anothers(core, row)
    core.at(row.slot).transact(lambda tx: _asked(tx, row, called, is_anothers=is_anothers))
    return None


def _is_anothers(core: Core, row: AnyRow) -> bool:
    """Whether the subscription has gone over to another user of ours, who has its newest period."""
    reference = claims.agreement_reference(row.theirs)
    owner = claims.owner_of(core, row.provider_account, row.environment, reference)
    return owner not in (None, row.user_id)


def _asked(tx: Tx, seen: AnyRow, called: ProviderCall[tuple[Fact, ...]], *, is_anothers: bool) -> None:
    """The provider has answered: what is over by its silence ends here. An answer in facts was kept with the first."""
    is_known = bool(called.answer)
    if not is_known:
        call_log.keep_call(tx, called)
    row = agreement_rows.lock_agreement(tx, seen.id)
    if row is None:
        return
    row = agreement_rows.change_agreement(tx, row, {"asked_at": tx.now})
    if row.status in IN_FORCE:
        row = agreement_rows.change_agreement(tx, row, {"tries": 0})
    if row.status == AgreementStatus.SIGNING:
        over = give_up_moment(row.expires_at) if is_known else grace_end(row.expires_at, tx.core.rules.ask)
        if tx.now >= over:
            _end(tx, row, NEVER_SIGNED)
        return
    if row.status not in IN_FORCE:
        return
    if is_anothers:
        _end(tx, row, Ending.TIME)
        return
    row = _as_told_again(tx, row, called.answer or ())
    if not row.by_store:
        return
    ends = [each for each in (row.paid_until, row.valid_until) if each is not None]
    if ends and row.status in IN_FORCE and tx.now >= max(ends) + STORE_SILENCE:
        _end(tx, row, Ending.TIME)


def _as_told_again(tx: Tx, row: AnyRow, answer: tuple[Fact, ...]) -> AnyRow:
    """What an answer says of the running period may be the very words that were said of that before others, which are
    over again: told again they are no new fact, and hold all the same."""
    words = [fact for fact in answer if fact.kind in AGREEMENT_KINDS and fact.ref.agreement == row.theirs]
    if not words:
        return row
    word = words[-1]
    if word.kind is Kind.SIGNED and word.period_end not in (row.paid_until, row.valid_until):
        return row
    is_answer = word.kind is Kind.PAST_DUE or not row.by_store
    followed = agreement_facts.follow_word(tx, row, word, is_answer=is_answer)
    return agreement_rows.known_agreement(tx, row.id) if followed else row


def end_at_provider(core: Core, account: ProviderAccount, row: AnyRow) -> datetime | None:
    """End an agreement at its provider, because that is wanted. Unknown is asked about until it has ended."""
    provider = account.provider
    if not isinstance(provider, Cancels):
        core.at(row.slot).transact(lambda tx: _ended_by_us(tx, row))
        return None
    canceller = provider
    called: ProviderCall[tuple[Fact, ...]] = call_provider(
        core,
        account,
        "cancel",
        lambda: canceller.cancel(ref_of_agreement(row)),
        seconds=ASK_SECONDS,
        subject=CallSubject(row.slot, agreement=row.id),
    )
    if called.answer is not None:
        apply_all(core, account, called.answer, "reply", called)
        if not called.answer and row.status == AgreementStatus.SIGNING:  # it may still be signed
            return ask_about_agreement(core, account, row)
        if not called.answer:  # the provider knows no such agreement
            core.at(row.slot).transact(lambda tx: _ended_by_us(tx, row))
            return None
        core.at(row.slot).transact(lambda tx: _ended_as_told(tx, row, called))
        return core.clock.now() + timedelta(minutes=10)
    core.at(row.slot).transact(lambda tx: _not_ended(tx, row, called))
    asked_again = ask_about_agreement(core, account, row)
    if called.end is CallEnd.DECLINED:
        return core.clock.now() + DECLINED_PAUSE
    return asked_again or retry_moment(core, row, called)


def _ended_as_told(tx: Tx, seen: AnyRow, called: ProviderCall[tuple[Fact, ...]]) -> None:
    """The provider has answered that it is over, perhaps by a word that was told before and did not count then."""
    row = agreement_rows.lock_agreement(tx, seen.id)
    if row is not None and row.status in IN_FORCE:
        _as_told_again(tx, row, called.answer or ())


def _not_ended(tx: Tx, seen: AnyRow, called: ProviderCall[tuple[Fact, ...]]) -> None:
    row = agreement_rows.lock_agreement(tx, seen.id)
    call_log.keep_call(tx, called)
    if row is not None:
        agreement_rows.change_agreement(tx, row, {"problem": called.problem})


def _ended_by_us(tx: Tx, seen: AnyRow) -> None:
    row = agreement_rows.lock_agreement(tx, seen.id)
    if row is not None and row.status in IN_FORCE:
        _end(tx, row, Ending.UNPAID if row.cancel_by == ENDED_BY_RULE else Ending.US)


def _end(tx: Tx, row: AnyRow, how: str) -> None:
    """End a locked agreement on our own word."""
    changes: dict[str, Any] = {"status": AgreementStatus.ENDED, "ended_at": tx.now, "ended_by": how, "action": None}
    agreement_facts.settle_agreement(tx, row, changes, EventType.AGREEMENT_ENDED)
