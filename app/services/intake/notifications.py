"""A notification from its bytes to the provider's own answer.

The order of steps is fixed and no plugin can change it: verify, read (no I/O so far), apply and commit every fact, and
only then say so. Whatever keeps a fact from being stored makes the provider send the message again.
"""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from app.domain.facts import Fact, Kind, Ref
from app.domain.matching import Mismatch
from app.domain.numbers import parse_number, slot_of_reference
from app.domain.status import NEEDS_A_PERSON
from app.models.base import AnyRow
from app.providers.errors import Forged
from app.providers.facts import Message, Received, Reply
from app.providers.limits import fits
from app.providers.registry import ProviderAccount
from app.services.base.context import Core, Tx, as_of
from app.services.base.reported_fact import ReportedFact
from app.services.base.sanitize import name_of
from app.services.calls import agreement_queries, payment_queries, reference_queries, scans
from app.services.facts import inbox
from app.services.facts.apply import apply_fact
from app.services.facts.owner import place_unless_told, tell, tell_refunds_first
from app.services.facts.record import Applied, report_fact

_log = structlog.get_logger(__name__)
_DEFECT = Reply(503, "text/plain", b"try again later")


def receive_notification(core: Core, account: ProviderAccount, message: Message) -> Reply:
    """Take in one notification; the answer for its sender. Never raises."""
    try:
        received = account.provider.receive(message)
        parts: tuple[Fact | Ref, ...] = (*received.facts, *received.asks)
    except Forged as error:
        return _refused(core, account, error)
    except Exception:
        _log.exception("notification_not_read", provider_account=account.name, bytes=len(message.body))
        return _DEFECT
    reply = received.reply
    for part in parts:  # every part, whatever becomes of the others; what fails lets the message come again
        try:
            if isinstance(part, Fact):
                _apply(core, account, message, received, part)
            else:
                _ask(core, account, message, received, part)
        except Exception:
            _log.exception("notification_not_applied", provider_account=account.name, message_id=received.message_id)
            reply = received.failure
    return _noted(core, account, message, received, reply) if received.note else reply


def _refused(core: Core, account: ProviderAccount, error: Forged) -> Reply:
    """Not authentic: it moves nothing. A readable reference only brings our own query forward."""
    hinted = False
    if error.hint is not None:
        try:
            hinted = _hint(core, account, error.hint)
        except Exception:
            _log.exception("hint_not_used", provider_account=account.name)
    _log.warning("notification_refused", provider_account=account.name, why=str(error), hinted=hinted)
    return error.reply


def _hint(core: Core, account: ProviderAccount, ref: Ref) -> bool:
    if ref.is_agreement:
        return agreement_queries.hint_agreement(core, ref, account=account)
    return payment_queries.hint(core, ref)


def _noted(core: Core, account: ProviderAccount, message: Message, received: Received, reply: Reply) -> Reply:
    """What the plugin notes about the message is kept with it, for a person."""
    _log.warning("notification_of_no_use", provider_account=account.name, note=received.note)
    try:
        _keep(core, account, message, received, "note", received.note)
    except Exception:
        _log.exception("notification_not_applied", provider_account=account.name, message_id=received.message_id)
        return received.failure
    return reply


def _ask(core: Core, account: ProviderAccount, message: Message, received: Received, ref: Ref) -> None:
    """What the message only names is asked about by the worker."""
    if ref.refund and not fits(ref.refund):
        _log.warning("notification_asks_unusable", provider_account=account.name, ours=ref.ours)
        _keep(core, account, message, received, Mismatch.UNUSABLE, "names a refund by what is no storable text")
        return
    if ref.is_agreement and agreement_queries.hint_agreement(core, ref, account=account, gap_seconds=0):
        _log.info("notification_asks", provider_account=account.name, agreement=ref.our_agreement, brought_forward=True)
        return
    named = reference_queries.by_our_number(core, account, ref)
    unpaid = not named.refund and payment_queries.hint(core, named, gap_seconds=0)
    raised = unpaid or reference_queries.raise_ask(core, account, named, message)
    _log.info("notification_asks", provider_account=account.name, ours=named.ours, brought_forward=raised)
    if not raised and parse_number(named.ours) is not None:
        _keep(core, account, message, received, Mismatch.UNKNOWN_NUMBER, f"names payment {named.ours}, not known here")


