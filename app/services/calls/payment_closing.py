"""The end of what was never paid: the provider is asked, and shuts it, before we do."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from app.domain.schedule import give_up_moment, grace_end
from app.domain.status import OPEN_PAYMENT
from app.models.base import AnyRow
from app.services.base.context import Core, Tx
from app.services.calls import captures, payment_queries
from app.services.calls.payment_cancels import cancel
from app.services.calls.payment_queries import Answer, Asked
from app.services.payments import payment_rows
from app.services.payments.expiry import give_up_payment, lapse_payment

_log = structlog.get_logger(__name__)


def work_on_payment(core: Core, payment_id: int) -> bool:
    """What the worker does with a payment whose query is due: ask, capture or close if it is time, or ask again later.

    False if another worker has it. Each step is recorded before the next, so dying anywhere only repeats a step.
    """
    if not payment_queries.take_due(core, payment_id):
        return False
    is_unsettled = False
    asked = payment_queries.ask(core, payment_id)
    if asked is None:
        _log.error("payment_without_provider_account", payment=payment_id)
        payment_queries.put_off(core, payment_id)
        return True
    if captures.may_be_reserved(asked.row):
        asked, is_unsettled = captures.capture_or_give_up(core, asked)
    elif asked.row.status in OPEN_PAYMENT and core.clock.now() >= asked.row.expires_at:
        asked = close_if_over(core, asked)
    payment_queries.schedule_next(core, asked.row, answered=asked.answer is not Answer.NONE, is_unsettled=is_unsettled)
    return True


def close_if_over(core: Core, asked: Asked) -> Asked:
    """Shut an expired, unpaid payment at the provider first. Here it closes by the provider's word; when the grace is
    over and the provider still knows nothing; or when the provider has called it unpaid, and not closed it, for a week
    after its time. Without an answer it stays open: unknown is not unpaid."""
    if asked.answer is Answer.NONE:
        return asked
    shut = cancel(core, asked) if asked.answer is Answer.FACTS else asked
    now, expires_at = core.clock.now(), shut.row.expires_at
    if shut.row.status not in OPEN_PAYMENT:
        return shut
    if shut.answer is Answer.NO_SUCH and now >= grace_end(expires_at, core.rules.ask):
        return _ended(core, shut, lapse_payment)
    if now >= give_up_moment(expires_at):
        return _ended(core, Asked(asked.answer, shut.row), give_up_payment)
    return shut


def _ended(core: Core, asked: Asked, end: Callable[[Tx, AnyRow], None]) -> Asked:
    core.at(asked.row.slot).transact(lambda tx: end(tx, asked.row))
    row = payment_queries.reread(core, asked.row)
    if row.problem == payment_rows.GIVEN_UP_PROBLEM:
        _log.warning("payment_given_up", payment=row.id, provider_account=row.provider_account)
    return Asked(asked.answer, row)
