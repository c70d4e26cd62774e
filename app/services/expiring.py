"""The end of what was never paid: the provider is asked, and shuts it, before we do."""

from __future__ import annotations

import structlog

from app.domain.schedule import grace_end
from app.domain.status import OPEN_PAYMENT
from app.providers.facts import Ref
from app.providers.http import deadline
from app.providers.verbs import Cancels
from app.services import asking
from app.services.asking import ASK_SECONDS, Answer, Asked
from app.services.core import Core
from app.services.lapsing import lapse_payment
from app.services.transaction import transact

_log = structlog.get_logger(__name__)


def work_on_due(core: Core, payment_id: int) -> bool:
    """What the worker does with a payment whose query is due: ask, close if it is over, else ask again later.

    False if another worker has it. Each step is recorded before the next, so dying anywhere only repeats a step.
    """
    if not asking.take_due(core, payment_id):
        return False
    asked = asking.ask(core, payment_id)
    if asked is None:
        _log.error("payment_without_provider_account", payment=payment_id)
        asking.put_off(core, payment_id)
        return True
    if asked.row.status in OPEN_PAYMENT and core.clock.now() >= asked.row.expires_at:
        asked = close_if_over(core, asked)
    asking.schedule_next(core, asked.row, answered=asked.answer is not Answer.NONE)
    return True


def close_if_over(core: Core, asked: Asked) -> Asked:
    """Shut an expired, unpaid payment at the provider first. Here it closes by the provider's word, or when the grace
    is over and the provider still knows nothing. Without an answer it stays open."""
    if asked.answer is Answer.NONE:
        return asked
    if asked.answer is Answer.FACTS:
        asked = cancel(core, asked)
    over = core.clock.now() >= grace_end(asked.row.expires_at, core.rules.ask)
    if asked.row.status in OPEN_PAYMENT and asked.answer is Answer.NO_SUCH and over:
        transact(core.sessions, lambda session: lapse_payment(session, core, asked.row))
        return Asked(asked.answer, asking.reread(core, asked.row))
    return asked


def cancel(core: Core, asked: Asked) -> Asked:
    """Ask the provider to shut the payment. A provider that cannot is treated as one that knows nothing of it."""
    row = asked.row
    account = core.registry.get(row.provider_account)
    if account is None or not isinstance(account.provider, Cancels):
        return Asked(Answer.NO_SUCH, row)
    try:
        with deadline(ASK_SECONDS):
            facts = account.provider.cancel(Ref(ours=str(row.id), theirs=row.theirs))
    except Exception as error:
        asking.report_call("cancel", row, error)
        return Asked(Answer.NONE, row)
    asking.apply_all(core, account, facts, "reply")
    return Asked(Answer.FACTS if facts else Answer.NO_SUCH, asking.reread(core, row))
