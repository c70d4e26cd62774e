"""Telling a provider about a purchase: that it was delivered, and, if it asks before a refund, how much of it was used.

A report is written down in the transaction of the fact that causes it and sent by the worker. What was used is told
only for a user whose consent is recorded, and is worked out from the lots at the moment of sending.
"""

from __future__ import annotations

from typing import Any

import structlog
from sqlalchemy import select, update

from app.domain.facts import Ref
from app.domain.retries import Retried, is_over
from app.models.base import AnyRow
from app.models.orders import Order, Payment, User
from app.models.reports import ReportRow
from app.providers.registry import ProviderAccount
from app.providers.verbs import Fulfils
from app.services.base.context import Core, Tx
from app.services.base.leases import LeaseQueue, next_try
from app.services.base.sanitize import problem_text
from app.services.calls import call_log
from app.services.calls.provider_call import CallEnd, CallSubject, ProviderCall, call_provider
from app.services.ledger.consumption import consumed_share
from app.services.payments import fulfilments

REPORT_SECONDS = 10.0
REPORTS_DUE = LeaseQueue(ReportRow.__table__, "next_try_at", "due_reports", counts="tries")
_r, _p, _o, _u = ReportRow.__table__.c, Payment.__table__.c, Order.__table__.c, User.__table__.c
_log = structlog.get_logger(__name__)


def work_on_report(core: Core, report_id: int) -> bool:
    """Send one report, as the worker; False if another worker has it."""
    row = core.transact(lambda tx: REPORTS_DUE.take(tx, report_id, core.clock.now()))
    if row is None:
        return False
    payment, content = core.read(lambda tx: _content(tx, row))
    account = core.registry.get(payment.provider_account)
    if isinstance(content, str):
        _settle(core, row, "dropped", content)
    elif is_over(_why(row), passed=core.clock.now() - row.asked_at):
        _settle(core, row, "dropped", "too late")
    elif account is None or not isinstance(account.provider, Fulfils):
        _settle(core, row, "dropped", "the provider account takes no reports")
    else:
        _send(core, row, account, account.provider, Ref(ours=str(payment.id), theirs=payment.theirs), content)
    return True


def _content(tx: Tx, row: AnyRow) -> tuple[AnyRow, dict[str, Any] | str]:
    """The payment, and what to say about it; a text says why nothing may be said."""
    wanted = (
        select(_p.id, _p.provider_account, _p.theirs, _u.consented_at, _o.fulfilment)
        .join(Order, (_o.slot == _p.slot) & (_o.id == _p.order_id))
        .join(User, (_u.slot == _o.slot) & (_u.id == _o.user_id))
        .where(_p.slot == row.slot, _p.id == row.payment_id)
    )
    payment = tx.execute(wanted).one()
    if row.about == "delivered":
        return payment, {"about": "delivered"}
    if payment.consented_at is None:
        return payment, "the user has not consented"
    if fulfilments.is_fulfilled_outside(payment):
        return payment, "the app's backend has the coins, and alone knows how many are used"
    share = consumed_share(tx, row.slot, str(payment.id))
    return payment, {
        "about": "consumption",
        "consented": True,
        "asked_at": row.asked_at.isoformat(),
        "consumed_share": share,
        "delivery": "delivered",
    }


def _send(
    core: Core, row: AnyRow, account: ProviderAccount, provider: Fulfils, ref: Ref, content: dict[str, Any]
) -> None:
    def fulfil() -> bool:
        provider.fulfil(ref, content)
        return True

    subject = CallSubject(row.slot, payment=row.payment_id)
    called = call_provider(core, account, "fulfil", fulfil, seconds=REPORT_SECONDS, subject=subject, report=row.id)
    if called.end is CallEnd.DECLINED:
        _settle(core, row, "dropped", called.problem, called)
    elif not called.answered:
        _set(core, row, called, next_try_at=next_try(core.clock.now(), _why(row), row.tries))
    else:
        _settle(core, row, "sent", "", called)


def _why(row: AnyRow) -> Retried:
    return Retried.REFUND_REPORT if row.about == "consumption" else Retried.DELIVERY_REPORT


def _settle(core: Core, row: AnyRow, status: str, problem: str, called: ProviderCall[bool] | None = None) -> None:
    _log.info("report", report=row.id, about=row.about, payment=row.payment_id, status=status, problem=problem)
    _set(core, row, called, status=status, problem=problem_text(problem), next_try_at=None)


def _set(core: Core, row: AnyRow, called: ProviderCall[bool] | None, **values: object) -> None:
    change = update(ReportRow).where(_r.slot == row.slot, _r.id == row.id).values(**values)

    def work(tx: Tx) -> None:
        tx.execute(change)
        if called is not None:
            call_log.keep_call(tx, called)

    core.transact(work)
