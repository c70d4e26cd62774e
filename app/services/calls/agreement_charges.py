"""Charges a period under an agreement, and tells the payer of it before where the provider wants that."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, cast

import structlog

from app.domain.facts import Fact, Ref, Refusal
from app.domain.money import Money
from app.domain.periods import due_day
from app.domain.retries import Retried
from app.domain.status import Cause, PaymentStatus
from app.models.base import AnyRow
from app.providers.agreements import Agreements, Announces, charge_window
from app.providers.registry import ProviderAccount
from app.services.agreements import agreement_facts, agreement_rows, charge_rows, charge_steps, plans
from app.services.base.context import Core, Tx
from app.services.base.leases import next_try
from app.services.calls import call_log
from app.services.calls.payment_queries import apply_all
from app.services.calls.provider_call import CallEnd, CallSubject, ProviderCall, call_provider
from app.services.payments import intents, payment_rows

CHARGE_SECONDS = 15.0
UNCONFIGURED_PAUSE = timedelta(hours=1)
"""Before an agreement is looked at again whose provider account is not configured any more."""
_log = structlog.get_logger(__name__)


def charge_if_due(core: Core, number: int) -> datetime | None:
    """Take the step that is due about the next period; when to look again, None: as the agreement says."""
    step = core.of_number(number).transact(lambda tx: charge_steps.next_charge_step(tx, number))
    if step.agreement is None:
        return None
    account = core.registry.get(step.agreement.provider_account)
    if account is None or not isinstance(account.provider, Agreements):
        _log.error("agreement_without_provider_account", agreement=number)
        return core.clock.now() + UNCONFIGURED_PAUSE
    if step.charge is not None:
        return _charge(core, account, step.agreement, step.charge)
    if step.announce is not None:
        return _announce(core, account, step.agreement, step.announce)
    return step.again_at


def ref_of_agreement(row: AnyRow) -> Ref:
    """An agreement by its numbers at both sides; a store knows only its own, and of an imported agreement a provider
    has the number that the earlier system gave, if any."""
    ours = row.known_as if row.imported is not None else str(row.id)
    return Ref(agreement=row.theirs, our_agreement=None if row.by_store else ours)


def retry_moment(core: Core, row: AnyRow, called: ProviderCall[Any]) -> datetime:
    """When a call that brought no answer is made again."""
    usual = next_try(core.clock.now(), Retried.AGREEMENT, row.tries - 1)
    return usual if called.not_before is None else max(usual, called.not_before)


def _charge(core: Core, account: ProviderAccount, row: AnyRow, payment: Any) -> datetime | None:
    provider, intent = cast(Agreements, account.provider), intents.from_json(payment.intent)
    called: ProviderCall[tuple[Fact, ...]] = call_provider(
        core,
        account,
        "charge",
        lambda: provider.charge(ref_of_agreement(row), intent),
        seconds=CHARGE_SECONDS,
        subject=CallSubject(payment.slot, payment=payment.id, agreement=row.id),
    )
    if called.answer is not None:
        apply_all(core, account, called.answer, "reply", called)
        core.at(payment.slot).transact(lambda tx: _record(tx, payment, Cause.STARTED, ""))
        return core.clock.now() + charge_steps.WHILE_OPEN
    if called.end is CallEnd.DECLINED:
        is_over = core.at(payment.slot).transact(lambda tx: _declined(tx, payment, called))
        return None if is_over else retry_moment(core, row, called)
    cause = Cause.UNANSWERED if called.end is CallEnd.UNKNOWN else None

    def failed(tx: Tx) -> None:
        _record(tx, payment, cause, called.problem)
        call_log.keep_call(tx, called)

    core.at(payment.slot).transact(failed)
    return retry_moment(core, row, called)


def _record(tx: Tx, payment: Any, cause: Cause | None, problem: str) -> None:
    """What the call came to, unless facts have moved the payment on."""
    payment_rows.lock_order(tx, payment.slot, payment.order_id)
    payment_rows.record_start(tx, payment.slot, payment.id, cause, action=None, problem=problem)


def _declined(tx: Tx, payment: Any, called: ProviderCall[Any]) -> bool:
    """A definite no: the attempt has failed, and the table says what is next. Where an earlier call may have made the
    charge, a later no proves nothing: False, the active query decides."""
    order = payment_rows.lock_order(tx, payment.slot, payment.order_id)
    before = payment_rows.lock_payment(tx, payment.slot, payment.id)
    payment_rows.record_start(tx, payment.slot, payment.id, Cause.DECLINED, action=None, problem=called.problem)
    call_log.keep_call(tx, called)
    if before.status != PaymentStatus.CREATED:
        return False
    row = agreement_rows.lock_agreement(tx, order.agreement_id)
    period = None if row is None else agreement_rows.find_period(tx, row, order.period_number)
    if row is not None and period is not None and period.status == "due":
        agreement_facts.period_refused(tx, row, period, called.refusal or Refusal.OTHER, payment.attempt, order)
    return True


def _announce(core: Core, account: ProviderAccount, row: AnyRow, period: AnyRow) -> datetime | None:
    provider = account.provider
    if not isinstance(provider, Announces):
        core.at(row.slot).transact(lambda tx: _announced(tx, row, period))
        return core.clock.now()
    announcer = provider
    money = Money(charge_rows.amount_of(row, period.number), row.currency)
    soonest = core.clock.now() + charge_window(provider).notice
    due = due_day(max(period.starts_at, soonest), plans.zone_of(row))
    called = call_provider(
        core,
        account,
        "announce",
        lambda: announcer.announce(ref_of_agreement(row), money, due),
        seconds=CHARGE_SECONDS,
        subject=CallSubject(row.slot, agreement=row.id),
    )
    if not called.answered:
        core.at(row.slot).transact(lambda tx: call_log.keep_call(tx, called))
        return retry_moment(core, row, called)
    core.at(row.slot).transact(lambda tx: _announced(tx, row, period, called))
    return core.clock.now()


def _announced(tx: Tx, row: AnyRow, period: AnyRow, called: ProviderCall[None] | None = None) -> None:
    if called is not None:
        call_log.keep_call(tx, called)
    if agreement_rows.lock_agreement(tx, row.id) is not None:
        agreement_rows.change_period(tx, period, {"announced_at": tx.now})
