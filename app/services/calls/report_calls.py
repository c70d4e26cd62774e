"""Telling a provider about a purchase: that it was delivered, whose it is where the store does not know that, and, if
it asks before a refund, how much of it was used and what we think of giving the money back.

A report is written down in the transaction of the fact that causes it and sent by the worker. What was used is told
only for a user whose consent is recorded, and is worked out from the lots at the moment of sending.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import structlog
from sqlalchemy import select, update

from app.domain.facts import Kind, Ref
from app.domain.retries import Retried, is_over
from app.models.base import AnyRow
from app.models.orders import FactRow, Order, Payment, User
from app.models.reports import ReportRow
from app.providers.registry import ProviderAccount, RefundPreference
from app.providers.verbs import Fulfils
from app.services.base.context import Core, Tx
from app.services.base.leases import LeaseQueue, next_try
from app.services.base.sanitize import problem_text
from app.services.calls import call_log
from app.services.calls.provider_call import CallEnd, CallSubject, ProviderCall, call_provider
from app.services.ledger.consumption import WHOLE_PURCHASE, consumed_share
from app.services.payments import fulfilments

REPORT_SECONDS = 10.0
REPORTS_DUE = LeaseQueue(ReportRow.__table__, "next_try_at", "due_reports", counts="tries")
_r, _p, _o, _u, _f = (table.__table__.c for table in (ReportRow, Payment, Order, User, FactRow))
_RETRIED = {
    "delivered": Retried.DELIVERY_REPORT,
    "owner": Retried.OWNER_REPORT,
    "consumption": Retried.REFUND_REPORT,
}
_log = structlog.get_logger(__name__)


def work_on_report(core: Core, report_id: int) -> bool:
    """Send one report, as the worker; False if another worker has it."""
    row = core.of_number(report_id).transact(lambda tx: REPORTS_DUE.take(tx, report_id, core.clock.now()))
    if row is None:
        return False
    payment, content = core.at(row.slot).read(lambda tx: _content(tx, row))
    account = core.registry.get(payment.provider_account)
    ref = Ref(ours=str(payment.id), theirs=payment.theirs)
    if isinstance(content, str):
        _settle(core, row, "dropped", content)
    elif is_over(_why(row), passed=core.clock.now() - row.asked_at):
        _settle(core, row, "dropped", "too late")
    elif account is None or not isinstance(account.provider, Fulfils):
        _settle(core, row, "dropped", "the provider account takes no reports")
    else:
        if row.about == "consumption":
            content |= _wish(account.refund_preference, content["consumed_share"])
        _send(core, row, account, account.provider, _with_agreement(core, row, ref), content)
    return True


def _content(tx: Tx, row: AnyRow) -> tuple[AnyRow, dict[str, Any] | str]:
    """The payment, and what to say about it; a text says why nothing may be said."""
    wanted = (
        select(_p.id, _p.provider_account, _p.theirs, _u.consented_at, _u.token, _o.fulfilment)
        .join(Order, (_o.slot == _p.slot) & (_o.id == _p.order_id))
        .join(User, (_u.slot == _o.slot) & (_u.id == _o.user_id))
        .where(_p.slot == row.slot, _p.id == row.payment_id)
    )
    payment = tx.execute(wanted).one()
    if row.about == "delivered":
        return payment, {"about": "delivered"}
    if row.about == "owner":
        return payment, {"about": "owner", "owner": str(payment.token)}
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


def _with_agreement(core: Core, row: AnyRow, ref: Ref) -> Ref:
    """The purchase as its store names it: a period with its agreement, whose owner is that of all its periods."""
    told = select(_f.content).where(_f.slot == row.slot, _f.payment_id == row.payment_id, _f.kind == Kind.PAID)
    content = core.at(row.slot).read(lambda tx: tx.scalar(told.order_by(_f.id).limit(1)))
    return ref if content is None else replace(ref, agreement=content["agreement"])


def _wish(preference: RefundPreference, consumed_share: int) -> dict[str, str]:
    """What we want of the refund, in the words of the port; nothing where we leave that to the store."""
    if preference is RefundPreference.NONE:
        return {}
    if preference is not RefundPreference.BY_CONSUMPTION:
        return {"wish": "grant_full" if preference is RefundPreference.GRANT else "decline"}
    if consumed_share == 0:
        return {"wish": "grant_full"}
    return {"wish": "decline" if consumed_share >= WHOLE_PURCHASE else "grant_prorated"}


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
    return _RETRIED[row.about]


def _settle(core: Core, row: AnyRow, status: str, problem: str, called: ProviderCall[bool] | None = None) -> None:
    _log.info("report", report=row.id, about=row.about, payment=row.payment_id, status=status, problem=problem)
    _set(core, row, called, status=status, problem=problem_text(problem), next_try_at=None)


def _set(core: Core, row: AnyRow, called: ProviderCall[bool] | None, **values: object) -> None:
    change = update(ReportRow).where(_r.slot == row.slot, _r.id == row.id).values(**values)

    def work(tx: Tx) -> None:
        tx.execute(change)
        if called is not None:
            call_log.keep_call(tx, called)

    core.at(row.slot).transact(work)
