"""A notification from its bytes to the provider's own answer.

The order of steps is fixed and no plugin can change it: verify, read (no I/O so far), apply and commit every fact, and
only then say so. Whatever keeps a fact from being stored makes the provider send the message again.
"""

from __future__ import annotations

import structlog
from sqlalchemy.orm import Session

from app.domain.numbers import slot_of_reference
from app.domain.status import NEEDS_A_PERSON
from app.providers.errors import Forged
from app.providers.facts import Fact, Message, Received, Reply
from app.providers.registry import ProviderAccount
from app.services import asking, asks, kept_messages
from app.services.core import Core, as_of
from app.services.facts import Applied, apply_fact
from app.services.purchases import place, tell
from app.services.tellings import Telling
from app.services.transaction import read, transact

_log = structlog.get_logger(__name__)
_DEFECT = Reply(503, "text/plain", b"try again later")


def receive_notification(core: Core, account: ProviderAccount, message: Message) -> Reply:
    """Take in one notification; the answer for its sender. Never raises."""
    try:
        received = account.provider.receive(message)
    except Forged as error:
        return _refused(core, account, error)
    except Exception:
        _log.exception("notification_not_read", provider_account=account.name, bytes=len(message.body))
        return _DEFECT
    try:
        _apply(core, account, message, received)
    except Exception:
        _log.exception("notification_not_applied", provider_account=account.name, message_id=received.message_id)
        return received.failure
    return received.reply


def _refused(core: Core, account: ProviderAccount, error: Forged) -> Reply:
    """Not authentic: it moves nothing. A readable reference only brings our own query forward."""
    hinted = False
    if error.hint is not None:
        try:
            hinted = asking.hint(core, error.hint)
        except Exception:
            _log.exception("hint_not_used", provider_account=account.name)
    _log.warning("notification_refused", provider_account=account.name, why=str(error), hinted=hinted)
    return error.reply


def _apply(core: Core, account: ProviderAccount, message: Message, received: Received) -> None:
    for fact in received.facts:
        _apply_one(core, account, message, received, fact)
    for ref in received.asks:
        brought = asks.raise_ask(core, ref) if ref.refund else asking.hint(core, ref, gap_seconds=0)
        _log.info("notification_asks", provider_account=account.name, ours=ref.ours, brought_forward=brought)
    if received.note:
        _log.warning("notification_of_no_use", provider_account=account.name, note=received.note)
        slot = slot_of_reference(received.message_id or account.name)
        transact(
            core.sessions,
            lambda session: kept_messages.keep(session, core, slot, account.name, message, "note", received.note),
        )


def _apply_one(core: Core, account: ProviderAccount, message: Message, received: Received, fact: Fact) -> Applied:
    """One fact, and beside it, in the same transaction, the raw message if a person has to look."""
    telling = place(core, Telling(account, fact, "notification", received.message_id))

    def work(session: Session) -> Applied:
        applied = apply_fact(session, core, telling)
        if applied.outcome in NEEDS_A_PERSON:
            kept_messages.keep(session, core, applied.slot, account.name, message, applied.outcome, applied.reason)
        return applied

    return transact(core.sessions, work)


def replay(core: Core, number: int) -> str:
    """Verify and apply a kept message again; what became of it, for the operator. Resolved unless it needs a person
    still. The plugin verifies it as of the moment when it came: it was fresh then."""
    row = read(core.sessions, lambda session: kept_messages.find(session, number))
    account = core.registry.get(row.provider_account) if row is not None else None
    if row is None or account is None:
        return "there is no such message, or its provider account is not configured"
    try:
        with as_of(row.received_at):
            received = account.provider.receive(kept_messages.message_of(row))
    except Forged as error:
        return f"refused: {error}"
    outcomes = [tell(core, Telling(account, fact, "notification", received.message_id)) for fact in received.facts]
    if not any(applied.outcome in NEEDS_A_PERSON for applied in outcomes):
        transact(core.sessions, lambda session: kept_messages.resolve(session, core, number))
    return ", ".join(f"{applied.outcome} {applied.reason}".strip() for applied in outcomes) or "nothing to apply"
