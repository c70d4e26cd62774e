"""Asks the provider to begin a signing that is already written down, and records what came of it."""

from __future__ import annotations

from typing import Any, cast

from app.domain.agreements import NEVER_SIGNED, AgreementStatus
from app.domain.event_types import EventType
from app.domain.numbers import slot_of_number
from app.domain.status import Cause
from app.models.base import AnyRow
from app.providers.agreements import Agreements
from app.providers.facts import Started
from app.services.agreements import agreement_facts, agreement_rows, signing_terms
from app.services.base.context import Core, Tx
from app.services.base.errors import PaymentDeclined, ProviderMisconfigured, ProviderUnavailable
from app.services.calls import call_log
from app.services.calls.payment_queries import apply_all
from app.services.calls.payment_starts import START_SECONDS, usable
from app.services.calls.provider_call import SIGN, CallEnd, CallSubject, ProviderCall, call_provider
from app.services.payments import intents, payment_rows


def start_signing(core: Core, number: int) -> None:
    """Bring the agreement to where the client can go on. Safe to repeat: the provider gets the same request again.

    Raises PaymentDeclined, ProviderUnavailable (nothing is lost: repeat the request) or ProviderMisconfigured.
    """
    row, first = core.of_number(number).read(lambda tx: _read(tx, number))
    if row.status == AgreementStatus.ENDED and row.ended_by == NEVER_SIGNED and row.problem:
        raise _declined(row)
    is_open = row.status == AgreementStatus.SIGNING and row.expires_at > core.clock.now() and row.cancel_at is None
    if row.action is not None or not is_open:
        return
    account = core.registry.get(row.provider_account)
    if account is None or not isinstance(account.provider, Agreements):
        raise ProviderMisconfigured(f"The provider account {row.provider_account!r} is not configured any more.")
    intent = None if first is None else intents.from_json(first.intent)
    terms = signing_terms.stored_terms(row.terms, intent)
    signer = cast(Agreements, account.provider)
    called: ProviderCall[Started] = call_provider(
        core,
        account,
        SIGN,
        lambda: usable(signer.sign(terms)),
        seconds=START_SECONDS,
        subject=CallSubject(row.slot, payment=row.first_payment_id, agreement=number),
    )
    if called.answer is None:
        core.of_number(number).transact(lambda tx: _record_failure(tx, number, called))
        if called.end is CallEnd.DECLINED:
            raise _declined(row, called.code)
        kind = ProviderMisconfigured if called.end is CallEnd.MISCONFIGURED else ProviderUnavailable
        raise kind(agreement=str(number))
    action = dict(called.answer.action)
    core.of_number(number).transact(lambda tx: _record(tx, number, action))
    apply_all(core, account, called.answer.facts, "reply", called)


def _read(tx: Tx, number: int) -> tuple[AnyRow, AnyRow | None]:
    row = agreement_rows.known_agreement(tx, number)
    first = row.first_payment_id
    return row, None if first is None else payment_rows.find_payment(tx, slot_of_number(number), first)


def _record(tx: Tx, number: int, action: dict[str, Any]) -> None:
    """What the client does next; the first payment is begun by the same act."""
    row = _locked(tx, number, Cause.STARTED, action=action, problem="")
    if row.status == AgreementStatus.SIGNING:
        agreement_rows.change_agreement(tx, row, {"action": action, "problem": ""})


def _record_failure(tx: Tx, number: int, called: ProviderCall[Started]) -> None:
    causes = {CallEnd.DECLINED: Cause.DECLINED, CallEnd.UNKNOWN: Cause.UNANSWERED}
    row = _locked(tx, number, causes.get(called.end), action=None, problem=called.problem)
    call_log.keep_call(tx, called)
    row = agreement_rows.change_agreement(tx, row, {"problem": called.problem})
    if called.end is CallEnd.DECLINED and row.status == AgreementStatus.SIGNING:
        ended = {"status": AgreementStatus.ENDED, "ended_at": tx.now, "ended_by": NEVER_SIGNED}
        agreement_facts.settle_agreement(tx, row, ended, EventType.AGREEMENT_ENDED)


def _locked(tx: Tx, number: int, cause: Cause | None, *, action: dict[str, Any] | None, problem: str) -> AnyRow:
    """The agreement, locked after the order of its first payment, of which the same is recorded."""
    row = agreement_rows.known_agreement(tx, number)
    if row.first_payment_id is not None:
        keys = payment_rows.payment_keys(tx, row.slot, row.first_payment_id)
        if keys is not None:
            payment_rows.lock_order(tx, row.slot, keys.order_id)
        payment_rows.record_start(tx, row.slot, row.first_payment_id, cause, action=action, problem=problem)
    return agreement_rows.lock_known_agreement(tx, number)


def _declined(row: AnyRow, code: str = "") -> PaymentDeclined:
    word = code or row.problem.partition(" ")[0]
    is_code = word.isupper() or not word.isalpha()
    return PaymentDeclined(provider_code=word if is_code else "", agreement=str(row.id))
