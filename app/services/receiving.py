"""A notification from its bytes to the provider's own answer.

The order of steps is fixed and no plugin can change it: verify, read (no I/O so far), apply and commit every fact, and
only then say so. Whatever keeps a fact from being stored makes the provider send the message again.
"""

from __future__ import annotations

import structlog

from app.domain.status import NEEDS_A_PERSON
from app.providers.errors import Forged
from app.providers.facts import Message, Received, Reply
from app.providers.registry import ProviderAccount
from app.services import asking, kept_messages
from app.services.core import Core
from app.services.facts import Applied
from app.services.purchases import tell
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
        applied = tell(core, Telling(account, fact, "notification", received.message_id))
        if applied.outcome in NEEDS_A_PERSON:
            _keep(core, account, message, applied)


def _keep(core: Core, account: ProviderAccount, message: Message, applied: Applied) -> None:
    """The raw message beside the fact that needs a person. The fact itself is committed already."""
    transact(
        core.sessions,
        lambda session: kept_messages.keep(
            session, core, applied.slot, account.name, message, applied.outcome, applied.reason
        ),
    )


def replay(core: Core, number: int) -> str:
    """Verify and apply a kept message again; what became of it, for the operator. Resolved unless it needs a person
    still."""
    row = read(core.sessions, lambda session: kept_messages.find(session, number))
    account = core.registry.get(row.provider_account) if row is not None else None
    if row is None or account is None:
        return "there is no such message, or its provider account is not configured"
    try:
        received = account.provider.receive(kept_messages.message_of(row))
    except Forged as error:
        return f"refused: {error}"
    outcomes = [tell(core, Telling(account, fact, "notification", received.message_id)) for fact in received.facts]
    if not any(applied.outcome in NEEDS_A_PERSON for applied in outcomes):
        transact(core.sessions, lambda session: kept_messages.resolve(session, core, number))
    return ", ".join(f"{applied.outcome} {applied.reason}".strip() for applied in outcomes) or "nothing to apply"
