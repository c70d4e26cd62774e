"""Asks the provider to make a payment that is already written down, and records what came of it."""

from __future__ import annotations

import json
from typing import Any

import structlog

from app.domain.numbers import slot_of_number, slot_of_user
from app.domain.status import OPEN_PAYMENT, PAYABLE, Cause, PaymentStatus, next_payment_status
from app.providers.errors import Unknown
from app.providers.facts import Started
from app.providers.http import deadline
from app.services.base.context import Core, Tx
from app.services.base.errors import DomainError, PaymentDeclined, ProviderMisconfigured, ProviderUnavailable
from app.services.base.idempotency import Keyed, find_key
from app.services.base.sanitize import printable
from app.services.calls import call_log
from app.services.calls.payment_cancels import cancel
from app.services.calls.payment_queries import Answer, apply_all, ask, call_subject
from app.services.calls.provider_call import START, CallEnd, ProviderCall, call_provider
from app.services.payments import intents, payment_rows
from app.services.payments.orders import PayBy, add_payment, open_payments_to_replace

START_SECONDS = 12.0
SHUT_SECONDS = 4.0
_log = structlog.get_logger(__name__)


def start_payment(core: Core, payment_id: int, written: Any = None) -> Any:
    """Bring the payment to where the client can go on. Safe to repeat: the provider gets the same request again.

    `written` is the payment's row where the caller has just written it; then the row after the start is given back, if
    nobody but this call has changed it.
    Raises PaymentDeclined, ProviderUnavailable (nothing is lost: repeat the request) or ProviderMisconfigured.
    """
    row = written or core.of_number(payment_id).read(
        lambda tx: payment_rows.find_payment(tx, slot_of_number(payment_id), payment_id)
    )
    if row is not None and row.status == PaymentStatus.FAILED and row.action is None and row.problem:
        raise _declined_before(row)
    if row is None or row.status not in PAYABLE or row.action is not None or row.expires_at <= core.clock.now():
        return None
    account = core.registry.get(row.provider_account)
    if account is None:
        raise ProviderMisconfigured(f"The provider account {row.provider_account!r} is not configured any more.")
    called = call_provider(
        core,
        account,
        START,
        lambda: usable(account.provider.start(intents.from_json(row.intent))),
        seconds=START_SECONDS,
        subject=call_subject(row),
    )
    if called.answer is None:
        _record_failure(core, row, called)
        raise _problem_of(row, called)
    after = _record_started(core, row, called, called.answer)
    apply_all(core, account, called.answer.facts, "reply")
    return None if written is None or called.answer.facts else after


def usable(started: Started) -> Started:
    """What the client is to do next is kept and handed on as it is. Raises Unknown where that cannot be done: the
    provider may have made the payment all the same."""
    action = json.loads(json.dumps(dict(started.action)))
    if printable(action) != action:
        raise Unknown("what the client is to do next cannot be stored")
    return started


def _record_started(core: Core, row: Any, called: ProviderCall[Started], started: Started) -> Any:
    """The row as it is now; None if somebody else has changed it, too."""
    action = dict(started.action)

    def first(tx: Tx) -> bool:
        if called.record is not None:  # seldom where the start is a signature of our own
            call_log.keep_call(tx, called, started.facts)
        return payment_rows.mark_started(tx, row.slot, row.id, action)

    if row.status == PaymentStatus.CREATED and core.at(row.slot).alone(first):
        return row._replace(status=PaymentStatus.PENDING, action=action) if hasattr(row, "_replace") else None

    def work(tx: Tx) -> None:
        payment_rows.record_start(tx, row.slot, row.id, Cause.STARTED, action=action, problem="")
        call_log.keep_call(tx, called, started.facts)

    core.at(row.slot).transact(work)
    return None


_CAUSES = {CallEnd.DECLINED: Cause.DECLINED, CallEnd.UNKNOWN: Cause.UNANSWERED}
"""A definite no ends the payment; a call that surely did not happen leaves the payment; all else makes it unknown."""


def _record_failure(core: Core, row: Any, called: ProviderCall[Started]) -> None:
    cause = _CAUSES.get(called.end)

    def work(tx: Tx) -> None:
        payment_rows.record_start(tx, row.slot, row.id, cause, action=None, problem=called.problem)
        call_log.keep_call(tx, called)

    core.at(row.slot).transact(work)


def _declined_before(row: Any) -> PaymentDeclined:
    """The first answer again: whoever lost it must not take the repeat for a payment that can be made. A
    provider's word for its refusal comes first in what is kept, and is never a plain word of a sentence."""
    word = row.problem.partition(" ")[0]
    code = word if word.isupper() or not word.isalpha() else ""
    return PaymentDeclined(provider_code=code, order=str(row.order_id), payment=str(row.id))


def _problem_of(
    row: Any, called: ProviderCall[Started]
) -> PaymentDeclined | ProviderUnavailable | ProviderMisconfigured:
    members = {"order": str(row.order_id), "payment": str(row.id)}
    declined = called.end is CallEnd.DECLINED
    if declined and next_payment_status(PaymentStatus(row.status), Cause.DECLINED):
        return PaymentDeclined(provider_code=called.code, **members)
    if called.end is CallEnd.MISCONFIGURED:
        return ProviderMisconfigured(**members)
    return ProviderUnavailable(**members)


def pay_again(core: Core, user_id: str, order_id: int, pay_by: PayBy, request: Keyed) -> int:
    """Write another attempt to pay the order; its number. Earlier open attempts are asked about and shut first, so that
    one order is not paid twice. That is done as far as the provider answers: a second payment is never lost anyway.
    Where no further attempt is allowed, the earlier ones stay as they are."""
    slot = slot_of_user(user_id)

    def look(tx: Tx) -> list[int]:
        if find_key(tx, slot, request) is not None:
            return []
        return open_payments_to_replace(tx, user_id, order_id, pay_by, request)

    try:
        replaced = core.at(slot).read(look)
    except DomainError:
        replaced = []  # `add_payment` refuses, and remembers that
    with deadline(SHUT_SECONDS):
        for payment_id in replaced:
            _shut(core, payment_id)
    return add_payment(core, user_id, order_id, pay_by, request)


def _shut(core: Core, payment_id: int) -> None:
    asked = ask(core, payment_id)
    if asked is not None and asked.answer is Answer.FACTS and asked.row.status in OPEN_PAYMENT:
        cancel(core, asked)