def _keep(core: Core, account: ProviderAccount, message: Message, received: Received, reason: str, detail: str) -> None:
    """Keep a message that is about no fact, for a person."""
    slot = slot_of_reference(name_of(received.message_id or account.name))
    core.at(slot).transact(
        lambda tx: inbox.keep_message(tx, slot, account.name, message, reason, detail),
    )


def _apply(core: Core, account: ProviderAccount, message: Message, received: Received, fact: Fact) -> Applied:
    """One fact, and beside it, in the same transaction, the raw message if a person has to look."""
    told = ReportedFact(account, fact, "notification", received.message_id)
    reported = place_unless_told(core, told)
    if isinstance(reported, Applied):
        report_fact(told, reported)
        return reported
    if reported.buyer is not None and fact.kind is Kind.PAID and (fact.owner is None or fact.ref.agreement):
        tell_refunds_first(core, reported)  # what names its owner itself was told where the owner's data are

    def work(tx: Tx) -> Applied:
        applied = apply_fact(tx, reported)
        if applied.outcome in NEEDS_A_PERSON:
            detail = "; ".join([applied.reason, *reported.faults])
            payment = applied.payment_id
            inbox.keep_message(tx, applied.slot, account.name, message, applied.outcome, detail, payment=payment)
        return applied

    return core.at(reported.slot).transact(work)


class NotReplayed(Exception):
    """The kept message could not be read again. The text says why."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """What became of a kept message that was read again."""

    outcomes: tuple[Applied, ...]

    @property
    def settled(self) -> bool:
        """Whether nobody has to look at it any more."""
        return not any(applied.outcome in NEEDS_A_PERSON for applied in self.outcomes)

    def __str__(self) -> str:
        said = (f"{applied.outcome} {applied.reason}".strip() for applied in self.outcomes)
        return ", ".join(said) or "nothing to apply"


def replay(core: Core, number: int) -> Replayed:
    """Verify and apply a kept message again, and resolve it unless it needs a person still.

    The plugin verifies it as of the moment when it came: it was fresh then. Raises NotReplayed.
    """
    row = core.of_number(number).read(lambda tx: inbox.find_message(tx, number))
    if row is None:
        raise NotReplayed("there is no such message")
    account = core.registry.get(row.provider_account)
    if account is None:
        raise NotReplayed(f"provider account {row.provider_account!r} is not configured")
    outcomes = _scanned_again(core, account, row) if row.source == "scan" else _told_again(core, account, row)
    replayed = Replayed(tuple(outcomes))
    if replayed.settled:
        core.of_number(number).transact(lambda tx: inbox.resolve(tx, number))
    return replayed


def _told_again(core: Core, account: ProviderAccount, row: AnyRow) -> list[Applied]:
    try:
        with as_of(row.received_at):
            received = account.provider.receive(inbox.kept_message(row))
    except Forged as error:
        raise NotReplayed(f"refused: {error}") from None
    for ref in received.asks:
        _ask(core, account, inbox.kept_message(row), received, ref)
    tellings = [ReportedFact(account, fact, "notification", received.message_id) for fact in received.facts]
    return [tell(core, reported) for reported in tellings]


def _scanned_again(core: Core, account: ProviderAccount, row: AnyRow) -> list[Applied]:
    try:
        return scans.read_again(core, account, row.reason, bytes(row.body))
    except scans.NotRead as error:
        raise NotReplayed(str(error)) from None
